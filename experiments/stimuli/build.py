"""A run of `avmit stimuli`: clips found, looked at, made into stimuli, and put in place whole."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, NoReturn

from avmit import AvmitError
from conversion.package.exchange import put_in_place
from conversion.package.workspace import Workspace, workspace
from conversion.release.annotations import find_files, read_annotations
from conversion.release.videos import Videos
from conversion.threads import Pause, run_threads
from conversion.whole import write_whole
from conversion.wording import count_of, some
from experiments.stimuli import keep
from experiments.stimuli.clips import Clip, choose_clips
from experiments.stimuli.conditions import Condition, Stimulus, stimuli_of
from experiments.stimuli.dataset import top_files
from experiments.stimuli.make import Making, is_copy, make, recipe
from experiments.stimuli.media.facts import Facts, read_facts
from experiments.stimuli.media.opened import BadClip, pyav
from experiments.stimuli.row_numbers import row_numbers
from experiments.stimuli.tables import Lacking, Row, named_once, tables

FOLDER = "stimuli"
Names = Literal["avmit", "bids"]
OnMissing = Literal["error", "skip"]
Progress = Callable[[int, int], None]

_ADVICE = "--on-missing skip leaves them out and lists them in missing.tsv"


@dataclass(frozen=True)
class Options:
    """What is wanted: which clips, under which conditions, called what, and how they are made.

    `files` says whether they are copied, links to the videos, or only described. `package` is one
    whose rows are put beside the stimuli.
    """

    names: Names = "avmit"
    labels: Sequence[str] = ()
    listed: Path | None = None
    conditions: Sequence[Condition] = ("audiovisual",)
    making: Making = field(default_factory=Making)
    files: Literal["copy", "link", "none"] = "copy"
    on_missing: OnMissing = "error"
    package: Path | None = None
    workers: int = 1


@dataclass(frozen=True)
class Written:
    """What a run has made: `rows` of stimuli.tsv, what is missing, and whether anything is new."""

    rows: list[Row]
    missing: list[Lacking]
    changed: bool


@dataclass(frozen=True)
class _Source:
    path: Path
    facts: Facts


def write_stimuli(
    videos: Path, annotations: Path, out: Path, options: Options, progress: Progress
) -> Written:
    """Write `out`/stimuli from a copy of Moments in Time; what an earlier run finished is kept.

    Raises:
        AvmitError: clips are missing or bad and that is an error, an option cannot be met, or
            other files are in the way.
    """
    pyav()
    release = read_annotations(find_files(annotations))
    clips = choose_clips(release, options.labels, options.listed)
    numbers = {} if options.package is None else row_numbers(options.package)
    found = Videos(videos)
    paths = {clip: found.find(clip.video.video_location, clip.video.filename) for clip in clips}
    advance = _Steps(progress, len(clips) * (1 + len(options.conditions)))
    with workspace(out) as space:
        run = _Run(space, options, advance)
        sources, bad = run.look_at(paths)
        _stop_at(bad, options)
        stimuli = stimuli_of(
            list(sources),
            options.conditions,
            lambda clip: bool(sources[clip].facts["AudioPresent"]),
            options.making.seed,
        )
        rows, failed = run.make_all(stimuli, sources)
        missing = [*bad, *failed]
        _stop_at(failed, options)
        if not rows:
            raise AvmitError(
                f"no stimulus can be made: {some(named_once(missing, options.conditions))}"
            )
        files = tables(rows, missing, numbers)
        changed = run.publish(rows, files)
        for name, content in top_files().items():
            if not (out / name).exists():
                write_whole(out / name, content)
    return Written(rows, missing, changed)


class _Steps:
    """Counts what is done of all there is to do."""

    def __init__(self, progress: Progress, total: int):
        self._progress = progress
        self._total = total

    def __call__(self) -> None:
        self._progress(1, self._total)


class _Run:
    """The steps of one run, in the folder where it builds."""

    def __init__(self, space: Workspace, options: Options, advance: Callable[[], None]):
        self._options = options
        self._advance = advance
        self._published = space.out / FOLDER
        self._is_published = os.path.lexists(self._published)
        self._work = space.shared(FOLDER)
        if self._work.is_symlink():
            self._work.unlink()

    def look_at(self, paths: dict[Clip, Path | None]) -> tuple[dict[Clip, _Source], list[Lacking]]:
        """Return the clips' files with what they hold, and those that cannot be had."""
        sources: dict[Clip, _Source] = {}
        missing = []
        tasks = [partial(_look_at, path) for path in paths.values()]
        pause = Pause()
        looked = run_threads(tasks, self._options.workers, pause)
        for clip, source in zip(paths, looked, strict=True):
            self._advance()
            if isinstance(source, str):
                missing += [
                    Lacking(Stimulus(clip, condition, None), source)
                    for condition in self._options.conditions
                ]
            else:
                sources[clip] = source
        return sources, missing

    def make_all(
        self, stimuli: Sequence[Stimulus], sources: dict[Clip, _Source]
    ) -> tuple[list[Row], list[Lacking]]:
        """Make what is not there yet."""
        tasks = [partial(self._make, stimulus, sources) for stimulus in stimuli]
        rows, failed = [], []
        for made in run_threads(tasks, self._options.workers, Pause()):
            self._advance()
            if isinstance(made, Row):
                rows.append(made)
            else:
                failed.append(made)
        return rows, failed

    def _make(self, stimulus: Stimulus, sources: dict[Clip, _Source]) -> Row | Lacking:
        options, source = self._options, sources[stimulus.clip]
        heard = None if stimulus.sound is None else sources[stimulus.sound]
        if stimulus.needs_sound and (heard is None or not heard.facts["AudioPresent"]):
            return Lacking(stimulus, "has no sound")
        filename = stimulus.filename(options.names)
        present = options.files != "none"
        copy = is_copy(stimulus, options.making)
        link = source.path.resolve() if copy and options.files == "link" else None
        expected = _description(stimulus, options.making, sources)
        there = self._published if self._is_published else self._work
        sidecar = keep.kept(there, filename, expected, link, present)
        if sidecar is not None:
            return Row(stimulus, filename, present, sidecar)
        if self._is_published:
            self._refuse(f"{filename} is not there, or not what would be made")
        folder = (self._work / filename).parent
        made = keep.new_link(folder, link) if link else keep.new_path(folder)
        try:
            gain = None
            if not link:
                sound = None if heard is None else heard.path
                seconds = source.facts["RecordingDuration"]
                gain = make(made, stimulus, options.making, source.path, sound, seconds).gain
            facts = read_facts(made)
        except BadClip as error:
            made.unlink()
            return Lacking(stimulus, str(error))
        except BaseException:
            made.unlink(missing_ok=True)
            raise
        known = {name: value for name, value in facts.items() if value is not None}
        sidecar = known | ({} if gain is None else {"AudioGain": gain}) | expected
        keep.put(made, self._work, filename, sidecar, present)
        return Row(stimulus, filename, present, sidecar)

    def publish(self, rows: Sequence[Row], files: dict[str, bytes]) -> bool:
        """Let the stimuli appear in one step; tell whether there was anything to do.

        Raises:
            AvmitError: others are there.
        """
        media = [row.filename for row in rows if row.present]
        sidecars = [keep.sidecar_name(row.filename) for row in rows]
        wanted = {*media, *sidecars, *files}
        if self._is_published:
            self._check_same(wanted, files)
            return False
        keep.clean(self._work, wanted)
        for name, content in files.items():
            write_whole(self._work / name, content)
        put_in_place(self._work, self._published, self._work.with_suffix(".aside"))
        return True

    def _check_same(self, wanted: set[str], files: dict[str, bytes]) -> None:
        for name, content in files.items():
            path = self._published / name
            if not path.is_file() or path.read_bytes() != content:
                self._refuse(f"{name} is not there, or not what would be written")
        if more := keep.others(self._published, wanted):
            self._refuse(f"there is also {some(more)}")

    def _refuse(self, why: str) -> NoReturn:
        raise AvmitError(
            f"{self._published} has other stimuli: {why}: choose another --out, or move it away"
        )


