"""`avmit export`: a config's rows as the release publishes them, one TFRecord file per video."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pyarrow as pa

from avmit import AvmitError
from conversion.cores import usable_cores
from conversion.package.manifest import Manifest, Shard, read_package
from conversion.package.reader import matrices, read_batches, read_rows, read_schema
from conversion.package.schema import check_schemas, label_names
from conversion.package.staging import is_intact, remove_made
from conversion.package.workspace import WORK, is_given_up, workspace
from conversion.release.record_sets import SUFFIX
from conversion.tfrecord.record import Record, write_record
from conversion.whole import write_whole
from conversion.workers import Progress, run_tasks

_COLUMNS = ("filename", "label", "tfrecord_filename", "audio", "visual")


@dataclass(frozen=True)
class ShardToExport:
    """A shard to turn into records below `out`; `dims` are its config's widths, and `work` is where
    records lie until they are whole.
    """

    path: Path
    shard: Shard
    dims: dict[str, int]
    out: Path
    work: Path


def export(
    package: Path,
    config: str,
    out: Path,
    workers: int | None = None,
    progress: Progress = lambda done, total: None,
) -> int:
    """Write `out`/label/name.tfrecord for each row of an embedding config; return how many.

    Same package, same bytes. A record appears under its name only when it is whole. Those that are
    there already and are the same stay, so that a run that was cut off can be gone on with; nothing
    is replaced.

    Raises:
        AvmitError: no such config or not one of both embeddings, a shard that is not as its
            manifest says, a row that names no record, or other files in `out`.
    """
    manifest = _manifest(package, config)
    workers = workers or usable_cores()
    if out.exists() and not out.is_dir():
        raise AvmitError(f"{out} is not a folder: choose another --out")
    with workspace(out, lock=False) as space:
        work = space.folder("_export")
        tasks = [
            ShardToExport(package / config / shard.file, shard, dict(manifest.dims), out, work)
            for shard in manifest.shards
        ]
        names = [name for _, found in run_tasks(_names, tasks, workers, _ignore) for name in found]
        check_schemas(package / config, manifest)
        _check_names(names, package / config)
        _check_out(out, names)
        _make_folders(out, names)
        progress(0, len(names))
        written = run_tasks(_write, tasks, workers, lambda done: progress(done, len(names)))
        count = sum(count for _, count in written)
        for folder in (work, *filter(is_given_up, space.earlier("_export"))):
            remove_made(folder)
    return count


def _manifest(package: Path, config: str) -> Manifest:
    manifests = read_package(package)
    exportable = [
        name
        for name, m in manifests.items()
        if m.dims.keys() == {"audio", "visual"} and not m.listed
    ]
    if config in exportable:
        return manifests[config]
    choose = f"choose from {', '.join(exportable) or 'none'}"
    if config not in manifests:
        raise AvmitError(f"no config '{config}' in {package}; {choose}")
    if manifests[config].listed:
        raise AvmitError(
            f"'{config}' is of the videos of a list, and records are of AVMIT's rated ones, by "
            f"their tfrecord_filename; {choose}"
        )
    raise AvmitError(
        f"'{config}' does not hold both audio and visual embeddings, as a record must; {choose}"
    )


def _ignore(done: int) -> None:
    """Take no note of progress."""


def _names(task: ShardToExport, advance: Callable[[int], None]) -> list[str]:
    """Return the names of the records in a shard, which must be as its manifest says."""
    if not is_intact(task.path, task.shard):
        raise AvmitError(
            f"{task.path} is not as its manifest says: `avmit verify` shows how; bring it again"
        )
    names: list[str] = []
    for batch in read_batches(task.path, ["tfrecord_filename"]):
        names += batch.column("tfrecord_filename").to_pylist()
        advance(0)  # lets the work be stopped
    return names


def _check_names(names: Sequence[str | None], folder: Path) -> None:
    """Refuse names that lead anywhere but to label/name.tfrecord, and names that stand twice."""
    seen = set()
    for name in names:
        path = PurePosixPath(name or "")
        if (
            str(path) != name
            or path.is_absolute()
            or len(path.parts) != 2
            or ".." in path.parts
            or path.suffix != SUFFIX
            or not name.isprintable()
            or any(character in name for character in "\\:")
        ):
            raise AvmitError(
                f"{folder}: tfrecord_filename {name!r} is not of the form label/name{SUFFIX}: "
                "nothing is written for a package that names files elsewhere"
            )
        if name in seen:
            raise AvmitError(f"{folder}: {name} stands in two rows: convert the config again")
        seen.add(name)


def _check_out(out: Path, names: Sequence[str]) -> None:
    """Refuse a folder with anything in it but what is to be written."""
    files = {f"{out}/{name}" for name in names}
    folders = {str((out / name).parent) for name in names}
    for folder, subfolders, found in os.walk(out):
        if folder == str(out):
            subfolders[:] = [name for name in subfolders if name != WORK]
        paths = [Path(folder, name) for name in subfolders]
        strange = [path for path in paths if str(path) not in folders or path.is_symlink()]
        strange += [path for name in found if str(path := Path(folder, name)) not in files]
        if strange:
            raise AvmitError(
                f"{min(strange)} is not a record of this config: choose an empty folder as --out"
            )


def _make_folders(out: Path, names: Sequence[str]) -> None:
    try:
        for folder in {(out / name).parent for name in names}:
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AvmitError(
            f"cannot make {error.filename} ({error.strerror}): choose another --out"
        ) from None


def _write(task: ShardToExport, advance: Callable[[int], None]) -> int:
    count = 0
    labels = label_names(read_schema(task.path))
    for batch in read_rows(task.path, _COLUMNS):
        for name, record in _records(batch, task, labels):
            _write_file(task.out / name, write_record(record), task.work)
        count += batch.num_rows
        advance(batch.num_rows)
    return count


def _records(
    batch: pa.RecordBatch, task: ShardToExport, labels: Sequence[str]
) -> Iterator[tuple[str, Record]]:
    audio_offsets, audio = matrices(batch.column("audio"))
    visual_offsets, visual = matrices(batch.column("visual"))
    filenames, indices, names = (batch.column(name).to_pylist() for name in _COLUMNS[:3])
    for row, (filename, index, name) in enumerate(zip(filenames, indices, names, strict=True)):
        if not 0 <= index < len(labels):
            raise AvmitError(f"{task.path}: {name} has label {index}, which has no name")
        yield (
            name,
            Record(
                filename,
                labels[index],
                audio[audio_offsets[row] : audio_offsets[row + 1]],
                visual[visual_offsets[row] : visual_offsets[row + 1]],
            ),
        )


def _write_file(path: Path, data: bytes, work: Path) -> None:
    """Write a record that is not there yet; the disk need not have it before the next one."""
    if not os.path.lexists(path):
        write_whole(path, data, work, durable=False)
    elif path.is_symlink() or not path.is_file() or path.read_bytes() != data:
        raise AvmitError(
            f"{path} is there already and is another record, which is not replaced: "
            "choose an empty folder as --out"
        )
