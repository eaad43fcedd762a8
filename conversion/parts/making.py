"""One task: some shards of a plan, one after the other, those that nobody is at first."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from conversion import ground
from conversion.package.manifest import read_manifest
from conversion.package.staging import check_replaceable, remove_made
from conversion.package.workspace import Workspace, is_given_up
from conversion.parts.beats import read_beats
from conversion.parts.finished import Finished, is_marked, read_finished
from conversion.parts.heartbeat import Heartbeat
from conversion.parts.place import PlanFolder, tasks_folder
from conversion.parts.plan import Plan
from conversion.wording import count_of, some

Advance = Callable[[int], None]
"""Told of how many rows of a shard are done since the last call."""

Progress = Callable[[int, int, int], None]
"""Told of (rows done since the last call, rows in all, bad ones since the last call)."""


class Gone(Exception):
    """The plan's folder has been removed, as `finish` does."""


@dataclass(frozen=True)
class Made:
    """What a task has come to in one plan: its shards, by number, are all done, `made` of them by
    itself.

    `bad` are the rows of what was left out of them; `left` counts the plan's shards that are not
    done.
    """

    plan: Plan
    numbers: list[int]
    made: int
    bad: list[tuple[str, ...]]
    left: int


def summary(made: Sequence[Made], asked: str, out: Path) -> list[str]:
    """Say what became of all plans of a run; `asked` is what --shards said."""
    lines = []
    for one in made:
        count = len(one.numbers)
        if not count:
            continue
        line = f"{one.plan.config}: {count_of(one.made, 'shard')} of {asked} made now"
        if there := count - one.made:
            line += f", {there:,} {'was' if there == 1 else 'were'} there"
        lines.append(line)
        if one.bad:
            lines.append(f"  {len(one.bad):,} left out")
    total = sum(len(one.plan.shards) for one in made)
    if not lines:
        lines.append(f"no shards in {asked}, for there are {total:,} in all")
    left = sum(one.left for one in made)
    if left:
        lines.append(f"{count_of(left, 'shard')} of {total:,} {'is' if left == 1 else 'are'} left")
    elif total == 1:
        lines.append(f"the only shard is done: `avmit finish {out}`")
    else:
        lines.append(f"all {total:,} shards are done: `avmit finish {out}`")
    return lines


def count_left(folder: PlanFolder, plan: Plan) -> int:
    """Return how many shards of a plan have no mark."""
    return sum(not is_marked(folder, plan, number) for number in range(len(plan.shards)))


def remove_left(space: Workspace, config: str) -> None:
    """Remove what killed tasks have left in folders of their own; what counts is in the plan's."""
    for folder in space.earlier(tasks_folder(config)):
        if is_given_up(folder):
            remove_made(folder)


class Task:
    """Makes shards of a plan by `make`, which is given a shard's number and what to tell of rows.

    `source` is the digest of how it makes them: shards that were made otherwise are made again.
    `refuse` says what is wrong with a finished shard for this task, or nothing.
    """

    def __init__(
        self,
        folder: PlanFolder,
        plan: Plan,
        source: str,
        make: Callable[[int, Advance], Finished],
        refuse: Callable[[Finished], str] = lambda finished: "",
        progress: Progress = lambda done, total, bad: None,
    ):
        self._folder = folder
        self._plan = plan
        self._source = source
        self._make = make
        self._refuse = refuse
        self._progress = progress
        self._failures: dict[str, str] = {}
        self._bad: list[tuple[str, ...]] = []
        self._made = 0

    def run(self, numbers: Sequence[int], token: str) -> Made:
        """Make those shards that are not done yet; those that fail do not keep others from it.

        Raises:
            AvmitError: a shard failed, or several.
        """
        shards = self._plan.shards
        self._total = sum(shards[number].rows for number in numbers)
        self._progress(0, self._total, 0)
        with Heartbeat(self._folder, token) as heart:
            todo = list(numbers)
            while todo:
                number = self._next(todo)
                todo.remove(number)
                self._one(number, heart)
        if self._failures:
            raise ground.AvmitError(self._failed(len(numbers)))
        left = count_left(self._folder, self._plan)
        return Made(self._plan, list(numbers), self._made, self._bad, left)

    def _next(self, todo: Sequence[int]) -> int:
        """Return the first shard that no other task is at, or the first of all."""
        if len(todo) == 1:
            return todo[0]
        beats = read_beats(self._folder)
        taken = {beat.shard for beat in beats if not beat.lost}
        return next((n for n in todo if self._plan.shards[n].file not in taken), todo[0])

    def _one(self, number: int, heart: Heartbeat) -> None:
        planned = self._plan.shards[number]
        finished = read_finished(self._folder, self._plan, number)
        if finished is not None and finished.source == self._source:
            if problem := self._refuse(finished):
                self._failures[planned.file] = problem
                return
            self._bad += finished.bad
            self._progress(planned.rows, self._total, len(finished.bad))
            return
        told = 0

        def advance(rows: int) -> None:
            nonlocal told
            told += rows
            heart.advance(rows)
            self._progress(rows, self._total, 0)

        heart.begin(planned.file, planned.rows)
        try:
            finished = self._make(number, advance)
        except ground.AvmitError as error:
            self._failures[planned.file] = str(error)
            heart.end(str(error))
            return
        except (Gone, FileNotFoundError):
            if not self._is_published(planned.file):
                raise ground.AvmitError(
                    f"{self._folder.path} is gone: it was deleted while this task was at "
                    f"{planned.file}"
                ) from None
            finished = None
        else:
            self._made += 1
        heart.end()
        bad = finished.bad if finished is not None else ()
        self._bad += bad
        self._progress(planned.rows - told, self._total, len(bad))

    def _is_published(self, file: str) -> bool:
        """Tell whether the config has been put together while this task was at a shard of it."""
        if self._folder.exists():
            return False
        with suppress(ground.AvmitError):
            published = self._folder.out / self._plan.config
            check_replaceable(published)
            return file in {shard.file for shard in read_manifest(published).shards}
        return False

    def _failed(self, asked: int) -> str:
        if len(self._failures) == 1:
            ((file, reason),) = self._failures.items()
            return f"{file}: {reason}"
        listed = some([f"{file}: {reason}" for file, reason in self._failures.items()])
        return f"{len(self._failures)} of {asked} shards failed: {listed}"
