"""The exact process, extended by one row or column at a time, beside the textbook's formulas."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from asha_core.surrogates.log_ei import log_expected_improvement  # noqa: E402
from asha_core.surrogates.posterior import NEW, PAUSED, Posterior  # noqa: E402

SETTINGS = {"scale": 1.3, "noise": 0.05, "mean": 0.2}


def points(count, seed):
    return torch.randn(count, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def kernel(a, b):
    return SETTINGS["scale"] * torch.exp(-0.5 * torch.cdist(a, b) ** 2)


def textbook(z, y, at):
    """Means and variances by one solve."""
    matrix = kernel(z, z) + SETTINGS["noise"] * torch.eye(len(z), dtype=z.dtype)
    weights = torch.linalg.solve(matrix, kernel(z, at))
    variances = SETTINGS["scale"] - (weights * kernel(z, at)).sum(0)
    return SETTINGS["mean"] + weights.T @ (y - SETTINGS["mean"]), variances


@pytest.mark.parametrize("more", [0, 1, 150])  # with 150 there is no room any more
def test_rows_one_by_one_are_the_whole(more):
    z, at = points(20 + more, 1), points(7, 2)
    y = torch.sin(z.sum(1))
    posterior = Posterior(z[:20], y[:20], **SETTINGS)
    posterior.put(range(4), at[:4], [PAUSED] * 4, [0] * 4)
    for row in range(20, 20 + more):
        posterior.observe(z[row : row + 1], float(y[row]))
    posterior.put(range(4, 7), at[4:], [NEW] * 3, [0] * 3)
    for found, expected in zip(posterior.predict(range(7)), textbook(z, y, at), strict=True):
        assert torch.allclose(found, expected, atol=1e-8)


def test_what_is_pending_is_believed():
    """The choice is that of a process to which the mean of what is pending was told as observed."""
    z, at = points(12, 3), points(30, 4)
    y = torch.cos(z.sum(1))
    for pending in ([0], [0, 5, 11]):
        posterior = Posterior(z, y, **SETTINGS)
        posterior.put(range(30), at, [PAUSED] * 30, [0] * 30)
        for key in pending:
            posterior.start(key, key)
        means, _ = textbook(z, y, at[pending])
        left = [key for key in range(30) if key not in pending]
        best = min(float(y.min()), float(means.min()))
        both = textbook(torch.cat((z, at[pending])), torch.cat((y, means)), at[left])
        sigma = (both[1] + SETTINGS["noise"]).sqrt()
        gain = log_expected_improvement(-both[0].numpy(), sigma.numpy(), -best)
        assert posterior.choose(y.min()[None], new=False) == left[int(gain.argmax())]


def test_of_two_alike_the_second_is_not_begun_while_the_first_is():
    z, y = torch.zeros(1, 4, dtype=torch.float64), torch.tensor([-1.0], dtype=torch.float64)
    twins = torch.cat((z + 0.25, z + 0.25, z + 9))
    posterior = Posterior(z, y, **{**SETTINGS, "noise": 1e-4})
    posterior.put([-1, -2, -3], twins, [NEW] * 3, [0] * 3)
    best = torch.tensor([-1.0], dtype=torch.float64)
    first = posterior.choose(best, new=True)
    assert first in (-1, -2)
    posterior.start(first, 0)
    assert posterior.choose(best, new=True) == -3
    assert posterior.choose(best, new=False) is None


def test_a_column_that_went_is_none_and_its_place_is_taken():
    z = points(5, 1)
    posterior = Posterior(z, z[:, 0], **SETTINGS)
    posterior.put([], z[:0], [], [])
    posterior.put([3], z[:1], [PAUSED], [0])
    posterior.drop(3)
    posterior.drop(4)
    best = torch.zeros(1, dtype=torch.float64)
    assert posterior.choose(best, new=True) is None
    posterior.put([7], z[1:2], [PAUSED], [0])
    assert posterior.choose(best, new=False) == 7
