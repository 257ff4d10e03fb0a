"""Which hyper-parameters mattered: permutation importance over a random forest, on trials it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from analysis.stats.arrays import Floats
from asha_core.errors import SettingError
from asha_core.runtime.units import counted

LEAST_TRIALS = 20
LEAST_SCORE = (
    0.2  # of R^2 on trials left out: below, the forest knows too little for its importances to mean much
)
_MOST_TRIALS, _FOLDS, _TREES, _REPEATS = 1_000, 5, 50, 10


@dataclass(frozen=True, slots=True)
class Importance:
    """How much worse the ranking of unseen trials is predicted when one dimension is shuffled among them.

    Attributes:
        dimensions: (D,) names, as they were given.
        mean, sd: (D,) the loss of R^2 by a shuffled dimension, over shuffles; about 0 if it does not matter,
            or if another says the same.
        score: R^2 of the ranking on trials left out: 1 is perfect, 0 no better than the mean.
        trials: how many were used.
        why: why there are no numbers, or why they should not be trusted; "" if they can be.
    """

    dimensions: tuple[str, ...]
    mean: tuple[float, ...]
    sd: tuple[float, ...]
    score: float
    trials: int
    why: str = ""


def importance(
    dimensions: Sequence[str], places: ArrayLike, values: ArrayLike, mode: str = "max", seed: int = 0
) -> Importance:
    """Permutation importance of a random forest: on each fifth of the trials, by a forest of the others.

    Values are ranked first, so that one loss of 1e12 among many of 0.1 does not decide; a trial whose value
    is not finite is the last. Of over a thousand trials a thousand are taken.

    Args:
        dimensions: (D,) names.
        places: (N, D) in [0, 1]; NaN where a configuration lacks a dimension.
        values: (N,) comparable with one another, such as of one rung.
        mode: "max" if larger values are better, or "min".
    Raises:
        SettingError: shapes that do not fit.
    Source: Breiman 2001, Random forests, section 10; Altmann et al. 2010.
    """
    x, y = np.asarray(places, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if x.shape != (len(y), len(dimensions)):
        raise SettingError(f"places has shape {x.shape}: give ({len(y)}, {len(dimensions)})")
    unknown = (float("nan"),) * len(dimensions)
    finite = int(np.isfinite(y).sum())

    def none(why: str) -> Importance:
        return Importance(tuple(dimensions), unknown, unknown, float("nan"), finite, why)

    if len(dimensions) < 2:
        return none("the search space has fewer than two dimensions to compare")
    if finite < LEAST_TRIALS:
        few = f"{counted(finite, 'trial')} with a value {'is' if finite == 1 else 'are'} too few"
        return none(f"{few}: it takes at least {LEAST_TRIALS}")
    if len(np.unique(y[np.isfinite(y)])) < 2:
        return none("all trials have the same value")
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(y))[:_MOST_TRIALS]
    mean, sd, score = _left_out(np.nan_to_num(x[order], nan=-0.5), _ranks(y[order], mode), seed)
    why = ""
    if score < LEAST_SCORE:
        why = f"a forest cannot tell good trials from bad by their settings ({r2(score)} on trials left out)"
    return Importance(tuple(dimensions), tuple(mean.tolist()), tuple(sd.tolist()), score, len(order), why)


def r2(score: float) -> str:
    """A score for people."""
    return f"R\N{SUPERSCRIPT TWO} = {score:.2f}"


def _ranks(values: Floats, mode: str) -> Floats:
    """From 0 to 1, the best 1; what is not finite is last, and equal values share their mean rank."""
    from scipy.stats import rankdata

    signed = values if mode == "max" else -values
    return np.asarray(
        rankdata(np.where(np.isfinite(signed), signed, -np.inf)) / len(values), dtype=np.float64
    )


def _left_out(x: Floats, y: Floats, seed: int) -> tuple[Floats, Floats, float]:
    """(D,) means and standard deviations of what a shuffled dimension costs, and R^2, on trials left out."""
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.model_selection import KFold

    dimensions, rng = x.shape[1], np.random.default_rng(seed)
    predicted, shuffled = np.empty_like(y), np.empty((dimensions, _REPEATS, len(y)))
    for seen, unseen in KFold(_FOLDS, shuffle=True, random_state=seed).split(x):
        forest = RandomForestRegressor(_TREES, min_samples_leaf=2, random_state=seed)
        forest.fit(x[seen], y[seen])
        asked = np.tile(x[unseen], (dimensions, _REPEATS, 1, 1))
        for dimension in range(dimensions):
            for repeat in range(_REPEATS):
                asked[dimension, repeat, :, dimension] = x[rng.permutation(unseen), dimension]
        found = forest.predict(np.concatenate([x[unseen], asked.reshape(-1, dimensions)]))
        predicted[unseen] = found[: len(unseen)]
        shuffled[:, :, unseen] = found[len(unseen) :].reshape(dimensions, _REPEATS, len(unseen))
    score = _explained(predicted, y)
    lost = score - _explained(shuffled, y)
    return lost.mean(axis=1), lost.std(axis=1), float(score)


def _explained(predicted: Floats, y: Floats) -> Floats:
    """R^2 along the last axis."""
    return np.asarray(1 - ((predicted - y) ** 2).mean(axis=-1) / y.var())
