"""`download` and `avmit download` against a server on the loopback that fails on demand."""

import errno
import hashlib
import io
import json
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pooch  # type: ignore[import-untyped]
import pytest
import typer
from typer.testing import CliRunner, Result
from zenodo_server import RECORD, Fault, ZenodoServer

from avmit import AvmitError
from conversion.download import CHUNK, Retrieved, download
from conversion.download_command import download as download_command
from conversion.zenodo import RemoteFile, Retry, ZenodoRecord, kind_of, read_record

QUICK = Retry(attempts=3, first_wait=0, longest_asked=5)
ONCE = Retry(attempts=1)
VGG = "VGGish_VGG16.zip"
YAMNET = "YamNet_EffNetB0.tar.gz"
FILES = {
    "raw_video_ratings.csv": b"filename,rating\na.mp4,3\n",
    "video_ratings.csv": b"filename,r1,r2,r3\na.mp4,0,0,3\n",
    "test_set.csv": b"",
    VGG: random.Random(1).randbytes(5 * CHUNK + 17),
    YAMNET: random.Random(2).randbytes(2 * CHUNK),
    "README.txt": b"read me",
}
BODY = FILES[VGG]
MD5 = hashlib.md5(BODY).hexdigest()
OTHER = bytes(len(BODY))
LAYOUT = (
    "not a layout that this version knows; look for a newer avmit, or fetch the files by hand from "
    "the record's page"
)


@pytest.fixture(autouse=True)
def straight_to_the_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("AVMIT_ZENODO_URL", raising=False)


@pytest.fixture
def server() -> Iterator[ZenodoServer]:
    with ZenodoServer(dict(FILES)) as running:
        yield running


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "sources"


class Heard(list[str]):
    """The lines that a run said."""

    def __call__(self, line: str) -> None:
        self.append(line)


def fetch(
    server: ZenodoServer,
    out: Path,
    only: Sequence[str] = ("vggish_vgg16",),
    retry: Retry = QUICK,
    say: Callable[[str], None] = Heard(),  # noqa: B008 - of those who do not listen
) -> list[Retrieved]:
    return download(out, read_record(base=server.url, retry=retry), only, retry=retry, say=say)


def names(folder: Path) -> list[str]:
    """What is in a folder, but for the lock."""
    return sorted(path.name for path in folder.iterdir() if path.name != ".avmit.lock")


def partial(out: Path, content: bytes) -> Path:
    """Leave what an earlier run may have left of VGG."""
    out.mkdir(exist_ok=True)
    path = out / f".{VGG}.part"
    path.write_bytes(content)
    return path


def ranges(server: ZenodoServer) -> list[str | None]:
    return [request.range for request in server.of(VGG)]


def sent(server: ZenodoServer) -> list[int]:
    return [request.sent for request in server.of(VGG)]


# What is brought


def test_brings_the_whole_record_byte_for_byte(server: ZenodoServer, out: Path) -> None:
    retrieved = fetch(server, out, only=())
    assert {name: (out / name).read_bytes() for name in FILES} == FILES
    assert names(out) == sorted([*FILES, "record.json"])
    assert [(r.file.name, r.fetched, r.received) for r in retrieved] == [
        (name, True, len(content)) for name, content in FILES.items()
    ]


def test_pooch_prints_nothing_of_its_own(server: ZenodoServer, out: Path) -> None:
    printed = io.StringIO()
    handler = logging.StreamHandler(printed)
    pooch.get_logger().addHandler(handler)
    try:
        fetch(server, out)
    finally:
        pooch.get_logger().removeHandler(handler)
    assert printed.getvalue() == ""


def test_asks_for_each_file_once_under_its_quoted_name_as_itself(
    server: ZenodoServer, out: Path
) -> None:
    name = "ratings Ä #1 50%+?.csv"
    server.files = {name: b"a,b\n"}
    fetch(server, out, only=())
    assert (out / name).read_bytes() == b"a,b\n"
    assert [request.path for request in server.requests] == [
        f"/api/records/{RECORD}",
        f"/api/records/{RECORD}/files/ratings%20%C3%84%20%231%2050%25%2B%3F.csv/content",
    ]
    for request in server.requests:
        assert request.headers["User-Agent"].startswith("avmit/")
    assert server.requests[1].headers["Accept-Encoding"] == "identity"


def test_only_brings_the_named_kinds(server: ZenodoServer, out: Path) -> None:
    fetch(server, out, only=("annotations", "yamnet_effnet"))
    csvs = [name for name in FILES if name.endswith(".csv")]
    assert names(out) == sorted([*csvs, YAMNET, "record.json"])
    assert server.of(VGG) == [] == server.of("README.txt")


def test_progress_counts_up_to_each_file_s_size(server: ZenodoServer, out: Path) -> None:
    seen: list[int] = []
    record = read_record(base=server.url)
    download(out, record, ["vggish_vgg16"], progress=lambda file, done: seen.append(done))
    assert seen == [*range(0, len(BODY), CHUNK), len(BODY)]


