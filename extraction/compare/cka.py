"""Linear centred kernel alignment (CKA) of two sets of vectors for the same rows.

Kornblith et al., Similarity of Neural Network Representations Revisited, 2019. With K = X X' and
L = Y Y' it is HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)). Two estimators of HSIC are taken: the
biased one of that paper, which nears 1 for any two sets that are wider than they have rows; and the
unbiased one of Song et al., Feature Selection via Dependence Maximization, 2012, equation 5, as in
Nguyen et al., Do Wide and Deep Networks Learn the Same Things?, 2021.

Of many rows no matrix of rows by rows is needed: |X'Y|**2 and sums over rows say it all.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from extraction.compare.resampling import Estimate, Floats, estimate, halves

_GROUPS = 32
"""Of rows at random: intervals are by half of the groups, whose products are added up."""
_CHUNK = 640
"""Columns whose products are held for all groups at once: 210 MB at 1280 columns."""
_FEW = 2048
"""Rows whose kernels, 34 MB each, are smaller than what they spare."""
_LARGE = 1e30
"""Larger values are scaled, for a float does not hold the fourth power of 1e77."""

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Alignment:
    """The debiased CKA with an interval, and the biased one."""

    debiased: Estimate
    biased: Estimate


def alignment(x: Vectors, y: Vectors, seed: int) -> Alignment:
    """Return the linear CKA of `x` (N, D) and `y` (N, E), both float32.

    The debiased one is None for fewer than four rows, and either where a set does not vary; it can
    be below 0. The interval is by half of the rows.
    """
    if len(x) < 2:
        return Alignment(Estimate(None), Estimate(None))
    groups = _groups(len(x), seed)
    weights = np.concatenate(
        [np.ones((1, len(groups)), bool), halves(len(groups), seed)[: None if len(x) >= 8 else 0]]
    ).astype(np.float64)
    counts = weights @ np.array([len(rows) for rows in groups], np.float64)
    sides = [_Side(x, groups), _Side(y, groups)]
    same = [_independence(side, side, weights, counts) for side in sides]
    both = _independence(sides[0], sides[1], weights, counts)
    biased, debiased = (
        _ratio(both[kind], same[0][kind], same[1][kind]) for kind in ("biased", "unbiased")
    )
    return Alignment(estimate(debiased[0], debiased[1:]), estimate(biased[0]))


def _groups(count: int, seed: int) -> list[npt.NDArray[np.int64]]:
    order = np.argsort(np.random.Philox(key=np.array([seed, 3], np.uint64)).random_raw(count))
    return [np.sort(rows) for rows in np.array_split(order, min(_GROUPS, count))]


def _ratio(both: Floats, one: Floats, other: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        known = (one > 0) & (other > 0)
        out: Floats = np.where(known, both / (np.sqrt(one) * np.sqrt(other)), np.nan)
    return out


class _Side:
    """Vectors about their mean, by groups of rows."""

    def __init__(self, vectors: Vectors, groups: list[npt.NDArray[np.int64]]):
        self._vectors = vectors
        self._groups = groups
        self.rows, self.width = vectors.shape
        self._mean = sum(vectors[rows].sum(axis=0, dtype=np.float64) for rows in groups)
        self._mean = self._mean / len(vectors)
        largest = max(float(vectors.max()), -float(vectors.min()))
        self._scale = largest if largest > _LARGE else 1.0
        self.squares: list[Floats] = []
        """The squared lengths of the rows of each group: the kernel's diagonal."""
        self.sums = np.empty((len(groups), self.width))
        for group in range(len(groups)):
            rows = self.of(group)
            self.sums[group] = rows.sum(axis=0)
            self.squares.append(np.einsum("ij,ij->i", rows, rows))

    def of(self, group: int) -> Floats:
        """Return the rows of a group."""
        rows = self._vectors[self._groups[group]] - self._mean
        if self._scale != 1:
            rows /= self._scale
        return rows  # type: ignore[no-any-return]


