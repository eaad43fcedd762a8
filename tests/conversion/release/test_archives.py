"""Record sets inside archives: the same shards as from loose files, and no harm from bad ones."""

import io
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from avmit import AvmitError
from conversion.convert.build import Built, Options, convert
from conversion.release.generate import SET_FOLDERS

CONFIGS = ["vggish_vgg16", "yamnet_effnet"]


def pack_zip(method: int) -> Callable[[Path, Path, str], None]:
    def pack(release: Path, out: Path, prefix: str) -> None:
        with zipfile.ZipFile(out / "records.zip", "w", method) as archive:
            for path in records(release):
                archive.write(path, f"{prefix}{path.relative_to(release)}")

    return pack


def pack_tar(suffix: str) -> Callable[[Path, Path, str], None]:
    def pack(release: Path, out: Path, prefix: str) -> None:
        mode = "w:gz" if suffix.endswith("gz") else "w"
        with tarfile.open(out / f"records{suffix}", mode) as archive:  # type: ignore[call-overload]
            for path in records(release):
                archive.add(path, f"{prefix}{path.relative_to(release)}")

    return pack


PACKERS = {
    "zip, stored": pack_zip(zipfile.ZIP_STORED),
    "zip, deflated": pack_zip(zipfile.ZIP_DEFLATED),
    "tar": pack_tar(".tar"),
    "tar.gz": pack_tar(".tar.gz"),
    "tgz": pack_tar(".tgz"),
}


def records(release: Path) -> list[Path]:
    """Return all record files, in an order that is not the rows'."""
    return sorted(release.rglob("*.tfrecord"), reverse=True)


def with_csvs(release: Path, out: Path) -> Path:
    out.mkdir(parents=True)
    for file in release.glob("*.csv"):
        shutil.copy(file, out)
    return out


def shards(package: Path) -> dict[str, bytes]:
    return {str(p.relative_to(package)): p.read_bytes() for p in package.rglob("*.arrow")}


def bad_of(built: list[Built], config: str) -> list[tuple[str, str]]:
    return next(item.bad for item in built if item.manifest.config == config)


