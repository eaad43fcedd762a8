"""Servers that are busy, wrong or away, and disks that are full: one clear line."""

import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.downloading import (
    BODY,
    FILES,
    MD5,
    OTHER,
    QUICK,
    VGG,
    YAMNET,
    Heard,
    fetch,
    names,
    ranges,
)
from support.zenodo import RECORD, Fault, ZenodoServer

from avmit import AvmitError
from conversion.zenodo.download import CHUNK, download
from conversion.zenodo.record import read_record
from conversion.zenodo.retry import Retry


@pytest.mark.parametrize(
    ("status", "phrase"),
    [
        (429, "Too Many Requests"),
        (500, "Internal Server Error"),
        (503, "Service Unavailable"),
    ],
)
@pytest.mark.parametrize("name", ["", VGG], ids=["record", "file"])
def test_a_busy_server_is_asked_again(
    zenodo: ZenodoServer, sources: Path, name: str, status: int, phrase: str
) -> None:
    zenodo.faults[name] = [Fault(status=status), Fault(status=status)]
    heard = Heard()
    record = read_record(base=zenodo.url, retry=QUICK, say=heard)
    download(sources, record, ["vggish_vgg16"], retry=QUICK, say=heard)
    assert (sources / VGG).read_bytes() == BODY
    host = zenodo.url.removeprefix("http://")
    line = f"{name or f'record {RECORD}'}: {host} answers {status} {phrase}; next attempt in 0 s"
    assert heard == [line, line]


@pytest.mark.parametrize(
    "asked", ["0", "Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:28:00 -0000"]
)
def test_the_wait_that_the_server_names_is_the_wait(
    zenodo: ZenodoServer, sources: Path, asked: str
) -> None:
    zenodo.faults[VGG] = [Fault(status=429, retry_after=asked)]
    heard = Heard()
    fetch(zenodo, sources, retry=Retry(first_wait=20), say=heard)
    assert [line.rpartition("; ")[2] for line in heard] == ["next attempt in 0 s"]
    assert (sources / VGG).read_bytes() == BODY


def test_a_wait_that_is_not_one_is_not_minded(zenodo: ZenodoServer, sources: Path) -> None:
    zenodo.faults[VGG] = [Fault(status=429, retry_after="soon")]
    fetch(zenodo, sources)
    assert (sources / VGG).read_bytes() == BODY


