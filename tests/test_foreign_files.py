"""Whatever a command does, and whatever its exit code, files that avmit did not make stay."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.commands import Run
from support.hub.server import HubServer
from support.releases import CSV, SETS, csv_rows, visible

from avmit import AvmitError
from conversion.card.readme import write_card
from conversion.convert.build import Options, convert
from conversion.convert.export import export
from conversion.hub.prefetch import prefetch
from conversion.release.generate import generate_release

REPO = "ann/avmit"
SETS_FOLDER = SETS["vggish_vgg16"]
CONFIG_FOLDERS = ("ratings", "raw_ratings", "test_set", "vggish_vgg16")


def test_records_that_lie_where_their_config_goes_are_not_replaced(
    small_release: Path, run: Run, tmp_path: Path
) -> None:
    (small_release / SETS_FOLDER).rename(small_release / "vggish_vgg16")
    before = visible(small_release)
    ran = run("convert", small_release, "--out", small_release)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        f"avmit: {small_release}/vggish_vgg16 is to be read and lies in "
        f"{small_release}/vggish_vgg16, which would be replaced: move it away, or choose another "
        "--out\n"
    )
    assert visible(small_release) == before
    assert not (small_release / ".avmit-work").exists()


def test_an_archive_and_a_document_where_the_config_goes_stay(
    small_release: Path, run: Run, tmp_path: Path
) -> None:
    root = small_release / "vggish_vgg16"
    shutil.make_archive(str(tmp_path / "set"), "tar", small_release / SETS_FOLDER)
    shutil.rmtree(small_release / SETS_FOLDER)
    root.mkdir()
    (tmp_path / "set.tar").rename(root / "set.tar")
    (root / "thesis.doc").write_text("years of work")
    before = visible(small_release)
    assert run("convert", small_release, "--out", small_release).code == 1
    assert visible(small_release) == before


def test_a_file_beside_a_config_s_own_is_in_the_way(
    small_release: Path, run: Run, tmp_path: Path
) -> None:
    run("convert", small_release)
    thesis = tmp_path / "avmit" / "ratings" / "thesis.txt"
    thesis.write_text("years of work")
    before = visible(tmp_path / "avmit")
    ran = run("convert", small_release, "--config", "ratings")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        "avmit: avmit/ratings/thesis.txt would be replaced and avmit did not make it: move it "
        "away, or choose another --out\n"
    )
    assert visible(tmp_path / "avmit") == before


def test_a_folder_without_a_manifest_is_in_the_way(
    small_release: Path, run: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "avmit" / "ratings"
    folder.mkdir(parents=True)
    (folder / "thesis.txt").write_text("years of work")
    ran = run("convert", small_release, "--config", "ratings")
    assert ran.code == 1
    assert ran.err.startswith(
        "avmit: avmit/ratings/thesis.txt would be replaced and avmit did not make it: move it away"
    )
    assert (folder / "thesis.txt").read_text() == "years of work"
    (folder / "thesis.txt").unlink()
    assert run("convert", small_release, "--config", "ratings").code == 0


def test_a_file_that_comes_while_a_run_is_at_work_stays(
    small_release: Path, tmp_path: Path
) -> None:
    out = tmp_path / "avmit"
    convert(small_release, out, Options(workers=1))
    thesis = out / "vggish_vgg16" / "thesis.txt"

    def write(done: int, total: int) -> None:
        thesis.write_text("years of work")

    with pytest.raises(AvmitError, match=r"thesis\.txt would be replaced"):
        convert(small_release, out, Options(workers=1, max_shard_bytes=60_000), write)
    assert thesis.read_text() == "years of work"
    thesis.unlink()
    convert(small_release, out, Options(workers=1, max_shard_bytes=60_000))
    assert not (out / ".avmit-work").exists()


def test_the_demo_does_not_write_over_a_release_of_one_s_own(run: Run, tmp_path: Path) -> None:
    mine = tmp_path / "avmit-sources" / CSV["ratings"]
    mine.parent.mkdir()
    mine.write_text("mine")
    ran = run("demo")
    assert ran.code == 1
    assert ran.err == (
        "avmit: avmit-sources/video_ratings.csv is there already and is another file: choose "
        "another --out\n"
    )
    assert mine.read_text() == "mine"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release and a package made of it, to be copied."""
    root = tmp_path_factory.mktemp("foreign")
    generate_release(root / "release", videos_per_label=1, test_per_label=1, sets=["vggish_vgg16"])
    convert(root / "release", root / "package", Options(workers=1))
    return root


