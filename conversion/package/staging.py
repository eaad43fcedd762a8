"""Build configs out of sight in the output folder, and let each appear at once when it is whole.

Nothing is removed or replaced that avmit did not make: a config's folder only if its manifest names
every file in it, and of a run's own folder only what runs put there.
"""

import contextlib
import csv
import io
import json
import os
import re
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from avmit import AvmitError
from conversion.package.exchange import bring_back, put_in_place
from conversion.package.index.build import NoIndex, ShardIndex, build_index, joined
from conversion.package.manifest import (
    BAD,
    BAD_VIDEOS,
    INDEX,
    MISSING,
    NAME,
    Manifest,
    Shard,
    read_manifest,
    sha256_of,
)
from conversion.package.workspace import Workspace, is_given_up, take_over
from conversion.whole import read_regular, write_whole

BACKENDS = ".backends.json"
"""By which backends an extraction's encoders are computed, while it is not finished."""

_BESIDE = (NAME, INDEX, MISSING, BAD, BAD_VIDEOS)
"""What stands beside the shards of a config."""

_MADE = re.compile(
    r"\w+-\d{5}-of-\d{5}\.(arrow|parquet)|\..+\.(arrow|parquet)\.(.+\.)?(json|part|spill)"
    r"|\.avmit-[0-9a-f]{16}\.part|[0-9a-f]{64}\.(json|spill)|\.backends\.json"
)
"""What runs put into their folders beside those."""


@dataclass
class ShardResult:
    """What became of a task: the shard, or None where bad records stopped it.

    `bad` has (tfrecord_filename, reason).
    """

    shard: Shard | None
    bad: list[tuple[str, str]] = field(default_factory=list)


class Staging:
    """The place where one config is built before it is published into the workspace's output.

    `bad_list` is the name of its list of what was left out.

    Raises:
        AvmitError: publishing would replace a file that avmit did not make.
    """

    def __init__(self, space: Workspace, config: str, bad_list: str = BAD):
        self._bad_list = bad_list
        self._aside = space.out / f".{config}.replaced"
        self.published = space.out / config
        bring_back(self.published, self._aside)
        check_replaceable(self.published)
        self._earlier = space.earlier(config)
        self.folder = space.folder(config)

    def shard(self, name: str) -> Path:
        """Return where the shard of that name is built."""
        return self.folder / name

    def record(self, result: ShardResult) -> None:
        """Note that a shard is finished, so that the next run can keep it."""
        assert result.shard is not None
        mark = self.folder / _mark(result.shard.file)
        write_whole(mark, json.dumps(asdict(result)).encode())

    def candidates(
        self, name: str, records: set[str]
    ) -> Iterator[tuple[Path, Shard, list[tuple[str, str]]]]:
        """Yield what earlier runs left of a shard: unfinished work first, then what is published.

        Each comes with its file and the bad records left out of it, of those in `records`.
        """
        for folder in self._earlier:
            path = folder / name
            with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
                mark = json.loads(read_regular(folder / _mark(name)))
                bad = [(record, reason) for record, reason in mark["bad"]]
                if _is_file(path):
                    yield path, Shard(**mark["shard"]), bad
        # Work that was cut off while it was being published has a manifest already.
        for folder in (*self._earlier, self.published):
            path = folder / name
            with contextlib.suppress(AvmitError):
                for shard in read_manifest(folder).shards:
                    if shard.file == name and _is_file(path):
                        listed = read_bad(folder, self._bad_list)
                        yield path, shard, [row for row in listed if row[0] in records]

    def begun(self, name: str) -> Path | None:
        """Return the file of that name beside what the latest unfinished run has done, if any."""
        for folder in self._earlier:
            names = {path.name for path in folder.iterdir()}
            if any(one.endswith((".json", ".spill")) for one in names - {name}):
                return folder / name if _is_file(folder / name) else None
        return None

    def left_of(self, name: str) -> list[Path]:
        """Return the files of a shard's name that earlier runs left, what is published last."""
        found = [folder / name for folder in (*self._earlier, self.published)]
        return [path for path in found if _is_file(path)]

    def adopt(self, path: Path) -> None:
        """Let a file of an earlier run or of the published config be part of what is built."""
        target = self.folder / path.name
        target.unlink(missing_ok=True)
        try:
            os.link(path, target, follow_symlinks=False)
        except OSError:  # a file system without links
            if path.parent != self.published and is_given_up(path.parent):
                path.replace(target)
            else:
                shutil.copyfile(path, target)

    def take_over(self, pattern: str) -> None:
        """Bring what the latest earlier run left of that pattern, to be gone on with."""
        any(take_over(folder, self.folder, pattern) for folder in self._earlier)

    def prepare(
        self,
        manifest: Manifest,
        lists: Mapping[str, Sequence[tuple[str, ...]]],
        entries: Sequence[ShardIndex] | None = None,
    ) -> None:
        """Write manifest, lists and index beside the shards, and leave nothing else there.

        `lists` are rows by file name. Shards that cannot be indexed get no index; what is known of
        it is given in `entries`, and no shard is read then.
        """
        keep = {shard.file for shard in manifest.shards}
        for path in self.folder.iterdir():
            if path.name not in keep:
                path.unlink()
        for name, rows in lists.items():
            if rows:
                text = io.StringIO()
                csv.writer(text, lineterminator="\n").writerows(rows)
                write_whole(self.folder / name, text.getvalue().encode())
        with contextlib.suppress(NoIndex):
            index = (
                build_index(self.folder, manifest) if entries is None else joined(manifest, entries)
            )
            write_whole(self.folder / INDEX, index.to_bytes())
        manifest.write(self.folder)

    def publish(self) -> bool:
        """Let what was prepared replace what the output has under its name, if it is another.

        Returns whether anything changed.

        Raises:
            AvmitError: a file came into the published folder meanwhile that avmit did not make.
        """
        changed = not _same(self.folder, self.published)
        if changed:
            check_replaceable(self.published)
            put_in_place(self.folder, self.published, self._aside)
        for folder in (self.folder, self._aside, *self._earlier):
            if folder in (self.folder, self._aside) or is_given_up(folder):
                remove_made(folder)
        return changed