@pytest.mark.parametrize("asked", ["3600", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_too_long_a_wait_is_left_to_the_user(
    zenodo: ZenodoServer, sources: Path, asked: str
) -> None:
    zenodo.faults[VGG] = [Fault(status=429, retry_after=asked)]
    with pytest.raises(AvmitError) as stopped:
        fetch(zenodo, sources)
    assert " answers 429 Too Many Requests and asks for a wait of " in str(stopped.value)
    assert str(stopped.value).endswith(" s: run again after that, it goes on where it stopped")
    assert len(zenodo.of(VGG)) == 1


def test_the_wait_doubles_up_to_the_longest(zenodo: ZenodoServer, sources: Path) -> None:
    zenodo.faults[VGG] = [Fault(status=503) for _ in range(4)]
    heard = Heard()
    began = time.monotonic()
    fetch(zenodo, sources, retry=Retry(first_wait=0.1, longest_wait=0.3), say=heard)
    assert time.monotonic() - began >= 0.9
    waits = [line.rpartition(" in ")[2] for line in heard]
    assert waits == ["0.1 s", "0.2 s", "0.3 s", "0.3 s"]


def test_a_server_that_stays_busy_is_given_up_in_one_line(
    zenodo: ZenodoServer, sources: Path
) -> None:
    zenodo.faults[VGG] = [Fault(status=503) for _ in range(9)]
    with pytest.raises(AvmitError) as stopped:
        fetch(zenodo, sources)
    host = zenodo.url.removeprefix("http://")
    assert str(stopped.value) == (
        f"{VGG}: {host} answers 503 Service Unavailable, and 3 attempts in a row brought nothing: "
        "check the network and run again, it goes on where it stopped"
    )
    assert len(zenodo.of(VGG)) == 3


def test_no_network_is_one_line(sources: Path) -> None:
    with ZenodoServer({}) as gone:
        base = gone.url
    with pytest.raises(AvmitError) as stopped:
        read_record(base=base, retry=QUICK)
    assert str(stopped.value) == (
        f"record {RECORD}: no answer from {base.removeprefix('http://')} (Connection refused), and "
        "3 attempts in a row brought nothing: check the network and run again, it goes on where it "
        "stopped"
    )


def test_a_silent_server_is_one_line(zenodo: ZenodoServer) -> None:
    zenodo.on_record = zenodo.release.wait
    with pytest.raises(AvmitError, match=r": no answer from \S+ \(timed out\), and"):
        read_record(base=zenodo.url, retry=Retry(attempts=1, read_timeout=0.2))


def test_a_record_that_is_cut_off_is_asked_for_again(zenodo: ZenodoServer) -> None:
    zenodo.faults[""] = [Fault(drop_after=100)]
    assert read_record(base=zenodo.url, retry=QUICK).id == RECORD
    assert len(zenodo.requests) == 2


@pytest.mark.parametrize("status", [404, 410])
def test_no_such_record_is_one_line(zenodo: ZenodoServer, status: int) -> None:
    zenodo.faults[""] = [Fault(status=status)]
    with pytest.raises(AvmitError) as stopped:
        read_record(base=zenodo.url)
    assert str(stopped.value) == (
        f"there is no record at {zenodo.url}/api/records/{RECORD}: check --record and --base-url"
    )


def test_a_closed_record_is_one_line(zenodo: ZenodoServer) -> None:
    zenodo.faults[""] = [Fault(status=403)]
    with pytest.raises(AvmitError) as stopped:
        read_record(base=zenodo.url)
    assert str(stopped.value) == (
        f"{zenodo.url}/api/records/{RECORD} answers 403 Forbidden: see whether the record is open "
        "to all"
    )


def test_a_file_that_is_gone_is_one_line(zenodo: ZenodoServer, sources: Path) -> None:
    record = read_record(base=zenodo.url)
    del zenodo.files[VGG]
    with pytest.raises(AvmitError) as stopped:
        download(sources, record, ["vggish_vgg16"], retry=QUICK)
    assert str(stopped.value) == (
        f"{VGG}: {zenodo.url}/api/records/{RECORD}/files/{VGG}/content answers 404 Not Found: see "
        "whether the record still has the file, open to all"
    )
    assert len(zenodo.of(VGG)) == 1


def test_one_wrong_body_is_fetched_again(zenodo: ZenodoServer, sources: Path) -> None:
    zenodo.faults[VGG] = [Fault(body=OTHER)]
    during: list[bool] = []
    zenodo.on_request = lambda: during.append((sources / VGG).exists())
    heard = Heard()
    fetch(zenodo, sources, say=heard)
    assert ranges(zenodo) == [None, None]
    assert during == [False, False]
    assert (sources / VGG).read_bytes() == BODY
    assert heard == [f"{VGG}: what came is not the record's; once more from the beginning"]


def test_the_second_try_is_borne_with_as_long(zenodo: ZenodoServer, sources: Path) -> None:
    far = 4 * CHUNK
    again = [Fault(drop_after=CHUNK) for _ in range(3)]
    zenodo.faults[VGG] = [Fault(drop_after=far), Fault(body=OTHER), *again]
    fetch(zenodo, sources, retry=Retry(attempts=2, first_wait=0))
    firsts = [None, f"bytes={far}-", None]
    assert ranges(zenodo) == [*firsts, *(f"bytes={n * CHUNK}-" for n in range(1, 4))]
    assert (sources / VGG).read_bytes() == BODY


@pytest.mark.parametrize(
    "wrong",
    [
        Fault(body=OTHER),
        Fault(body=BODY[:-1]),
        Fault(body=BODY + b"!"),
        Fault(body=BODY + b"!", no_length=True),
    ],
    ids=["same size", "shorter", "longer", "longer, not stated"],
)
def test_two_wrong_bodies_leave_nothing(zenodo: ZenodoServer, sources: Path, wrong: Fault) -> None:
    zenodo.faults[VGG] = [wrong, wrong]
    with pytest.raises(AvmitError) as stopped:
        fetch(zenodo, sources)
    assert str(stopped.value) == (
        f"{VGG}: what the server sends is not what record {RECORD} says (md5 {MD5}, "
        f"{len(BODY):,} bytes), twice in a row: nothing of it is kept; run again later"
    )
    assert len(zenodo.of(VGG)) == 2
    assert [path for path in sources.rglob("*") if path.name != ".avmit.lock"] == []


def test_a_body_without_end_is_not_taken(zenodo: ZenodoServer, sources: Path) -> None:
    endless = Fault(body=BODY + bytes(100 * CHUNK), no_length=True)
    zenodo.faults[VGG] = [endless, endless]
    seen: list[int] = []
    record = read_record(base=zenodo.url)
    with pytest.raises(AvmitError, match="twice in a row: nothing of it is kept"):
        download(sources, record, ["vggish_vgg16"], progress=lambda file, done: seen.append(done))
    assert max(seen) <= len(BODY) + CHUNK


def test_what_was_finished_before_a_failure_is_kept_and_listed(
    zenodo: ZenodoServer, sources: Path
) -> None:
    zenodo.faults[YAMNET] = [Fault(status=404)]
    with pytest.raises(AvmitError):
        fetch(zenodo, sources, only=())
    assert (sources / VGG).read_bytes() == BODY
    listed = json.loads((sources / "record.json").read_text("utf-8"))["files"]
    assert [entry["name"] for entry in listed] == list(FILES)[:4]


def test_a_full_disk_is_one_line(zenodo: ZenodoServer, sources: Path) -> None:
    sources.mkdir()
    download = f"{sys.executable} -m avmit_cli download --only vggish_vgg16"
    script = f"""
        mount -t tmpfs -o size=200k tmpfs {sources} || exit 77
        {download} --out {sources} --base-url {zenodo.url}; echo "exit $?"
        ls -A {sources}
    """
    ran = subprocess.run(["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True)
    if ran.returncode == 77 or "unshare failed" in ran.stderr:
        pytest.skip(f"a small file system cannot be mounted here: {ran.stderr}")
    assert ran.stderr == (
        f"avmit: the disk of {sources} is full: make room and run again, it goes on where it "
        "stopped\n"
    )
    *_, code, one, two, three = ran.stdout.splitlines()
    assert code == "exit 1"
    assert {one, two, three} == {".avmit.lock", f".{VGG}.etag", f".{VGG}.part"}


def test_a_link_under_the_name_of_a_partial_file_is_not_followed(
    zenodo: ZenodoServer, sources: Path, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    sources.mkdir()
    for name in (f".{VGG}.part", f".{VGG}.etag", ".record.json.part"):
        (sources / name).symlink_to(victim)
    with pytest.raises(AvmitError, match=r"^cannot write to .*\.part \("):
        fetch(zenodo, sources)
    assert victim.read_bytes() == b"mine"


@pytest.fixture
def closed_folder() -> Iterator[Path]:
    """A folder that this process may list but not write to, also when the tests run as root."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
        shutil.rmtree(folder)


def test_a_folder_without_permission_is_one_line(zenodo: ZenodoServer, closed_folder: Path) -> None:
    with pytest.raises(AvmitError) as stopped:
        fetch(zenodo, closed_folder)
    reason = os.strerror(errno.EACCES)
    assert str(stopped.value) == f"cannot write to {closed_folder} ({reason}): choose another --out"


def test_a_file_that_cannot_be_written_is_one_line(zenodo: ZenodoServer, sources: Path) -> None:
    part = sources / f".{VGG}.part"
    part.mkdir(parents=True)
    with pytest.raises(AvmitError) as stopped:
        fetch(zenodo, sources)
    assert str(stopped.value) == (
        f"cannot write to {part} (Is a directory): choose another --out and run again, it goes on "
        "where it stopped"
    )


def test_a_folder_under_a_file_s_name_is_one_line(zenodo: ZenodoServer, sources: Path) -> None:
    (sources / VGG).mkdir(parents=True)
    with pytest.raises(AvmitError) as stopped:
        fetch(zenodo, sources)
    assert str(stopped.value) == f"{sources / VGG} is in the way of a file of that name: move it"


def test_what_came_outlives_a_failure_of_the_last_step(zenodo: ZenodoServer, sources: Path) -> None:
    zenodo.on_request = lambda: (sources / VGG).mkdir(exist_ok=True)
    with pytest.raises(AvmitError, match=r" \(Is a directory\): choose another --out "):
        fetch(zenodo, sources)
    assert names(sources) == [f".{VGG}.etag", f".{VGG}.part", VGG]
    (sources / VGG).rmdir()
    zenodo.requests.clear()
    fetch(zenodo, sources)
    assert zenodo.of(VGG) == []
    assert (sources / VGG).read_bytes() == BODY
