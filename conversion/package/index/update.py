"""`avmit index`: give the configs of a package that is there their indexes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from avmit import AvmitError
from conversion.package.index.build import NoIndex, build_index
from conversion.package.index.index_file import Index
from conversion.package.manifest import INDEX, Manifest, read_package
from conversion.package.staging import is_intact
from conversion.package.workspace import workspace
from conversion.whole import read_regular, write_whole


@dataclass(frozen=True)
class Indexed:
    """What became of a config's index, of `size` bytes; without one, `reason` says why."""

    config: str
    changed: bool
    index: Index | None = None
    size: int = 0
    reason: str = ""


def index_package(
    package: Path,
    configs: Sequence[str] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Indexed]:
    """Write index.json beside the shards of `configs` or of all; the shards are only read.

    An index that is there is replaced if it is another, and deleted where shards have none.
    `progress` is told of (bytes of shards done since the last call, all there are).

    Raises:
        AvmitError: there is no such package or config, a shard is not what its manifest says, or
            the folder is in use or not writable.
    """
    manifests = read_package(package)
    unknown = [name for name in configs or () if name not in manifests]
    if unknown:
        there = ", ".join(manifests)
        raise AvmitError(f"no config '{unknown[0]}' in {package}; there are: {there}")
    chosen = [m for name, m in manifests.items() if not configs or name in configs]
    total = sum(shard.bytes for manifest in chosen for shard in manifest.shards)
    progress(0, total)
    with workspace(package, remedy="make it writable, or copy the package"):
        return [
            _index(package / manifest.config, manifest, lambda size: progress(size, total))
            for manifest in chosen
        ]


def _index(folder: Path, manifest: Manifest, done: Callable[[int], None]) -> Indexed:
    path = folder / INDEX
    if manifest.format == "arrow":
        for shard in manifest.shards:
            if not is_intact(folder / shard.file, shard):
                raise AvmitError(
                    f"{folder / shard.file} is not what its manifest says (another size or "
                    "SHA-256): make or fetch the config again"
                )
            done(shard.bytes)
    try:
        index = build_index(folder, manifest)
    except NoIndex as error:
        is_there = path.is_file()
        path.unlink(missing_ok=True)
        return Indexed(manifest.config, is_there, reason=str(error))
    text = index.to_bytes()
    changed = _content(path) != text
    if changed:
        write_whole(path, text)
    return Indexed(manifest.config, changed, index, len(text))


def _content(path: Path) -> bytes | None:
    try:
        return read_regular(path)
    except OSError:
        return None
