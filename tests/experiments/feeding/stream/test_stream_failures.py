"""What fails on the way to the Hub: made again where that helps, told in one line where not."""

import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from support.feeding import CONFIG
from support.hub.server import Fault, HubServer
from support.hub.state import Request
from support.releases import assert_same_rows
from support.streaming import full, index_of, names, streamed, write_indexed

import avmit

REPO = "ann/tiny"
SHARD = f"{CONFIG}/train-00000-of-00003.arrow"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """53 rows in 18 record batches of three shards; never written to."""
    return write_indexed(tmp_path_factory.mktemp("tiny") / "avmit")


@pytest.fixture
def filled(hub: HubServer, tiny: Path) -> HubServer:
    """The Hub with `tiny`."""
    hub.put_folder(REPO, tiny)
    return hub


def error_of(source: Any, **options: Any) -> str:
    """Return the line in which a stream, or going through it, fails."""
    with pytest.raises(avmit.AvmitError) as error:
        list(streamed(source, **options))
    line = str(error.value)
    assert "\n" not in line
    assert len(line) < 600
    return line


FAULTS = {
    "busy": [Fault("", status=503), Fault("", status=500), Fault("", status=429)],
    "cut": [Fault("", drop_after=30), Fault("", lose_answer=True)],
    "other bytes": [Fault("", change=lambda body: b"x" * len(body))],
}


@pytest.mark.parametrize("kind", [*FAULTS, "all"])
def test_a_quarter_of_the_requests_fail(filled: HubServer, kind: str) -> None:
    kinds = FAULTS.get(kind) or [fault for group in FAULTS.values() for fault in group]
    rng = random.Random(3)
    met: Counter[tuple[str, str | None]] = Counter()

    def chance(request: Request) -> Fault | None:
        asked = request.path, request.headers.get("Range")
        # As often as that, other bytes are bad luck no longer, and told.
        if rng.random() >= 0.25 or met[asked] >= (2 if kind in ("busy", "cut") else 1):
            return None
        met[asked] += 1
        return rng.choice(kinds)

    filled.chance = chance
    assert_same_rows(streamed(REPO), full())
    order = streamed(REPO, shuffle=True, columns=["filename"])
    assert sorted(names(order)) == sorted(names(full()))
    assert met.total() >= 8


@pytest.mark.parametrize("times", [1, 2])
def test_a_wrong_body_is_fetched_again(filled: HubServer, times: int) -> None:
    def lie(body: bytes) -> bytes:
        return body[:20] + bytes([body[20] ^ 1]) + body[21:]

    stream = streamed(REPO, ahead=1)
    filled.faults = [Fault("^/storage/", times=times, change=lie)]
    assert_same_rows(stream, full())
    assert filled.faults == []


@pytest.mark.parametrize("file", ["index.json", "manifest.json"])
def test_a_wrong_text_is_fetched_again(filled: HubServer, file: str) -> None:
    for lie in (b"{}", b"<p>Please log in.", b""):
        filled.faults = [Fault(f"{file}$", change=lambda body, lie=lie: lie)]  # type: ignore[misc]
        assert len(streamed(REPO)) == 53
        assert filled.faults == []


def test_a_body_that_stays_wrong_is_told_with_its_place(filled: HubServer, tiny: Path) -> None:
    def lie(body: bytes) -> bytes:
        return bytes([body[0] ^ 1]) + body[1:]

    stream = streamed(REPO, columns=["label"])
    filled.faults = [Fault("^/storage/", times=1000, change=lie)]
    with pytest.raises(avmit.AvmitError) as error:
        list(stream)
    batch = index_of(tiny).shards[0].batches[0]
    assert str(error.value) == (
        f"{SHARD} of '{REPO}', the record batch at byte {batch.offset:,}: the bytes of label are "
        "not those of its CRC32C, 3 times; try again later, or ask its owner to make it again"
    )
    assert stream.state_dict() == {"seed": 0, "epoch": 0, "position": 0}
    filled.faults = []
    assert len(list(stream)) == 53  # it goes on


def test_rows_before_a_damaged_record_batch_come(tiny: Path, tmp_path: Path) -> None:
    """And the state says which was the last of them."""
    package = Path(shutil.copytree(tiny, tmp_path / "avmit"))
    batch = index_of(tiny).shards[1].batches[2]
    path = package / CONFIG / "train-00001-of-00003.arrow"
    data = bytearray(path.read_bytes())
    label = batch.columns[1]
    data[batch.body_offset + label.offset] ^= 1
    path.write_bytes(data)
    stream = streamed(package, columns=["filename", "label"])
    taken = []
    with pytest.raises(avmit.AvmitError) as error:
        for row in stream:
            taken.append(row["filename"])
    assert str(error.value).startswith(
        f"{CONFIG}/{path.name} of {package}, the record batch at byte {batch.offset:,}: the bytes "
        "of label are not those of its CRC32C, 3 times; "
    )
    assert taken == names(full())[: 17 + 6]
    assert stream.state_dict()["position"] == 17 + 6
    assert len(list(streamed(package, columns=["filename"]))) == 53