def _look_at(path: Path | None) -> _Source | str:
    if path is None:
        return "is not among the videos"
    try:
        return _Source(path, read_facts(path))
    except BadClip as error:
        return str(error)


def _description(
    stimulus: Stimulus, making: Making, sources: dict[Clip, _Source]
) -> dict[str, Any]:
    """Return what a sidecar says that is known before the stimulus is made."""

    def source(clip: Clip) -> dict[str, str]:
        return {
            "filename": clip.video.filename,
            "tfrecord_filename": clip.video.tfrecord_filename,
            "SHA256": sources[clip].facts["SHA256"],
        }

    seen = None if stimulus.condition == "audio" else stimulus.clip
    used = {"video": seen, "audio": stimulus.sound}
    return {
        "StimulusID": stimulus.id,
        "Label": stimulus.clip.label,
        "Recipe": recipe(stimulus, making),
        "Sources": {kind: source(clip) for kind, clip in used.items() if clip is not None},
    }


def _stop_at(missing: Sequence[Lacking], options: Options) -> None:
    if missing and options.on_missing == "error":
        raise AvmitError(
            f"{count_of(len(missing), 'stimulus', 'stimuli')} cannot be made: "
            f"{some(named_once(missing, options.conditions))}: {_ADVICE}"
        )
