"""Keeping what comes of a package in a folder, for the next epoch, the next run and `prefetch`."""

import errno
import os
import threading
import warnings
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa

from avmit import AvmitError
from conversion.package.index.index_file import Index, IndexedShard
from conversion.package.index.kept import (
    Span,
    fill_known,
    has,
    kept_name,
    missing,
    spans,
    write_at,
)
from conversion.package.manifest import Manifest, read_manifest, sha256_of
from conversion.package.manifest_problems import CONFIG_NAME
from conversion.package.workspace import Workspace, is_given_up, workspace
from conversion.whole import open_at_will, open_regular
from experiments.feeding.stream.source import Source, logger


class Kept(Source):
    """A package read from where it lies, of which `folder`, below `keep`, gets what comes.

    Every column that is read there is compared with its CRC32C, and fetched if it has another:
    threads, workers and ranks may read and write side by side, be cut off, and find the folder
    gone. `earlier` are other folders in which shards may lie.
    """

    def __init__(
        self, remote: Source, index: Index, keep: Path, folder: Path, earlier: Sequence[Path]
    ):
        self.name = remote.name
        self._remote = remote
        self._index = index
        self._shards = {f"{index.config}/{shard.file}": shard for shard in index.shards}
        self._keep = keep
        self._folder = folder
        self._earlier = tuple(earlier)
        self._foreign: set[str] = set()
        self._stopped = False
        self._lock = threading.Lock()

    def text(self, path: str) -> bytes:
        """Return a small file, as it is now where the package lies."""
        return self._remote.text(path)

    def read(self, path: str, start: int, length: int) -> Any:
        """Return a part of a record batch that begins and ends with a column, from here or there.

        Where only some of its columns are here, only the others come.
        """
        shard = self._shards[path]
        number = bisect_right(shard.batches, start, key=lambda batch: batch.offset) - 1
        end = start + length
        columns = [s for s in spans(shard.batches[number]) if start <= s[0] and s[1] <= end]
        here, lacking = self._here(shard, start, length, columns)
        if not lacking:
            return here
        if lacking == columns:
            return self._fetched(path, start, end, columns)
        for run in _runs(columns, lacking):
            first, last = run[0][0], run[-1][1]
            here[first - start : last - start] = self._fetched(path, first, last, run)
        return here

    def _here(
        self, shard: IndexedShard, start: int, length: int, columns: list[Span]
    ) -> tuple[Any, list[Span]]:
        """Return what is here, the columns that are right only, and those that are not."""
        found, lacking = bytearray(), columns
        for path in self._places(shard):
            with suppress(OSError), open_regular(path) as file:
                file.seek(start)
                data = file.read(length)
                view = pa.py_buffer(data)
                right = {span for span in lacking if has(view, start, span)}
                if len(right) == len(columns):
                    return data, []
                if right and not found:
                    found = bytearray(length)
                for first, end, _ in right:
                    found[first - start : end - start] = data[first - start : end - start]
                lacking = [span for span in lacking if span not in right]
                del data, view
            if not lacking:
                break
        return found, lacking

    def _places(self, shard: IndexedShard) -> Iterator[Path]:
        yield self._keep / self._index.config / shard.file
        for folder in (self._folder, *self._earlier):
            yield folder / shard.file
            yield folder / kept_name(shard.file, shard.sha256)

    def _fetched(self, path: str, start: int, end: int, columns: Sequence[Span]) -> Any:
        """Fetch a part of a shard, and keep it if its columns are right; who reads it looks too."""
        data = self._remote.read(path, start, end - start)
        view = pa.py_buffer(data)
        if not self._stopped and all(has(view, start, column) for column in columns):
            shard = self._shards[path]
            try:
                self._write(self._folder / kept_name(shard.file, shard.sha256), start, data)
            except OSError as error:
                self._stop(error)
        return data

    def _write(self, path: Path, start: int, data: Any) -> None:
        try:
            file = open_at_will(path)
        except FileNotFoundError:  # nothing was kept yet, or `prefetch` has made a package of it
            path.parent.mkdir(parents=True, exist_ok=True)
            file = open_at_will(path)
        with file:
            write_at(file, start, data)

    def _stop(self, error: OSError) -> None:
        with self._lock:
            if self._stopped:
                return
            self._stopped = True
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        why = "its disk is full" if full else error.strerror or str(error)
        warnings.warn(
            f"nothing more is kept in {self._keep} ({why}): the stream goes on without",
            stacklevel=2,
        )

    def settle(self) -> None:
        """Let each shard that is whole by now have its name, if its SHA-256 is the manifest's.

        `prefetch` then takes it as it is.
        """
        for shard in self._index.shards:
            kept_file = self._folder / kept_name(shard.file, shard.sha256)
            whole = self._folder / shard.file
            if shard.file in self._foreign or whole.exists() or not kept_file.is_file():
                continue
            with suppress(OSError):  # another rank may be faster, or the disk full
                if self._is_whole(kept_file, shard):
                    kept_file.replace(whole)

    def _is_whole(self, path: Path, shard: IndexedShard) -> bool:
        with open_at_will(path) as file:
            if next(missing(file, shard), None) is not None:
                return False
            unknown = fill_known(file, shard, self._index.schema)
            os.fsync(file.fileno())
        if not unknown and sha256_of(path) == shard.sha256:
            return True
        # All columns are right, what is between them is not: `prefetch` will fetch it.
        logger.info("%s: not the shard of its manifest but for its columns", path)
        self._foreign.add(shard.file)
        return False

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())


def _runs(columns: list[Span], some: list[Span]) -> Iterator[list[Span]]:
    """Cut some of the columns into those that lie one after another."""
    for lacks, run in groupby(columns, some.__contains__):
        if lacks:
            yield list(run)


def kept(remote: Source, keep: Any, manifest: Manifest, index: Index) -> Source:
    """Return a source that reads what is in the folder `keep`, and keeps there what comes.

    Raises:
        AvmitError: it cannot be written to, and does not have the whole config.
    """
    try:
        folder = Path(os.fspath(keep)).absolute()
    except TypeError:
        raise AvmitError(f"keep={keep!r} is no folder") from None
    config = manifest.config
    if not CONFIG_NAME.fullmatch(config):
        raise AvmitError(f"keep={str(keep)!r}: '{config}' cannot be the name of a folder")
    shared = Workspace(folder, "").shared(config)
    if _is_published(folder / config, manifest):
        return Kept(remote, index, folder, shared, ())
    with workspace(folder, lock=False, remedy="choose another keep=") as space:
        if shared.is_symlink():
            raise AvmitError(f"{shared} is not a folder of avmit's but a link: delete it")
        try:
            shared.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise AvmitError(
                f"cannot write to {folder} ({error.strerror}): choose another keep="
            ) from None
        earlier = [path for path in space.earlier(config) if path != shared]
        _bring_back(earlier, shared)
        return Kept(remote, index, folder, shared, earlier)


def _is_published(folder: Path, manifest: Manifest) -> bool:
    with suppress(AvmitError):
        return read_manifest(folder).shards == manifest.shards
    return False


def _bring_back(earlier: Sequence[Path], shared: Path) -> None:
    """Take what a `prefetch` that was cut off took, so that the rest comes to lie in one file."""
    for folder in filter(is_given_up, earlier):
        for path in folder.glob(".*.kept.part"):
            with suppress(OSError):
                if not (shared / path.name).exists():
                    path.replace(shared / path.name)