def test_what_is_here_and_right_is_kept(server: ZenodoServer, out: Path) -> None:
    fetch(server, out)
    before = (out / VGG).stat()
    partial(out, b"of a run killed at its last step")
    server.requests.clear()
    heard = Heard()
    assert [(r.fetched, r.received) for r in fetch(server, out, say=heard)] == [(False, 0)]
    assert heard == [f"{VGG}: already here"]
    assert server.of(VGG) == []
    assert (out / VGG).stat().st_ino == before.st_ino
    assert (out / VGG).stat().st_mtime_ns == before.st_mtime_ns
    assert names(out) == [VGG, "record.json"]


@pytest.mark.parametrize("content", [OTHER, b"short", b""])
def test_what_is_here_and_wrong_stays_until_the_right_one_is_whole(
    server: ZenodoServer, out: Path, content: bytes
) -> None:
    out.mkdir()
    (out / VGG).write_bytes(content)
    during: list[bytes] = []
    server.on_request = lambda: during.append((out / VGG).read_bytes())
    server.faults[VGG] = [Fault(drop_after=CHUNK), Fault(drop_after=CHUNK)]
    heard = Heard()
    fetch(server, out, say=heard)
    assert heard[0] == (
        f"{VGG}: what is here is not the record's; it stays until the right one is whole"
    )
    assert during == [content] * 3
    assert (out / VGG).read_bytes() == BODY


def test_what_is_here_and_wrong_stays_when_the_download_fails(
    server: ZenodoServer, out: Path
) -> None:
    out.mkdir()
    (out / VGG).write_bytes(b"mine")
    server.faults[VGG] = [Fault(status=503)]
    with pytest.raises(AvmitError):
        fetch(server, out, retry=ONCE)
    assert (out / VGG).read_bytes() == b"mine"


# Going on


def test_goes_on_where_the_connection_was_lost(server: ZenodoServer, out: Path) -> None:
    cut = CHUNK + 12_345
    server.faults[VGG] = [Fault(drop_after=cut)]
    heard = Heard()
    [retrieved] = fetch(server, out, say=heard)
    assert ranges(server) == [None, f"bytes={cut}-"]
    assert sent(server) == [cut, len(BODY) - cut]
    assert retrieved.received == len(BODY)
    assert server.of(VGG)[1].headers["If-Range"] == f'"md5:{MD5}"'
    assert (out / VGG).read_bytes() == BODY
    assert heard == [
        f"{VGG}: the connection was lost at byte {cut:,} of {len(BODY):,}; next attempt in 0 s"
    ]


def test_goes_on_in_the_next_run(server: ZenodoServer, out: Path) -> None:
    cut = 3 * CHUNK + 1
    server.faults[VGG] = [Fault(drop_after=cut)]
    with pytest.raises(AvmitError) as stopped:
        fetch(server, out, retry=ONCE)
    assert str(stopped.value) == (
        f"{VGG}: the connection was lost at byte {cut:,} of {len(BODY):,}, and 1 attempts in a row "
        "brought nothing: check the network and run again, it goes on where it stopped"
    )
    assert names(out) == [f".{VGG}.etag", f".{VGG}.part"]
    assert (out / f".{VGG}.part").read_bytes() == BODY[:cut]
    server.requests.clear()
    [retrieved] = fetch(server, out)
    assert ranges(server) == [f"bytes={cut}-"]
    assert sent(server) == [retrieved.received] == [len(BODY) - cut]
    assert server.of(VGG)[0].headers["If-Range"] == f'"md5:{MD5}"'
    assert names(out) == [VGG, "record.json"]
    assert (out / VGG).read_bytes() == BODY


@pytest.mark.parametrize("etag", [None, 'W/"{}"'])
def test_goes_on_without_a_condition_when_no_etag_tells_equal_bytes(
    server: ZenodoServer, out: Path, etag: str | None
) -> None:
    server.etag = etag
    server.faults[VGG] = [Fault(drop_after=CHUNK)]
    fetch(server, out)
    assert ranges(server) == [None, f"bytes={CHUNK}-"]
    assert "If-Range" not in server.of(VGG)[1].headers
    assert (out / VGG).read_bytes() == BODY


def test_a_body_without_a_stated_length_that_ends_early_is_gone_on_with(
    server: ZenodoServer, out: Path
) -> None:
    server.faults[VGG] = [Fault(drop_after=CHUNK, no_length=True)]
    fetch(server, out)
    assert ranges(server) == [None, f"bytes={CHUNK}-"]
    assert (out / VGG).read_bytes() == BODY


def test_attempts_that_get_farther_do_not_count(server: ZenodoServer, out: Path) -> None:
    server.faults[VGG] = [Fault(drop_after=CHUNK) for _ in range(5)]
    fetch(server, out, retry=Retry(attempts=2, first_wait=0))
    assert ranges(server) == [None, *(f"bytes={n * CHUNK}-" for n in range(1, 6))]
    assert (out / VGG).read_bytes() == BODY


def test_attempts_that_get_no_farther_are_bounded(server: ZenodoServer, out: Path) -> None:
    server.faults[VGG] = [Fault(drop_after=CHUNK, ignore_range=True) for _ in range(9)]
    with pytest.raises(AvmitError, match="and 3 attempts in a row brought nothing"):
        fetch(server, out)
    assert len(server.of(VGG)) == 3


