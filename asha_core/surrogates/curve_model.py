"""What DyHPO asks: which of many curves to go on with. Observations, fits beside the search, and the choice.

A fit is begun at an observation and used from a later one on, both of them counted: as many later as
units are trained meanwhile, which arrive in about the time of one unit. It runs in a thread, and is
waited for only if it is not ready by then. Between fits the process is conditioned on each new
observation exactly, by features that stay. So what is chosen depends on what was told, in its order, and
not on how long anything took.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asha_core.space import SearchSpace
from asha_core.streams import stream_seed
from asha_core.surrogates.background import Beside, load_torch, one_thread
from asha_core.surrogates.encoding import encode
from asha_core.surrogates.scaling import Scaling

_LEAST_CURVE = 3  # the width of the network's filters


@dataclass(frozen=True, slots=True)
class FitSettings:
    """How the model is fitted.

    Attributes:
        first_fit: observations at which the first fit is begun.
        epochs, refine_epochs: of a fit from new weights, and of one that goes on from the fit before.
        from_scratch: how many fits begin with new weights.
        growth: the next fit is begun after so many more observations, as a share of those there are.
        cap: the most observations that are fitted and conditioned on when a fit is taken up.
        patience: observations without a better loss after which a fit begins with new weights again.
        learning_rate: Adam's.
        looks_ahead: whether candidates are judged by what they would report at the last level, by a Gaussian
            process on configuration and unit; else at their next level, by the deep kernel.
    """

    first_fit: int
    epochs: int
    refine_epochs: int
    from_scratch: int
    growth: float
    cap: int
    patience: int
    learning_rate: float
    looks_ahead: bool = False

    @property
    def module(self) -> str:
        """Where the model is."""
        return "asha_core.surrogates." + ("curve_gp" if self.looks_ahead else "deep_kernel")


class CurveModel:
    """A deep kernel over configurations, levels and curves; see the module.

    Candidates have keys: a paused trial its number; a new configuration a negative one. ``choose`` changes
    nothing.

    Args:
        space: of the configurations.
        levels: units at which losses are told.
        seed: what new weights are drawn from.
    """

    settings = FitSettings

    def __init__(self, space: SearchSpace, levels: Sequence[int], seed: int, settings: FitSettings) -> None:
        self._space, self._levels, self._seed, self._settings = space, levels, seed, settings
        self._known: dict[int, tuple[object, list[float]]] = {}  # by trial: what it trains with, as numbers
        self._curves: dict[int, list[float]] = {}  # by trial: its loss at each level
        self._pending: dict[int, int] = {}  # by trial: the level that it is on its way to
        self._paused: dict[int, int] = {}  # by trial: the level that it would go to
        self._new: dict[int, list[float]] = {}  # by key
        self._count = 0  # observations told
        self._better_at = 0  # when a loss was last the best
        self._least = math.inf
        self._fits = 0  # begun
        self._next_fit, self._use_from = settings.first_fit, 0
        self._fit: Beside | None = None
        self._scaling_of_fit: Scaling | None = None
        self._scaling: Scaling | None = None
        self._fitted: Any = None
        self._posterior: Any = None
        self._best: list[float] = []  # by level, standardised; infinite where there is no finite one

    def __del__(self) -> None:
        if getattr(self, "_fit", None) is not None:
            self._fit.drop()  # type: ignore[union-attr]

    @property
    def decides(self) -> bool:
        """Whether a fit is in use."""
        return self._posterior is not None

    @property
    def fits(self) -> int:
        """How many fits were begun."""
        return self._fits

    # -- what happens --------------------------------------------------------------------------

    def offer(self, key: int, configuration: Mapping[str, Any]) -> None:
        """A new configuration may begin, at the first level."""
        self._new[key] = encode(self._space, configuration)
        if self._posterior is not None:
            self._put([key])

    def begin(self, trial: int, configuration: Mapping[str, Any], level: int, key: int | None) -> None:
        """A trial is on its way to a level; ``key`` is the candidate that it was, None: it was none."""
        self._pending[trial] = level
        self._paused.pop(trial, None)
        self._number(trial, configuration)
        if key is not None:
            self._new.pop(key, None)
        if self._posterior is None:
            return
        if key is not None and not self._settings.looks_ahead:
            self._posterior.start(key, trial)  # where it was judged is where it goes
            return
        if key is not None:
            self._posterior.drop(key)
        self._put([trial])

    def gone(self, trial: int) -> None:
        """Nothing will be heard of a trial on its way."""
        self._pending.pop(trial, None)
        if self._posterior is not None:
            self._posterior.drop(trial)

    def forget(self, trial: int) -> None:
        """A trial that failed is tried again: its last loss is none."""
        self._curves[trial].pop()
        self._pending[trial] = len(self._curves[trial])
        if self._posterior is not None:
            self._condition()

    def arrived(self, trial: int, configuration: Mapping[str, Any], loss: float, *, goes_on: bool) -> None:
        """A trial is at the level that it was on its way to.

        Args:
            configuration: what it trained with.
            loss: what it has there; not finite: the worst.
            goes_on: whether it is a candidate for the next level.
        """
        self.gone(trial)
        self._number(trial, configuration)
        curve = self._curves.setdefault(trial, [])
        curve.append(loss)
        self._count += 1
        if loss < self._least and math.isfinite(loss):
            self._least, self._better_at = loss, self._count
        if goes_on:
            self._paused[trial] = len(curve)
        if self._fit is not None and self._count >= self._use_from:
            self._take_up(self._fit)
        elif self._posterior is not None:
            self._observe(trial)
            if goes_on:
                self._put([trial])
        if self._fit is None and self._count >= self._next_fit:
            self._begin_fit()

    def _number(self, trial: int, configuration: Mapping[str, Any]) -> None:
        """A warm start may have changed what it trains with."""
        known = self._known.get(trial)
        if known is None or known[0] is not configuration:
            self._known[trial] = configuration, encode(self._space, configuration)

    # -- the choice ----------------------------------------------------------------------------

    def choose(self, *, new: bool) -> int | None:
        """The key of the candidate to train next, by the largest expected improvement; None: there is none.

        Improvement is over the best loss at the same level, or over the best of all where there is none yet;
        over the best of all, if the model looks ahead.

        Args:
            new: whether new configurations may begin.
        """
        with one_thread():
            torch = load_torch()
            overall = min(self._best)
            ahead = self._settings.looks_ahead
            best = [overall if ahead or math.isinf(value) else value for value in self._best]
            found: int | None = self._posterior.choose(torch.tensor(best, dtype=torch.float64), new=new)
        return found

    def _observe(self, trial: int) -> None:
        level = len(self._curves[trial]) - 1
        y = self._target(trial, level)
        self._seen(trial, level)
        with one_thread():
            z = self._fitted.features(self._points([(trial, level)]))
            self._posterior.observe(z, y)

    def _seen(self, trial: int, level: int) -> None:
        """Where nobody has been but those that failed there is nothing to improve on."""
        if math.isfinite(self._curves[trial][level]):
            self._best[level] = min(self._best[level], self._target(trial, level))

    def _target(self, trial: int, level: int) -> float:
        assert self._scaling is not None
        return self._scaling.target(self._curves[trial][level])

    def _put(self, keys: Sequence[int]) -> None:
        """Columns for candidates and for what is being trained."""
        kinds, levels, last = [], [], len(self._levels) - 1
        ahead = self._settings.looks_ahead
        posterior = importlib.import_module("asha_core.surrogates.posterior")
        for key in keys:
            if key < 0:
                kind, level = posterior.NEW, last if ahead else 0
            elif key in self._pending:
                kind, level = posterior.PENDING, self._pending[key]
            else:
                kind, level = posterior.PAUSED, last if ahead else self._paused[key]
            kinds.append(kind)
            levels.append(level)
        with one_thread():
            points = self._points(list(zip(keys, levels, strict=True)))
            self._posterior.put(keys, self._fitted.features(points), kinds, levels)

    def _points(self, rows: Sequence[tuple[int, int]]) -> Any:
        """Of (trial or key, level); by the scaling in use."""
        kernel = importlib.import_module("asha_core.surrogates.deep_kernel")
        assert self._scaling is not None
        return kernel.points(*self._numbers(rows, self._scaling))

    def _numbers(self, rows: Sequence[tuple[int, int]], scaling: Scaling) -> tuple[list[list[float]], ...]:
        """Of (trial or key, level): configurations, units and curves, each a list of rows."""
        width = max(len(self._levels) - 1, _LEAST_CURVE)
        heights: dict[int, list[float]] = {}
        x, units, curves = [], [], []
        for key, level in rows:
            if key not in heights:
                heights[key] = [scaling.height(loss) for loss in self._curves.get(key, ())]
            x.append(self._new[key] if key < 0 else self._known[key][1])
            units.append([self._levels[level] / self._levels[-1]])
            before = heights[key][:level]
            curves.append(before + [0.0] * (width - len(before)))
        return x, units, curves

    # -- fits ----------------------------------------------------------------------------------

    def _chosen(self) -> list[tuple[int, int]]:
        """The observations that are fitted: (trial, level), at most ``cap``.

        All of them, as long as there is room. Then half of the room is for whole curves, those of the best
        trials; the other half is for the last loss of others, evenly spread over all that were begun.
        """
        cap, curves = self._settings.cap, self._curves
        if sum(map(len, curves.values())) <= cap:
            return [(trial, level) for trial, curve in curves.items() for level in range(len(curve))]
        ranks = {trial: (_least(curve), trial) for trial, curve in curves.items() if curve}
        chosen: list[tuple[int, int]] = []
        others = set(ranks)
        for trial in sorted(ranks, key=ranks.__getitem__):
            if len(chosen) + len(curves[trial]) > cap // 2:
                break
            chosen += [(trial, level) for level in range(len(curves[trial]))]
            others.discard(trial)
        left, room = sorted(others), cap - len(chosen)
        if len(left) > room:
            left = [left[place * len(left) // room] for place in range(room)]
        return chosen + [(trial, len(curves[trial]) - 1) for trial in left]

    def _begin_fit(self) -> None:
        settings, rows = self._settings, self._chosen()
        losses = [self._curves[trial][level] for trial, level in rows]
        if sum(map(math.isfinite, losses)) < 2:
            return
        self._next_fit = self._count + min(math.ceil(settings.growth * self._count), settings.cap // 2)
        self._use_from = self._count + max(1, len(self._pending))
        stale = self._count - self._better_at >= settings.patience
        if stale:
            self._better_at = self._count
        fresh = self._fitted is None or stale or self._fits < settings.from_scratch
        scaling = self._scaling_of_fit = Scaling.of(losses)
        start = None if fresh else self._fitted
        seed = stream_seed(self._seed, "dyhpo-weights", self._fits)
        self._fits += 1
        # nothing of ``self`` is touched in the thread, which loads torch, too
        numbers, targets = self._numbers(rows, scaling), [scaling.target(loss) for loss in losses]

        def compute(unwanted: Any) -> Any:
            torch, network = load_torch(), importlib.import_module("asha_core.surrogates.deep_kernel")
            return importlib.import_module(settings.module).fit(
                network.points(*numbers),
                torch.tensor(targets, dtype=torch.float64),
                start,
                epochs=settings.epochs if fresh else settings.refine_epochs,
                learning_rate=settings.learning_rate,
                seed=seed,
                unwanted=unwanted,
            )

        self._fit = Beside(compute)

    def _take_up(self, fit: Beside) -> None:
        """From here on by the new fit; one that broke down is passed over."""
        self._fit = None
        fitted = fit.result()
        if fitted is not None:
            self._fitted, self._scaling = fitted, self._scaling_of_fit
        if self._fitted is not None:
            self._condition()

    def _condition(self) -> None:
        """Condition the process anew, with a column for all that may come or is on its way."""
        torch = load_torch()
        module = importlib.import_module("asha_core.surrogates.posterior")
        rows, fitted = self._chosen(), self._fitted
        self._best = [math.inf] * len(self._levels)
        for trial, curve in self._curves.items():
            for level in range(len(curve)):
                self._seen(trial, level)
        with one_thread():
            y = torch.tensor([self._target(*row) for row in rows], dtype=torch.float64)
            z = fitted.features(self._points(rows))
            self._posterior = module.Posterior(z, y, scale=fitted.scale, noise=fitted.noise, mean=fitted.mean)
        self._put([*sorted(self._paused), *sorted(self._pending), *sorted(self._new, reverse=True)])


def _least(curve: Sequence[float]) -> float:
    return min((loss for loss in curve if math.isfinite(loss)), default=math.inf)
