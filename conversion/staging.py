"""Build configs out of sight in the output folder, and let each appear at once when it is whole."""

import contextlib
import csv
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

import filelock

from avmit import AvmitError
from conversion.embeddings import ShardResult
from conversion.manifest import (
    BAD,
    BAD_VIDEOS,
    MISSING,
    NAME,
    Manifest,
    Shard,
    read_manifest,
    sha256_of,
)

WORK = ".avmit-work"
"""The folder, below the output, of what is not finished; nothing reads it but the next run."""

_OLD = ".replaced"


@contextlib.contextmanager
def locked(out: Path) -> Iterator[Path]:
    """Hold the output folder for this process alone, making it first; yield its work folder.

    The lock is the system's, so that a killed run leaves none behind. What is left in the work
    folder is there for the next run; empty folders are not left.

    Raises:
        AvmitError: another run is at work in the folder, or it cannot be made.
    """
    lock = filelock.FileLock(out / ".avmit.lock")
    work = out / WORK
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise AvmitError(f"another run is writing to {out}: wait for it, or stop it") from None
    except OSError as error:
        raise AvmitError(
            f"cannot write to {out} ({error.strerror}): choose another --out"
        ) from None
    try:
        yield work
    finally:
        _remove_if_empty(out, work, Path(lock.lock_file))
        lock.release()


def _remove_if_empty(out: Path, work: Path, lock: Path) -> None:
    with contextlib.suppress(OSError):
        for folder in work.iterdir():
            with contextlib.suppress(OSError):
                folder.rmdir()
        work.rmdir()
    if [path.name for path in out.iterdir()] == [lock.name]:
        lock.unlink()
        out.rmdir()


class Staging:
    """The place where one config is built before it is published into `out`.

    `bad_list` is the name of its list of what was left out.
    """

    def __init__(self, out: Path, config: str, bad_list: str = BAD):
        self._bad_list = bad_list
        self.published = out / config
        self.folder = out / WORK / config
        self._replaced = out / WORK / f"{config}{_OLD}"
        if self._replaced.exists() and not self.published.exists():
            self._replaced.rename(self.published)  # a run was cut off between the two renames
        self.folder.mkdir(parents=True, exist_ok=True)

    def shard(self, name: str) -> Path:
        """Return where the shard of that name is built."""
        return self.folder / name

    def record(self, result: ShardResult) -> None:
        """Note that a shard is finished, so that the next run can keep it."""
        assert result.shard is not None
        mark = self._mark(result.shard.file)
        temporary = mark.with_suffix(".part")
        temporary.write_text(json.dumps(asdict(result)), encoding="utf-8")
        temporary.replace(mark)

    def candidates(
        self, name: str, records: set[str]
    ) -> Iterator[tuple[Path, Shard, list[tuple[str, str]]]]:
        """Yield what earlier runs left of a shard: unfinished work first, then what is published.

        Each comes with its file and the bad records left out of it, of those in `records`.
        """
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            mark = json.loads(self._mark(name).read_text(encoding="utf-8"))
            bad = [(record, reason) for record, reason in mark["bad"]]
            yield self.folder / name, Shard(**mark["shard"]), bad
        # Work that was cut off while it was being published has a manifest already.
        for folder in (self.folder, self.published):
            with contextlib.suppress(AvmitError):
                for shards in read_manifest(folder).splits.values():
                    for shard in shards:
                        if shard.file == name:
                            bad = [
                                row for row in read_bad(folder, self._bad_list) if row[0] in records
                            ]
                            yield folder / name, shard, bad

    def adopt(self, path: Path) -> None:
        """Let a shard that is published already be part of what is built."""
        target = self.folder / path.name
        if path == target:
            return
        target.unlink(missing_ok=True)
        try:
            os.link(path, target)
        except OSError:  # a file system without links
            shutil.copyfile(path, target)

    def publish(self, manifest: Manifest, lists: dict[str, list[tuple[str, ...]]]) -> bool:
        """Write manifest and lists and let the config replace what `out` has under its name.

        Files that are not part of the config are dropped; `lists` are rows by file name. Returns
        whether anything changed.
        """
        for name in (MISSING, BAD, BAD_VIDEOS):
            (self.folder / name).unlink(missing_ok=True)
        for name, rows in lists.items():
            if rows:
                with (self.folder / name).open("w", encoding="utf-8", newline="") as file:
                    csv.writer(file, lineterminator="\n").writerows(rows)
        manifest.write(self.folder)
        keep = {shard.file for shards in manifest.splits.values() for shard in shards}
        for path in self.folder.iterdir():
            if path.name not in (*keep, *lists, NAME):
                path.unlink()
        changed = not _same(self.folder, self.published)
        if changed:
            shutil.rmtree(self._replaced, ignore_errors=True)
            if self.published.exists():
                self.published.rename(self._replaced)
            self.folder.rename(self.published)
            shutil.rmtree(self._replaced, ignore_errors=True)
        else:
            shutil.rmtree(self.folder)
        return changed

    def _mark(self, name: str) -> Path:
        return self.folder / f".{name}.json"


def is_intact(path: Path, shard: Shard) -> bool:
    """Tell whether a file is the finished shard, by its size and its SHA-256."""
    try:
        return path.stat().st_size == shard.bytes and sha256_of(path) == shard.sha256
    except OSError:
        return False


def read_bad(folder: Path, name: str = BAD) -> Iterable[tuple[str, str]]:
    """Return the (tfrecord_filename, reason) rows of a config's list of what was left out."""
    try:
        with (folder / name).open(encoding="utf-8", newline="") as file:
            return [(row[0], row[1]) for row in list(csv.reader(file))[1:]]
    except (OSError, IndexError):
        return []


def _same(built: Path, published: Path) -> bool:
    """Tell whether a built config is what is published: the same lists, and shards kept from it."""
    if not published.is_dir():
        return False
    names = {path.name for path in built.iterdir()}
    if names != {path.name for path in published.iterdir()}:
        return False
    return all(
        (built / name).read_bytes() == (published / name).read_bytes()
        if name in (NAME, MISSING, BAD, BAD_VIDEOS)
        else (built / name).samefile(published / name)
        for name in names
    )