def test_a_silent_server_is_left_and_asked_again(server: ZenodoServer, out: Path) -> None:
    server.faults[VGG] = [Fault(stall_after=2 * CHUNK)]
    fetch(server, out, retry=Retry(attempts=2, first_wait=0, read_timeout=0.3))
    assert ranges(server) == [None, f"bytes={2 * CHUNK}-"]
    assert (out / VGG).read_bytes() == BODY


def test_a_server_that_ignores_the_range_is_taken_from_the_beginning(
    server: ZenodoServer, out: Path
) -> None:
    partial(out, BODY[:CHUNK])
    server.faults[VGG] = [Fault(ignore_range=True)]
    heard = Heard()
    fetch(server, out, say=heard)
    assert ranges(server) == [f"bytes={CHUNK}-"]
    assert sent(server) == [len(BODY)]
    assert (out / VGG).read_bytes() == BODY
    assert heard == [f"{VGG}: the server sends it from the beginning"]


def test_the_etag_is_that_of_the_bytes_that_are_here(server: ZenodoServer, out: Path) -> None:
    server.faults[VGG] = [Fault(drop_after=CHUNK)]
    with pytest.raises(AvmitError):
        fetch(server, out, retry=ONCE)
    server.etag = None
    server.faults[VGG] = [Fault(drop_after=2 * CHUNK, ignore_range=True)]
    fetch(server, out)
    assert ranges(server) == [None, f"bytes={CHUNK}-", f"bytes={2 * CHUNK}-"]
    assert [r.headers.get("If-Range") for r in server.of(VGG)] == [None, f'"md5:{MD5}"', None]
    assert (out / VGG).read_bytes() == BODY


def test_a_file_that_changed_since_is_taken_from_the_beginning(
    server: ZenodoServer, out: Path
) -> None:
    server.faults[VGG] = [Fault(drop_after=CHUNK)]
    with pytest.raises(AvmitError):
        fetch(server, out, retry=ONCE)
    server.files[VGG] = OTHER
    server.requests.clear()
    fetch(server, out)
    assert ranges(server) == [f"bytes={CHUNK}-"]
    assert sent(server) == [len(OTHER)]
    assert (out / VGG).read_bytes() == OTHER


def test_a_file_that_changed_since_is_found_out_by_its_md5(server: ZenodoServer, out: Path) -> None:
    partial(out, OTHER[:CHUNK])
    heard = Heard()
    fetch(server, out, say=heard)
    assert ranges(server) == [f"bytes={CHUNK}-", None]
    assert (out / VGG).read_bytes() == BODY
    assert heard == [f"{VGG}: what came is not the record's; once more from the beginning"]


def test_a_whole_partial_is_not_asked_for(server: ZenodoServer, out: Path) -> None:
    partial(out, BODY)
    assert [(r.fetched, r.received) for r in fetch(server, out)] == [(True, 0)]
    assert server.of(VGG) == []
    assert names(out) == [VGG, "record.json"]
    assert (out / VGG).read_bytes() == BODY


@pytest.mark.parametrize("left", [OTHER, BODY + b"more"])
def test_a_partial_that_cannot_be_right_is_dropped(
    server: ZenodoServer, out: Path, left: bytes
) -> None:
    partial(out, left)
    fetch(server, out)
    assert ranges(server) == [None]
    assert (out / VGG).read_bytes() == BODY


def test_nothing_after_the_partial_starts_over(server: ZenodoServer, out: Path) -> None:
    partial(out, BODY[:CHUNK])
    server.faults[VGG] = [Fault(status=416)]
    fetch(server, out)
    assert ranges(server) == [f"bytes={CHUNK}-", None]
    assert (out / VGG).read_bytes() == BODY


@pytest.mark.parametrize(
    "stated",
    [
        f"bytes 0-{len(BODY) - 1}/{len(BODY)}",
        f"bytes {CHUNK}-{len(BODY)}/{len(BODY) + 1}",
        "everything",
    ],
)
def test_another_range_than_asked_for_starts_over(
    server: ZenodoServer, out: Path, stated: str
) -> None:
    partial(out, BODY[:CHUNK])
    server.faults[VGG] = [Fault(content_range=stated)]
    fetch(server, out)
    assert ranges(server) == [f"bytes={CHUNK}-", None]
    assert (out / VGG).read_bytes() == BODY


SCRIPT = """
import sys
from pathlib import Path
from conversion.download import download
from conversion.zenodo import read_record
download(Path(sys.argv[2]), read_record(base=sys.argv[1]), ["vggish_vgg16"])
"""


