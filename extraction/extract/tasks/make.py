"""Make some shards of a plan of videos, whatever other tasks do at the same time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from avmit import AvmitError
from conversion.cores import usable_cores
from conversion.package.manifest_problems import check_config_name, source_problems
from conversion.package.staging import ShardResult
from conversion.package.workspace import Workspace, workspace
from conversion.package.writer import batch_rows
from conversion.parts.agreed import difference
from conversion.parts.finished import (
    Finished,
    add_finished,
    is_published,
    read_finished,
    source_digest,
    take_published,
)
from conversion.parts.listing import read_rows_of
from conversion.parts.making import Advance, Gone, Made, Progress, Task, remove_left
from conversion.parts.place import PlanFolder, remove_made, tasks_folder
from conversion.parts.plan import Plan
from conversion.parts.selection import Selection
from extraction.encoders.base import Side
from extraction.encoders.caches import check_seen
from extraction.encoders.describe import identity
from extraction.encoders.settings import Modality
from extraction.extract.backends import as_agreed
from extraction.extract.cutting import Columns, making_of, source_of
from extraction.extract.options import (
    Encoders,
    Options,
    check_options,
    choose_encoders,
    open_sides,
)
from extraction.extract.rows import choose_rows
from extraction.extract.shard import (
    ShardTask,
    bad_rows,
    bad_videos_error,
    by_filename,
    file_facts,
    input_digest,
    write_shard,
)
from extraction.extract.subject import Subject, settled_subject
from extraction.extract.tasks.listed import below, columns, read_rows
from extraction.extract.tasks.planning import check_made_of, check_place, made_of, make_plan
from extraction.extract.tasks.published import published_source
from extraction.extract.tasks.spill import MadeElsewhere, SharedSpill
from extraction.extract.whereabouts import Paths
from extraction.pipeline.samples import samples


def plan_extraction(
    videos: Path,
    annotations: Path | None,
    out: Path,
    options: Options,
    announce: Callable[[str], None] = lambda line: None,
) -> Plan:
    """Return the plan of an extraction, made if there is none yet.

    Networks are loaded only where nothing else tells an encoder's width.

    Raises:
        AvmitError: bad input, or the plan that is there is of other annotations or options.
    """
    return _begin(videos, annotations, out, options, announce).plan


def prepare_extraction(
    videos: Path,
    annotations: Path | None,
    out: Path,
    options: Options,
    announce: Callable[[str], None] = lambda line: None,
) -> tuple[Plan, bool]:
    """Return the plan of an extraction, with all weights fetched and networks exported for tasks,
    and whether what it would make is published already; the plan is then removed.

    Networks are loaded on the CPU: where tasks are started there need not be what they run on.

    Raises:
        AvmitError: as `plan_extraction`, or weights cannot be had or do not fit.
    """
    encoders = {
        modality: replace(wanted, settings=replace(wanted.settings, device="cpu"))
        if wanted.settings.device != "auto"
        else wanted
        for modality, wanted in options.encoders.items()
    }
    there = replace(options, encoders=encoders)
    begun = _begin(videos, annotations, out, there, announce)
    done = _is_published(begun, _sides(begun, there, announce), options)
    if done:
        begun.folder.remove()
    return begun.plan, done


def extract_shards(
    videos: Path,
    annotations: Path | None,
    out: Path,
    options: Options,
    selection: Selection,
    progress: Progress = lambda done, total, bad: None,
    announce: Callable[[str], None] = lambda line: None,
) -> Made:
    """Embed the videos of some shards of a config, and leave these for `finish`.

    Any number of tasks may do so at once, and of the same shards.

    Raises:
        AvmitError: bad input; the plan is of other annotations, options, encoders or libraries; or
            a shard failed.
    """
    if options.retry_failed:
        raise AvmitError("--retry-failed is not for --shards: run it after `avmit finish`")
    check_seen()
    begun = _begin(videos, annotations, out, options, announce)
    folder, plan = begun.folder, begun.plan
    numbers = selection.numbers(len(plan.shards))
    sides = _sides(begun, options, announce)
    subject = _subject(begun)
    source = _agreed(folder, plan, source_of(sides, options, subject))
    with workspace(out, lock=False) as space:
        remove_left(space, plan.config)
        maker = _Maker(begun, subject, options, sides, source, space)
        task = Task(folder, plan, maker.source, maker.make, maker.refuse, progress)
        return task.run(numbers, space.token)


@dataclass(frozen=True)
class _Begun:
    """What is known before the first shard; `sides` only where they were needed for the plan."""

    folder: PlanFolder
    plan: Plan
    root: Path
    encoders: Encoders
    sides: dict[Modality, Side] | None


def _is_published(begun: _Begun, sides: dict[Modality, Side], options: Options) -> bool:
    subject = _subject(begun)
    out, config = begun.folder.out, begun.plan.config
    source = published_source(out / config, source_of(sides, options, subject), options)
    if source is None:
        return False
    with workspace(out, lock=False) as space:
        maker = _Maker(begun, subject, options, sides, source, space)
        return is_published(begun.folder, begun.plan, maker.digest)


def _begin(
    videos: Path,
    annotations: Path | None,
    out: Path,
    options: Options,
    announce: Callable[[str], None],
) -> _Begun:
    # What costs little first: finding an encoder may fetch it.
    check_config_name(options.config)
    check_options(options)
    chosen = choose_rows(videos, annotations, options)
    folder = PlanFolder(out, options.config)
    check_place(folder, chosen.inputs, options)
    encoders = choose_encoders(options)
    of = made_of(chosen, encoders, options)
    encoders = as_agreed(encoders, options, folder.source(), out / options.config)
    plan, sides = folder.read(), None
    if plan is None:
        rows = chosen.read()
        if not all(encoder.width for encoder in encoders.values()):
            sides = open_sides(encoders, options, samples(rows.paths), announce)
            encoders = {column: side.encoder for column, side in sides.items()}
        plan = make_plan(folder, rows, encoders, options, of)
    check_made_of(folder, plan, of)
    folder.make()
    return _Begun(folder, plan, videos, encoders, sides)


def _sides(
    begun: _Begun, options: Options, announce: Callable[[str], None]
) -> dict[Modality, Side]:
    """Return the encoders with their networks."""
    if begun.sides is not None:
        return begun.sides
    first = begun.plan.settled.get("samples")
    texts = [one for one in first if isinstance(one, str)] if isinstance(first, list) else []
    files = Paths(begun.root, [below(one) for one in texts])
    return open_sides(begun.encoders, options, samples(files), announce)


def _agreed(folder: PlanFolder, plan: Plan, here: Mapping[str, Any]) -> dict[str, Any]:
    """Return how all tasks make shards, which must be how this one does.

    Raises:
        AvmitError: others began with other encoders, weights or versions of libraries.
    """
    there = folder.agree_on(here)
    problem = next(source_problems(there, plan.dims), "")
    if problem:
        raise AvmitError(
            f"{folder.path / 'source.json'} cannot be used ({problem}): delete {folder.path} to "
            "plan again"
        )
    what = difference(identity(there), identity(here))
    if what:
        raise AvmitError(
            f"the other tasks of '{plan.config}' began with other encoders or libraries ({what}): "
            f"run all with the same, or delete {folder.path} to begin again"
        )
    return there


class _Maker:
    """Makes one shard after the other by the same networks."""

    def __init__(
        self,
        begun: _Begun,
        subject: Subject,
        options: Options,
        sides: Mapping[Modality, Side],
        source: Mapping[str, Any],
        space: Workspace,
    ):
        self._folder, self._plan, self._root = begun.folder, begun.plan, begun.root
        self._subject = subject
        self._options = options
        self._sides = sides
        self._source = making_of(source)
        self._space = space
        self.source = source_digest(self._source)
        encoders = {column: side.encoder for column, side in sides.items()}
        self._columns = Columns.of(encoders, subject)
        if self._columns.row_bytes != self._plan.settled.get("row_bytes"):
            raise AvmitError(
                f"{begun.folder.path} is the plan of encoders with other timesteps: start all "
                "tasks with the same, or delete it to plan again"
            )

    def refuse(self, finished: Finished) -> str:
        """Say that a finished shard has bad videos where none may be."""
        if finished.bad and self._options.on_bad_video == "error":
            return str(bad_videos_error(by_filename(finished.bad), self._root))
        return ""

    def digest(self, number: int) -> str:
        """Return what identifies all that a shard is made of."""
        return input_digest(self._task(number))

    def make(self, number: int, advance: Advance) -> Finished:
        """Make a shard, or bring what is published of it, and return what is there of it then."""
        task = self._task(number)
        digest = input_digest(task)
        published = self._folder.out / self._plan.config
        result = take_published(published, task.path, lambda: digest, {*task.names})
        if result is None:
            made = self._made(number, task, digest, advance)
            if isinstance(made, Finished):
                return made
            result = made
        assert result.shard is not None
        finished = Finished(result.shard, tuple(bad_rows(task, result.bad)), self.source)
        if problem := self.refuse(finished):
            raise AvmitError(problem)
        finished = add_finished(self._folder, self._plan, number, task.path, finished)
        remove_made(self._folder.parts(task.path.name))
        return finished

    def _made(
        self, number: int, task: ShardTask, digest: str, advance: Advance
    ) -> ShardResult | Finished:
        def is_made() -> bool:
            return self._finished(number) is not None or not self._folder.exists()

        parts = self._folder.parts(task.path.name)
        spill = SharedSpill(parts, self._space.token, digest, len(task.videos), is_made)
        workers = self._options.workers or usable_cores()
        policy = self._options.on_bad_video
        try:
            return write_shard(
                task, spill, self._sides, workers, policy, lambda done, bad: advance(done)
            )
        except MadeElsewhere:
            finished = self._finished(number)
            if finished is None:
                raise Gone from None
            return finished

    def _finished(self, number: int) -> Finished | None:
        """Return a shard that is finished, and was made as here."""
        finished = read_finished(self._folder, self._plan, number)
        return finished if finished is not None and finished.source == self.source else None

    def _task(self, number: int) -> ShardTask:
        planned = self._plan.shards[number]
        listing = self._folder.path / self._plan.listing
        videos, found = read_rows(read_rows_of(listing, planned, columns(self._subject)))
        task = ShardTask(
            split=planned.split,
            path=self._space.folder(tasks_folder(self._plan.config)) / planned.file,
            root=self._root,
            subject=self._subject,
            videos=videos,
            found=[None if one is None else one[0] for one in found],
            schema=self._columns.schema,
            encoding=self._options.encoding,
            batch_rows=batch_rows(self._columns.row_bytes),
            source=self._source,
        )
        if self._subject.labels:
            self._plan.labels(task.values(self._subject.label_field, videos))
        filenames = task.values("filename", videos)
        for filename, there, here in zip(filenames, found, file_facts(task), strict=True):
            if there != here:
                raise AvmitError(
                    f"{filename} is not as it was when the run was planned: put it back, or "
                    f"delete {self._folder.path} to plan again"
                )
        return task


def _subject(begun: _Begun) -> Subject:
    try:
        return settled_subject(begun.plan.settled)
    except ValueError as error:
        raise AvmitError(
            f"{begun.folder.path / 'plan.json'} cannot be used ({error}): delete "
            f"{begun.folder.path} to plan again"
        ) from None
