"""manifest.json: what a config's folder holds, what it was made from, and the shards' checksums."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from conversion import ground
from conversion.package.manifest_problems import EXTRACTION, manifest_problems, numbering_problems
from conversion.whole import read_regular, write_whole
from conversion.wording import some

NAME = "manifest.json"
INDEX = "index.json"
"""Where the shards' record batches and columns lie; see `conversion.package.index`."""
MISSING = "missing_records.csv"
"""Rated videos without a record: tfrecord_filename."""
BAD = "bad_records.csv"
"""Rated videos whose record was left out: tfrecord_filename, reason."""
BAD_VIDEOS = "bad_videos.csv"
"""Videos that could not be embedded: tfrecord_filename, reason, filename; of a list filename,
reason."""
KEY = "tfrecord_filename"
"""The column that names a rated video in every config that rows are matched by."""
LISTED_KEY = "filename"
"""The column that names a video of a list."""
LONGEST = 64_000_000
"""How many bytes of a manifest are read at most."""

_AGAIN = "move the folder away and make or fetch the config again"


@dataclass(frozen=True)
class Shard:
    """A finished shard; `input_sha256` identifies all that its bytes follow from.

    `timesteps` has the smallest and the largest number by column, for shards of embeddings.
    """

    file: str
    rows: int
    bytes: int
    sha256: str
    input_sha256: str
    timesteps: dict[str, list[int]] = field(default_factory=dict)


@dataclass
class Manifest:
    """A config: `dims` are the widths by column (none for ratings), `source` the provenance.

    `missing_records` and `bad_records` count the videos that have no row; their names stand in
    MISSING and BAD beside this, or in BAD_VIDEOS where videos were embedded.
    """

    config: str
    format: str
    compression: str
    source: dict[str, Any]
    splits: dict[str, list[Shard]]
    dims: dict[str, int] = field(default_factory=dict)
    missing_records: int = 0
    bad_records: int = 0

    @property
    def extracted(self) -> bool:
        """Whether the config was made from videos, not from the published files."""
        return bool(self.source["kind"] == EXTRACTION)

    @property
    def videos(self) -> dict[str, Any]:
        """What the source says of which videos were embedded: `list`, the name of a list, with its
        `sha256` and the `count` of its videos, and `limit`, where only the first so many were.
        """
        found: dict[str, Any] = self.source.get("videos", {})
        return found

    @property
    def listed(self) -> bool:
        """Whether the videos are those of a list, and not AVMIT's rated ones."""
        return "list" in self.videos

    @property
    def key(self) -> str:
        """The column that names a video, KEY or LISTED_KEY."""
        return LISTED_KEY if self.listed else KEY

    @property
    def bad_list(self) -> str:
        """The name of the list of what was left out, BAD or BAD_VIDEOS."""
        return BAD_VIDEOS if self.extracted else BAD

    @property
    def shards(self) -> list[Shard]:
        """The shards of all splits, in order."""
        return [shard for shards in self.splits.values() for shard in shards]

    def rows(self, split: str) -> int:
        """Count the rows of a split."""
        return sum(shard.rows for shard in self.splits[split])

    def bytes(self, split: str) -> int:
        """Sum the sizes of a split's shards in bytes."""
        return sum(shard.bytes for shard in self.splits[split])

    def timesteps(self, column: str) -> tuple[int, int]:
        """Return the smallest and the largest number of timesteps in `column`."""
        found = [shard.timesteps[column] for shard in self.shards if shard.rows]
        return min(low for low, _ in found), max(high for _, high in found)

    def write(self, folder: Path) -> None:
        """Write `folder`/manifest.json, the same bytes for the same content."""
        text = json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"
        # A file name that is no UTF-8 has lone surrogates, and JSON writes them as `\udcff` too.
        write_whole(folder / NAME, text.encode("utf-8", errors="backslashreplace"))


def read_manifest(folder: Path, config: str | None = None) -> Manifest:
    """Read `folder`/manifest.json, which must be that of `config` if one is named.

    All that it says is of the right kind: nobody needs to look again.

    Raises:
        AvmitError: it is missing, cannot be read, or is not a manifest.
    """
    path = folder / NAME
    try:
        return parse_manifest(read_regular(path, LONGEST), config)
    except FileNotFoundError:
        raise ground.AvmitError(f"{path} is missing: {_AGAIN}") from None
    except OSError as error:
        reason = f"{path} cannot be read ({error.strerror})" if error.strerror else str(error)
        raise ground.AvmitError(f"{reason}: {_AGAIN}") from None
    except ValueError as error:
        raise ground.AvmitError(f"{path} is not a manifest ({error}): {_AGAIN}") from None


