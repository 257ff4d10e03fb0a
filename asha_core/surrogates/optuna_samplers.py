"""Optuna's samplers as models of which configuration to try next: TPE, and a Gaussian process.

Each question makes a new study of the observations that it is asked about, so an answer depends on nothing
else. Trials that have no result yet are *running* ones there: TPE counts them among the bad ones (the
constant liar), and the Gaussian process takes the expected improvement over all of them together (q-log-EI).

Source: Bergstra et al. 2011 (TPE); Watanabe 2023, arXiv:2304.11127 (as Optuna has it, with all dimensions in
one density: multivariate); Ament et al. 2023, arXiv:2310.20708 (log-EI).
"""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from copy import copy
from datetime import datetime
from typing import Any

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, GPSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from asha_core.space import Choice, Configuration, Constant, Dimension, Float, Int, SearchSpace
from asha_core.surrogates.background import take_one_thread

Observed = Sequence[tuple[Configuration, float]]
Answer = Callable[[], Configuration | None]

_SOME_DAY = datetime(2000, 1, 1)  # Optuna wants one
_LARGEST = 1e30  # losses beyond are as bad, or as good: their squares are finite


class Axis:
    """A dimension as Optuna has it: a real one in [0, 1], or the number of its value.

    Args:
        whole: of numbers, up to how many values are numbered; more are as good as a real dimension, which
            costs Optuna less.
    """

    def __init__(self, dimension: Dimension, whole: int) -> None:
        self._dimension = dimension
        self._values = 0
        self.distribution: BaseDistribution = FloatDistribution(0.0, 1.0)
        if isinstance(dimension, Choice):
            self._values = len(dimension.options)
            self.distribution = CategoricalDistribution(range(self._values))
        elif (
            isinstance(dimension, Float | Int)
            and not dimension.log
            and (dimension.count or whole + 1) <= whole
        ):
            self._values = dimension.count or 0
            self.distribution = IntDistribution(0, self._values - 1)

    def to_optuna(self, value: Any) -> float:
        """A value of the dimension as Optuna has it."""
        unit = min(max(self._dimension.to_unit(value), 0.0), 1.0)
        return min(math.floor(unit * self._values), self._values - 1) if self._values else unit

    def from_optuna(self, found: float) -> Any:
        """The way back."""
        return self._dimension.from_unit((found + 0.5) / self._values if self._values else found)


class _Trial(FrozenTrial):
    """A trial that a study takes without a copy of all that is in it, which would take most of the time."""

    def __deepcopy__(self, memo: dict[int, Any]) -> _Trial:
        return copy(self)