def check_replaceable(published: Path) -> None:
    """Refuse to replace a folder that is not a config of avmit's and nothing else.

    Raises:
        AvmitError: it is no folder, is a link, has no sound manifest, or holds a file that the
            manifest does not name.
    """
    if not os.path.lexists(published):
        return
    remedy = "would be replaced and avmit did not make it: move it away, or choose another --out"
    if published.is_symlink() or not published.is_dir():
        raise AvmitError(f"{published} {remedy}")
    there = sorted(path.name for path in published.iterdir())
    if not there:
        return
    try:
        manifest = read_manifest(published)
    except AvmitError as error:
        first = next((name for name in there if name != NAME), NAME)
        raise AvmitError(f"{published / first} {remedy} ({error})") from None
    named = _named(manifest)
    foreign = [name for name in there if name not in named or not _is_file(published / name)]
    if foreign or manifest.config != published.name:
        raise AvmitError(f"{published / (foreign or there)[0]} {remedy}")


def check_inputs(published: Path, inputs: Iterable[Path]) -> None:
    """Refuse to replace a folder that holds what the run reads.

    Raises:
        AvmitError: one of `inputs` lies in it.
    """
    folder = published.resolve()
    for path in inputs:
        if path.resolve().is_relative_to(folder):
            raise AvmitError(
                f"{path} is to be read and lies in {published}, which would be replaced: "
                "move it away, or choose another --out"
            )


def remove_made(folder: Path) -> None:
    """Remove what runs put into a folder, and then the folder, unless anything else is in it."""
    if folder.is_symlink() or not folder.is_dir():
        return
    names = set()
    with contextlib.suppress(AvmitError):
        names = _named(read_manifest(folder))
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            known = path.name in names or path.name in _BESIDE or _MADE.fullmatch(path.name)
            if known and _is_file(path):
                path.unlink(missing_ok=True)
        folder.rmdir()


def is_intact(path: Path, shard: Shard) -> bool:
    """Tell whether a file is the finished shard, by its size and its SHA-256."""
    try:
        found = path.stat()
        same_size = stat.S_ISREG(found.st_mode) and found.st_size == shard.bytes
        return same_size and sha256_of(path) == shard.sha256
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
        if name in _BESIDE
        else (built / name).samefile(published / name)
        for name in names
    )


def _named(manifest: Manifest) -> set[str]:
    """Return what a config's manifest names: lists of what was left out only if something was."""
    lists = {MISSING: manifest.missing_records, manifest.bad_list: manifest.bad_records}
    listed = {name for name, count in lists.items() if count}
    return {NAME, INDEX, *listed, *(shard.file for shard in manifest.shards)}


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _mark(name: str) -> str:
    return f".{name}.json"
