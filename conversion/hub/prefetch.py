"""`avmit prefetch`: bring a package, or some of its configs, from the Hub into a folder."""

import errno
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from avmit import AvmitError
from conversion.card.head import keep_configs
from conversion.card.readme import NAME as CARD
from conversion.card.readme import write_card
from conversion.card.render import render_card
from conversion.hub.errors import explained
from conversion.hub.remote_package import RemotePackage, open_remote
from conversion.package.index.kept import Range, holes_of, kept_name, length_of
from conversion.package.kind import check_one_kind
from conversion.package.manifest import (
    Manifest,
    Shard,
    check_one_format,
    config_names,
    read_manifests,
)
from conversion.package.pictures import publish_pictures
from conversion.package.reader import read_batches
from conversion.package.schema import read_features
from conversion.package.staging import Staging, is_intact
from conversion.package.workspace import Workspace, workspace
from conversion.threads import Pause, run_threads
from conversion.wording import first_line, format_bytes
from conversion.workers import Progress

PARALLEL = 4
"""How many shards are fetched at a time by default."""
MOST_PARALLEL = 32

_HELD = 64 * 1024 * 1024
"""How many bytes are asked for at a time in all; twice as many are held in memory at most."""
_LEAST_RANGE = 2 * 1024 * 1024

T = TypeVar("T")
Lists = dict[str, list[tuple[str, ...]]]


@dataclass(frozen=True)
class Prefetched:
    """A config that is in the folder now; `kept` and `fetched` count shards, `received` bytes."""

    manifest: Manifest
    changed: bool
    kept: int
    fetched: int
    received: int


@dataclass(frozen=True)
class _Config:
    """A config on its way; `wanted` are the shards that are not here yet, `received` bytes.

    `holes` are what those lack that a stream kept parts of, by file.
    """

    manifest: Manifest
    staging: Staging
    wanted: list[Shard]
    holes: dict[str, list[Range]]
    received: list[int] = field(default_factory=list)


def prefetch(
    repo_id: str,
    out: Path,
    configs: Sequence[str] | None = None,
    revision: str | None = None,
    progress: Progress = lambda done, total: None,
    say: Callable[[str], None] = lambda line: None,
    parallel: int = PARALLEL,
) -> tuple[str, list[Prefetched]]:
    """Make the folder `out` hold `configs` of a package on the Hub, or all, as they are there now.

    Everything is of the one commit that `revision` (by default main) is at the start; the commit's
    hash is returned with the configs. Shards that are here with the right SHA-256 are kept, what a
    run that was cut off left is gone on with, and each shard is checked against its manifest before
    anything is seen. Configs appear one by one, whole; other configs in `out` stay. The card is the
    one that is in `out`, or else the Hub's, with the configs that are in `out`. `say` hears of
    waits for the Hub, and where the card's pictures cannot be brought. Up to `parallel` shards
    come at a time; where one cannot be brought, the others stop, and what came of them is
    gone on with the next time.

    Raises:
        AvmitError: the Hub cannot be reached or has no such package, the package is malformed, a
            shard is not what its manifest says, or `out` is in use, full or not writable.
    """
    with explained(repo_id, revision):
        remote = open_remote(repo_id, revision, say)
        return _prefetch(remote, out, configs, progress, say, parallel)


