"""Sound at another rate: resampy's `kaiser_best` as products of matrices.

From a rate to another that is L/M of it in lowest terms, the filter's taps repeat after L outputs
and M inputs. So the taps of successive outputs are the columns of a matrix, and what it is
multiplied with are rows of inputs that overlap, which a strided view has without a copy. Where the
matrices would be large, as from 44,099 Hz, the taps of each output are computed instead. Either way
resampy's float arithmetic is followed where rounding decides which inputs an output is made of.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from extraction.media.kaiser_best import PER_ZERO, Floats, Wing, wing

METHOD = "kaiser_best by polyphase matrices"
"""What a manifest says; to be changed when the same sound is to give other samples."""

_COLUMNS = 32
"""Outputs of a matrix, about: of more of them, each has more zeros beside its taps."""
_MOST_TAPS = 2**20
"""Numbers in all matrices of two rates, 8 MB: enough from 44,056 Hz to 16,000, where L is 2,000."""
_MULTIPLICATIONS = 2**18
"""In one product. For more, OpenBLAS wakes threads of its own; decoding is in threads already."""
_UNSURE = 0.02
"""More than rounding does to a place in the filter's table, whatever the number of the output."""

_Integers = npt.NDArray[np.int64]


def resample(samples: npt.NDArray[Any], own_rate: int, rate: int) -> Floats:
    """Return samples (N,), `own_rate` a second, as `int(N * rate / own_rate)` at `rate`.

    What is before the first sample and after the last one counts as 0. Besides the result it holds
    the samples once more, and the matrices of the last few pairs of rates.
    """
    if own_rate == rate:
        return samples.astype(np.float64)
    length = int(len(samples) * float(rate) / float(own_rate))
    if not length:
        return np.zeros(0)
    rates = _Rates(own_rate, rate)
    matrices = _matrices(rates)
    if matrices is None:
        return _one_by_one(_padded(samples, rates.side), np.arange(length), rates)
    rows = matrices.rows(length)
    padded = _padded(samples, rates.side, rows.count * matrices.inputs + matrices.longest)
    found = matrices.multiply(padded, rows).reshape(-1)[:length]
    numbers = matrices.misplaced(length)
    found[numbers] = _one_by_one(padded, numbers, rates)
    return found


@dataclass(frozen=True)
class _Places:
    """Where outputs lie: the input before each, and for either side the place in the table."""

    inputs: _Integers
    left: Floats
    right: Floats

    def moved(self, by: float, side: Wing) -> "_Places":
        """Return them so much further on in the table, on either side."""
        left, right = (np.clip(at + by, 0, side.step) for at in (self.left, self.right))
        return _Places(self.inputs, left, right)

    def differ(self, other: "_Places", side: Wing) -> npt.NDArray[np.bool_]:
        """Tell which outputs are made of other inputs than those of `other`."""
        differ: npt.NDArray[np.bool_] = self.inputs != other.inputs
        for mine, others in ((self.left, other.left), (self.right, other.right)):
            differ |= side.counts[mine.astype(np.int64)] != side.counts[others.astype(np.int64)]
        return differ

    def taps(self, side: Wing) -> Floats:
        """Return what each output's inputs are multiplied with, (outputs, 2 * side.width)."""
        return np.concatenate([side.taps(self.left)[:, ::-1], side.taps(self.right)], 1)


