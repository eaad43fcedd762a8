"""The order of classes in a run."""

import numpy as np

from experiments.feeding.batches.order import shuffled

_PART = 2**63
"""Of the generator's counter: far from the parts that clips are drawn with."""


def class_sequence(classes: int, each: int, seed: int, run: int, no_repeat: bool) -> list[int]:
    """Return the numbers of classes, each `each` times, in a random order.

    With `no_repeat` none comes twice in a row: the next class is drawn by how much is left of each,
    among those after which the rest can still be put in such an order.
    """
    if not no_repeat:
        places = shuffled(classes * each, seed, run, _PART)
        return [int(place) % classes for place in places]
    key = np.array([seed, run], np.uint64)
    counter = np.array([0, 0, 0, _PART], np.uint64)
    words = np.random.Philox(key=key, counter=counter).random_raw(classes * each)
    left = [each] * classes
    order: list[int] = []
    for word in words.tolist():
        rest = sum(left) - 1
        fit = [
            number
            for number in range(classes)
            if left[number]
            and (not order or order[-1] != number)
            and _can_go_on(left, number, rest)
        ]
        at = word % sum(left[number] for number in fit)
        for number in fit:
            at -= left[number]
            if at < 0:
                break
        left[number] -= 1
        order.append(number)
    return order


def _can_go_on(left: list[int], taken: int, rest: int) -> bool:
    """Tell whether the `rest`, after `taken`, has an order in which none comes twice in a row."""
    for number, count in enumerate(left):
        if number == taken:
            if 2 * (count - 1) > rest:
                return False
        elif 2 * count > rest + 1:
            return False
    return True
