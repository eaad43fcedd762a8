"""Check that a package's folders are what they should be, before a shard is read."""

from pathlib import Path
from typing import get_args

from conversion.package.manifest import BAD, BAD_VIDEOS, INDEX, MISSING, NAME, Manifest
from conversion.package.writer import Format
from conversion.verify.check import Check, judged

_SUFFIXES = tuple(f".{name}" for name in get_args(Format))


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
    """Check that a config's folder has no other files, and say how many shards it has."""
    named = {shard.file for shard in manifest.shards}
    others = {path.name for path in (package / config).iterdir() if _seen(path)}
    others -= named | {NAME, INDEX, MISSING, BAD, BAD_VIDEOS}
    unknown = [f"the manifest does not name {name}" for name in sorted(others)]
    counts = ", ".join(f"{split} {len(shards)}" for split, shards in manifest.splits.items())
    return [
        judged("files", config, unknown, "none but the manifest's"),
        Check("numbering", config, True, f"complete: {counts}"),  # or it were no manifest
    ]


def _seen(path: Path) -> bool:
    return not path.name.startswith(".")
