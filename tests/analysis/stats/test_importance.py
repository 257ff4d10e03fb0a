"""Importances find what matters, say how far they can be trusted, and say nothing where little is known."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.stats.importance import LEAST_TRIALS, importance
from asha_core.errors import SettingError

NAMES = ("a", "b", "c")
PLACES = np.random.default_rng(0).random((60, 3))


def test_what_decides_the_value_is_first_and_the_rest_is_about_nothing() -> None:
    found = importance(NAMES, PLACES, (PLACES[:, 1] - 0.4) ** 2, "min")
    assert found.why == ""
    assert found.score > 0.7
    assert int(np.argmax(found.mean)) == 1
    assert found.mean[1] > 0.5
    assert max(abs(found.mean[0]), abs(found.mean[2])) < 0.1
    assert found == importance(NAMES, PLACES, (PLACES[:, 1] - 0.4) ** 2, "min")  # nothing is left to chance


def test_a_huge_loss_or_one_that_is_not_finite_decides_nothing_but_its_rank() -> None:
    values = PLACES[:, 1].copy()
    plain = importance(NAMES, PLACES, values, "min")
    worst = int(np.argmax(values))
    for odd in (1e30, np.inf, np.nan):
        values[worst] = odd
        found = importance(NAMES, PLACES, values, "min")
        assert (found.mean, found.score) == (plain.mean, plain.score)


@pytest.mark.parametrize("mode", ["max", "min"])
def test_noise_is_called_noise(mode: str) -> None:
    found = importance(NAMES, PLACES, np.random.default_rng(1).random(60), mode)
    assert found.score < 0.2
    assert "cannot tell good trials from bad by their settings (R\N{SUPERSCRIPT TWO} = -" in found.why


def test_whether_a_dimension_is_there_can_matter() -> None:
    places = PLACES.copy()
    places[::2, 2] = np.nan
    found = importance(NAMES, places, np.isnan(places[:, 2]) + 0.01 * PLACES[:, 0])
    assert int(np.argmax(found.mean)) == 2


@pytest.mark.parametrize(
    ("count", "values", "names", "said"),
    [
        (LEAST_TRIALS - 1, None, NAMES, "19 trials with a value are too few: it takes at least 20"),
        (60, np.full(60, 0.5), NAMES, "all trials have the same value"),
        (60, np.full(60, np.nan), NAMES, "0 trials with a value are too few"),
        (60, None, NAMES[:1], "fewer than two dimensions"),
        (0, None, NAMES, "0 trials with a value are too few"),
    ],
)
def test_where_nothing_can_be_known_it_is_said_why(
    count: int, values: np.ndarray | None, names: tuple[str, ...], said: str
) -> None:
    places = PLACES[:count, : len(names)]
    found = importance(names, places, PLACES[:count, 0] if values is None else values)
    assert said in found.why
    assert np.isnan(found.mean).all()


def test_a_shape_that_does_not_fit_is_refused() -> None:
    with pytest.raises(SettingError, match=r"places has shape \(60, 3\): give \(59, 3\)"):
        importance(NAMES, PLACES, np.zeros(59))