def test_a_killed_run_is_gone_on_with(server: ZenodoServer, out: Path) -> None:
    stop = 3 * CHUNK
    server.faults[VGG] = [Fault(stall_after=stop)]
    root = Path(__file__).parents[1]
    running = subprocess.Popen([sys.executable, "-c", SCRIPT, server.url, str(out)], cwd=root)
    part = out / f".{VGG}.part"
    try:
        deadline = time.monotonic() + 60
        while not part.exists() or part.stat().st_size < stop:
            assert running.poll() is None, "the run ended by itself"
            assert time.monotonic() < deadline, "nothing came"
            time.sleep(0.01)
        with pytest.raises(AvmitError, match=f"^another run is writing to {out}: "):
            fetch(server, out)
    finally:
        running.send_signal(signal.SIGKILL)
        running.wait()
    server.release.set()
    assert part.read_bytes() == BODY[:stop]
    assert not (out / VGG).exists()
    fetch(server, out)
    assert ranges(server) == [None, f"bytes={stop}-"]
    assert sent(server) == [stop, len(BODY) - stop]
    assert (out / VGG).read_bytes() == BODY
    assert names(out) == [VGG, "record.json"]


# A server that is busy, wrong or away


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
    server: ZenodoServer, out: Path, name: str, status: int, phrase: str
) -> None:
    server.faults[name] = [Fault(status=status), Fault(status=status)]
    heard = Heard()
    record = read_record(base=server.url, retry=QUICK, say=heard)
    download(out, record, ["vggish_vgg16"], retry=QUICK, say=heard)
    assert (out / VGG).read_bytes() == BODY
    host = server.url.removeprefix("http://")
    line = f"{name or f'record {RECORD}'}: {host} answers {status} {phrase}; next attempt in 0 s"
    assert heard == [line, line]


@pytest.mark.parametrize(
    "asked", ["0", "Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:28:00 -0000"]
)
def test_the_wait_that_the_server_names_is_the_wait(
    server: ZenodoServer, out: Path, asked: str
) -> None:
    server.faults[VGG] = [Fault(status=429, retry_after=asked)]
    heard = Heard()
    fetch(server, out, retry=Retry(first_wait=20), say=heard)
    assert [line.rpartition("; ")[2] for line in heard] == ["next attempt in 0 s"]
    assert (out / VGG).read_bytes() == BODY


def test_a_wait_that_is_not_one_is_not_minded(server: ZenodoServer, out: Path) -> None:
    server.faults[VGG] = [Fault(status=429, retry_after="soon")]
    fetch(server, out)
    assert (out / VGG).read_bytes() == BODY


