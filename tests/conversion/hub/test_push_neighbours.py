"""What `avmit push` finds in a repository: it stands beside it, or says why it does not."""

import json
import re
import shutil
from pathlib import Path

import pytest
from datasets import load_dataset
from support.commands import Run
from support.hub.server import HubServer
from support.published import REPO, contents
from support.releases import visible, write_set

from conversion.card.readme import write_card
from conversion.convert.build import Options, convert
from conversion.package.writer import Encoding

PARQUET = Encoding("parquet")
ONE = "train-00000-of-00001.arrow"


@pytest.fixture
def small(package: Path, tmp_path: Path) -> Path:
    """A package of two small configs, to be changed."""
    for config in ("ratings", "test_set"):
        shutil.copytree(package / config, tmp_path / "small" / config)
    write_card(tmp_path / "small")
    return tmp_path / "small"


def refused(hub: HubServer, run: Run, *arguments: object) -> str:
    """Run a push that is refused in one line before anything is sent, and return the line."""
    hub.reset_counts()
    ran = run("push", *arguments)
    assert ran.code == 1, ran.out
    (line,) = ran.err.splitlines()
    assert {request.method for request in hub.requests} <= {"GET"}
    return line.removeprefix("avmit: ")


@pytest.mark.parametrize("name", [ONE, "train-extra.parquet", "bad_records.csv", "test-1.arrow"])
def test_a_file_that_is_not_avmits_is_neither_deleted_nor_replaced(
    hub: HubServer, small: Path, run: Run, name: str
) -> None:
    """The manifest there names `train-00000-of-00002.arrow`, and not this one."""
    hub.put_folder(REPO, small)
    manifest = json.loads((small / "ratings/manifest.json").read_text())
    (shard,) = manifest["splits"]["train"]
    shard["file"] = "train-00000-of-00002.arrow"
    files = {"ratings/manifest.json": json.dumps(manifest).encode(), f"ratings/{ONE}": None}
    hub.put(REPO, {**files, f"ratings/{name}": b"by hand"})
    before = contents(hub.dataset(REPO).head())
    assert refused(hub, run, small, REPO) == (
        f"ratings/{name} on the Hub is in the way, and not of avmit, as the manifest.json there "
        "does not name it: delete or rename it there first"
    )
    assert contents(hub.dataset(REPO).head()) == before
    hub.put(REPO, {f"ratings/{name}": None, "ratings/notes.md": b"by hand"})
    assert run("push", small, REPO).code == 0
    assert contents(hub.dataset(REPO).head())["ratings/notes.md"] == b"by hand"


def test_what_a_damaged_manifest_names_is_replaced(hub: HubServer, small: Path, run: Run) -> None:
    hub.put_folder(REPO, small)
    manifest = json.loads((small / "ratings/manifest.json").read_text())
    manifest["format"] = "exe"
    manifest["splits"]["train"].append({"file": "train-00001-of-00002.arrow"})
    files = {"ratings/manifest.json": json.dumps(manifest).encode(), f"ratings/{ONE}": b"old"}
    hub.put(REPO, {**files, "ratings/train-00001-of-00002.arrow": b"old"})
    ran = run("push", small, REPO)
    assert (ran.code, ran.err) == (0, "")
    assert contents(hub.dataset(REPO).head()) == visible(small)


@pytest.mark.parametrize(
    ("entry", "files", "kind"),
    [
        ("data_files: notes/*.csv", {}, "csv"),
        ("data_files: [a.parquet]", {"a.parquet": b""}, "parquet"),
        ("data_files: [{split: train, path: 'x/*.jsonl.gz'}]", {}, "json"),
        ("data_files: {train: [x/a.tsv]}", {}, "csv"),
        ("data_files: data/*", {"data/part.json": b"{}"}, "json"),
        ("data_dir: data", {"data/deep/a.csv": b"x\n1\n"}, "csv"),
    ],
)
def test_others_of_another_format(
    hub: HubServer, small: Path, run: Run, entry: str, files: dict[str, bytes], kind: str
) -> None:
    hub.create(REPO)
    card = f"---\nconfigs:\n- config_name: theirs\n  {entry}\n---\n# Theirs\n"
    hub.put(REPO, {"README.md": card.encode(), **files})
    before = contents(hub.dataset(REPO).head())
    assert refused(hub, run, small, REPO) == (
        f"there would be configs of several formats (arrow: ratings, test_set; {kind}: theirs), "
        "and datasets reads all configs of a package as one: convert all configs with one "
        "--format, or publish in a repository of its own"
    )
    assert contents(hub.dataset(REPO).head()) == before


