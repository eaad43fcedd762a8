"""figures/: the pictures in a package's card, and the list that says of which data they are."""

import contextlib
import hashlib
import json
import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from conversion import ground
from conversion.package.exchange import bring_back, put_in_place
from conversion.package.manifest import Manifest, ratings_first, sha256_of
from conversion.package.manifest_problems import FIGURES
from conversion.package.workspace import Workspace, is_given_up
from conversion.whole import PART, read_regular, write_whole
from conversion.wording import printable

LIST = "avmit.json"
"""The file beside the pictures that names those which avmit drew, and their data."""
LONGEST = 5_000_000
"""How many bytes a picture has at most."""
ALT = {
    "classes.png": "Bars: how many videos each class has, by split.",
    "agreement.png": "Points with 95% intervals: Fleiss' kappa of the ratings of each class.",
    "flows.png": "Bars: how many videos of each class have that label in Moments in Time too, and "
    "how many have another.",
}
"""The pictures that there can be, in their order, and what they say to those who do not see."""

_LONGEST_LIST = 100_000
_VERSION = 1
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Picture:
    """A picture's size in bytes and its SHA-256 in hex."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Pictures:
    """What LIST says: `drawn_from` as `sources` gives it, and the files by name."""

    drawn_from: dict[str, str]
    files: dict[str, Picture]

    def are_of(self, manifests: Mapping[str, Manifest]) -> bool:
        """Tell whether they show what configs hold."""
        return self.drawn_from == sources(manifests)

    def to_bytes(self) -> bytes:
        """Return LIST, the same bytes for the same pictures."""
        content = {"version": _VERSION, **asdict(self)}
        return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()

    @property
    def paths(self) -> list[str]:
        """All files by their paths in the package, LIST included."""
        return [f"{FIGURES}/{name}" for name in (*self.files, LIST)]


def pictured(manifests: Mapping[str, Manifest]) -> list[str]:
    """Name the configs that pictures of a package are drawn from; that of the videos first.

    It is the ratings, with the test set; without them the first config with embeddings, or the
    test set. There is none in a package of single ratings, whose rows are no videos.
    """
    there = [name for name in ("ratings", "test_set") if name in manifests]
    embeddings = [name for name, manifest in ratings_first(manifests).items() if manifest.dims]
    return there if "ratings" in there else (embeddings or there)[:1]


def sources(manifests: Mapping[str, Manifest]) -> dict[str, str]:
    """Return the SHA-256, by config, of the checksums of the shards that pictures are drawn from.

    Pictures of the same sources are of the same rows.
    """
    found = {}
    for name in pictured(manifests):
        splits = manifests[name].splits
        sums = {split: [shard.sha256 for shard in shards] for split, shards in splits.items()}
        found[name] = hashlib.sha256(json.dumps(sums, sort_keys=True).encode()).hexdigest()
    return found


def listed(pictures: Mapping[str, bytes], drawn_from: Mapping[str, str]) -> Pictures:
    """Return what LIST is to say of pictures by name."""
    files = {
        name: Picture(len(data), hashlib.sha256(data).hexdigest())
        for name, data in pictures.items()
    }
    return Pictures(dict(drawn_from), files)


def parse_pictures(text: bytes) -> Pictures:
    """Return what a LIST says.

    Raises:
        ValueError: it is none, or names what avmit does not draw.
    """
    try:
        content: Any = json.loads(text.decode("utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    try:
        version, drawn_from, files = (content[key] for key in ("version", "drawn_from", "files"))
        sums = [*drawn_from.values(), *(file["sha256"] for file in files.values())]
        sizes = [file["bytes"] for file in files.values()]
    except (TypeError, KeyError, AttributeError):
        raise ValueError("it has no pictures and sources") from None
    if version != _VERSION:
        raise ValueError(f"it is of version {printable(str(version))[:20]}, not {_VERSION}")
    unknown = [name for name in files if name not in ALT]
    if unknown:
        raise ValueError(f"avmit draws no {printable(unknown[0])}")
    if not all(isinstance(one, str) and _SHA256.fullmatch(one) for one in sums):
        raise ValueError("a SHA-256 is none")
    if not all(type(size) is int and 0 <= size <= LONGEST for size in sizes):
        raise ValueError("a size is none")
    known = {
        name: Picture(files[name]["bytes"], files[name]["sha256"]) for name in ALT if name in files
    }
    return Pictures(drawn_from, known)


def read_pictures(package: Path) -> Pictures | None:
    """Read the list of a package's pictures; None where avmit drew none.

    Raises:
        AvmitError: it cannot be read, or is no such list.
    """
    path = package / FIGURES / LIST
    try:
        return parse_pictures(read_regular(path, _LONGEST_LIST))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ground.AvmitError(
            f"{path} is no list of pictures ({reason}): move {path.parent} away, and draw them "
            f"again with `avmit report {package} --card`"
        ) from None


def damage(package: Path, pictures: Pictures) -> list[str]:
    """Say which files of the pictures are not what LIST says."""
    found = []
    for name, picture in pictures.files.items():
        path = package / FIGURES / name
        if not os.path.lexists(path):
            found.append(f"{FIGURES}/{name} is missing")
        elif not _is_intact(path, picture):
            found.append(f"{FIGURES}/{name} is not what {LIST} says (another size or SHA-256)")
    return found


def to_show(package: Path, manifests: Mapping[str, Manifest]) -> list[str]:
    """Name the pictures that a card may show: whole, and of what the configs hold."""
    try:
        pictures = read_pictures(package)
    except ground.AvmitError:
        return []  # `avmit verify` says what is wrong with it
    if pictures is None or not pictures.are_of(manifests):
        return []
    where = package / FIGURES
    return [name for name, picture in pictures.files.items() if _is_intact(where / name, picture)]


def publish_pictures(space: Workspace, pictures: Mapping[str, bytes], of: Pictures) -> bool:
    """Let pictures, of which LIST is to say `of`, be the ones of a package; tell if any changed.

    They take the place of earlier ones in one step.

    Raises:
        AvmitError: the folder holds a file that avmit did not make.
    """
    published, aside = space.out / FIGURES, space.out / f".{FIGURES}.replaced"
    bring_back(published, aside)
    check_pictures_replaceable(space.out)
    staged = space.folder(FIGURES)
    content = {**pictures, LIST: of.to_bytes()}
    for name, data in content.items():
        write_whole(staged / name, data)
    changed = not _holds(published, content)
    if changed:
        check_pictures_replaceable(space.out)
        put_in_place(staged, published, aside)
    for folder in (staged, aside, *space.earlier(FIGURES)):
        if folder in (staged, aside) or is_given_up(folder):
            _remove(folder)
    return changed


def check_pictures_replaceable(package: Path) -> None:
    """Refuse to replace a folder of pictures that holds anything else.

    Raises:
        AvmitError: it does, or is no folder, or its list cannot be read.
    """
    folder = package / FIGURES
    if not os.path.lexists(folder):
        return
    remedy = "would be replaced and avmit did not make it: move it away"
    if folder.is_symlink() or not folder.is_dir():
        raise ground.AvmitError(f"{folder} {remedy}")
    pictures = read_pictures(package)
    ours: Sequence[str] = [] if pictures is None else [LIST, *pictures.files]
    for path in sorted(folder.iterdir()):
        if path.name not in ours or path.is_symlink() or not path.is_file():
            raise ground.AvmitError(f"{printable(str(path))} {remedy}")


def _is_intact(path: Path, picture: Picture) -> bool:
    try:
        found = path.stat()
        regular = stat.S_ISREG(found.st_mode) and found.st_size == picture.bytes
        return regular and sha256_of(path) == picture.sha256
    except OSError:
        return False


def _holds(folder: Path, content: Mapping[str, bytes]) -> bool:
    """Tell whether a folder that may be replaced has these files, and no others."""
    if not folder.is_dir() or {path.name for path in folder.iterdir()} != content.keys():
        return False
    return all((folder / name).read_bytes() == data for name, data in content.items())


def _remove(folder: Path) -> None:
    """Remove what `publish_pictures` put into a folder, and it, unless anything else is there."""
    if folder.is_symlink() or not folder.is_dir():
        return
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            ours = path.name in (LIST, *ALT) or PART.fullmatch(path.name)
            if ours and path.is_file() and not path.is_symlink():
                path.unlink(missing_ok=True)
        folder.rmdir()
