"""Archives made to hang, to fill memory or to crash are refused, or their records are, in one line.

The tars are put together block by block; what is right of them is read.
"""

import gzip
import io
import os
import random
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avmit import AvmitError
from conversion.release.archives import remove_spills, spill
from conversion.release.record_sets import find_record_sets
from conversion.tfrecord.record import BadRecord

NAME = "diving/a.tfrecord"
RATED = {NAME, "frying/b.tfrecord"}
CONTENT = b"hello"
END = bytes(1024)
KINDS = [".tar", ".tgz"]


def padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 512)


def header(name: str, size: int | bytes, kind: bytes = b"0") -> bytes:
    info = tarfile.TarInfo(name)
    info.type = kind
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    block[124:136] = size if isinstance(size, bytes) else b"%011o\0" % size
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def pax(*fields: tuple[str, str], kind: bytes = b"x") -> bytes:
    content = b""
    for key, value in fields:
        text = f" {key}={value}\n".encode(errors="surrogateescape")
        length = len(text) + 1
        while length != len(text) + len(str(length)):
            length += 1
        content += str(length).encode() + text
    return header("pax", len(content), kind) + padded(content)


MEMBER = header(NAME, len(CONTENT)) + padded(CONTENT)


def packed(path: Path, tar: bytes) -> Path:
    path.write_bytes(gzip.compress(tar, mtime=0) if path.suffix == ".tgz" else tar)
    return path


def contents(archive: Path, work: Path) -> dict[str, bytes]:
    """What the records of an archive's sets are, by their whole names."""
    return {
        f"{records.path.relative_to(archive)}/{name}".removeprefix("./"): records.reader.read(name)
        for records in find_record_sets(archive, RATED, work)
        for name in records.names
    }


def refused(archive: Path, work: Path) -> str:
    with pytest.raises(AvmitError) as caught:
        contents(archive, work)
    line = str(caught.value)
    assert "\n" not in line
    return line.removeprefix(str(archive))


def damaged(reason: str) -> str:
    return f" is damaged or not complete ({reason}): fetch it again"


def is_none_of_a_release(name: str, what: str) -> str:
    return f": member '{name}' {what}, which no file of the release does: fetch it again"