def _prefetch(
    remote: RemotePackage,
    out: Path,
    configs: Sequence[str] | None,
    progress: Progress,
    say: Callable[[str], None],
    parallel: int,
) -> tuple[str, list[Prefetched]]:
    manifests = remote.manifests(configs)
    card = remote.card()
    done = []
    try:
        with workspace(out) as space:
            check_one_format(out, {name: m.format for name, m in manifests.items()})
            check_one_kind(out, {name: m.listed for name, m in manifests.items()})
            coming = [_look(remote, manifest, space) for manifest in manifests.values()]
            missing = sum(_missing_bytes(config) for config in coming)
            _check_space(out, missing)
            progress(0, missing)
            pause, told = Pause(), threading.Lock()
            fetching = _Fetching(
                remote.pausing(_one_by_one(told, say), pause),
                max(_LEAST_RANGE, _HELD // parallel),
                _one_by_one(told, lambda size: progress(size, missing)),
            )
            tasks = [task for config in coming for task in fetching.tasks(config)]
            with closing(run_threads(tasks, parallel, pause)) as fetched:
                for config in coming:
                    lists, *_ = [next(fetched) for _ in (None, *config.wanted)]
                    done.append(_finish(remote, config, lists))
                    last = len(done) == len(coming)
                    if last:
                        _bring_pictures(remote, space, say)
                    _write_card(remote, card, out, last=last, say=say)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise AvmitError(
                f"the disk of {out} is full: make room and run again, it goes on where it stopped"
            ) from None
        raise
    return remote.repository.commit, done


def _look(remote: RemotePackage, manifest: Manifest, space: Workspace) -> _Config:
    """See which shards are here, published or left by a run that was cut off, and stage them."""
    staging = Staging(space, manifest.config, manifest.bad_list)
    wanted = []
    for shard in manifest.shards:
        here = staging.left_of(shard.file)
        found = next((path for path in here if is_intact(path, shard)), None)
        if found is None:
            wanted.append(shard)
            staging.take_over(_part(staging, shard).name)
            staging.take_over(_kept(staging, shard).name)
        else:
            staging.adopt(found)
    kept = any(_kept(staging, shard).exists() for shard in wanted)
    index = remote.index(manifest) if kept else None
    left = {shard.file: shard.bytes - _size(_part(staging, shard)) for shard in wanted}
    holes = holes_of(index, staging.folder, left) if index else {}
    return _Config(manifest, staging, wanted, holes)


def _missing_bytes(config: _Config) -> int:
    return sum(
        length_of(config.holes[shard.file])
        if shard.file in config.holes
        else shard.bytes - _size(_part(config.staging, shard))
        for shard in config.wanted
    )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _check_space(out: Path, missing: int) -> None:
    free = shutil.disk_usage(out).free
    if missing > free:
        raise AvmitError(
            f"{format_bytes(missing)} are to come and the disk of {out} has {format_bytes(free)}: "
            "make room, choose another --out, or fetch fewer configs with --config"
        )


@dataclass(frozen=True)
class _Fetching:
    """How shards are fetched in threads: `came` is told of bytes, one thread at a time."""

    remote: RemotePackage
    most: int
    came: Callable[[int], None]

    def tasks(self, config: _Config) -> Iterator[Callable[[], Any]]:
        """Yield what there is to do for a config: its lists, which come back, then the shards."""
        yield partial(self.remote.lists, config.manifest)
        for shard in config.wanted:
            yield partial(self._bring, config, shard)

    def _bring(self, config: _Config, shard: Shard) -> None:
        path, part = f"{config.manifest.config}/{shard.file}", _part(config.staging, shard)

        def came(size: int) -> None:
            config.received.append(size)
            self.came(size)

        if shard.file in config.holes:
            kept = _kept(config.staging, shard)
            self.remote.fill(path, kept, config.holes[shard.file], self.most, came)
            if is_intact(kept, shard):
                kept.replace(config.staging.shard(shard.file))
                return
        self.remote.bring(path, shard, part, self.most, came)
        part.replace(config.staging.shard(shard.file))


def _one_by_one(lock: threading.Lock, call: Callable[[T], None]) -> Callable[[T], None]:
    """Let threads call it one at a time."""

    def calling(value: T) -> None:
        with lock:
            call(value)

    return calling


def _finish(remote: RemotePackage, config: _Config, lists: Lists) -> Prefetched:
    """Look at what came of a config, and let the config be seen."""
    manifest, staging = config.manifest, config.staging
    _check_batches(remote, config)
    try:
        features = read_features(staging.folder, manifest)
        render_card({manifest.config: manifest}, {manifest.config: features})
    except (AvmitError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise AvmitError(
            f"{manifest.config} in '{remote.repo_id}' has a manifest or shards that make no sense "
            f"({error}): ask its owner to push it again"
        ) from None
    staging.prepare(manifest, lists)
    changed = staging.publish()
    kept = sum(map(len, manifest.splits.values())) - len(config.wanted)
    return Prefetched(manifest, changed, kept, len(config.wanted), sum(config.received))


def _check_batches(remote: RemotePackage, config: _Config) -> None:
    """Read what came once: a shard with the right SHA-256 may still be one that crashes readers.

    Raises:
        AvmitError: it is, or has another number of rows; it is deleted.
    """
    staging = config.staging
    for shard in config.manifest.shards:
        path, published = staging.shard(shard.file), staging.published / shard.file
        if published.exists() and path.samefile(published):
            continue
        try:
            rows = sum(batch.num_rows for batch in read_batches(path))
            problem = "" if rows == shard.rows else f"it has {rows:,} rows, not {shard.rows:,}"
        except AvmitError as error:
            problem = first_line(error.__cause__ or error)
        if problem:
            path.unlink()
            name = remote.name(f"{config.manifest.config}/{shard.file}")
            raise AvmitError(
                f"{name} makes no sense ({problem}): nothing of it is kept; "
                "ask its owner to push it again"
            )


def _bring_pictures(remote: RemotePackage, space: Workspace, say: Callable[[str], None]) -> None:
    """Bring the card's pictures if they are of what the folder holds; the card can be without."""
    try:
        brought = remote.pictures(read_manifests(space.out)[0])
        if brought is not None:
            publish_pictures(space, brought[1], brought[0])
    except AvmitError as error:
        say(f"the card's pictures are not brought: {error}")


def _write_card(
    remote: RemotePackage, card: str, out: Path, last: bool, say: Callable[[str], None]
) -> None:
    """Write the card; what is wrong with another config may be mended until the last one came."""
    theirs = "" if (out / CARD).exists() else card
    try:
        try:
            write_card(out, keep_configs(theirs, config_names(out)) if theirs else "")
        except AvmitError:
            if not theirs:
                raise
            write_card(out)
            say(f"{CARD} in '{remote.repo_id}' cannot be made out: a new one is written")
    except AvmitError as error:
        if last:
            raise AvmitError(f"{out}: all came, but {CARD} cannot be written: {error}") from None


def _kept(staging: Staging, shard: Shard) -> Path:
    """Return where a shard grows of which a stream kept parts."""
    return staging.folder / kept_name(shard.file, shard.sha256)


def _part(staging: Staging, shard: Shard) -> Path:
    """Return where a shard grows: never on what came of another shard of the same name."""
    return staging.folder / f".{shard.file}.{shard.sha256[:16]}.part"
