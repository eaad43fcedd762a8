"""How much sound a network needs for its embeddings."""

from collections.abc import Callable


def least_samples(steps: Callable[[int], int], count: int, longest: int) -> int:
    """Return the least number of samples for which `steps` gives `count` embeddings or more.

    `longest` samples give that many.
    """
    short, long = -1, longest
    while long - short > 1:
        middle = (short + long) // 2
        if steps(middle) >= count:
            long = middle
        else:
            short = middle
    return long
