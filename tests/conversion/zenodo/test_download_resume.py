"""Downloads that are cut off go on where they were."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.downloading import (
    BODY,
    MD5,
    ONCE,
    OTHER,
    VGG,
    Heard,
    fetch,
    names,
    partial,
    ranges,
    sent,
)
from support.places import ROOT
from support.zenodo import Fault, ZenodoServer

from avmit import AvmitError
from conversion.zenodo.download import CHUNK
from conversion.zenodo.retry import Retry


def test_goes_on_where_the_connection_was_lost(zenodo: ZenodoServer, sources: Path) -> None:
    cut = CHUNK + 12_345
    zenodo.faults[VGG] = [Fault(drop_after=cut)]
    heard = Heard()
    [retrieved] = fetch(zenodo, sources, say=heard)
    assert ranges(zenodo) == [None, f"bytes={cut}-"]
    assert sent(zenodo) == [cut, len(BODY) - cut]
    assert retrieved.received == len(BODY)
    assert zenodo.of(VGG)[1].headers["If-Range"] == f'"md5:{MD5}"'
    assert (sources / VGG).read_bytes() == BODY
    assert heard == [
        f"{VGG}: the connection was lost at byte {cut:,} of {len(BODY):,}; next attempt in 0 s"
    ]


def test_goes_on_in_the_next_run(zenodo: ZenodoServer, sources: Path) -> None:
    cut = 3 * CHUNK + 1
    zenodo.faults[VGG] = [Fault(drop_after=cut)]
    with pytest.raises(AvmitError) as stopped:
        fetch(zenodo, sources, retry=ONCE)
    assert str(stopped.value) == (
        f"{VGG}: the connection was lost at byte {cut:,} of {len(BODY):,}, and 1 attempts in a row "
        "brought nothing: check the network and run again, it goes on where it stopped"
    )
    assert names(sources) == [f".{VGG}.etag", f".{VGG}.part"]
    assert (sources / f".{VGG}.part").read_bytes() == BODY[:cut]
    zenodo.requests.clear()
    [retrieved] = fetch(zenodo, sources)
    assert ranges(zenodo) == [f"bytes={cut}-"]
    assert sent(zenodo) == [retrieved.received] == [len(BODY) - cut]
    assert zenodo.of(VGG)[0].headers["If-Range"] == f'"md5:{MD5}"'
    assert names(sources) == [VGG, "record.json"]
    assert (sources / VGG).read_bytes() == BODY


@pytest.mark.parametrize("etag", [None, 'W/"{}"'])
def test_goes_on_without_a_condition_when_no_etag_tells_equal_bytes(
    zenodo: ZenodoServer, sources: Path, etag: str | None
) -> None:
    zenodo.etag = etag
    zenodo.faults[VGG] = [Fault(drop_after=CHUNK)]
    fetch(zenodo, sources)
    assert ranges(zenodo) == [None, f"bytes={CHUNK}-"]
    assert "If-Range" not in zenodo.of(VGG)[1].headers
    assert (sources / VGG).read_bytes() == BODY


def test_a_body_without_a_stated_length_that_ends_early_is_gone_on_with(
    zenodo: ZenodoServer, sources: Path
) -> None:
    zenodo.faults[VGG] = [Fault(drop_after=CHUNK, no_length=True)]
    fetch(zenodo, sources)
    assert ranges(zenodo) == [None, f"bytes={CHUNK}-"]
    assert (sources / VGG).read_bytes() == BODY


def test_attempts_that_get_farther_do_not_count(zenodo: ZenodoServer, sources: Path) -> None:
    zenodo.faults[VGG] = [Fault(drop_after=CHUNK) for _ in range(5)]
    fetch(zenodo, sources, retry=Retry(attempts=2, first_wait=0))
    assert ranges(zenodo) == [None, *(f"bytes={n * CHUNK}-" for n in range(1, 6))]
    assert (sources / VGG).read_bytes() == BODY


def test_attempts_that_get_no_farther_are_bounded(zenodo: ZenodoServer, sources: Path) -> None:
    zenodo.faults[VGG] = [Fault(drop_after=CHUNK, ignore_range=True) for _ in range(9)]
    with pytest.raises(AvmitError, match="and 3 attempts in a row brought nothing"):
        fetch(zenodo, sources)
    assert len(zenodo.of(VGG)) == 3


def test_a_silent_server_is_left_and_asked_again(zenodo: ZenodoServer, sources: Path) -> None:
    zenodo.faults[VGG] = [Fault(stall_after=2 * CHUNK)]
    fetch(zenodo, sources, retry=Retry(attempts=2, first_wait=0, read_timeout=0.3))
    assert ranges(zenodo) == [None, f"bytes={2 * CHUNK}-"]
    assert (sources / VGG).read_bytes() == BODY


def test_a_server_that_ignores_the_range_is_taken_from_the_beginning(
    zenodo: ZenodoServer, sources: Path
) -> None:
    partial(sources, BODY[:CHUNK])
    zenodo.faults[VGG] = [Fault(ignore_range=True)]
    heard = Heard()
    fetch(zenodo, sources, say=heard)
    assert ranges(zenodo) == [f"bytes={CHUNK}-"]
    assert sent(zenodo) == [len(BODY)]
    assert (sources / VGG).read_bytes() == BODY
    assert heard == [f"{VGG}: the server sends it from the beginning"]


def test_the_etag_is_that_of_the_bytes_that_are_here(zenodo: ZenodoServer, sources: Path) -> None:
    zenodo.faults[VGG] = [Fault(drop_after=CHUNK)]
    with pytest.raises(AvmitError):
        fetch(zenodo, sources, retry=ONCE)
    zenodo.etag = None
    zenodo.faults[VGG] = [Fault(drop_after=2 * CHUNK, ignore_range=True)]
    fetch(zenodo, sources)
    assert ranges(zenodo) == [None, f"bytes={CHUNK}-", f"bytes={2 * CHUNK}-"]
    assert [r.headers.get("If-Range") for r in zenodo.of(VGG)] == [None, f'"md5:{MD5}"', None]
    assert (sources / VGG).read_bytes() == BODY


def test_a_file_that_changed_since_is_taken_from_the_beginning(
    zenodo: ZenodoServer, sources: Path
) -> None:
    zenodo.faults[VGG] = [Fault(drop_after=CHUNK)]
    with pytest.raises(AvmitError):
        fetch(zenodo, sources, retry=ONCE)
    zenodo.files[VGG] = OTHER
    zenodo.requests.clear()
    fetch(zenodo, sources)
    assert ranges(zenodo) == [f"bytes={CHUNK}-"]
    assert sent(zenodo) == [len(OTHER)]
    assert (sources / VGG).read_bytes() == OTHER


def test_a_file_that_changed_since_is_found_out_by_its_md5(
    zenodo: ZenodoServer, sources: Path
) -> None:
    partial(sources, OTHER[:CHUNK])
    heard = Heard()
    fetch(zenodo, sources, say=heard)
    assert ranges(zenodo) == [f"bytes={CHUNK}-", None]
    assert (sources / VGG).read_bytes() == BODY
    assert heard == [f"{VGG}: what came is not the record's; once more from the beginning"]


def test_a_whole_partial_is_not_asked_for(zenodo: ZenodoServer, sources: Path) -> None:
    partial(sources, BODY)
    assert [(r.fetched, r.received) for r in fetch(zenodo, sources)] == [(True, 0)]
    assert zenodo.of(VGG) == []
    assert names(sources) == [VGG, "record.json"]
    assert (sources / VGG).read_bytes() == BODY


@pytest.mark.parametrize("left", [OTHER, BODY + b"more"])
def test_a_partial_that_cannot_be_right_is_dropped(
    zenodo: ZenodoServer, sources: Path, left: bytes
) -> None:
    partial(sources, left)
    fetch(zenodo, sources)
    assert ranges(zenodo) == [None]
    assert (sources / VGG).read_bytes() == BODY


def test_nothing_after_the_partial_starts_over(zenodo: ZenodoServer, sources: Path) -> None:
    partial(sources, BODY[:CHUNK])
    zenodo.faults[VGG] = [Fault(status=416)]
    fetch(zenodo, sources)
    assert ranges(zenodo) == [f"bytes={CHUNK}-", None]
    assert (sources / VGG).read_bytes() == BODY


@pytest.mark.parametrize(
    "stated",
    [
        f"bytes 0-{len(BODY) - 1}/{len(BODY)}",
        f"bytes {CHUNK}-{len(BODY)}/{len(BODY) + 1}",
        "everything",
    ],
)
def test_another_range_than_asked_for_starts_over(
    zenodo: ZenodoServer, sources: Path, stated: str
) -> None:
    partial(sources, BODY[:CHUNK])
    zenodo.faults[VGG] = [Fault(content_range=stated)]
    fetch(zenodo, sources)
    assert ranges(zenodo) == [f"bytes={CHUNK}-", None]
    assert (sources / VGG).read_bytes() == BODY


SCRIPT = """
import sys
from pathlib import Path
from conversion.zenodo.download import download
from conversion.zenodo.record import read_record
download(Path(sys.argv[2]), read_record(base=sys.argv[1]), ["vggish_vgg16"])
"""


def test_a_killed_run_is_gone_on_with(zenodo: ZenodoServer, sources: Path) -> None:
    stop = 3 * CHUNK
    zenodo.faults[VGG] = [Fault(stall_after=stop)]
    root = ROOT
    running = subprocess.Popen([sys.executable, "-c", SCRIPT, zenodo.url, str(sources)], cwd=root)
    part = sources / f".{VGG}.part"
    try:
        deadline = time.monotonic() + 60
        while not part.exists() or part.stat().st_size < stop:
            assert running.poll() is None, "the run ended by itself"
            assert time.monotonic() < deadline, "nothing came"
            time.sleep(0.01)
        with pytest.raises(AvmitError, match=f"^another run is writing to {sources}: "):
            fetch(zenodo, sources)
    finally:
        running.send_signal(signal.SIGKILL)
        running.wait()
    zenodo.release.set()
    assert part.read_bytes() == BODY[:stop]
    assert not (sources / VGG).exists()
    fetch(zenodo, sources)
    assert ranges(zenodo) == [None, f"bytes={stop}-"]
    assert sent(zenodo) == [stop, len(BODY) - stop]
    assert (sources / VGG).read_bytes() == BODY
    assert names(sources) == [VGG, "record.json"]