def _independence(x: _Side, y: _Side, weights: Floats, counts: Floats) -> dict[str, Floats]:
    """Return the HSIC of the groups that each line of `weights` (draws, groups) holds, both kinds.

    Song's equation 5 has K and L without their diagonals, and 1 for the vector of ones:
    (tr K L + 1'K1 1'L1 / (n - 1)(n - 2) - 2 1'KL1 / (n - 2)) / n(n - 3).
    """
    k, ell = x.squares, y.squares
    groups = range(len(k))
    products = _by_kernels(x, y) if x.rows <= _FEW else _by_columns(x, y)
    # With s_g and t_g the sums of a group's rows in X and in Y: all s_f'M_g t_h.
    between_groups = np.empty((len(groups),) * 3)
    x_by_y, y_by_x = np.empty_like(x.sums), np.empty_like(y.sums)
    for group in groups:
        left = x.of(group)
        right = left if x is y else y.of(group)
        x_by_y[group], y_by_x[group] = ell[group] @ left, k[group] @ right
        between_groups[:, group] = (left @ x.sums.T).T @ (right @ y.sums.T)
    squares = ((weights @ products) * weights).sum(axis=1)
    between = np.einsum("rf,rg,rh,fgh->r", weights, weights, weights, between_groups, optimize=True)
    x_sums, y_sums = weights @ x.sums, weights @ y.sums
    x_trace = weights @ np.array([k[g].sum() for g in groups])
    y_trace = weights @ np.array([ell[g].sum() for g in groups])
    diagonal = weights @ np.array([k[g] @ ell[g] for g in groups])
    x_by_y, y_by_x = weights @ x_by_y, weights @ y_by_x
    x_all, y_all = (x_sums**2).sum(axis=1), (y_sums**2).sum(axis=1)
    crossed = between - (x_sums * x_by_y).sum(axis=1) - (y_sums * y_by_x).sum(axis=1) + diagonal
    n = counts
    with np.errstate(invalid="ignore", divide="ignore"):
        unbiased = squares - diagonal
        unbiased += (x_all - x_trace) * (y_all - y_trace) / ((n - 1) * (n - 2))
        unbiased -= 2 * crossed / (n - 2)
        unbiased = np.where(n > 3, unbiased / (n * (n - 3)), np.nan)
    biased = (squares - 2 * between / n + x_all * y_all / n**2) / (n - 1) ** 2
    return {"biased": biased, "unbiased": unbiased}


def _by_kernels(x: _Side, y: _Side) -> Floats:
    """Return all <M_g, M_h> for M_g = X_g'Y_g of a group, (groups, groups), of few rows.

    It is the sum of all k_ij l_ij with row i in g and j in h.
    """
    both = np.ones(())
    for side in (x, y):
        rows = np.concatenate([side.of(group) for group in range(len(side.sums))])
        both = both * (rows @ rows.T)
    starts = np.cumsum([0, *(len(square) for square in x.squares[:-1])])
    out: Floats = np.add.reduceat(np.add.reduceat(both, starts, axis=0), starts, axis=1)
    return out


def _by_columns(x: _Side, y: _Side) -> Floats:
    """Return what `_by_kernels` does, of any number of rows, from some columns at a time."""
    groups = len(x.sums)
    out = np.zeros((groups, groups))
    for start in range(0, x.width, _CHUNK):
        end = min(start + _CHUNK, x.width)
        # Of a set with itself one triangle is enough, what is beyond the diagonal counting twice.
        bounds = [(start, end), (end, x.width)] if x is y else [(0, y.width)]
        products = [np.empty((groups, end - start, stop - begin)) for begin, stop in bounds]
        for group in range(groups):
            left = x.of(group)
            right = left if x is y else y.of(group)
            for (begin, stop), block in zip(bounds, products, strict=True):
                block[group] = left[:, start:end].T @ right[:, begin:stop]
        for times, block in enumerate(products, start=1):
            flat = block.reshape(groups, -1)
            out += times * (flat @ flat.T)
    return out