READ = {
    "one member": MEMBER + END,
    "one block at its end": MEMBER + bytes(512),
    "a global header": pax(("comment", "0123"), kind=b"g") + MEMBER + END,
    "a long name": header("././@LongLink", 18, b"L")
    + padded(NAME.encode() + b"\0")
    # What a long name is the name of has the beginning of it.
    + header(NAME[:9], len(CONTENT))
    + padded(CONTENT)
    + END,
    "a name by pax": pax(("path", NAME)) + header("x", len(CONTENT)) + padded(CONTENT) + END,
    "a size by pax": pax(("size", "5")) + header(NAME, 0) + padded(CONTENT) + END,
    "a size in binary": header(NAME, b"\x80" + (5).to_bytes(11, "big")) + padded(CONTENT) + END,
    "what stands after the end": MEMBER + END + b"\xff" * 512,
    "a directory, a pipe and a device": header("diving", 0, b"5")
    + header("p", 0, b"6")
    + header("d", 0, b"3")
    + MEMBER
    + END,
    "a member of an unknown kind": header("v", 600, b"V") + bytes(1024) + MEMBER + END,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", READ)
def test_tars_as_others_write_them_are_read(tmp_path: Path, name: str, kind: str) -> None:
    archive = packed(tmp_path / f"a{kind}", READ[name])
    assert contents(archive, tmp_path / "work") == {NAME: CONTENT}


MORE = "more than there are"
ENDS = "it ends before its mark of the end"
BAD_PAX = "a damaged pax header"
REFUSED = {
    "a pax size of 23 digits": (pax(("size", "9" * 23)) + MEMBER + END, damaged(BAD_PAX)),
    "a pax size of petabytes": (
        pax(("size", "9" * 15)) + MEMBER + END,
        damaged(f"a member of 999,999,999,999,999 bytes, {MORE}"),
    ),
    "a negative pax size": (pax(("size", "-512")) + MEMBER + END, damaged(BAD_PAX)),
    "a size of 8 GB": (
        header(NAME, b"77777777777\0") + END,
        damaged(f"a member of 8,589,934,591 bytes, {MORE}"),
    ),
    "a negative size": (header(NAME, b"\xff" * 12) + END, damaged(f"a member of -1 bytes, {MORE}")),
    "a long name of 8 GB": (
        header("././@LongLink", b"77777777777\0", b"L") + END,
        damaged("a header of 8,589,934,591 bytes"),
    ),
    "a pax header of 3 GB": (
        header("pax", 3 << 30, b"x") + bytes(5_000_000),
        damaged("a header of 3,221,225,472 bytes"),
    ),
    "a global header of 3 GB": (
        header("pax", 3 << 30, b"g") + bytes(5_000_000),
        damaged("a header of 3,221,225,472 bytes"),
    ),
    "a pax header of anything": (
        header("pax", 100, b"x") + padded(b"x" * 100) + MEMBER + END,
        damaged(BAD_PAX),
    ),
    "a pax header of many fields": (
        pax(*((str(index), "") for index in range(33))) + MEMBER + END,
        damaged("more than 32 fields in a pax header"),
    ),
    "many members": (header("e", 0) * 30_000 + END, damaged("")),
    "many headers of one member": (pax(("a", "b")) * 30_000 + MEMBER + END, damaged("")),
    "a header that is damaged": (MEMBER + b"x" * 512 + END, damaged("invalid header")),
    "a header of another sum": (
        MEMBER + header("b", 0).replace(b"b", b"c", 1) + END,
        damaged("bad checksum"),
    ),
    "no end": (MEMBER, damaged(ENDS)),
    "cut off inside a member": (
        header(NAME, 600) + bytes(512),
        damaged(f"a member of 600 bytes, {MORE}"),
    ),
    "a sparse file by pax": (
        pax(("GNU.sparse.major", "1"), ("GNU.sparse.name", NAME)) + MEMBER + END,
        is_none_of_a_release("pax", "is sparse"),
    ),
    "a sparse file": (
        header(NAME, 5, b"S") + padded(CONTENT) + END,
        is_none_of_a_release(NAME, "is sparse"),
    ),
    "a name of thousands of folders": (
        pax(("path", "d/" * 2000 + NAME)) + MEMBER + END,
        is_none_of_a_release("d/" * 30 + "...", "has a name of 4,017 characters"),
    ),
    "a name that clears the screen": (
        pax(("path", "../\x1b[2J\n")) + MEMBER + END,
        is_none_of_a_release("../\\x1b[2J\\n", "leads outside"),
    ),
    "nothing": (b"", damaged(ENDS)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", REFUSED)
def test_tars_that_are_damaged_or_traps_are_refused(tmp_path: Path, name: str, kind: str) -> None:
    tar, reason = REFUSED[name]
    archive = packed(tmp_path / f"a{kind}", tar)
    if name.startswith("many"):
        most = 20_000 + archive.stat().st_size // 64
        tar_holds_so_many = kind == ".tar" and most > 30_000
        if tar_holds_so_many:  # uncompressed, they take what they take
            assert contents(archive, tmp_path) in ({}, {NAME: CONTENT})
            return
        reason = damaged(f"more than {most:,} members")
    if kind == ".tgz" and name == "cut off inside a member":
        reason = damaged("it ends inside a member")
    assert refused(archive, tmp_path / "work") == reason
    assert not list(tmp_path.glob("work/*"))


def central(name: bytes = NAME.encode(), **changes: int | bytes) -> bytes:
    """An entry of a zip's index, of a member that is stored at the archive's start."""
    entry = {"version": 20, "flags": 0, "method": 0, "packed": 5, "size": 5, "offset": 0}
    entry |= {key: value for key, value in changes.items() if isinstance(value, int)}
    extra = changes.get("extra", b"")
    assert isinstance(extra, bytes)
    numbers = entry["packed"], entry["size"], len(name), len(extra), 0, 0, 0, 0, entry["offset"]
    head = struct.pack("<4s6H", b"PK\x01\x02", 20, entry["version"], entry["flags"], 0, 0, 0x21)
    return head + struct.pack("<3I5H2I", 0, *numbers) + name + extra


def zipped(*entries: bytes) -> bytes:
    name = NAME.encode()
    local = struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, 0, 0, 0, 0x21, 0, 5, 5, len(name), 0)
    body, index = local + name + CONTENT, b"".join(entries)
    count, size, start = len(entries), len(index), len(body)
    return body + index + struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, size, start, 0)


FULL = 0xFFFFFFFF
ZIP64 = struct.pack("<HH", 1, 24)
ZIPS = {
    "of another version": (central(version=99), "zip file version 9.9"),
    "with an offset of 2**63": (
        central(packed=FULL, size=FULL, offset=FULL, extra=ZIP64 + struct.pack("<3Q", 5, 5, 2**63)),
        "its members are larger than itself",
    ),
    "with a size of 2**63": (
        central(packed=FULL, size=FULL, offset=FULL, extra=ZIP64 + struct.pack("<3Q", 5, 2**63, 0)),
        "its members are larger than itself",
    ),
    "with an offset past its end": (central(offset=200), "its members are larger than itself"),
    "with a name that is not UTF-8": (
        central(b"div\xff/a.tfrecord", flags=0x800),
        "'utf-8' codec can't decode byte 0xff in position 3: invalid start byte",
    ),
}


def test_a_zip_as_it_should_be(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zipped(central()))
    assert contents(tmp_path / "a.zip", tmp_path) == {NAME: CONTENT}


def test_a_member_of_a_zip_without_a_name_is_none_of_ours(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zipped(central(), central(b"")))
    assert contents(tmp_path / "a.zip", tmp_path) == {NAME: CONTENT}


@pytest.mark.parametrize("name", ZIPS)
def test_zips_with_an_odd_index_are_refused(tmp_path: Path, name: str) -> None:
    entry, reason = ZIPS[name]
    (tmp_path / "a.zip").write_bytes(zipped(entry))
    assert refused(tmp_path / "a.zip", tmp_path) == damaged(reason)


def test_members_of_a_zip_do_not_share_their_bytes(tmp_path: Path) -> None:
    names = [b"%d/%s" % (index, NAME.encode()) for index in range(3)]
    (tmp_path / "a.zip").write_bytes(zipped(*(central(name, packed=200) for name in names)))
    assert refused(tmp_path / "a.zip", tmp_path) == damaged("its members are larger than itself")


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tgz"])
@pytest.mark.parametrize("what", ["a pipe", "a device", "a link to nothing"])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, what: str, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    reason = " is no regular file: put the archive itself there"
    if what == "a pipe":
        os.mkfifo(path)
    elif what == "a device":
        path.symlink_to("/dev/zero")
    else:
        path.symlink_to("nothing")
        reason = " cannot be read (No such file or directory): put the archive itself there"
    with pytest.raises(AvmitError) as caught:
        find_record_sets(tmp_path, RATED, tmp_path / "work")
    assert str(caught.value) == f"{path}{reason}"


def test_a_record_that_is_a_pipe_is_bad_at_once(tmp_path: Path) -> None:
    (tmp_path / "diving").mkdir()
    os.mkfifo(tmp_path / NAME)
    (records,) = find_record_sets(tmp_path, RATED, tmp_path)
    with pytest.raises(BadRecord, match=r"^is no regular file$"):
        records.reader.read(NAME)


def test_a_name_as_long_as_names_can_be(tmp_path: Path) -> None:
    archive = packed(tmp_path / f"{'a' * 251}.tgz", MEMBER + END)
    assert contents(archive, tmp_path / "work") == {NAME: CONTENT}


def test_a_hundred_sets_are_looked_at(tmp_path: Path) -> None:
    members = b"".join(
        header(f"{index}/{NAME}", 5) + padded(CONTENT) + header(f"{index}/b/c.tfrecord", 0)
        for index in range(101)
    )
    archive = packed(tmp_path / "a.tar", members + END)
    first = f"{archive}/0; {archive}/1; {archive}/10; and 98 more"
    with pytest.raises(AvmitError) as caught:
        find_record_sets(archive, RATED, tmp_path)
    assert str(caught.value) == (
        f"101 record sets in {archive} ({first}): leave those that are meant"
    )
    archive = packed(archive, members[: 100 * len(members) // 101] + END)
    found = find_record_sets(archive, RATED, tmp_path)
    assert [records.strays for records in found] == [1] * 100


def test_strays_count_for_the_deepest_root_above_them(tmp_path: Path) -> None:
    names = [NAME, f"in/{NAME}", f"in/deep/{NAME}", "in/x.tfrecord", "in/deep/x/y/z.tfrecord"]
    names += ["x.tfrecord", "inside/x.tfrecord", "in/deeper/x.tfrecord", "in/x.txt"]
    tar = b"".join(header(name, 0) for name in names)
    found = find_record_sets(packed(tmp_path / "a.tar", tar + END), RATED, tmp_path)
    strays = {str(records.path.relative_to(tmp_path)): records.strays for records in found}
    assert strays == {"a.tar": 2, "a.tar/in": 2, "a.tar/in/deep": 1}


@pytest.fixture
def spilled(tmp_path: Path) -> tuple[Path, Path]:
    """An archive and the folder with its spill."""
    archive = packed(tmp_path / "a.tgz", MEMBER + header("b/other.txt", 0) + END)
    spill(archive, RATED, tmp_path / "work")
    return archive, tmp_path / "work"


ODD = [
    b"",
    b"{",
    b"[" * 100_000,
    b"[]",
    b"null",
    b'{"bytes": 5, "members": {}}',
    b'{"bytes": 5, "members": [], "others": []}',
    b'{"bytes": 5, "members": {"diving/a.tfrecord": [0]}, "others": []}',
    b'{"bytes": 5, "members": {"diving/a.tfrecord": [-1, 5]}, "others": []}',
    b'{"bytes": 5, "members": {"diving/a.tfrecord": [1, 5]}, "others": []}',
    b'{"bytes": 5, "members": {"diving/a.tfrecord": [0.0, 5]}, "others": []}',
    b'{"bytes": 6, "members": {"diving/a.tfrecord": [0, 6]}, "others": []}',
    b'{"bytes": 5, "members": {"diving/a.tfrecord": [0, 5]}, "others": [1]}',
    b'{"bytes": 5, "members": {"diving/a.tfrecord": [0, 5]}, "others": "x"}',
    b"\xff\xfe",
    bytes(100),
]


@pytest.mark.parametrize("index", ODD)
def test_an_odd_index_of_a_spill_is_none(spilled: tuple[Path, Path], index: bytes) -> None:
    archive, work = spilled
    (path,) = work.glob("*.json")
    right = path.read_bytes()
    path.write_bytes(index)
    assert contents(archive, work) == {NAME: CONTENT}
    assert path.read_bytes() == right


@pytest.mark.parametrize("data", [b"", b"hell", b"hello!"])
def test_a_spill_of_another_length_is_none(spilled: tuple[Path, Path], data: bytes) -> None:
    archive, work = spilled
    (path,) = work.glob("*.spill")
    path.write_bytes(data)
    assert contents(archive, work) == {NAME: CONTENT}


def test_a_spill_is_used_again(spilled: tuple[Path, Path]) -> None:
    archive, work = spilled
    (path,) = work.glob("*.spill")
    path.write_bytes(b"HELLO")  # as long
    assert contents(archive, work) == {NAME: b"HELLO"}


def test_links_are_neither_followed_nor_left(spilled: tuple[Path, Path]) -> None:
    archive, work = spilled
    for path in list(work.iterdir()):
        path.unlink()
        path.symlink_to(archive)
    before = archive.read_bytes()
    assert contents(archive, work) == {NAME: CONTENT}
    assert archive.read_bytes() == before
    assert not any(path.is_symlink() for path in work.iterdir())


def test_nothing_but_spills_is_removed(spilled: tuple[Path, Path]) -> None:
    _, work = spilled
    kept = ["thesis.spill", "thesis.json", "a" * 64, f"{'a' * 63}.json", "mine.part"]
    for name in kept:
        (work / name).write_text("mine")
    (work / f".avmit-{'0' * 16}.part").write_text("of a run that was killed")
    (work / f"{'b' * 64}.spill").mkdir()
    remove_spills(work)
    assert sorted(path.name for path in work.iterdir()) == sorted([*kept, f"{'b' * 64}.spill"])
    remove_spills(work / "nowhere")


def real_archives() -> Iterator[tuple[str, bytes]]:
    rng = random.Random(0)
    records = {name: rng.randbytes(700) for name in sorted(RATED)}
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", method) as archive:
            for name, data in records.items():
                archive.writestr(zipfile.ZipInfo(f"set/{name}"), data)
        yield ".zip", buffer.getvalue()
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
            for name, data in records.items():
                info = tarfile.TarInfo(f"{'long' * 30}/{name}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        yield ".tar", buffer.getvalue()
        yield ".tgz", gzip.compress(buffer.getvalue(), mtime=0)


REAL = list(real_archives())
edit = st.tuples(
    st.integers(0, 10**6),
    st.sampled_from(["set", "insert", "delete", "sum"]),
    st.binary(max_size=9),
)


def edited(data: bytes, edits: list[tuple[int, str, bytes]]) -> bytes:
    for position, what, value in edits:
        at = position % (len(data) + 1)
        if what == "sum":  # the header block there is made to say that it is whole
            at -= at % 512
            block = bytearray(data[at : at + 512])
            block[:20] = value + block[len(value) : 20]
            block[124 : 124 + len(value)] = value
            block[148:156] = b" " * 8
            block[148:156] = b"%06o\0 " % sum(block)
            data = data[:at] + bytes(block) + data[at + 512 :]
        else:
            skipped = 0 if what == "insert" else len(value)
            data = data[:at] + (value if what != "delete" else b"") + data[at + skipped :]
    return data


@settings(max_examples=300)
@given(st.sampled_from(range(len(REAL))), st.booleans(), st.lists(edit, min_size=1, max_size=3))
def test_any_damage_to_an_archive_is_one_line_or_bad_records(
    tmp_path_factory: pytest.TempPathFactory,
    which: int,
    inside: bool,
    edits: list[tuple[int, str, bytes]],
) -> None:
    suffix, data = REAL[which]
    if suffix == ".tgz" and inside:
        data = gzip.compress(edited(gzip.decompress(data), edits))
    else:
        data = edited(data, edits)
    folder = tmp_path_factory.mktemp("fuzzed")
    archive = folder / f"a{suffix}"
    archive.write_bytes(data)
    try:
        found = find_record_sets(folder, RATED, folder / "work")
    except AvmitError as error:
        assert "\n" not in str(error)
        found = []
    for records in found:
        for name in records.names:
            try:
                assert isinstance(records.reader.read(name), bytes)
            except BadRecord as error:
                assert "\n" not in str(error)
    assert {path.name for path in folder.iterdir()} <= {archive.name, "work"}