def parse_manifest(text: bytes, config: str | None = None) -> Manifest:
    """Return the manifest that a manifest.json says, which must be that of `config` if given.

    Raises:
        ValueError: it is no manifest; the text names up to three reasons in one line.
    """
    try:
        content = json.loads(text.decode("utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    problems = list(manifest_problems(content, config)) or list(numbering_problems(content))
    if problems:
        raise ValueError(some(problems))
    splits = {
        split: [Shard(**shard) for shard in shards] for split, shards in content["splits"].items()
    }
    return Manifest(**{**content, "splits": splits})


def config_names(package: Path) -> list[str]:
    """Name the folders of a package that have a manifest, in order; none where there are none."""
    return sorted(
        path.parent.name for path in package.glob(f"*/{NAME}") if not _hidden(path.parent)
    )


def read_package(package: Path) -> dict[str, Manifest]:
    """Read the manifests of all configs in a hub package, ratings first, then by name.

    Raises:
        AvmitError: there is no such folder, no config in it, or one with a bad manifest.
    """
    manifests = {name: read_manifest(package / name, name) for name in _configs(package)}
    return ratings_first(manifests)


def read_manifests(package: Path) -> tuple[dict[str, Manifest], dict[str, str]]:
    """Read the good manifests, as `read_package` does, and say of the others what is wrong.

    Raises:
        AvmitError: there is no such folder, or no config in it.
    """
    manifests, problems = {}, {}
    for name in _configs(package):
        path = package / name / NAME
        try:
            manifests[name] = parse_manifest(read_regular(path, LONGEST), name)
        except OSError as error:
            problems[name] = error.strerror or str(error)
        except ValueError as error:
            problems[name] = str(error)
    return ratings_first(manifests), problems


def _configs(package: Path) -> list[str]:
    if not package.is_dir():
        raise ground.AvmitError(
            f"no folder {package}: make a package with `avmit convert SOURCE --out {package}`"
        )
    names = config_names(package)
    if not names:
        raise ground.AvmitError(
            f"{package} is not an AVMIT package (no config with a {NAME}): "
            f"make one with `avmit convert SOURCE --out {package}`"
        )
    return names


def ratings_first(manifests: Mapping[str, Manifest]) -> dict[str, Manifest]:
    """Return configs in the order in which they are shown: ratings, then embeddings, by name."""
    return dict(sorted(manifests.items(), key=lambda item: (bool(item[1].dims), item[0])))


def mixed_formats(manifests: Mapping[str, Manifest]) -> str | None:
    """Say that the configs of a package are of several formats, and what to do; None if they are
    of one.

    `datasets` takes the builder for all configs of a package from the first one in the card.
    """
    return mixed({name: manifest.format for name, manifest in manifests.items()})


def mixed(formats: Mapping[str, str]) -> str | None:
    """Say what `mixed_formats` says, of formats by config."""
    by_format: dict[str, list[str]] = {}
    for name, format in formats.items():
        by_format.setdefault(format, []).append(name)
    if len(by_format) < 2:
        return None
    listed = "; ".join(f"{format}: {', '.join(names)}" for format, names in by_format.items())
    return (
        f"configs of several formats ({listed}), and datasets reads all configs of a package as "
        "one: convert all configs with one --format"
    )


def check_one_format(package: Path, coming: Mapping[str, str]) -> None:
    """Refuse configs whose formats, in `coming` by config, are not that of the package's others.

    Raises:
        AvmitError: `datasets` could not read the package that would come of it, or the manifest of
            a config that is there cannot be read.
    """
    names = [name for name in config_names(package) if name not in coming]
    problem = mixed({name: read_manifest(package / name).format for name in names} | {**coming})
    if problem is not None:
        raise ground.AvmitError(f"{package} would have {problem}, or choose another --out")


def part_of_release(manifests: Mapping[str, Manifest]) -> int | None:
    """Return how many rated videos a package is of, where that is a part of the full release.

    None for one of lists, whose videos are not AVMIT's.
    Without ratings, the rated videos are those with a row in an embedding config or without.
    """
    counts = {
        name: sum(map(m.rows, m.splits)) + m.missing_records + m.bad_records
        for name, m in manifests.items()
        if (m.dims and not m.listed) or name == "ratings"
    }
    rated = counts.get("ratings", max(counts.values(), default=ground.RATED_VIDEOS))
    return rated if rated < ground.RATED_VIDEOS else None


def sha256_of(path: Path) -> str:
    """Return a file's SHA-256 in hex, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _hidden(folder: Path) -> bool:
    return folder.name.startswith(".")