@pytest.mark.parametrize("asked", ["3600", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_too_long_a_wait_is_left_to_the_user(server: ZenodoServer, out: Path, asked: str) -> None:
    server.faults[VGG] = [Fault(status=429, retry_after=asked)]
    with pytest.raises(AvmitError) as stopped:
        fetch(server, out)
    assert " answers 429 Too Many Requests and asks for a wait of " in str(stopped.value)
    assert str(stopped.value).endswith(" s: run again after that, it goes on where it stopped")
    assert len(server.of(VGG)) == 1


def test_the_wait_doubles_up_to_the_longest(server: ZenodoServer, out: Path) -> None:
    server.faults[VGG] = [Fault(status=503) for _ in range(4)]
    heard = Heard()
    began = time.monotonic()
    fetch(server, out, retry=Retry(first_wait=0.1, longest_wait=0.3), say=heard)
    assert time.monotonic() - began >= 0.9
    waits = [line.rpartition(" in ")[2] for line in heard]
    assert waits == ["0.1 s", "0.2 s", "0.3 s", "0.3 s"]


def test_a_server_that_stays_busy_is_given_up_in_one_line(server: ZenodoServer, out: Path) -> None:
    server.faults[VGG] = [Fault(status=503) for _ in range(9)]
    with pytest.raises(AvmitError) as stopped:
        fetch(server, out)
    host = server.url.removeprefix("http://")
    assert str(stopped.value) == (
        f"{VGG}: {host} answers 503 Service Unavailable, and 3 attempts in a row brought nothing: "
        "check the network and run again, it goes on where it stopped"
    )
    assert len(server.of(VGG)) == 3


def test_no_network_is_one_line(out: Path) -> None:
    with ZenodoServer({}) as gone:
        base = gone.url
    with pytest.raises(AvmitError) as stopped:
        read_record(base=base, retry=QUICK)
    assert str(stopped.value) == (
        f"record {RECORD}: no answer from {base.removeprefix('http://')} (Connection refused), and "
        "3 attempts in a row brought nothing: check the network and run again, it goes on where it "
        "stopped"
    )


def test_a_silent_server_is_one_line(server: ZenodoServer) -> None:
    server.on_record = server.release.wait
    with pytest.raises(AvmitError, match=r": no answer from \S+ \(timed out\), and"):
        read_record(base=server.url, retry=Retry(attempts=1, read_timeout=0.2))


def test_a_record_that_is_cut_off_is_asked_for_again(server: ZenodoServer) -> None:
    server.faults[""] = [Fault(drop_after=100)]
    assert read_record(base=server.url, retry=QUICK).id == RECORD
    assert len(server.requests) == 2


@pytest.mark.parametrize("status", [404, 410])
def test_no_such_record_is_one_line(server: ZenodoServer, status: int) -> None:
    server.faults[""] = [Fault(status=status)]
    with pytest.raises(AvmitError) as stopped:
        read_record(base=server.url)
    assert str(stopped.value) == (
        f"there is no record at {server.url}/api/records/{RECORD}: check --record and --base-url"
    )


def test_a_closed_record_is_one_line(server: ZenodoServer) -> None:
    server.faults[""] = [Fault(status=403)]
    with pytest.raises(AvmitError) as stopped:
        read_record(base=server.url)
    assert str(stopped.value) == (
        f"{server.url}/api/records/{RECORD} answers 403 Forbidden: see whether the record is open "
        "to all"
    )


def test_a_file_that_is_gone_is_one_line(server: ZenodoServer, out: Path) -> None:
    record = read_record(base=server.url)
    del server.files[VGG]
    with pytest.raises(AvmitError) as stopped:
        download(out, record, ["vggish_vgg16"], retry=QUICK)
    assert str(stopped.value) == (
        f"{VGG}: {server.url}/api/records/{RECORD}/files/{VGG}/content answers 404 Not Found: see "
        "whether the record still has the file, open to all"
    )
    assert len(server.of(VGG)) == 1


def test_one_wrong_body_is_fetched_again(server: ZenodoServer, out: Path) -> None:
    server.faults[VGG] = [Fault(body=OTHER)]
    during: list[bool] = []
    server.on_request = lambda: during.append((out / VGG).exists())
    heard = Heard()
    fetch(server, out, say=heard)
    assert ranges(server) == [None, None]
    assert during == [False, False]
    assert (out / VGG).read_bytes() == BODY
    assert heard == [f"{VGG}: what came is not the record's; once more from the beginning"]


def test_the_second_try_is_borne_with_as_long_as_the_first(server: ZenodoServer, out: Path) -> None:
    far = 4 * CHUNK
    again = [Fault(drop_after=CHUNK) for _ in range(3)]
    server.faults[VGG] = [Fault(drop_after=far), Fault(body=OTHER), *again]
    fetch(server, out, retry=Retry(attempts=2, first_wait=0))
    firsts = [None, f"bytes={far}-", None]
    assert ranges(server) == [*firsts, *(f"bytes={n * CHUNK}-" for n in range(1, 4))]
    assert (out / VGG).read_bytes() == BODY


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
def test_two_wrong_bodies_leave_nothing(server: ZenodoServer, out: Path, wrong: Fault) -> None:
    server.faults[VGG] = [wrong, wrong]
    with pytest.raises(AvmitError) as stopped:
        fetch(server, out)
    assert str(stopped.value) == (
        f"{VGG}: what the server sends is not what record {RECORD} says (md5 {MD5}, "
        f"{len(BODY):,} bytes), twice in a row: nothing of it is kept; run again later"
    )
    assert len(server.of(VGG)) == 2
    assert [path for path in out.rglob("*") if path.name != ".avmit.lock"] == []


def test_a_body_without_end_is_not_taken(server: ZenodoServer, out: Path) -> None:
    endless = Fault(body=BODY + bytes(100 * CHUNK), no_length=True)
    server.faults[VGG] = [endless, endless]
    seen: list[int] = []
    record = read_record(base=server.url)
    with pytest.raises(AvmitError, match="twice in a row: nothing of it is kept"):
        download(out, record, ["vggish_vgg16"], progress=lambda file, done: seen.append(done))
    assert max(seen) <= len(BODY) + CHUNK


def test_what_was_finished_before_a_failure_is_kept_and_listed(
    server: ZenodoServer, out: Path
) -> None:
    server.faults[YAMNET] = [Fault(status=404)]
    with pytest.raises(AvmitError):
        fetch(server, out, only=())
    assert (out / VGG).read_bytes() == BODY
    listed = json.loads((out / "record.json").read_text("utf-8"))["files"]
    assert [entry["name"] for entry in listed] == list(FILES)[:4]


# A disk that is full or closed


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device /dev/full")
def test_a_full_disk_is_one_line(server: ZenodoServer, out: Path) -> None:
    out.mkdir()
    (out / f".{VGG}.part").symlink_to("/dev/full")
    with pytest.raises(AvmitError) as stopped:
        fetch(server, out)
    assert str(stopped.value) == (
        f"the disk of {out} is full: make room and run again, it goes on where it stopped"
    )
    assert names(out) == [f".{VGG}.etag", f".{VGG}.part"]


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


def test_a_folder_without_permission_is_one_line(server: ZenodoServer, closed_folder: Path) -> None:
    with pytest.raises(AvmitError) as stopped:
        fetch(server, closed_folder)
    reason = os.strerror(errno.EACCES)
    assert str(stopped.value) == f"cannot write to {closed_folder} ({reason}): choose another --out"


def test_a_file_that_cannot_be_written_is_one_line(server: ZenodoServer, out: Path) -> None:
    part = out / f".{VGG}.part"
    part.mkdir(parents=True)
    with pytest.raises(AvmitError) as stopped:
        fetch(server, out)
    assert str(stopped.value) == (
        f"cannot write to {part} (Is a directory): choose another --out and run again, it goes on "
        "where it stopped"
    )


def test_a_folder_under_a_file_s_name_is_one_line(server: ZenodoServer, out: Path) -> None:
    (out / VGG).mkdir(parents=True)
    with pytest.raises(AvmitError) as stopped:
        fetch(server, out)
    assert str(stopped.value) == f"{out / VGG} is in the way of a file of that name: move it"


def test_what_came_outlives_a_failure_of_the_last_step(server: ZenodoServer, out: Path) -> None:
    server.on_request = lambda: (out / VGG).mkdir(exist_ok=True)
    with pytest.raises(AvmitError, match=r" \(Is a directory\): choose another --out "):
        fetch(server, out)
    assert names(out) == [f".{VGG}.etag", f".{VGG}.part", VGG]
    (out / VGG).rmdir()
    server.requests.clear()
    fetch(server, out)
    assert server.of(VGG) == []
    assert (out / VGG).read_bytes() == BODY


# record.json


def test_record_json_says_what_is_here_and_where_from(server: ZenodoServer, out: Path) -> None:
    fetch(server, out, only=())
    kinds = ["annotations"] * 3 + ["vggish_vgg16", "yamnet_effnet", None]
    assert json.loads((out / "record.json").read_text("utf-8")) == {
        "id": "8253350",
        "doi": "10.5281/zenodo.8253350",
        "title": "Audiovisual Moments in Time",
        "version": "1.0.0",
        "licence": "cc-by-4.0",
        "publication_date": "2023-08-16",
        "url": "https://zenodo.org/records/8253350",
        "files": [
            {
                "name": name,
                "size": len(content),
                "md5": hashlib.md5(content).hexdigest(),
                "kind": kind,
            }
            for (name, content), kind in zip(FILES.items(), kinds, strict=True)
        ],
    }
    before = (out / "record.json").read_bytes()
    fetch(server, out, only=())
    assert (out / "record.json").read_bytes() == before


def test_record_json_keeps_what_earlier_runs_brought_while_it_is_here(
    server: ZenodoServer, out: Path
) -> None:
    def listed() -> list[str]:
        content = json.loads((out / "record.json").read_text("utf-8"))
        return [entry["name"] for entry in content["files"]]

    fetch(server, out, only=["yamnet_effnet"])
    fetch(server, out, only=["vggish_vgg16"])
    assert listed() == [VGG, YAMNET]
    (out / YAMNET).write_bytes(b"cut short")
    fetch(server, out, only=["vggish_vgg16"])
    assert listed() == [VGG]
    fetch(server, out, only=["yamnet_effnet"])
    assert listed() == [VGG, YAMNET]
    (out / YAMNET).unlink()
    fetch(server, out, only=["vggish_vgg16"])
    assert listed() == [VGG]
    (out / "record.json").write_text("not JSON")
    fetch(server, out, only=["annotations"])
    assert listed() == list(FILES)[:3]


def test_version_and_licence_may_be_absent(server: ZenodoServer, out: Path) -> None:
    answer = server.record()
    del answer["metadata"]["version"], answer["metadata"]["license"]
    server.answer = answer
    fetch(server, out)
    content = json.loads((out / "record.json").read_text("utf-8"))
    assert content["version"] is None
    assert content["licence"] is None


# The record


def test_reads_the_record(server: ZenodoServer) -> None:
    server.files = {VGG: BODY}
    record = read_record(base=f"{server.url}/")
    assert record == ZenodoRecord(
        base=server.url,
        id=RECORD,
        doi="10.5281/zenodo.8253350",
        title="Audiovisual Moments in Time",
        publication_date="2023-08-16",
        version="1.0.0",
        licence="cc-by-4.0",
        files=(RemoteFile(VGG, len(BODY), MD5),),
    )


def test_an_md5_in_capitals_is_the_same(server: ZenodoServer, out: Path) -> None:
    server.answer = server.record()
    server.answer["files"][3]["checksum"] = f"md5:{MD5.upper()}"
    fetch(server, out)
    assert [r.fetched for r in fetch(server, out)] == [False]


def test_a_concept_s_number_leads_to_the_version_that_answers(server: ZenodoServer) -> None:
    server.answer = server.record() | {"id": 999}
    record = read_record(base=server.url)
    assert record.page == "https://zenodo.org/records/999"
    assert record.content_url(record.files[3]) == (
        f"{server.url}/api/records/999/files/{VGG}/content"
    )


def without(key: str, place: Callable[[Any], Any]) -> Callable[[Any], None]:
    def change(record: Any) -> None:
        del place(record)[key]

    return change


def set_to(value: object, key: Any, place: Callable[[Any], Any]) -> Callable[[Any], None]:
    def change(record: Any) -> None:
        place(record)[key] = value

    return change


def whole(record: Any) -> Any:
    return record


def metadata(record: Any) -> Any:
    return record["metadata"]


def second_file(record: Any) -> Any:
    return record["files"][1]


FILE_KEYS = "['checksum', 'id', 'key', 'links', 'size']"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (
            without("files", whole),
            "the answer has no 'files', only "
            "['conceptrecid', 'created', 'doi', 'id', 'links', 'metadata']",
        ),
        (set_to({"a": 1}, "files", whole), "the answer.files is {'a': 1}, not a list"),
        (set_to(["x"], "files", whole), "the answer.files[0] is 'x', not an object"),
        (set_to("8a", "id", whole), "the answer.id is '8a', not a record's number"),
        (set_to(7, "doi", whole), "the answer.doi is 7, not text"),
        (set_to([], "metadata", whole), "the answer.metadata is [], not an object"),
        (
            without("title", metadata),
            "the answer.metadata has no 'title', only ['license', 'publication_date', 'version']",
        ),
        (
            set_to(None, "publication_date", metadata),
            "the answer.metadata has no 'publication_date', only "
            "['license', 'publication_date', 'title', 'version']",
        ),
        (set_to(1.5, "version", metadata), "the answer.metadata.version is 1.5, not text"),
        (
            set_to("cc-by", "license", metadata),
            "the answer.metadata.license is 'cc-by', not an object",
        ),
        (
            without("checksum", second_file),
            "the answer.files[1] has no 'checksum', only ['id', 'key', 'links', 'size']",
        ),
        (
            set_to("sha256:00ff", "checksum", second_file),
            "the answer.files[1].checksum is 'sha256:00ff', not an md5",
        ),
        (
            set_to("md5:00ff", "checksum", second_file),
            "the answer.files[1].checksum is 'md5:00ff', not an md5",
        ),
        (set_to("12", "size", second_file), "the answer.files[1].size is '12', not a whole number"),
        (set_to(-1, "size", second_file), "the answer.files[1].size is -1, not a whole number"),
        (set_to(True, "size", second_file), "the answer.files[1].size is True, not a whole number"),
        *(
            (
                set_to(name, "key", second_file),
                f"the answer.files[1].key is {name!r}, not a plain file name",
            )
            for name in ("../up.csv", "a/b.csv", "a\\b.csv", "..", "", ".x.part", "a\nb.csv")
        ),
        (
            set_to("test_set.csv", "key", second_file),
            "the answer.files has 'test_set.csv' more than once",
        ),
    ],
)
def test_an_unknown_layout_is_one_line_that_shows_it(
    server: ZenodoServer, change: Callable[[Any], None], what: str
) -> None:
    server.answer = server.record()
    change(server.answer)
    with pytest.raises(AvmitError) as stopped:
        read_record(base=server.url)
    assert str(stopped.value) == f"{server.url}/api/records/{RECORD}: {what}: {LAYOUT}"