def test_others_whose_files_no_config_names(
    hub: HubServer, package: Path, run: Run, cache: Path
) -> None:
    """`datasets` does not look at them once a card has configs."""
    hub.create("ann/beside")
    hub.put("ann/beside", {"a.csv": b"x\n1\n", "README.md": b"# Theirs\n"})
    assert run("push", package, "ann/beside", "--config", "test_set").code == 0
    rows = load_dataset("ann/beside", "test_set", split="test")
    assert rows.num_rows > 0 and "tfrecord_filename" in rows.column_names


def test_configs_of_avmit_of_another_format(
    hub: HubServer, release: Path, small: Path, tmp_path: Path, run: Run
) -> None:
    hub.put_folder(REPO, small)
    parquet = Options(configs=["ratings", "test_set"], encoding=PARQUET, workers=1)
    convert(release, tmp_path / "parquet", parquet)
    line = refused(hub, run, tmp_path / "parquet", REPO, "--config", "ratings")
    assert line.startswith(
        "there would be configs of several formats (parquet: ratings; arrow: test_set), and "
    )
    ran = run("push", tmp_path / "parquet", REPO)  # all of them at once
    assert (ran.code, ran.err) == (0, "")
    assert contents(hub.dataset(REPO).head()) == visible(tmp_path / "parquet")


def test_a_package_of_two_formats(
    hub: HubServer, release: Path, small: Path, tmp_path: Path, run: Run
) -> None:
    convert(
        release, tmp_path / "parquet", Options(configs=["test_set"], encoding=PARQUET, workers=1)
    )
    shutil.rmtree(small / "test_set")
    shutil.copytree(tmp_path / "parquet/test_set", small / "test_set")
    line = refused(hub, run, "small", REPO)
    assert line.startswith("small has configs of several formats (")
    assert not hub.requests


def test_labels_of_another_order(
    hub: HubServer, release: Path, package: Path, tmp_path: Path, run: Run
) -> None:
    assert run("push", package, REPO, "--config", "vggish_vgg16", "--config", "ratings").code == 0
    card = hub.dataset(REPO).text("README.md")
    first, second = re.findall(r"'[01]': (\S+)", card)[:2]
    swapped = card.replace(f"'0': {first}", f"'0': {second}").replace(
        f"'1': {second}", f"'1': {first}"
    )
    hub.put(REPO, {"README.md": swapped.encode()})
    folder = Path(shutil.copytree(release, tmp_path / "sources"))
    records = write_set(folder, "mine", (8, 16))
    convert(folder, tmp_path / "mine", Options(configs=["mine"], tfrecords={"mine": records}))
    assert refused(hub, run, tmp_path / "mine", REPO) == (
        f"the labels of 'mine' are not those of 'vggish_vgg16' on the Hub (0 is {first} and "
        f"{second}), so that the same index would mean two things: make it from the same CSVs, or "
        "publish the two together"
    )
    hub.put(REPO, {"README.md": card.encode()})
    assert run("push", tmp_path / "mine", REPO).code == 0


def test_a_config_with_a_colon_in_its_name_keeps_its_problem(
    hub: HubServer, small: Path, run: Run
) -> None:
    shutil.copytree(small / "ratings", small / "a:b")
    line = refused(hub, run, "small", REPO, "--config", "a:b")
    assert line.startswith("small is not fit to be published (a:b: config is 'ratings', ")
    assert not hub.requests


def test_a_dry_run_without_a_network(
    hub: HubServer, package: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.__exit__(None, None, None)
    try:
        ran = run("push", package, REPO, "--dry-run")
    finally:
        hub.__enter__()
    assert (ran.code, ran.err) == (0, "")
    first, *files, last = ran.out.splitlines()
    count = len(visible(package))
    assert first.startswith(f"{REPO}: could not compare with the Hub (cannot reach {hub.url} (")
    assert first.endswith(f"): if nothing is there, all {count} files would be sent")
    named = {line.removeprefix("  to send   ").rsplit(" (", 1)[0] for line in files}
    assert named == set(visible(package))
    size = sum(len(content) for content in visible(package).values())
    assert last == f"to send: at most {size / 10**6:.3g} MB in {count} files"
    assert "trying again" not in ran.out


def test_a_dry_run_while_the_hub_is_switched_off(package: Path, run: Run) -> None:
    ran = run("push", package, REPO, "--dry-run", "--config", "ratings")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(
        f"{REPO}: could not compare with the Hub (HF_HUB_OFFLINE is set): if nothing is there, "
        "all 4 files would be sent\n"
    )
