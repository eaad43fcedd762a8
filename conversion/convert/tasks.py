"""`avmit convert --shards`: some shards of a conversion, whatever other tasks do meanwhile."""

from pathlib import Path

import pyarrow as pa

import avmit
from avmit import AvmitError
from conversion.convert import shard as embeddings
from conversion.convert.build import Options, bad_records_text, check_options
from conversion.convert.planning import COLUMNS, begin, reader_of
from conversion.convert.ratings import write_ratings
from conversion.convert.shard import ShardTask
from conversion.package.schema import arrow_schema
from conversion.package.staging import ShardResult
from conversion.package.workspace import Workspace, workspace
from conversion.package.writer import Encoding, batch_rows
from conversion.parts.finished import Finished, add_finished, source_digest, take_published
from conversion.parts.listing import read_rows_of
from conversion.parts.making import Advance, Made, Task, count_left, remove_left
from conversion.parts.place import PlanFolder, tasks_folder
from conversion.parts.plan import Plan
from conversion.parts.selection import Selection
from conversion.release.annotations import Video
from conversion.workers import Progress


def convert_shards(
    source: Path,
    out: Path,
    options: Options,
    selection: Selection,
    progress: Progress = lambda done, total: None,
) -> list[Made]:
    """Make some shards of a release's configs, and leave these for `finish`; return what became
    of each config.

    The shards are numbered through all configs. Any number of tasks may do so at once, and of the
    same shards; one makes a shard after the other.

    Raises:
        AvmitError: bad input, the plans are of other annotations or options, or a shard failed.
    """
    check_options(source, options)
    plans = begin(source, out, options)
    numbered = [(plan, number) for plan in plans for number in range(len(plan.shards))]
    chosen = [numbered[number] for number in selection.numbers(len(numbered))]
    total = sum(plan.shards[number].rows for plan, number in chosen)
    made = []
    with workspace(out, lock=False) as space:
        for plan in plans:
            numbers = [number for one, number in chosen if one is plan]
            folder = PlanFolder(out, plan.config)
            if not numbers:
                made.append(Made(plan, [], 0, [], count_left(folder, plan)))
                continue
            folder.make()
            folder.agree_on(_source(plan))
            remove_left(space, plan.config)
            maker = _Maker(folder, plan, source, options, space)
            task = Task(
                folder,
                plan,
                maker.source,
                maker.make,
                maker.refuse,
                lambda done, _, bad: progress(done, total),
            )
            made.append(task.run(numbers, space.token))
    return made


class _Maker:
    """Makes the shards of one config."""

    def __init__(
        self, folder: PlanFolder, plan: Plan, source: Path, options: Options, space: Workspace
    ):
        self._folder, self._plan, self._root = folder, plan, source
        self._options = options
        self._space = space
        self.source = source_digest(_source(plan))

    def refuse(self, finished: Finished) -> str:
        """Say that a finished shard lacks bad records where none may be bad."""
        if finished.bad and self._options.on_bad_record == "error":
            bad = [(row[0], row[1]) for row in finished.bad]
            return bad_records_text(self._plan.config, bad[: embeddings.MOST_LISTED])
        return ""

    def make(self, number: int, advance: Advance) -> Finished:
        """Make a shard, or bring what is published of it, and return what is there of it then."""
        planned = self._plan.shards[number]
        path = self._space.folder(tasks_folder(self._plan.config)) / planned.file
        if self._plan.dims:
            result = self._embeddings(number, path, advance)
        else:
            result = self._ratings(number, path)
        if result.shard is None:
            raise AvmitError(bad_records_text(self._plan.config, result.bad))
        finished = Finished(result.shard, tuple(result.bad), self.source)
        if problem := self.refuse(finished):
            raise AvmitError(problem)
        return add_finished(self._folder, self._plan, number, path, finished)

    def _ratings(self, number: int, path: Path) -> ShardResult:
        schema = arrow_schema(avmit.ratings_features(self._plan.config))
        rows = self._rows(number, schema)
        sha256 = str(_source(self._plan).get("sha256"))
        (batch,) = rows.combine_chunks().to_batches()
        shard = write_ratings(path, batch, Encoding(self._plan.format), sha256)
        published = self._folder.out / self._plan.config
        return take_published(published, path, lambda: sha256, ()) or ShardResult(shard)

    def _embeddings(self, number: int, path: Path, advance: Advance) -> ShardResult:
        plan, planned = self._plan, self._plan.shards[number]
        rows = self._rows(number, COLUMNS)
        columns = (rows.column(name).to_pylist() for name in Video._fields)
        videos = list(map(Video._make, zip(*columns, strict=True)))
        labels = plan.labels(video.AVMIT_label for video in videos)
        row_bytes = plan.settled.get("row_bytes")
        if type(row_bytes) is not int or row_bytes < 1:
            raise AvmitError(f"{self._folder.path} has no good plan: delete it to plan again")
        dims = plan.dims.get("audio", 0), plan.dims.get("visual", 0)
        task = ShardTask(
            config=plan.config,
            split=planned.split,
            path=path,
            reader=reader_of(plan, self._root, self._options, rows),
            videos=videos,
            labels=labels,
            dims=dims,
            schema=arrow_schema(avmit.embedding_features(*dims, labels)),
            encoding=self._options.encoding,
            batch_rows=batch_rows(row_bytes),
            on_bad_record=self._options.on_bad_record,
        )
        published = self._folder.out / plan.config
        names = {video.tfrecord_filename for video in videos}
        there = take_published(published, path, lambda: embeddings.source_digest(task), names)
        return there or embeddings.write_shard(task, advance)

    def _rows(self, number: int, schema: pa.Schema) -> pa.Table:
        listing = self._folder.path / self._plan.listing
        return read_rows_of(listing, self._plan.shards[number], schema)


def _source(plan: Plan) -> dict[str, object]:
    source = plan.settled.get("source")
    return source if isinstance(source, dict) else {}