class OptunaModel(ABC):
    """A model of losses over a space.

    Args:
        space: what is searched.
    Attributes:
        most: how many observations it is fitted to at most.
        most_pending: how many pending configurations it takes into account at most.
        pending_below: whether trials count as pending that have reported, at smaller resources alone.
        ahead: whether an answer takes so long that it should be asked for before it is wanted.
    """

    most = 250
    most_pending = 100
    pending_below = False
    ahead = False
    whole = 50  # of integers: see ``Axis``
    imputed = False  # whether dimensions that do not exist are given a value, the middle of their range

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._axes = {
            name: Axis(dimension, self.whole)
            for name, dimension in space.items()
            if not isinstance(dimension, Constant)
            and not (isinstance(dimension, Choice) and len(dimension.options) == 1)
        }
        self._distributions = {name: axis.distribution for name, axis in self._axes.items()}
        middle = space.from_unit([0.5] * len(space))
        self._usual = {
            name: middle[name] if name in middle else dimension.from_unit(0.5)
            for name, dimension in space.items()
        }

    def ask(self, observed: Observed, pending: Sequence[Configuration], seed: int) -> Answer:
        """Ask where to look next.

        Args:
            observed: configurations with their losses, finite ones; in the order in which they came.
            pending: configurations that are tried already, and have no loss yet.
            seed: of this answer.
        Returns:
            What gives the answer, constraints aside; it takes the time until it is there. None: the model
            cannot be fitted.
        """
        question = self._question(observed, pending)
        return lambda: self._answer(question, seed)

    def _question(self, observed: Observed, pending: Sequence[Configuration]) -> list[FrozenTrial]:
        losses = self.losses([loss for _, loss in observed])
        trials = [
            self._trial(configuration, loss)
            for (configuration, _), loss in zip(observed, losses, strict=True)
        ]
        return trials + [self._trial(configuration, None) for configuration in pending]

    def losses(self, losses: Sequence[float]) -> list[float]:
        """The losses that it is fitted to."""
        return [min(max(loss, -_LARGEST), _LARGEST) for loss in losses]

    def _trial(self, configuration: Configuration, loss: float | None) -> FrozenTrial:
        values: Mapping[str, Any] = configuration
        if self.imputed:
            values = {**self._usual, **configuration}
        names = [name for name in self._axes if name in values]
        return _Trial(
            number=-1,  # the study numbers it
            trial_id=-1,
            state=TrialState.RUNNING if loss is None else TrialState.COMPLETE,
            value=loss,
            datetime_start=_SOME_DAY,
            datetime_complete=None if loss is None else _SOME_DAY,
            params={name: self._axes[name].to_optuna(values[name]) for name in names},
            distributions={name: self._distributions[name] for name in names},
            user_attrs={},
            system_attrs={},
            intermediate_values={},
        )

    def _answer(self, question: Sequence[FrozenTrial], seed: int) -> Configuration | None:
        with _quietly():
            study = optuna.create_study(sampler=self.sampler(seed & 0xFFFFFFFF))
            study.add_trials(question)
            try:
                trial = study.ask(dict(self._distributions))
            except (ArithmeticError, np.linalg.LinAlgError, RuntimeError):  # torch's is a RuntimeError
                return None
        found = {name: axis.from_optuna(trial.params[name]) for name, axis in self._axes.items()}
        return self._space.active({**self._usual, **found})

    @abstractmethod
    def sampler(self, seed: int) -> BaseSampler:
        """A new sampler of Optuna's."""


class TPEModel(OptunaModel):
    """Tree-structured Parzen estimators: the densities of good and of bad configurations.

    Of 250 observations the best 25 are the good ones, which is the most that Optuna takes.
    """

    def sampler(self, seed: int) -> BaseSampler:
        """TPE, with a density for each set of dimensions that exist together."""
        grouped = bool(self._space.conditions)
        return TPESampler(seed=seed, n_startup_trials=0, multivariate=True, group=grouped, constant_liar=True)


class GPModel(OptunaModel):
    """A Gaussian process with a Matern kernel, fitted in a thread: an answer takes about a second."""

    most = 100
    most_pending = 50
    pending_below = True  # at the same losses its maximum is the same point
    ahead = True
    whole = 0
    imputed = True

    def __init__(self, space: SearchSpace) -> None:
        super().__init__(space)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="gp", initializer=take_one_thread)
        self._last: Future[Configuration | None] | None = None

    def ask(self, observed: Observed, pending: Sequence[Configuration], seed: int) -> Answer:
        """As for every model; it is begun at once, in place of one that nobody has waited for."""
        if self._last is not None:
            self._last.cancel()  # if it has not begun
        self._last = self._thread.submit(self._answer, self._question(observed, pending), seed)
        return self._last.result

    def losses(self, losses: Sequence[float]) -> list[float]:
        """Those much worse than most are drawn in: a diverged network says no more than that it is bad."""
        found = sorted(super().losses(losses))
        middle = found[len(found) // 2]
        bound = middle + 3.0 * (middle - found[0])
        limit = bound if bound > middle else found[-1]
        return [min(loss, limit) for loss in super().losses(losses)]

    def sampler(self, seed: int) -> BaseSampler:
        """Optuna's own Gaussian process."""
        return GPSampler(seed=seed, n_startup_trials=1)


@contextmanager
def _quietly() -> Iterator[None]:
    """Nothing of Optuna's on the user's terminal; what a user of Optuna has set stands again after it."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(level)