def test_an_answer_that_is_no_object_is_one_line(server: ZenodoServer) -> None:
    server.answer = [1]
    with pytest.raises(AvmitError) as stopped:
        read_record(base=server.url)
    assert str(stopped.value) == (
        f"{server.url}/api/records/{RECORD}: the answer is [1], not an object: {LAYOUT}"
    )


def test_an_answer_that_is_not_json_is_one_line(server: ZenodoServer) -> None:
    server.answer = b"<html>\nLog in to the network" + b"." * 100
    with pytest.raises(AvmitError) as stopped:
        read_record(base=server.url)
    shown = "<html>\\nLog in to the network" + "." * 52
    assert str(stopped.value) == (
        f"{server.url}/api/records/{RECORD} answers '{shown}', which is not JSON: check --base-url"
    )


def test_a_record_without_files_is_one_line(server: ZenodoServer) -> None:
    server.files = {}
    with pytest.raises(AvmitError) as stopped:
        read_record(base=server.url)
    assert str(stopped.value) == (
        f"{server.url}/api/records/{RECORD} has no files that are open to all: check --record"
    )


def test_a_file_with_the_name_of_ours_is_refused(server: ZenodoServer, out: Path) -> None:
    server.files["Record.json"] = b"{}"
    with pytest.raises(AvmitError) as stopped:
        fetch(server, out, only=())
    assert str(stopped.value) == (
        f"record {RECORD} has a file Record.json, and avmit writes its own of that name: "
        "leave it out with --only"
    )
    assert not out.exists()