NAMES = st.sampled_from(
    [
        "thesis.txt",
        "train-00000-of-00001.arrow",
        "train-extra.arrow",
        "manifest.json",
        "bad_records.csv",
        "README.md",
        ".hidden",
        ".train-00000-of-00001.arrow.part",
        "video_ratings.csv",
        "mine.tfrecord",
        "barking/mine.tfrecord",
        "set.tar.gz",
        "deep/er/file",
    ]
)
FOLDERS = st.sampled_from(
    ["", *CONFIG_FOLDERS, SETS_FOLDER, ".avmit-work", ".avmit-work/ratings", "barking", "mine"]
)
FOREIGN = st.lists(st.tuples(FOLDERS, NAMES, st.binary(min_size=1, max_size=20)), max_size=6)
WHERE = st.sampled_from(["release", "package", "new", "release/vggish_vgg16"])


def put(root: Path, foreign: list[tuple[str, str, bytes]]) -> dict[Path, bytes]:
    """Add files where none are, and return them."""
    added = {}
    for folder, name, content in foreign:
        path = root / folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                file.write(content)
        except (FileExistsError, NotADirectoryError):
            continue
        added[path] = content
    return added


def commands(root: Path, out: Path) -> dict[str, Callable[[], object]]:
    release, package = root / "release", root / "package"
    parquet = Options(workers=1, max_shard_bytes=30_000)
    return {
        "convert": lambda: convert(release, out, Options(workers=1)),
        "convert anew": lambda: convert(release, out, parquet),
        "convert one": lambda: convert(release, out, Options(configs=["ratings"], workers=1)),
        "card": lambda: write_card(out),
        "export": lambda: export(package, "vggish_vgg16", out, 1),
        "export here": lambda: export(package, "vggish_vgg16", release / SETS_FOLDER, 1),
        "prefetch": lambda: prefetch(REPO, out),
    }


@contextmanager
def copied(prepared: Path) -> Iterator[Path]:
    root = Path(tempfile.mkdtemp(prefix="avmit-foreign-"))
    try:
        for name in ("release", "package"):
            shutil.copytree(prepared / name, root / name)
        yield root
    finally:
        shutil.rmtree(root)


@pytest.fixture
def filled(hub: HubServer, prepared: Path, run: Run) -> HubServer:
    hub.create(REPO)
    assert run("push", prepared / "package", REPO).code == 0
    return hub


def test_every_foreign_file_is_there_afterwards(filled: HubServer, prepared: Path) -> None:
    @settings(max_examples=60)
    @example(
        command="convert",
        where="package",
        foreign=[("ratings", "bad_records.csv", b"\0")],
        elsewhere=[],
    )
    @given(
        command=st.sampled_from(sorted(commands(prepared, prepared))),
        where=WHERE,
        foreign=FOREIGN,
        elsewhere=FOREIGN,
    )
    def check(
        command: str,
        where: str,
        foreign: list[tuple[str, str, bytes]],
        elsewhere: list[tuple[str, str, bytes]],
    ) -> None:
        with copied(prepared) as root:
            out = root / where
            added = put(root / "release", elsewhere) | put(out, foreign)
            # The release is the user's own as well.
            before = {path: path.read_bytes() for path in files(root / "release")} | added
            try:
                commands(root, out)[command]()
            except AvmitError as error:
                assert "\n" not in str(error)
            for path, content in before.items():
                if path.name != "README.md":
                    assert path.read_bytes() == content, f"{command} into {where}: {path}"
                else:  # a card keeps people's text, and gets ours
                    assert path.exists()

    check()


def files(root: Path) -> list[Path]:
    return [Path(folder, name) for folder, _, names in os.walk(root) for name in names]


def test_a_release_holds_what_the_test_above_needs(prepared: Path) -> None:
    rows = csv_rows(prepared / "release" / CSV["ratings"])
    assert len(rows) == 16
    assert (prepared / "package" / "vggish_vgg16" / "manifest.json").exists()
