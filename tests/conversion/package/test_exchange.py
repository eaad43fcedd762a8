"""A config changes in one step: no reader, and no kill, ever finds it missing."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.releases import visible

import avmit
from conversion.convert.build import Options, convert
from conversion.package.exchange import bring_back, put_in_place

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX names")


def folders(tmp_path: Path) -> tuple[Path, Path, Path]:
    new, published, aside = (tmp_path / name for name in ("new", "published", ".aside"))
    new.mkdir()
    (new / "file").write_text("new")
    return new, published, aside


def text(folder: Path) -> str:
    return (folder / "file").read_text()


def test_what_was_there_is_where_the_new_one_was(tmp_path: Path) -> None:
    new, published, aside = folders(tmp_path)
    assert not put_in_place(new, published, aside)
    assert text(published) == "new"
    new.mkdir()
    (new / "file").write_text("newer")
    assert put_in_place(new, published, aside)
    assert (text(published), text(new)) == ("newer", "new")
    assert not aside.exists()


def test_where_the_system_cannot_the_old_one_lies_beside_it_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conversion.package.exchange.sys", SimpleNamespace(platform="another"))
    new, published, aside = folders(tmp_path)
    published.mkdir()
    (published / "file").write_text("old")
    assert put_in_place(new, published, aside)
    assert (text(published), text(new)) == ("new", "old")
    assert not aside.exists()


def test_a_config_that_was_cut_off_from_its_name_gets_it_back(
    small_release: Path, tmp_path: Path
) -> None:
    out = tmp_path / "avmit"
    convert(small_release, out, Options(workers=1))
    before = visible(out)
    (out / "ratings").rename(out / ".ratings.replaced")
    shutil.rmtree(out / ".avmit-work", ignore_errors=True)  # as the README allows at any time
    convert(small_release, out, Options(workers=1, configs=["ratings"]))
    assert visible(out) == before
    assert not (out / ".ratings.replaced").exists()


def test_nothing_is_brought_back_over_what_is_there_or_through_a_link(tmp_path: Path) -> None:
    new, published, aside = folders(tmp_path)
    aside.symlink_to(new)
    bring_back(published, aside)
    assert not published.exists()
    aside.unlink()
    new.rename(aside)
    published.mkdir()
    bring_back(published, aside)
    assert list(published.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is a moment without")
def test_readers_find_the_one_or_the_other_at_every_moment(
    small_release: Path, tmp_path: Path
) -> None:
    out = tmp_path / "avmit"
    small, large = (Options(workers=1, max_shard_bytes=size) for size in (60_000, 256_000_000))
    convert(small_release, out, small)
    want = avmit.load("vggish_vgg16", "train", data_dir=out).to_dict()
    problems: list[str] = []
    opened = 0
    done = threading.Event()

    def read() -> None:
        nonlocal opened
        while not done.is_set():
            if not (out / "vggish_vgg16" / "manifest.json").is_file():
                problems.append("missing")
            opened += 1

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for options in (large, small, large):
            convert(small_release, out, options)
    finally:
        done.set()
        reader.join()
    assert opened > 100
    assert problems == []
    assert avmit.load("vggish_vgg16", "train", data_dir=out).to_dict() == want


KILLED = """
import os, signal, sys
from conversion.package import exchange
from conversion.package import staging
real = exchange.put_in_place
def put_in_place(*arguments):
    if sys.argv[1] == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    real(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
staging.put_in_place = put_in_place
from pathlib import Path
from conversion.convert.build import Options, convert
convert(Path(sys.argv[2]), Path(sys.argv[3]), Options(workers=1, max_shard_bytes=60_000))
"""


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_at_the_exchange_and_the_work_folder_deleted(
    small_release: Path, tmp_path: Path, moment: str
) -> None:
    out, fresh = tmp_path / "avmit", tmp_path / "fresh"
    convert(small_release, out, Options(workers=1))
    command = [sys.executable, "-c", KILLED, moment, str(small_release), str(out)]
    assert subprocess.run(command).returncode == -signal.SIGKILL
    shutil.rmtree(out / ".avmit-work")
    for config in ("ratings", "raw_ratings", "test_set", "vggish_vgg16"):
        assert (out / config / "manifest.json").is_file()
    assert len(avmit.load("vggish_vgg16", "train", data_dir=out)) == 16
    convert(small_release, out, Options(workers=1, max_shard_bytes=60_000))
    convert(small_release, fresh, Options(workers=1, max_shard_bytes=60_000))
    assert visible(out) == visible(fresh)


WITHOUT_LOCKS = """
import errno, sys
import filelock
LOCKS = sys.argv.pop(1)
def acquire(self, *args, **kwargs):
    if LOCKS == "granted":
        return None
    raise OSError(errno.ENOLCK, "No locks available")
filelock.FileLock.acquire = acquire
import avmit_cli
avmit_cli.main()
"""


@pytest.mark.parametrize("locks", ["granted", "missing"])
@pytest.mark.parametrize("sizes", [("60kB", "60kB"), ("60kB", "100kB")])
def test_two_runs_on_a_file_system_without_locks_end_in_one_whole_result(
    small_release: Path, tmp_path: Path, locks: str, sizes: tuple[str, str]
) -> None:
    out = tmp_path / "avmit"
    wanted = []
    for size in sizes:
        fresh = tmp_path / f"fresh-{size}"
        if not fresh.exists():
            convert(small_release, fresh, Options(workers=1, max_shard_bytes=1000 * int(size[:-2])))
        wanted.append(visible(fresh))
    command = [sys.executable, "-c", WITHOUT_LOCKS, locks, "convert", str(small_release)]
    runs = [
        subprocess.Popen(
            [*command, "--out", str(out), "--workers", "1", "--max-shard-size", size],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for size in sizes
    ]
    errors = [run.communicate(timeout=120)[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], errors
    found = visible(out)
    for config in ("ratings", "raw_ratings", "test_set", "vggish_vgg16"):
        here = {name: data for name, data in found.items() if name.startswith(f"{config}/")}
        assert here in [
            {name: data for name, data in one.items() if name.startswith(f"{config}/")}
            for one in wanted
        ]
    assert not (out / ".avmit-work").exists()


def test_work_of_a_run_that_may_be_alive_is_used_and_left(
    small_release: Path, tmp_path: Path
) -> None:
    out = tmp_path / "avmit"
    options = Options(workers=1, max_shard_bytes=60_000)

    def stop(done: int, total: int) -> None:
        if done and list(out.glob(".avmit-work/*/.*.arrow.json")):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(small_release, out, options, stop)
    (left,) = out.glob(".avmit-work/vggish_vgg16.*")
    elsewhere = left.with_name("vggish_vgg16.another-node-17-0123abcd")
    left.rename(elsewhere)
    before = {path.name: path.read_bytes() for path in elsewhere.iterdir()}
    built = {item.manifest.config: item for item in convert(small_release, out, options)}
    assert built["vggish_vgg16"].earlier["kept"] >= 1
    assert {path.name: path.read_bytes() for path in elsewhere.iterdir()} == before
    long_ago = time.time() - 7200
    for path in (*elsewhere.iterdir(), elsewhere):
        os.utime(path, (long_ago, long_ago))
    convert(small_release, out, options)
    assert not (out / ".avmit-work").exists()