@pytest.mark.parametrize("record", ["", "10.5281/zenodo.8253350", "../users", "８"])
def test_what_is_not_a_record_s_number_is_one_line(server: ZenodoServer, record: str) -> None:
    with pytest.raises(AvmitError) as stopped:
        read_record(record, server.url)
    assert str(stopped.value) == (
        f"'{record}' is not the number of a Zenodo record: give one such as 8253350"
    )
    assert server.requests == []


@pytest.mark.parametrize("base", ["zenodo.org", "ftp://zenodo.org", "http://", "http://h:99999"])
def test_what_is_not_a_web_address_is_one_line(base: str) -> None:
    with pytest.raises(AvmitError) as stopped:
        read_record(base=base)
    assert str(stopped.value) == (
        f"--base-url '{base}' is not a web address: give one such as https://zenodo.org"
    )


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("video_ratings.csv", "annotations"),
        ("TEST_SET.CSV", "annotations"),
        ("VGGish_VGG16.zip", "vggish_vgg16"),
        ("vgg16-vggish.TAR", "vggish_vgg16"),
        ("YamNet_EffNetB0.tar.gz", "yamnet_effnet"),
        ("yamnet-efficientnet.tgz", "yamnet_effnet"),
        ("Efficient-Net.zip", "yamnet_effnet"),
        ("VGGish_EffNet.zip", None),
        ("README.txt", None),
        ("yamnet_readme.txt", None),
        ("embeddings.zip", None),
        ("VGGish", None),
    ],
)
def test_kind_by_name(name: str, kind: str | None) -> None:
    assert kind_of(name) == kind