def test_a_server_that_ignores_ranges(filled: HubServer, tiny: Path) -> None:
    """Where others do not, it is asked again; where all do, that is told."""
    stream = streamed(REPO, ahead=1)
    whole = (tiny / SHARD).read_bytes()
    filled.faults = [Fault("^/storage/", times=2, status=200, body=whole)]
    assert_same_rows(stream, full())
    filled.chance = lambda request: (
        Fault("", status=200, body=whole) if request.path.startswith("/storage/") else None
    )
    with pytest.raises(avmit.AvmitError) as error:
        list(stream)
    assert str(error.value).startswith("the Hub's answer makes no sense (")
    assert "\n" not in str(error.value)


def test_no_answer_comes(filled: HubServer) -> None:
    stream = streamed(REPO)
    filled.faults = [Fault("", times=10_000, lose_answer=True)]
    for line in (error_of(REPO), _error(stream)):
        assert line.startswith(f"cannot reach {filled.url} (")
        assert line.endswith("check the network, run the same again, it goes on where it stopped")


def _error(stream: Any) -> str:
    with pytest.raises(avmit.AvmitError) as error:
        list(stream)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_connection_is_refused(filled: HubServer) -> None:
    stream = streamed(REPO)
    filled.__exit__(None, None, None)
    try:
        for line in (error_of(REPO), _error(stream)):
            assert line.startswith(f"cannot reach {filled.url} (")
    finally:
        filled.__enter__()


def test_a_hub_that_always_fails(filled: HubServer) -> None:
    stream = streamed(REPO)
    filled.faults = [Fault("^/storage/", times=10_000, status=503)]
    assert _error(stream).startswith("the Hub fails (503")


def test_a_link_that_has_expired_is_asked_for_again(filled: HubServer) -> None:
    stream = streamed(REPO, ahead=1)
    coming = iter(stream)
    rows = [next(coming) for _ in range(4)]
    filled.secret = "other"
    filled.reset_counts()
    rows += coming
    assert_same_rows(rows, full())
    assert {r.status for r in filled.of("^/storage/")} == {206, 403}


def test_what_is_not_there(filled: HubServer) -> None:
    assert error_of(REPO, split="test") == (
        f"no split 'test' in config '{CONFIG}'; there are: train"
    )
    with pytest.raises(avmit.AvmitError) as error:
        avmit.stream("other", data_dir=REPO)
    assert str(error.value) == (
        f"no config 'other' with a manifest.json in '{REPO}': name one that is there"
    )
    assert error_of(REPO, revision="none") == (
        f"'{REPO}' has no revision 'none': name a branch, a tag or a commit"
    )
    assert error_of("ann/nothing") == (
        "there is no dataset 'ann/nothing' on the Hub, or it is private: check the name, or log in "
        "with `hf auth login` and one that may read it"
    )


def test_a_private_package_without_a_token(
    filled: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.dataset(REPO).private = True
    assert len(streamed(REPO)) == 53
    monkeypatch.delenv("HF_TOKEN")
    line = error_of(REPO)
    assert line == (
        f"there is no dataset '{REPO}' on the Hub, or it is private: check the name, or log in "
        "with `hf auth login` and a token"
    )
    monkeypatch.setenv("HF_TOKEN", "hf_unknown")
    assert error_of(REPO).startswith("the Hub does not accept the token: ")
    assert "hf_unknown" not in error_of(REPO)


def test_offline(filled: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert error_of(REPO) == "HF_HUB_OFFLINE is set: unset it where there is a network"
    assert filled.requests == []


def test_a_shard_that_is_missing(tiny: Path, tmp_path: Path, filled: HubServer) -> None:
    package = Path(shutil.copytree(tiny, tmp_path / "avmit"))
    (package / SHARD).unlink()
    assert error_of(package) == f"{package}/{SHARD} cannot be read (No such file or directory)"
    filled.put_folder("ann/part", package)
    assert error_of("ann/part") == (
        "'ann/part' has lost a file since it was listed: run the same again"
    )
    (package / SHARD).write_bytes(b"x" * 100)
    assert error_of(package).startswith(f"{package}/{SHARD} ends before byte ")


def test_nothing_at_an_address(tmp_path: Path) -> None:
    assert error_of("memory://nowhere") == (
        f"no config '{CONFIG}' with a manifest.json in memory://nowhere: name one that is there"
    )
    line = error_of("odd://nowhere/avmit")
    assert line.startswith(f"odd://nowhere/avmit/{CONFIG}/manifest.json cannot be read (")
    assert error_of(tmp_path / "nothing").startswith(f"no AVMIT package at {tmp_path}/nothing: ")
