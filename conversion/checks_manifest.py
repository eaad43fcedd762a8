"""Check that a package's folders and manifests are what they should be, before a shard is read."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import avmit
from avmit import AvmitError
from conversion.annotations import Split
from conversion.checks import Check, judged
from conversion.manifest import (
    BAD,
    BAD_VIDEOS,
    MISSING,
    NAME,
    Manifest,
    read_manifest,
    read_package,
)
from conversion.shards import Compression, Encoding, Format, shard_name

_SUFFIXES = tuple(f".{name}" for name in get_args(Format))
_COLUMNS = ("audio", "visual")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def read_manifests(package: Path) -> tuple[dict[str, Manifest], list[Check]]:
    """Read the well-formed manifests by config, ratings first, and check every one.

    Raises:
        AvmitError: there is no package there.
    """
    folders = sorted(path.parent for path in package.glob(f"*/{NAME}") if _seen(path.parent))
    if not folders:
        return read_package(package), []  # it says what is missing
    manifests: dict[str, Manifest] = {}
    checks = []
    for folder in folders:
        try:
            manifest = read_manifest(folder)
            problems = list(manifest_problems(manifest, folder.name))
        except (AvmitError, OSError, RecursionError) as error:
            checks.append(Check("manifest", folder.name, False, str(error)))
            continue
        checks.append(judged("manifest", folder.name, problems, "well-formed"))
        if not problems:
            manifests[folder.name] = manifest
    return dict(sorted(manifests.items(), key=lambda item: (bool(item[1].dims), item[0]))), checks


def package_check(package: Path) -> Check:
    """Check that no config lacks its manifest, and that no script keeps `datasets` from loading."""
    problems = [
        f"{folder.name} has shards and no {NAME}"
        for folder in sorted(path for path in package.iterdir() if path.is_dir() and _seen(path))
        if not (folder / NAME).exists() and any(p.suffix in _SUFFIXES for p in folder.iterdir())
    ]
    # datasets takes a script of the folder's name for the builder, and from 4.0 on refuses it.
    scripts = {f"{package.resolve().name}.py", "avmit.py"}
    problems += [
        f"{name} keeps datasets from loading the folder: take it away"
        for name in sorted(scripts)
        if (package / name).exists()
    ]
    return judged("package", ".", problems, "every folder of shards has its manifest")


def folder_checks(package: Path, config: str, manifest: Manifest) -> list[Check]:
    """Check that a config's folder has no other files, and that its shards are numbered right."""
    named = {shard.file for shards in manifest.splits.values() for shard in shards}
    others = {path.name for path in (package / config).iterdir() if _seen(path)}
    others -= named | {NAME, MISSING, BAD, BAD_VIDEOS}
    unknown = [f"the manifest does not name {_printable(name)}" for name in sorted(others)]
    numbering = numbering_problems(manifest)
    counts = ", ".join(f"{split} {len(shards)}" for split, shards in manifest.splits.items())
    return [
        judged("files", config, unknown, "none but the manifest's"),
        judged("numbering", config, numbering, f"complete: {counts}"),
    ]


def numbering_problems(manifest: Manifest) -> list[str]:
    """Name the shards that are not called as their place among the others says."""
    format: Any = manifest.format
    return [
        f"{split} shard {index} of {len(shards)} is {shard.file}"
        for split, shards in manifest.splits.items()
        for index, shard in enumerate(shards)
        if shard.file != shard_name(split, index, len(shards), Encoding(format))
    ]


def manifest_problems(manifest: Any, folder: str) -> Iterator[str]:
    """Say what in a manifest, read from JSON of any shape, is not of the right kind."""
    if manifest.config != folder:
        yield f"config is {manifest.config!r}, its folder '{folder}'"
    if manifest.format not in get_args(Format):
        yield f"format is {manifest.format!r}"
    if manifest.compression not in get_args(Compression):
        yield f"compression is {manifest.compression!r}"
    if not isinstance(manifest.source, dict) or not isinstance(manifest.source.get("kind"), str):
        yield "source has no kind"
    for name in ("missing_records", "bad_records"):
        if not _whole(getattr(manifest, name)):
            yield f"{name} is {getattr(manifest, name)!r}"
    dims = manifest.dims
    if not isinstance(dims, dict) or not all(
        name in _COLUMNS and _whole(width) and width for name, width in dims.items()
    ):
        yield f"dims are {dims!r}"
        return
    if bool(dims) == (folder in avmit.RATINGS_CONFIGS):
        yield "ratings have dims" if dims else "dims are empty"
    if not manifest.splits or not all(manifest.splits.values()):
        yield "a split has no shards"
    for split, shards in manifest.splits.items():
        if split not in get_args(Split):
            yield f"a split is called {split!r}"
        for shard in shards:
            yield from _shard_problems(shard, dims)


def _shard_problems(shard: Any, dims: Mapping[str, int]) -> Iterator[str]:
    if not isinstance(shard.file, str) or not re.fullmatch(r"\w[\w.-]*", shard.file):
        yield f"a shard's file is {shard.file!r}"
        return
    for name in ("rows", "bytes"):
        if not _whole(getattr(shard, name)):
            yield f"{shard.file}: {name} is {getattr(shard, name)!r}"
    if not isinstance(shard.sha256, str) or not _SHA256.fullmatch(shard.sha256):
        yield f"{shard.file}: sha256 is {shard.sha256!r}"
    if not isinstance(shard.timesteps, dict) or (
        shard.rows and shard.timesteps.keys() != dims.keys()
    ):
        yield f"{shard.file}: timesteps are {shard.timesteps!r}"
        return
    for name, found in shard.timesteps.items():
        if not (isinstance(found, list) and len(found) == 2 and all(map(_whole, found))):
            yield f"{shard.file}: timesteps of {name} are {found!r}"


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _seen(path: Path) -> bool:
    return not path.name.startswith(".")


def _printable(name: str) -> str:
    return name.encode(errors="replace").decode()