@pytest.fixture(scope="module")
def from_loose_files(release: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("loose") / "avmit"
    convert(release, out, Options(workers=1, max_shard_bytes=200_000))
    return shards(out)


@pytest.mark.parametrize("prefix", ["", "./", "some/where deep/"], ids=["top", "dot", "deep"])
@pytest.mark.parametrize("packer", PACKERS)
def test_the_shards_are_those_of_loose_files(
    release: Path, from_loose_files: dict[str, bytes], tmp_path: Path, packer: str, prefix: str
) -> None:
    source = with_csvs(release, tmp_path / "source")
    (source / "any name").mkdir()
    PACKERS[packer](release, source / "any name", prefix)
    built = convert(source, tmp_path / "avmit", Options(workers=2, max_shard_bytes=200_000))
    assert shards(tmp_path / "avmit") == from_loose_files
    strays = {b.manifest.config: b.manifest.source.get("strays") for b in built}
    assert [strays[config] for config in CONFIGS] == [1, 1]
    assert sorted(path.name for path in (tmp_path / "avmit").iterdir()) == sorted(
        [".avmit.lock", "README.md", "raw_ratings", "ratings", "test_set", *CONFIGS]
    )


@pytest.mark.parametrize("packer", PACKERS)
def test_an_archive_can_be_named_as_a_set(release: Path, tmp_path: Path, packer: str) -> None:
    source = with_csvs(release, tmp_path / "source")
    one = tmp_path / "one"
    shutil.copytree(release / SET_FOLDERS["vggish_vgg16"], one / "set")
    (tmp_path / "packed").mkdir()
    PACKERS[packer](one, tmp_path / "packed", "")
    (archive,) = (tmp_path / "packed").iterdir()
    built = convert(source, tmp_path / "avmit", Options(tfrecords={"mine": archive}, workers=1))
    assert [item.manifest.config for item in built][-1] == "mine"
    assert built[-1].manifest.source["archive"] == archive.name


@pytest.mark.parametrize("name", ["../outside.tfrecord", "/absolute.tfrecord", "a/../../b"])
@pytest.mark.parametrize("kind", [".zip", ".tar", ".tar.gz"])
def test_a_member_that_leads_outside_is_refused(
    release: Path, tmp_path: Path, kind: str, name: str
) -> None:
    source = with_csvs(release, tmp_path / "source")
    path = source / f"evil{kind}"
    if kind == ".zip":
        with zipfile.ZipFile(path, "w") as zipped:
            zipped.writestr(name, b"x")
    else:
        with tarfile.open(path, "w:gz" if kind.endswith("gz") else "w") as tar:
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    with pytest.raises(AvmitError) as caught:
        convert(source, tmp_path / "avmit", Options(workers=1))
    assert str(caught.value) == (
        f"{path}: member '{name}' leads outside, which no file of the release does: fetch it again"
    )
    assert not (tmp_path / "avmit").exists()


@pytest.mark.parametrize("kind", ["symbolic", "hard", "zip"])
def test_a_link_is_refused(release: Path, tmp_path: Path, kind: str) -> None:
    source = with_csvs(release, tmp_path / "source")
    path = source / ("evil.zip" if kind == "zip" else "evil.tar")
    if kind == "zip":
        info = zipfile.ZipInfo("label/link.tfrecord")
        info.create_system = 3
        info.external_attr = 0o120777 << 16
        with zipfile.ZipFile(path, "w") as zipped:
            zipped.writestr(info, "/etc/hostname")
    else:
        member = tarfile.TarInfo("label/link.tfrecord")
        member.type = tarfile.SYMTYPE if kind == "symbolic" else tarfile.LNKTYPE
        member.linkname = "/etc/hostname"
        with tarfile.open(path, "w") as tar:
            tar.addfile(member)
    with pytest.raises(AvmitError) as caught:
        convert(source, tmp_path / "avmit", Options(workers=1))
    assert str(caught.value) == (
        f"{path}: member 'label/link.tfrecord' is a link, "
        "which no file of the release does: fetch it again"
    )


@pytest.mark.parametrize("kind", [".zip", ".tar", ".tgz"])
@pytest.mark.parametrize("keep", [0.0, 0.3, 0.98])
def test_a_cut_off_archive_is_one_line(
    release: Path, tmp_path: Path, kind: str, keep: float
) -> None:
    source = with_csvs(release, tmp_path / "source")
    (pack_zip(zipfile.ZIP_STORED) if kind == ".zip" else pack_tar(kind))(release, source, "")
    (path,) = source.glob(f"*{kind}")
    # A tar ends in padding, of which the last bytes are not missed: cut into its records.
    data = path.read_bytes().rstrip(b"\0")
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(AvmitError) as caught:
        convert(source, tmp_path / "avmit", Options(workers=1))
    line = str(caught.value)
    assert "\n" not in line
    assert str(path) in line or "is truncated in its archive" in line
    assert not (tmp_path / "avmit").exists()


@pytest.mark.parametrize("kind", [".zip", ".tar", ".tgz"])
def test_a_member_of_absurd_size_is_a_bad_record(release: Path, tmp_path: Path, kind: str) -> None:
    source = with_csvs(release, tmp_path / "source")
    one = tmp_path / "one"
    shutil.copytree(release / SET_FOLDERS["vggish_vgg16"], one / "set")
    victim = next(path for path in records(one) if path.parent.name != "set")
    with victim.open("wb") as file:
        file.truncate(9 * 1024 * 1024)
    pack = pack_zip(zipfile.ZIP_DEFLATED) if kind == ".zip" else pack_tar(kind)
    pack(one, source, "")
    options = Options(workers=1, on_bad_record="skip", configs=["vggish_vgg16"])
    built = convert(source, tmp_path / "avmit", options)
    name = f"{victim.parent.name}/{victim.name}"
    assert bad_of(built, "vggish_vgg16") == [(name, "takes more than 8,388,608 bytes")]


def test_a_member_that_inflates_past_its_stated_size_is_a_bad_record(
    release: Path, tmp_path: Path
) -> None:
    source = with_csvs(release, tmp_path / "source")
    one = tmp_path / "one"
    shutil.copytree(release / SET_FOLDERS["vggish_vgg16"], one / "set")
    victim = next(path for path in records(one) if path.parent.name != "set")
    with victim.open("wb") as file:
        file.truncate(9 * 1024 * 1024)
    pack_zip(zipfile.ZIP_DEFLATED)(one, source, "")
    archive = source / "records.zip"
    data = archive.read_bytes()
    stated = (9 * 1024 * 1024).to_bytes(4, "little")
    assert data.count(stated) == 2  # in the local header and in the index
    archive.write_bytes(data.replace(stated, (1000).to_bytes(4, "little")))
    options = Options(workers=1, on_bad_record="skip", configs=["vggish_vgg16"])
    built = convert(source, tmp_path / "avmit", options)
    name = f"{victim.parent.name}/{victim.name}"
    reason = "is damaged in its archive (its size is another)"
    assert bad_of(built, "vggish_vgg16") == [(name, reason)]


def test_members_that_cannot_be_read_are_bad_records(release: Path, tmp_path: Path) -> None:
    source = with_csvs(release, tmp_path / "source")
    one = tmp_path / "one"
    shutil.copytree(release / SET_FOLDERS["vggish_vgg16"], one / "set")
    paths = [path for path in records(one) if path.parent.name != "set"]
    archive = source / "records.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        for index, path in enumerate(paths):
            method = zipfile.ZIP_LZMA if index == 0 else zipfile.ZIP_DEFLATED
            zipped.write(path, path.relative_to(one), method)
    data = bytearray(archive.read_bytes())
    with zipfile.ZipFile(archive) as zipped:
        infos = zipped.infolist()
    data[infos[1].header_offset] ^= 0xFF  # the signature of a local header
    middle = infos[2].header_offset + 30 + len(infos[2].filename) + infos[2].compress_size // 2
    data[middle] ^= 0xFF
    archive.write_bytes(data)
    options = Options(workers=1, on_bad_record="skip", configs=["vggish_vgg16"])
    bad = dict(bad_of(convert(source, tmp_path / "avmit", options), "vggish_vgg16"))
    names = [f"{path.parent.name}/{path.name}" for path in paths]
    assert bad.keys() == set(names[:3])
    assert bad[names[0]] == "is packed by zip method 14, which is not supported"
    assert bad[names[1]] == "has a damaged header in its archive"


def test_an_encrypted_member_is_a_bad_record(release: Path, tmp_path: Path) -> None:
    source = with_csvs(release, tmp_path / "source")
    one = tmp_path / "one"
    shutil.copytree(release / SET_FOLDERS["vggish_vgg16"], one / "set")
    pack_zip(zipfile.ZIP_STORED)(one, source, "")
    path = source / "records.zip"
    data = bytearray(path.read_bytes())
    central = data.index(b"PK\x01\x02")  # the first file of the central directory
    data[central + 8] |= 1  # its general purpose flags: encrypted
    path.write_bytes(data)
    options = Options(workers=1, on_bad_record="skip", configs=["vggish_vgg16"])
    ((_, reason),) = bad_of(convert(source, tmp_path / "avmit", options), "vggish_vgg16")
    assert reason == "is encrypted in its archive"


def test_a_set_that_is_there_loose_and_packed_is_refused(release: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(release, source)
    pack_tar(".tar")(release, source, "")
    with pytest.raises(AvmitError) as caught:
        convert(source, tmp_path / "avmit", Options(workers=1))
    loose = source / SET_FOLDERS["vggish_vgg16"]
    packed = source / "records.tar" / SET_FOLDERS["vggish_vgg16"]
    assert str(caught.value) == (
        f"{loose} and {packed} both hold vggish_vgg16: take one away, "
        f"or name one with --tfrecords NAME={packed}"
    )
