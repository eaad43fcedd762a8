"""`avmit.stream(..., keep=)` killed, damaged, without room, or of a package that is another now."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import google_crc32c
import pyarrow as pa
import pytest
from support.commands import Run
from support.hub.liar import Liar
from support.hub.server import Fault, HubServer
from support.indexes import edit_index
from support.keeping import (
    LOOSE,
    assert_same,
    column_bytes,
    index_of,
    kept_files,
    rewrite,
    shard_files,
    streamed,
)
from support.prefetching import CONFIG, REPO, SHARDS, contents, stored

import avmit
from avmit import AvmitError
from conversion.package.index.build import build_index
from conversion.package.manifest import INDEX, read_manifest

KILLED = """
import sys, time
import avmit
stream = avmit.stream("vggish_vgg16", data_dir="ann/avmit", keep=sys.argv[1], ahead=2)
for number, row in enumerate(stream):
    print(row["filename"], flush=True)
    time.sleep(0.01)
"""
FULL = """
import json, resource, sys, warnings
import avmit
if sys.argv[2] == "limit":
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    stream = avmit.stream("vggish_vgg16", data_dir="ann/avmit", keep=sys.argv[1])
    names = [row["filename"] for row in stream]
print(json.dumps([names, [str(w.message) for w in caught if w.category is UserWarning]]))
"""


def test_a_prefetch_that_was_cut_off_leaves_all_for_a_stream(
    filled: HubServer, batched: Path, keep: Path, run: Run
) -> None:
    list(streamed(keep, columns=["audio", "label"]))
    filled.faults.append(Fault("^/storage/", times=99, status=404))
    assert run("prefetch", REPO, "--out", keep, "--config", CONFIG).code == 1
    filled.faults.clear()
    filled.reset_counts()
    list(streamed(keep, columns=["audio", "label"]))
    assert stored(filled) == 0


def test_a_killed_run_is_gone_on_with(filled: HubServer, batched: Path, keep: Path) -> None:
    running = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(keep)], stdout=subprocess.PIPE, text=True
    )
    assert running.stdout
    with running:
        for _ in range(8):
            assert running.stdout.readline()
        running.send_signal(signal.SIGKILL)
    came = stored(filled)
    filled.reset_counts()
    assert_same(list(streamed(keep)), batched)
    size = column_bytes(batched, list(index_of(batched).columns))
    held = 4 * size // 16  # the record batches that were on their way at the end
    assert stored(filled) <= LOOSE * size - came + held
    assert shard_files(keep) == SHARDS[1:]


@pytest.mark.parametrize("whole", [False, True])
def test_damaged_bytes_are_fetched_again_and_never_given(
    filled: HubServer, batched: Path, keep: Path, run: Run, whole: bool
) -> None:
    columns = None if whole else ["audio", "label"]
    list(streamed(keep, columns=columns))
    files = sorted(keep.glob(f".avmit-work/*/{'' if whole else '.'}train*"))
    assert len(files) == 2
    for path in files:
        data = bytearray(path.read_bytes())
        data[::997] = bytes(byte ^ 0x55 for byte in data[::997])
        path.write_bytes(data)
    filled.reset_counts()
    assert_same(list(streamed(keep, columns=columns)), batched, columns=columns)
    assert stored(filled) > 0
    filled.reset_counts()
    assert_same(list(streamed(keep, columns=columns)), batched, columns=columns)
    assert stored(filled) == 0
    assert run("prefetch", REPO, "--out", keep, "--config", CONFIG).code == 0
    assert contents(keep / CONFIG) == contents(batched / CONFIG)


def test_a_shard_of_another_sha256_gets_no_name(
    hub: HubServer, batched: Path, keep: Path, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(batched, tmp_path / "other"))
    folder = other / CONFIG
    batch = index_of(batched).shards[0].batches[0]
    audio = batch.columns[index_of(batched).columns.index("audio")]
    with (folder / index_of(batched).shards[0].file).open("r+b") as file:
        file.seek(batch.body_offset + audio.offset + audio.length - 70)
        file.write(bytes(4))
    # Its index is made of what it is now, its manifest is not.
    (folder / INDEX).write_bytes(build_index(folder, read_manifest(folder)).to_bytes())
    hub.put_folder(REPO, other)
    assert_same(list(streamed(keep)), other)
    shards = index_of(batched).shards
    assert shard_files(keep) == [s.file for s in shards[1:] if s.file.startswith("train")]
    assert [path.name.split(".")[1] for path in kept_files(keep)] == [shards[0].file.split(".")[0]]


@pytest.mark.parametrize("kind", ["limit", "disk"])
def test_a_full_disk_ends_the_keeping_and_not_the_stream(
    filled: HubServer, batched: Path, keep: Path, kind: str
) -> None:
    keep.mkdir()
    mount = f"mount -t tmpfs -o size=200k tmpfs {keep} || exit 77; exec " + '"$@"'
    around = ["unshare", "-rm", "sh", "-c", mount, "sh"] if kind == "disk" else []
    command = [*around, sys.executable, "-c", FULL, str(keep), kind]
    ran = subprocess.run(command, capture_output=True, text=True)
    if ran.returncode == 77 or "unshare failed" in ran.stderr:
        pytest.skip(f"a small file system cannot be mounted here: {ran.stderr}")
    assert (ran.returncode, ran.stderr) == (0, "")
    names, warned = json.loads(ran.stdout)
    assert names == [row["filename"] for row in avmit.stream(CONFIG, data_dir=batched)]
    why = "its disk is full" if kind == "disk" else "File too large"
    assert warned == [f"nothing more is kept in {keep} ({why}): the stream goes on without"]
    assert_same(list(streamed(keep)), batched)


def test_a_package_that_was_replaced_is_not_mixed(
    filled: HubServer, batched: Path, keep: Path, tmp_path: Path, run: Run
) -> None:
    list(streamed(keep, columns=["audio", "label"]))
    list(streamed(keep, "test"))
    other = Path(shutil.copytree(batched, tmp_path / "other"))

    def louder(table: pa.Table) -> pa.Table:
        field = table.schema.field("r1")
        place = table.schema.names.index("r1")
        return table.set_column(place, field, pa.array([7] * len(table), field.type))

    rewrite(other, louder)
    files = {path.relative_to(other).as_posix(): path for path in (other / CONFIG).iterdir()}
    filled.put(REPO, files)
    assert_same(list(streamed(keep)), other)
    assert_same(list(streamed(keep, "test")), other, "test")
    assert run("prefetch", REPO, "--out", keep, "--config", CONFIG).code == 0
    assert contents(keep / CONFIG) == contents(other / CONFIG)


def test_where_nothing_can_be_kept(
    filled: HubServer, batched: Path, keep: Path, tmp_path: Path
) -> None:
    with pytest.raises(AvmitError) as told:
        avmit.stream(CONFIG, data_dir=batched, keep=keep)
    assert str(told.value) == f"keep='{keep}': {batched} is a folder already, leave keep= out"
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(AvmitError, match=r"cannot write to .*file .*: choose another keep="):
        streamed(tmp_path / "file")
    (tmp_path / ".avmit-work").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AvmitError, match="is not a folder of avmit's but a link or a file"):
        streamed(tmp_path)
    with pytest.raises(AvmitError, match=r"^keep=3 is no folder$"):
        avmit.stream(CONFIG, data_dir=REPO, keep=3)  # type: ignore[arg-type]
    filled.put(REPO, {f"{CONFIG}/{INDEX}": None})
    with pytest.raises(AvmitError, match=r"has no index\.json, by which parts of it could be kept"):
        streamed(keep)
    assert not keep.exists()


def test_prefetch_believes_the_sha256_more_than_an_index(
    filled: HubServer, batched: Path, keep: Path, tmp_path: Path, run: Run
) -> None:
    other = Path(shutil.copytree(batched, tmp_path / "other"))

    def of_zeros(index: Any) -> None:
        for batch in index["shards"][0]["batches"]:
            for column in batch["columns"]:
                column[2] = google_crc32c.value(bytes(column[1]))

    edit_index(other / CONFIG, of_zeros)
    list(streamed(keep, columns=["label"]))
    filled.put(REPO, {f"{CONFIG}/{INDEX}": other / CONFIG / INDEX})
    # Holes are zeros: by this index the first shard is there.
    assert run("prefetch", REPO, "--out", keep, "--config", CONFIG).code == 0
    assert contents(keep / CONFIG) == contents(batched / CONFIG)


@pytest.mark.parametrize("seed", [1, 2])
def test_wrong_answers_are_not_kept(
    filled: HubServer, batched: Path, keep: Path, seed: int
) -> None:
    stream = streamed(keep)
    liar = Liar(seed, share=0.4, stalls=False)
    filled.chance = lambda request: liar(request) if "/storage/" in request.path else None
    assert_same(list(stream), batched)
    assert liar.met
    filled.chance = lambda request: None
    filled.reset_counts()
    assert_same(list(stream), batched)
    assert filled.requests == []
    assert shard_files(keep) == SHARDS[1:]


def test_prefetch_while_a_stream_goes_on(
    filled: HubServer, batched: Path, keep: Path, run: Run
) -> None:
    stream = streamed(keep, ahead=1)
    rows = iter(stream)
    first = [next(rows) for _ in range(7)]
    assert run("prefetch", REPO, "--out", keep, "--config", CONFIG).code == 0
    assert contents(keep / CONFIG) == contents(batched / CONFIG)
    filled.reset_counts()
    assert_same([*first, *rows], batched)
    assert_same(list(stream), batched)
    assert filled.requests == []
    assert contents(keep / CONFIG) == contents(batched / CONFIG)
    assert not (keep / ".avmit-work").exists()
