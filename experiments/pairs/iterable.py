"""Pairs of audio and frames as an iterable of batches: `avmit.pairs`."""

import math
import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

from avmit import AvmitError
from experiments.feeding.batches import Batches, BatchOptions
from experiments.feeding.batches.iterable import AHEAD
from experiments.feeding.batches.options import Format, Layout, OnLong, whole_number
from experiments.feeding.rows import rows
from experiments.feeding.rows.part import parts_of
from experiments.pairs.drawing import Wanted
from experiments.pairs.maker import PairMaker, PairRows
from experiments.pairs.members import check_possible, members_of


def pairs(
    source: Any,
    batch_size: int = 32,
    *,
    congruent: float = 0.5,
    itself: bool = False,
    length: int | None = None,
    seed: int = 0,
    epoch: int = 0,
    columns: Sequence[str] = ("label",),
    timesteps: int | None = None,
    layout: Layout = "padded",
    drop_last: bool = False,
    rank: int = 0,
    world_size: int = 1,
    format: Format = "numpy",
    on_long: OnLong = "error",
    ahead: int = AHEAD,
) -> Batches:
    """Pair the audio of videos with the frames of videos of the same class, and of other classes.

    An epoch's pairs are balanced: all classes give audio equally often, to within one, in congruent
    pairs, in the others, and together, and frames to within three; each class meets every other one
    in turn; and so do the videos of a class come. Pairs follow from (seed, epoch) alone, on every
    machine, and are drawn as batches ask for them.

    Args:
        source: a `Dataset` of `avmit.load` or `load_dataset`, also after select and so on; or what
            `avmit.join` returns. Where there is a column `has_audio`, no audio is taken of the
            videos that have none; their frames are.
        batch_size: pairs a batch; the last one of an epoch may have fewer.
        congruent: the share of pairs whose two videos are of one class, from 0 to 1.
        itself: whether a video's audio may go with its own frames, as one of its class's choices
            and as likely as another, which is how the paper paired; else a congruent pair is of two
            videos.
        length: pairs an epoch; None for as many as there are rows.
        seed: of what is drawn.
        epoch: the first one.
        columns: the other columns to take, of the audio's row and of the frames'.
        timesteps: how many each row is padded to, and so on up to `ahead`: see `avmit.batches`.

    Returns:
        An iterable with `len` of dicts, as `avmit.batches` gives them: `audio` and `visual` with
        their lengths and masks, or jagged; of `columns`, `audio_label` and `visual_label` and so
        on; and `congruent` (B,), true where both are of one class. Also `set_epoch`, `state_dict`
        and `load_state_dict`.

    Raises:
        AvmitError: an option is out of its range, a column is not there, or a class has nothing to
            pair. While iterating: a row is too long, or a file was replaced.
    """
    ahead = whole_number("ahead", ahead, 0)
    options = BatchOptions(
        batch_size=batch_size,
        timesteps=timesteps,
        layout=layout,
        shuffle=True,
        seed=seed,
        epoch=epoch,
        drop_last=drop_last,
        rank=rank,
        world_size=world_size,
        format=format,
        on_long=on_long,
    )
    share = _share(congruent)
    if not isinstance(columns, str):
        columns = tuple(columns)  # looked at twice, for it may be an iterator
    audio, visual = rows(source, True, False, columns), rows(source, False, True, columns)
    members = members_of(parts_of(source))
    count = len(audio) if length is None else whole_number("length", length, 1)
    wanted = Wanted(count, math.floor(share * count + 0.5), bool(itself))
    check_possible(members, wanted.congruent, count - wanted.congruent, wanted.itself)
    return Batches(PairMaker(PairRows(audio, visual, members, wanted), options), ahead)


def _share(congruent: Any) -> float:
    real = isinstance(congruent, (numbers.Real, np.floating)) and not isinstance(congruent, bool)
    if not real or not 0 <= congruent <= 1:
        raise AvmitError(f"congruent={congruent!r}: it is a share, from 0 to 1")
    return float(congruent)
