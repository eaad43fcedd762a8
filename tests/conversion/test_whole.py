"""A file that is written appears whole or not at all."""

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from conversion.whole import whole_file, write_whole

ROOM = 10_000


@pytest.fixture
def little_room() -> Iterator[None]:
    """A limit at which the system takes a part of what is written, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_has_no_room_does_not_appear(tmp_path: Path, little_room: None) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"as it was")
    with pytest.raises(OSError, match="too large"):
        write_whole(path, bytes(ROOM + 1))
    with pytest.raises(OSError, match="too large"), whole_file(path) as file:
        for _ in range(10):
            file.write(bytes(ROOM // 9))
    assert path.read_bytes() == b"as it was"
    assert list(tmp_path.iterdir()) == [path]
    write_whole(path, bytes(ROOM))
    assert path.read_bytes() == bytes(ROOM)
