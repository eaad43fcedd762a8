"""Whether a published network gives on these rows what its authors published."""

import math
import re
from dataclasses import dataclass
from pathlib import Path

from avmit import AvmitError
from conversion.whole import read_regular
from experiments.recognise.scores import Scores

RESULTS = "AVMIT_results.txt"
LOSS = 2e-3
"""How far the loss may be off, and two probabilities from each other (`MARGIN`).

The authors trained and evaluated on GPUs with 16 and 32 bits mixed, which their checkpoint's loss
scale shows. On CPUs, mixing likewise moves a probability of their YAMNet and EfficientNetB0 GRU by
up to 0.0009, and the mean logarithm of 32 of them by 0.0001.
"""
MARGIN = 2e-3

_LINES = {"loss": "loss", "accuracy": "accuracy", "top5": "top 5 accuracy"}
_MOST = 2**16


@dataclass(frozen=True)
class Published:
    """What the authors say that their network reached; shares, and nats."""

    loss: float
    accuracy: float
    top5: float | None


@dataclass(frozen=True)
class Agreement:
    """A published number beside the one found, and the lowest and highest that would agree."""

    name: str
    published: float
    found: float
    lowest: float
    highest: float

    @property
    def holds(self) -> bool:
        """Whether the published number is within what float arithmetic allows."""
        # Published shares are rounded to 32 bits.
        return self.lowest - 1e-6 <= self.published <= self.highest + 1e-6


def read_results(folder: Path) -> Published | None:
    """Return what the authors published beside a checkpoint; None if that is not there.

    Raises:
        AvmitError: the file does not hold it.
    """
    path = folder / RESULTS
    try:
        text = read_regular(path, _MOST).decode(errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise AvmitError(f"{path} cannot be read ({error.strerror or error})") from None
    found = dict(re.findall(r"^([a-z0-9 ]+): *([-+.\w]+) *$", text, re.MULTILINE))
    try:
        numbers = {name: float(found[line]) for name, line in _LINES.items() if line in found}
        published = Published(numbers["loss"], numbers["accuracy"], numbers.get("top5"))
    except (KeyError, ValueError):
        raise AvmitError(
            f"{path} does not say loss and accuracy, a line each: take the authors' again, or "
            "remove it to compare with nothing"
        ) from None
    if not all(map(math.isfinite, numbers.values())):
        raise AvmitError(f"{path} has a number that is none: take the authors' again")
    return published


def agreements(published: Published, scores: Scores) -> list[Agreement]:
    """Compare what was published with what was found.

    A share agrees if it could have come of probabilities that are off by no more than float
    arithmetic may be: a video whose two most probable classes are that close may go either way.
    """
    found = [Agreement("loss", published.loss, scores.loss, scores.loss - LOSS, scores.loss + LOSS)]
    shares = {"top-1": (published.accuracy, scores.accuracy, 1)}
    if published.top5 is not None:
        shares["top-5"] = (published.top5, scores.top5, 5)
    for name, (said, share, rank) in shares.items():
        least, most = scores.within(rank, MARGIN)
        found.append(Agreement(name, said, share, least / len(scores), most / len(scores)))
    return found