@dataclass(frozen=True)
class _Rates:
    own: int
    new: int

    @property
    def side(self) -> Wing:
        return wing(self._scale)

    @property
    def _scale(self) -> float:
        return min(1.0, float(self.new) / self.own)

    @property
    def step(self) -> float:
        """Inputs from one output to the next, rounded as resampy does."""
        return 1.0 / (float(self.new) / self.own)

    def rounded(self, numbers: _Integers) -> _Places:
        """Return where resampy sees the outputs of these numbers."""
        times = numbers * self.step
        inputs = times.astype(np.int64)
        return self._places(inputs, times - inputs)

    def exact(self, numbers: _Integers) -> _Places:
        """Return where they are."""
        common = math.gcd(self.own, self.new)
        inputs, rest = np.divmod(numbers * (self.own // common), self.new // common)
        return self._places(inputs, rest / (self.new // common))

    def _places(self, inputs: _Integers, after: npt.NDArray[Any]) -> _Places:
        part = self._scale * after
        return _Places(inputs, part * PER_ZERO, (self._scale - part) * PER_ZERO)


def _padded(samples: npt.NDArray[Any], side: Wing, length: int = 0) -> Floats:
    """Put zeros around samples, so that the first input of an output has the number before it."""
    before = side.width - 1
    padded = np.zeros(max(length, before + len(samples) + side.width + 1))
    padded[before : before + len(samples)] = samples
    return padded


def _one_by_one(padded: Floats, numbers: _Integers, rates: _Rates) -> Floats:
    """Compute the outputs of these numbers with taps of their own."""
    side = rates.side
    windows = sliding_window_view(padded, 2 * side.width)
    found = np.empty(len(numbers))
    block = max(1, _MULTIPLICATIONS // (2 * side.width))
    for start in range(0, len(numbers), block):
        places = rates.rounded(numbers[start : start + block])
        found[start : start + block] = np.einsum(
            "ij,ij->i", windows[places.inputs], places.taps(side)
        )
    return found


@dataclass(frozen=True)
class _Rows:
    """Periods cut up for products of a bounded size, (blocks, in a block, interleaved).

    Those that are `interleaved` apart do not overlap, as BLAS wants the rows of a matrix.
    """

    blocks: int
    in_block: int
    interleaved: int

    @property
    def count(self) -> int:
        return self.blocks * self.in_block * self.interleaved


@dataclass(frozen=True)
class _Group:
    """Taps of successive outputs, (inputs, outputs), and the numbers of the first of either."""

    input: int
    output: int
    taps: Floats


@dataclass(frozen=True)
class _Matrices:
    """The taps of a period of `outputs`, after which all is `inputs` further on.

    `phases` are the outputs of it for which rounding may decide which inputs they are made of.
    """

    rates: _Rates
    inputs: int
    outputs: int
    groups: list[_Group]
    phases: _Integers

    @property
    def longest(self) -> int:
        """The most inputs that a period is made of."""
        return max(group.input + len(group.taps) for group in self.groups)

    def rows(self, length: int) -> _Rows:
        """Return what rows `length` outputs need."""
        inputs = max(len(group.taps) for group in self.groups)
        size = max(group.taps.size for group in self.groups)
        periods = -(-length // self.outputs)
        interleaved = -(-inputs // self.inputs)
        blocks = -(-periods // (interleaved * max(1, _MULTIPLICATIONS // size)))
        return _Rows(blocks, -(-periods // (interleaved * blocks)), interleaved)

    def multiply(self, padded: Floats, rows: _Rows) -> Floats:
        """Return all outputs of `rows`, (periods, outputs of one)."""
        shape = (rows.blocks, rows.in_block, rows.interleaved, -1)
        found = np.empty((rows.count, self.outputs))
        for group in self.groups:
            inputs, outputs = group.taps.shape
            windows = sliding_window_view(padded[group.input :], inputs)
            taken = windows[: rows.count * self.inputs : self.inputs].reshape(shape)
            given = found.reshape(shape)[..., group.output : group.output + outputs]
            np.matmul(taken.transpose(2, 0, 1, 3), group.taps, out=given.transpose(2, 0, 1, 3))
        return found

    def misplaced(self, length: int) -> _Integers:
        """Return which of `length` outputs resampy makes of other inputs, because of rounding."""
        numbers = np.arange(0, length, self.outputs)[:, None] + self.phases
        numbers = numbers[numbers < length]
        rounded, exact = self.rates.rounded(numbers), self.rates.exact(numbers)
        return numbers[rounded.differ(exact, self.rates.side)]


@lru_cache(8)
def _matrices(rates: _Rates) -> _Matrices | None:
    """Return the matrices from a rate to another, or None where they would be too large."""
    common = math.gcd(rates.own, rates.new)
    times = max(1, round(_COLUMNS * common / rates.new))
    outputs, inputs = times * rates.new // common, times * rates.own // common
    side = rates.side
    if outputs * (2 * side.width + _COLUMNS * inputs // outputs) > _MOST_TAPS:
        return None
    numbers = np.arange(outputs)
    places = rates.exact(numbers)
    taps = places.taps(side)
    groups = []
    for group in np.array_split(numbers, max(1, round(outputs / _COLUMNS))):
        first, last = places.inputs[group[[0, -1]]]
        matrix = np.zeros((last - first + 2 * side.width, len(group)))
        for column, number in enumerate(group):
            row = places.inputs[number] - first
            matrix[row : row + 2 * side.width, column] = taps[number]
        groups.append(_Group(int(first), int(group[0]), matrix))
    unsure = places.moved(-_UNSURE, side).differ(places.moved(_UNSURE, side), side)
    if Fraction(rates.step) < Fraction(rates.own, rates.new):
        # Rounded down, the time of an output that falls on an input may be before that.
        unsure |= places.left == 0
    return _Matrices(rates, inputs, outputs, groups, np.flatnonzero(unsure))