def test_an_unknown_kind_is_one_line(server: ZenodoServer, out: Path) -> None:
    with pytest.raises(AvmitError) as stopped:
        fetch(server, out, only=["annotations", "vggish"])
    assert str(stopped.value) == (
        "--only vggish: there is no such kind; give annotations, vggish_vgg16, yamnet_effnet"
    )
    assert not out.exists()


def test_a_kind_that_the_record_has_not_is_one_line(server: ZenodoServer, out: Path) -> None:
    server.files = {"data.zip": b"", "notes.txt": b""}
    with pytest.raises(AvmitError) as stopped:
        fetch(server, out, only=["vggish_vgg16"])
    assert str(stopped.value) == (
        f"--only vggish_vgg16: no file of record {RECORD} has a name of that kind "
        "(data.zip, notes.txt): leave out --only"
    )


# The command


def invoke(server: ZenodoServer, *arguments: object, **environment: str) -> Result:
    app = typer.Typer()
    app.command()(download_command)
    given = [*map(str, arguments), "--base-url", server.url]
    return CliRunner().invoke(app, given, env={"COLUMNS": "100", **environment})


def test_command_downloads_and_sums_up(server: ZenodoServer, out: Path) -> None:
    out.mkdir()
    (out / YAMNET).write_bytes(FILES[YAMNET])
    server.faults[VGG] = [Fault(status=503, retry_after="0")]
    arguments = ("--out", out, "--only", "vggish_vgg16", "--only", "yamnet_effnet")
    result = invoke(server, *arguments, COLUMNS="60")
    assert result.exit_code == 0, result.output
    assert (out / VGG).read_bytes() == BODY
    assert result.stdout.endswith(
        f"{out}: fetched 1 (655 kB), kept 1 that were here; every md5 is the record's\n"
        f"next: avmit convert {out} --out avmit\n"
    )
    host = server.url.removeprefix("http://")
    assert result.stderr.splitlines() == [
        f"{VGG}: {host} answers 503 Service Unavailable; next attempt in 0 s",
        f"{YAMNET}: already here",
    ]


def test_command_lists_every_file_and_writes_nothing(server: ZenodoServer, out: Path) -> None:
    result = invoke(server, "--list", "--out", out, "--only", "yamnet_effnet")
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.stdout.splitlines()]
    assert ["doi:10.5281/zenodo.8253350,", "version", "1.0.0,", "2023-08-16"] in rows
    assert [row for row in rows if row and row[0] in FILES] == [
        ["raw_video_ratings.csv", "annotations", "24", "bytes"],
        ["video_ratings.csv", "annotations", "30", "bytes"],
        ["test_set.csv", "annotations", "0", "bytes"],
        [VGG, "vggish_vgg16", "655", "kB"],
        [YAMNET, "yamnet_effnet", "262", "kB", "yes"],
        ["README.txt", "unknown", "7", "bytes"],
    ]
    assert ["1", "chosen", "262", "kB"] in rows
    assert not out.exists()
    assert len(server.requests) == 1


def test_command_shows_bars_on_a_terminal_only(server: ZenodoServer, out: Path) -> None:
    server.faults[VGG] = [Fault(drop_after=CHUNK), Fault(ignore_range=True)]
    arguments = ("--out", out, "--only", "vggish_vgg16")
    shown = invoke(server, *arguments, FORCE_COLOR="1")
    assert shown.exit_code == 0, shown.output
    assert "all files" in shown.stderr
    assert f"{VGG}: the server sends it from the beginning" in shown.stderr
    assert "all files" not in shown.stdout
    shutil.rmtree(out)
    plain = invoke(server, *arguments)
    assert plain.exit_code == 0, plain.output
    assert plain.stderr == ""


def test_command_takes_the_server_from_the_environment(server: ZenodoServer, out: Path) -> None:
    app = typer.Typer()
    app.command()(download_command)
    result = CliRunner().invoke(app, ["--list"], env={"AVMIT_ZENODO_URL": server.url})
    assert result.exit_code == 0, result.output
    assert len(server.requests) == 1


def test_command_leaves_its_one_line_to_the_caller(server: ZenodoServer, out: Path) -> None:
    result = invoke(server, "--out", out, "--only", "csv")
    assert isinstance(result.exception, AvmitError)
    assert str(result.exception).startswith("--only csv: there is no such kind; give annotations,")
    assert not out.exists()


def test_command_help_has_an_example(server: ZenodoServer) -> None:
    result = invoke(server, "--help")
    assert "Example: avmit download --out sources --only annotations" in result.stdout
    assert "AVMIT_ZENODO_URL" in result.stdout
