"""The conditions that a clip can be shown under, and whose sound is heard in each."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from avmit import AvmitError
from experiments.feeding.batches.order import shuffled
from experiments.stimuli.clips import Clip

Condition = Literal[
    "audiovisual",
    "audio",
    "visual",
    "same-class-audio",
    "other-class-audio",
    "scrambled-audio",
    "scrambled-frames",
]
CONDITIONS: tuple[Condition, ...] = get_args(Condition)

_OF_ANOTHER = ("same-class-audio", "other-class-audio")
_TRIES = 16


@dataclass(frozen=True)
class Stimulus:
    """A clip under a condition; `sound` is the clip that is heard, None where nothing is."""

    clip: Clip
    condition: Condition
    sound: Clip | None

    @property
    def id(self) -> str:
        """Its `stimulus_id`, such as `stim-inflating1ScrambledAudio`."""
        words = "" if self.condition == "audiovisual" else self.condition
        return f"stim-{self.clip.id}" + "".join(word.capitalize() for word in words.split("-"))

    @property
    def type(self) -> str:
        """What BIDS calls such a file: `audio`, `video`, or `audiovideo`."""
        if self.condition == "audio":
            return "audio"
        return "video" if self.sound is None else "audiovideo"

    @property
    def needs_sound(self) -> bool:
        """Whether it cannot be made of a clip without sound."""
        return self.condition in ("audio", "scrambled-audio", *_OF_ANOTHER)

    def filename(self, names: Literal["avmit", "bids"]) -> str:
        """Return its file's name below the folder of stimuli."""
        ending = ".wav" if self.type == "audio" else ".mp4"
        if names == "bids":
            return f"{self.id}_{self.type}{ending}"
        folder = "" if self.condition == "audiovisual" else f"{self.condition}/"
        return f"{folder}{self.clip.name.removesuffix('.mp4')}{ending}"


def named_conditions(names: Sequence[str]) -> list[Condition]:
    """Return the conditions of these names.

    Raises:
        AvmitError: there is no condition of such a name.
    """
    known = {condition: condition for condition in CONDITIONS}
    for name in names:
        if name not in known:
            raise AvmitError(f"--condition {name}: there are {', '.join(CONDITIONS)}")
    return [condition for condition in CONDITIONS if condition in names]


def stimuli_of(
    clips: Sequence[Clip],
    conditions: Sequence[Condition],
    has_sound: Callable[[Clip], bool],
    seed: int,
) -> list[Stimulus]:
    """Return every clip under every condition, condition by condition.

    Where the sound is of another clip, each clip's sound goes to one other, drawn by the seed, and
    never to a clip of the same longer video.

    Raises:
        AvmitError: there are not enough clips to draw from.
    """
    made = []
    for condition in conditions:
        sounds: dict[Clip, Clip | None] = {clip: clip for clip in clips}
        if condition in _OF_ANOTHER:
            heard = [clip for clip in clips if has_sound(clip)]
            sounds |= _drawn(heard, condition, seed)
        elif condition == "visual":
            sounds = dict.fromkeys(clips)
        for clip in clips:
            silent = condition in ("audiovisual", "scrambled-frames") and not has_sound(clip)
            made.append(Stimulus(clip, condition, None if silent else sounds[clip]))
    return made


def _drawn(clips: Sequence[Clip], condition: Condition, seed: int) -> dict[Clip, Clip]:
    """Return whose sound each clip gets; each sound is taken once."""
    if condition == "other-class-audio":
        return _exchanged(clips, condition, seed, lambda one, other: one.label != other.label)
    by_label: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        by_label[clip.label].append(clip)
    drawn: dict[Clip, Clip] = {}
    for of_label in by_label.values():
        drawn |= _exchanged(of_label, condition, seed, lambda one, other: one is not other)
    return drawn


def _exchanged(
    clips: Sequence[Clip], condition: Condition, seed: int, fit: Callable[[Clip, Clip], bool]
) -> dict[Clip, Clip]:
    """Return a random order of `clips` beside them in which all pairs fit.

    An order is drawn, and clips that do not fit exchange places with the next, in another order,
    with which both do; if that fails, with the next draw.
    """

    def fits(one: Clip, other: Clip) -> bool:
        return fit(one, other) and one.source != other.source

    count = len(clips)
    for part in range(_TRIES):
        places = [clips[n] for n in shuffled(count, seed, CONDITIONS.index(condition), 2 * part)]
        others = shuffled(count, seed, CONDITIONS.index(condition), 2 * part + 1).tolist()
        for one in range(count):
            if not fits(clips[one], places[one]):
                for other in others:
                    if fits(clips[one], places[other]) and fits(clips[other], places[one]):
                        places[one], places[other] = places[other], places[one]
                        break
        if all(map(fits, clips, places)):
            return dict(zip(clips, places, strict=True))
    named = f"'{clips[0].label}'" if condition == "same-class-audio" else "any class"
    of = f"the one clip of {named} has no other"
    if count > 1:
        of = f"of the {count:,} clips of {named}, not each has another"
    raise AvmitError(
        f"--condition {condition}: {of} whose sound it could take: choose more clips, or leave "
        "the condition out"
    )
