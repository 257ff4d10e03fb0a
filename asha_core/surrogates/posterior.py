"""A Gaussian process with fixed features: exact, and extended by one observation or candidate at a time.

With L the Cholesky factor of the kernel matrix of n observations (with their noise) and V = L^-1 K for m
candidates, a candidate's mean is m + V' L^-1 (y - m), and its variance k - sum of V squared. One observation
more is one row more of L and of V: O(n^2 + n m), where a new factor would take O(n^3 + n^2 m).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from asha_core.surrogates.log_ei import log_expected_improvement

FREE, PAUSED, NEW, PENDING = range(4)  # what a column is of


class Posterior:
    """Of loss, given observations; for candidates, each of them a column.

    Args:
        z: features of the observations, shape (n, F), in units of the length scale.
        y: shape (n,).
        scale, noise, mean: of the process; the two first are variances.
    """

    def __init__(self, z: Tensor, y: Tensor, *, scale: float, noise: float, mean: float) -> None:
        self._scale, self._noise, self._mean = scale, noise, mean
        n, features = z.shape
        matrix = self._kernel(z, z)
        matrix.diagonal().add_(noise)
        self._n = n
        rows = n + 64
        self._z = _grown(z, rows, 0)
        self._l = torch.zeros(rows, rows, dtype=z.dtype)
        self._l[:n, :n] = torch.linalg.cholesky(matrix)
        self._beta = torch.zeros(rows, dtype=z.dtype)
        self._beta[:n] = _solved(self._l[:n, :n], (y - mean)[:, None])[:, 0]
        self._columns: dict[int, int] = {}  # by key
        self._keys: list[int] = []
        self._unused: list[int] = []
        self._kind = torch.zeros(0, dtype=torch.int8)
        self._level = torch.zeros(0, dtype=torch.int64)
        self._zc = torch.zeros(0, features, dtype=z.dtype)
        self._v = torch.zeros(rows, 0, dtype=z.dtype)
        self._means = torch.zeros(0, dtype=z.dtype)
        self._variances = torch.zeros(0, dtype=z.dtype)

    def _kernel(self, a: Tensor, b: Tensor) -> Tensor:
        """Shape (len(a), len(b))."""
        squares = (a * a).sum(1)[:, None] + (b * b).sum(1)[None] - 2 * a @ b.T
        return self._scale * torch.exp(-0.5 * squares.clamp_min_(0))

    def observe(self, z: Tensor, y: float) -> None:
        """One observation more, with features of shape (1, F)."""
        n = self._n
        if n == len(self._beta):
            self._make_room(2 * n)
        row = _solved(self._l[:n, :n], self._kernel(self._z[:n], z))[:, 0]
        corner = math.sqrt(max(self._scale + self._noise - float(row @ row), 0.5 * self._noise))
        beta = (y - self._mean - float(row @ self._beta[:n])) / corner
        self._z[n], self._l[n, :n], self._l[n, n], self._beta[n] = z[0], row, corner, beta
        below = (self._kernel(z, self._zc)[0] - row @ self._v[:n]) / corner
        self._v[n] = below
        self._means += below * beta
        self._variances -= below * below
        self._n = n + 1

    def _make_room(self, rows: int) -> None:
        self._z, self._beta = _grown(self._z, rows, 0), _grown(self._beta, rows, 0)
        self._l = _grown(_grown(self._l, rows, 0), rows, 1)
        self._v = _grown(self._v, rows, 0)

    def put(self, keys: Sequence[int], z: Tensor, kinds: Sequence[int], levels: Sequence[int]) -> None:
        """Columns more, with features of shape (len(keys), F)."""
        if not keys:
            return
        lacking = len(keys) - len(self._unused)
        if lacking > 0:
            self._widen(max(lacking, len(self._keys) // 2))
        columns = [self._unused.pop() for _ in keys]
        n, place = self._n, torch.tensor(columns)
        v = _solved(self._l[:n, :n], self._kernel(self._z[:n], z))
        self._zc[place] = z
        self._v[:n, place] = v
        self._means[place] = self._mean + self._beta[:n] @ v
        self._variances[place] = self._scale - (v * v).sum(0)
        self._kind[place] = torch.tensor(kinds, dtype=torch.int8)
        self._level[place] = torch.tensor(levels)
        for key, column in zip(keys, columns, strict=True):
            self._columns[key] = column
            self._keys[column] = key

    def _widen(self, columns: int) -> None:
        before = len(self._keys)
        width = before + columns
        self._zc, self._v = _grown(self._zc, width, 0), _grown(self._v, width, 1)
        self._means, self._variances = _grown(self._means, width, 0), _grown(self._variances, width, 0)
        self._kind, self._level = _grown(self._kind, width, 0), _grown(self._level, width, 0)
        self._keys += [0] * columns
        self._unused = [*range(width - 1, before - 1, -1), *self._unused]

    def drop(self, key: int) -> None:
        """The column goes; nothing if there is none."""
        column = self._columns.pop(key, None)
        if column is not None:
            self._kind[column] = FREE
            self._unused.append(column)

    def start(self, key: int, now: int) -> None:
        """What was a candidate is being trained, as trial ``now``."""
        column = self._columns.pop(key)
        self._columns[now] = column
        self._keys[column] = now
        self._kind[column] = PENDING

    def choose(self, best: Tensor, *, new: bool) -> int | None:
        """The key of the candidate with the largest expected improvement; None: there are no candidates.

        What is being trained counts as if its mean had been observed (a kriging believer, Ginsbourger et al.
        2010): means stay, variances shrink, and the best at its level may be better.

        Args:
            best: by level: the least loss seen there, or if there is none at all; shape (levels,).
            new: whether new configurations may begin.
        """
        candidates = self._kind == PAUSED
        if new:
            candidates |= self._kind == NEW
        (columns,) = torch.nonzero(candidates, as_tuple=True)
        if not len(columns):
            return None
        variances = self._variances[columns]
        (pending,) = torch.nonzero(self._kind == PENDING, as_tuple=True)
        if len(pending):
            variances = variances - self._explained(pending, columns)
            best = best.scatter_reduce(0, self._level[pending], self._means[pending], "amin")
        sigma = (variances.clamp_min(0) + self._noise).sqrt()
        means, best = self._means[columns], best[self._level[columns]]
        gain = log_expected_improvement(-means.numpy(), sigma.numpy(), -best.numpy())
        return self._keys[int(columns[int(gain.argmax())])]

    def _explained(self, pending: Tensor, columns: Tensor) -> Tensor:
        """By how much observations of what is pending would shrink the variances of some columns."""
        n = self._n
        v, others = self._v[:n, pending], self._v[:n, columns]
        among = self._kernel(self._zc[pending], self._zc[pending]) - v.T @ v
        among.diagonal().add_(self._noise)
        between = self._kernel(self._zc[pending], self._zc[columns]) - v.T @ others
        part = _solved(torch.linalg.cholesky(among), between)
        return (part * part).sum(0)

    def predict(self, keys: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Means and variances of columns, without noise and without what is pending."""
        place = torch.tensor([self._columns[key] for key in keys])
        return self._means[place], self._variances[place]


def _solved(lower: Tensor, right: Tensor) -> Tensor:
    solved: Tensor = torch.linalg.solve_triangular(lower, right, upper=False)
    return solved


def _grown(tensor: Tensor, size: int, dimension: int) -> Tensor:
    """Zeros appended, up to ``size``."""
    shape = list(tensor.shape)
    shape[dimension] = size - shape[dimension]
    return torch.cat((tensor, torch.zeros(shape, dtype=tensor.dtype)), dimension)
