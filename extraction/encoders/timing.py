"""Find out when the embeddings are that a network gives of a whole waveform."""

from collections.abc import Callable

Steps = Callable[[int], int]
"""How many embeddings so many samples give; 0 where they are too few."""


def timing_of(steps: Steps, rate: int) -> dict[str, float | None]:
    """Return `window_ms` and `step_ms`; both None where a longer sound gives no more of them."""
    longest = 2 * rate
    while steps(longest) < 4:
        if longest >= 64 * rate:
            return {"window_ms": None, "step_ms": None}
        longest *= 2
    second, third, fourth = (least_samples(steps, count, longest) for count in (2, 3, 4))
    step = 1000 * (fourth - third) / rate
    return {"window_ms": 1000 * second / rate - step, "step_ms": step}


def least_samples(steps: Steps, count: int, longest: int) -> int:
    """Return the least number of samples that gives `count` embeddings; `longest` does."""
    short, long = 0, longest
    while long - short > 1:
        middle = (short + long) // 2
        if steps(middle) >= count:
            long = middle
        else:
            short = middle
    return long
