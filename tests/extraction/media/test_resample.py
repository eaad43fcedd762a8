"""Resampling gives what resampy's `kaiser_best` does, at any rates and any length."""

import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from extraction.media import kaiser_best
from extraction.media.resample import resample

resampy = pytest.importorskip("resampy", reason="resampy is the reference, of the extra dev")

RATES = [4000, 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000, 192000]
ODD = [
    # In lowest terms 1:2 to 1:48, whose matrices are of several periods.
    *((8000, 4000), (192_000, 4000), (4000, 192_000)),
    # NTSC's 44,056 Hz has the largest matrices of these; to the others no matrix leads.
    *((44_056, 16_000), (44_099, 16_000), (16_000, 44_099), (191_999, 4001)),
    # Rounded, times that are whole lie before that for resampy, and other taps are taken.
    *((36_000, 22_050), (29_400, 24_000), (37_800, 29_400), (33_075, 16_000), (144_000, 125_000)),
    # Rounding decides whether a last tap is taken.
    (128_000, 18_900),
]


def reference(samples: npt.NDArray[Any], own_rate: int, rate: int) -> npt.NDArray[np.float64]:
    if own_rate != rate and int(len(samples) * float(rate) / float(own_rate)) == 0:
        return np.zeros(0)  # resampy refuses to
    found = resampy.resample(samples.astype(np.float64), own_rate, rate, filter="kaiser_best")
    return np.asarray(found)


def check(samples: npt.NDArray[Any], own_rate: int, rate: int) -> None:
    found, expected = resample(samples, own_rate, rate), reference(samples, own_rate, rate)
    assert found.dtype == np.float64
    assert found.shape == expected.shape
    largest = max(1.0, float(np.abs(samples).max(initial=0)))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9 * largest)


def noise(length: int, seed: int = 0) -> npt.NDArray[np.float64]:
    return np.random.default_rng(seed).uniform(-1, 1, length)


def test_the_filter_is_the_one_that_resampy_ships() -> None:
    table, per_zero, rolloff = resampy.filters.get_filter("kaiser_best")
    assert (per_zero, rolloff) == (kaiser_best.PER_ZERO, kaiser_best.ROLLOFF)
    np.testing.assert_allclose(kaiser_best.half_window(), table, rtol=0, atol=1e-15)


@pytest.mark.parametrize("rate", [8000, 16_000, 48_000])
@pytest.mark.parametrize("own_rate", RATES)
def test_usual_rates(own_rate: int, rate: int) -> None:
    check(noise(own_rate // 2), own_rate, rate)


@pytest.mark.parametrize(("own_rate", "rate"), ODD)
def test_odd_rates(own_rate: int, rate: int) -> None:
    check(noise(own_rate // 3), own_rate, rate)


def signals(length: int) -> dict[str, npt.NDArray[Any]]:
    time = np.arange(length)
    return {
        "noise": noise(length, length),
        "16-bit": (32768 * noise(length, length)).astype(np.int32),
        "constant": np.ones(length),
        "impulse": np.where(time == length // 2, 1.0, 0.0),
        "last sample": np.where(time == length - 1, -1.0, 0.0),
        "highest tone": np.where(time % 2, -1.0, 1.0),
        "tone": np.sin(0.3 * time),
    }


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_all_rates_lengths_and_signals(data: st.DataObject) -> None:
    rates = st.one_of(st.sampled_from(RATES), st.integers(4000, 192_000))
    own_rate = data.draw(rates, "own rate")
    rate = data.draw(st.one_of(st.sampled_from(RATES), rates), "rate")
    length = data.draw(st.one_of(st.integers(0, 300), st.integers(0, 5000)), "length")
    assume(length * rate < 100_000 * own_rate)
    found = signals(length)
    check(found[data.draw(st.sampled_from(sorted(found)), "signal")], own_rate, rate)


@pytest.mark.parametrize(("own_rate", "rate"), [(44_100, 16_000), (16_000, 48_000), *ODD])
def test_as_few_samples_as_can_be(own_rate: int, rate: int) -> None:
    for length in (0, 1, 2, 3, 49, 50, 51, own_rate // rate, own_rate // rate + 1):
        check(np.ones(length), own_rate, rate)
    assert resample(np.zeros(0, np.int32), own_rate, rate).shape == (0,)


def test_the_same_rate_leaves_samples_as_they_are() -> None:
    samples = np.arange(5, dtype=np.int32)
    found = resample(samples, 16_000, 16_000)
    np.testing.assert_array_equal(found, samples)
    found += 1
    assert samples[0] == 0


def test_what_is_given_is_not_changed() -> None:
    samples = noise(5000)
    before = samples.copy()
    resample(samples, 44_100, 16_000)
    np.testing.assert_array_equal(samples, before)


def test_threads_get_the_same_bits() -> None:
    pairs = [(own_rate, rate) for own_rate in (*RATES, 44_099) for rate in (16_000, 24_000)]
    alone = {pair: resample(noise(pair[0] // 10), *pair) for pair in pairs}
    # More pairs than are kept, so that threads make what others have just dropped.
    tasks = [pairs[index] for index in np.random.default_rng(1).permutation(len(pairs) * 3) // 3]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda pair: resample(noise(pair[0] // 10), *pair), tasks))
    for pair, samples in zip(tasks, found, strict=True):
        np.testing.assert_array_equal(samples, alone[pair])


@pytest.mark.parametrize("own_rate", [44_056, 44_100, 44_099, 192_000])
def test_memory_follows_from_the_length_alone(own_rate: int) -> None:
    samples = np.zeros(own_rate * 15, np.int32)
    resample(samples[:own_rate], own_rate, 16_000)
    tracemalloc.start()
    try:
        found = resample(samples, own_rate, 16_000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * samples.nbytes + 3 * found.nbytes + 20_000_000


def test_a_long_sound() -> None:
    check(noise(44_100 * 60), 44_100, 16_000)
    check(noise(192_000 * 20), 192_000, 16_000)
