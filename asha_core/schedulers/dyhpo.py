"""DyHPO: one trial is advanced by one unit at a time, the one that promises most.

Candidates are all paused trials and configurations that have not begun. A Gaussian process predicts what
each would report, and the one with the largest expected improvement goes on. Nobody is stopped: a trial
that does not promise much just waits.

With ``kernel="deep"`` it is the paper's: a deep kernel of configuration, unit and the curve so far predicts
each at its next unit (a new one at its first), and improvement is over the best loss seen at that unit
(where there is none yet: over the best of all). By default (``kernel="ahead"``) it is not: a process with a
few parameters predicts each at the last unit, improvement is over the best of all, and the first ``scouts``
configurations are trained to a third of ``max_resource`` before. Why: ``docs/decisions/0039-surrogates.md``.

Source: Wistuba, Kadra and Grabocka 2022, arXiv:2202.09774, algorithm 1; the model in
``asha_core/surrogates/deep_kernel.py``.

How the authors' code (github.com/machinelearningnuremberg/DyHPO) differs. It maximises, whatever its
argument ``minimization`` says; leaves diverged configurations out of its data and offers them again;
takes values as they are; counts units from 0 in what is fitted and from 1 in what is predicted; begins
with one configuration; and fits after each unit, while nothing trains. Here losses are scaled, units are
counted alike, a failed trial has the worst loss and is over, several trials may run at once (what they
will report is fantasised), and fits run beside the training. There a fit takes 1000 epochs at a learning
rate of .001 for the first ten, and 50 later.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from heapq import heappop, heappush
from typing import Any, Self

from asha_core.arguments import integer, number, one_of
from asha_core.errors import SettingError
from asha_core.extras import needed
from asha_core.schedulers.base import Scheduler
from asha_core.schedulers.brackets import Bracket
from asha_core.schedulers.levels import check_levels
from asha_core.schedulers.state import Status, TrialState
from asha_core.searchers.base import Searcher
from asha_core.searchers.listed import Listed
from asha_core.space import Configuration, SearchSpace
from asha_core.surrogates import load

_MOST_FITTED = 800  # beyond, gpytorch does not factorise, and approximates


class DyHPO(Scheduler):
    """DyHPO; see the module for the rule. ``reduction_factor`` has no effect.

    Needs the extra ``bo``.

    Args:
        step: units by which a trial is advanced at a time, from ``min_resource`` on.
        initial: configurations that begin before the model decides, in the searcher's order, whatever is
            reported: the same in all arms of a study. All start points are among them.
        scouts: how many of these are trained to a third of ``max_resource`` unasked, so that the model knows
            curves of more than one kind; only with ``kernel="ahead"``.
        kernel: ``ahead`` or ``deep``; see the module.
        pool: how many configurations that have not begun the model chooses from, the searcher's next. Of a
            searcher that learns it is one: what it would propose later depends on what is reported.
        epochs: of a fit that begins with new parameters (of a deep kernel: new weights).
        refine_epochs: of a fit that goes on from the one before.
        from_scratch: how many fits begin so.
        refit: a fit is begun after so many more observations, as a share of those there are.
        fitted: the most observations that are fitted: whole curves of the best trials and the last losses of
            others; the time of a fit grows with its cube.
        learning_rate: of the fits.
        others: see ``Scheduler``.
    Raises:
        SettingError: an argument out of its range, or gpytorch is not installed.
    """

    name = "dyhpo"
    stops = True
    extends = False  # with more trials to begin, it begins one where it would go on with another
    expectation_is_exact = True
    learns = True

    def __init__(
        self,
        space: SearchSpace | Mapping[str, Any],
        *,
        step: int = 1,
        initial: int = 10,
        scouts: int = 6,
        kernel: str = "ahead",
        pool: int = 1000,
        epochs: int = 80,
        refine_epochs: int = 40,
        from_scratch: int = 1,
        refit: float = 0.2,
        fitted: int = 500,
        learning_rate: float = 0.1,
        **others: Any,
    ) -> None:
        self.step = integer("step", step, 1)
        self.initial = integer("initial", initial, 2)
        self.kernel = one_of("kernel", kernel, ("ahead", "deep"))
        self.scouts = integer("scouts", scouts, 0)
        self.pool = integer("pool", pool, 1)
        self.fit_settings = {
            "epochs": integer("epochs", epochs, 1),
            "refine_epochs": integer("refine_epochs", refine_epochs, 1),
            "from_scratch": integer("from_scratch", from_scratch, 1),
            "refit": number("refit", refit, above=0, most=1),
            "fitted": integer("fitted", fitted, 10, _MOST_FITTED),
            "learning_rate": number("learning_rate", learning_rate, above=0, most=1),
        }
        needed("bo", "gpytorch", what=f"scheduler {self.name}", error=SettingError)
        self._rehearsed = False
        super().__init__(space, **others)

    def ladder(self, min_resource: int, max_resource: int, reduction_factor: int) -> tuple[int, ...]:  # type: ignore[override]
        """Each unit from ``min_resource`` on, or each of so many steps, and always ``max_resource``."""
        least, most, _ = check_levels(min_resource, max_resource, reduction_factor)
        return (*range(least, most, self.step), most)

    def begin(self) -> None:
        """Nothing is known."""
        self._model: Any = None
        self._proposed: dict[int, Configuration] = {}  # by index: those of the searcher that have not begun
        self._asked = 0  # how many configurations the searcher was asked for
        self._candidates: list[tuple[float, int, int]] = []  # paused: (loss, trial, rung); may have gone on
        self._promotions = 0
        self._changes = 0
        self._decided: tuple[int, int | None] = (-1, None)  # after which change, and what

    # -- who goes on ---------------------------------------------------------------------------

    def promotable(self) -> TrialState | None:
        """The paused trial that promises most; None: a new configuration promises more."""
        scout = self._scout()
        if scout is not None:
            return scout
        best = self._best_paused()
        if best is None or self._begins_unasked():
            return None
        if self._rehearsed or not self._modelled.decides:
            return self.trials[best]
        key = self._decision()
        return self.trials[key] if key is not None and key >= 0 else None

    def _scout(self) -> TrialState | None:
        """Who goes on whatever the model says."""
        if self._rehearsed or self.kernel == "deep" or self._begins_initial():
            return None
        for trial in self.trials[: min(self.scouts, self.initial)]:
            if trial.status == Status.PAUSED and 3 * self.levels[trial.rung] < self.levels[-1]:
                return trial
        return None

    def _best_paused(self) -> int | None:
        """The paused trial with the least loss."""
        while self._candidates:
            _, trial, rung = self._candidates[0]
            if self.trials[trial].status == Status.PAUSED and self.trials[trial].rung == rung:
                return trial
            heappop(self._candidates)
        return None

    def _begins_initial(self) -> bool:
        """Whether one of the initial design is next."""
        begun = len(self.trials)
        return self.may_begin() and (begun - self.rejected < self.initial or begun < self._listed)

    def _begins_unasked(self) -> bool:
        """Whether a new configuration is next, whatever the model says."""
        if not self.may_begin():
            return False
        if self._begins_initial():
            return True
        if self._rehearsed:  # no model: half of the jobs begin a trial, half go on with the best
            return len(self.trials) <= self._promotions
        return not self._modelled.decides

    def _decision(self) -> int | None:
        """What the model chooses; asked once after each change."""
        if self._decided[0] != self._changes:
            self._decided = self._changes, self._modelled.choose(new=self.may_begin())
        return self._decided[1]

    def configure(self, number: int) -> Configuration:
        """The next of the searcher's in the initial design; then the one that promises most."""
        if self._rehearsed:
            return self.searcher.propose(number)
        self._fill()
        key = None if self._begins_unasked() else self._decision()
        index = min(self._proposed) if key is None else -1 - key
        configuration = self._proposed.pop(index)
        self._modelled.begin(number, configuration, 0, -1 - index)
        self._fill()
        self._changes += 1
        return configuration

    def _fill(self) -> None:
        """As many configurations to choose from as there may be."""
        size, pool = self.searcher.size, 1 if self.searcher.learns else self.pool
        while len(self._proposed) < pool and (size is None or self._asked < size):
            configuration = self.searcher.propose(self._asked)
            self._proposed[self._asked] = configuration
            self._modelled.offer(-1 - self._asked, configuration)
            self._asked += 1

    @property
    def _listed(self) -> int:
        """How many start points there are."""
        return self.searcher.given if isinstance(self.searcher, Listed) else 0

    @property
    def _modelled(self) -> Any:
        """The model, made when first asked for."""
        if self._model is None:
            kind, settings = load("curves", f"scheduler {self.name}"), self.fit_settings
            self._model = kind(
                self.space,
                self.levels,
                self.seed,
                kind.settings(
                    first_fit=self.initial,
                    epochs=settings["epochs"],
                    refine_epochs=settings["refine_epochs"],
                    from_scratch=settings["from_scratch"],
                    growth=settings["refit"],
                    cap=settings["fitted"],
                    patience=len(self.levels) + len(self.levels) // 5,
                    learning_rate=settings["learning_rate"],
                    looks_ahead=self.kernel == "ahead",
                ),
            )
        return self._model

    # -- what happens --------------------------------------------------------------------------

    def promote(self, trial: TrialState) -> None:
        """It is on its way to the next unit."""
        self._promotions += 1
        self._changes += 1
        if not self._rehearsed:
            self._modelled.begin(trial.id, trial.configuration, trial.rung + 1, trial.id)

    def arrived(self, trial: TrialState, loss: float) -> None:
        """One observation more; a loss that is not finite is the worst, and the end of its trial."""
        self._changes += 1
        goes_on = trial.status == Status.PAUSED and math.isfinite(loss)
        if trial.status == Status.PAUSED and not goes_on:
            self.stop(trial)
        if goes_on:
            heappush(self._candidates, (loss, trial.id, trial.rung))
        if not self._rehearsed:
            self._modelled.arrived(trial.id, trial.configuration, loss, goes_on=goes_on)

    def screened_out(self, trial: TrialState) -> None:
        """Nothing was observed; in a rehearsal nobody is."""
        self._changes += 1
        self._modelled.gone(trial.id)

    def awaited(self, trial: TrialState) -> None:
        """What stood for its failure is no observation."""
        self._changes += 1
        self._modelled.forget(trial.id)

    # -- how far it will go --------------------------------------------------------------------

    def rehearsal(self, trials: int | None, searcher: Searcher, *, longest: bool = False) -> Self:
        """Without a model: what it would choose is not known; every other job begins a trial."""
        twin = super().rehearsal(trials, searcher, longest=longest)
        twin._rehearsed = True
        return twin

    def brackets(self, trials: int) -> list[Bracket]:
        """Without a budget, everybody is trained in full in the end."""
        return [Bracket(self.levels[-1:], trials)]

    @property
    def whole_bracket(self) -> int:
        """The first trial may be trained in full."""
        return 1

    @property
    def least_trials(self) -> int:
        """With fewer trials than this nobody goes beyond the first unit."""
        return 1

    # -- looking in ----------------------------------------------------------------------------

    def describe(self) -> dict[str, Any]:
        """The resolved settings, JSON-able, for a run's manifest."""
        own = {"step": self.step, "initial": self.initial, "scouts": self.scouts, "kernel": self.kernel}
        own |= {"pool": self.pool, **self.fit_settings}
        return {**super().describe(), **own}

    def state(self) -> dict[str, int | float]:
        """How often the model was fitted."""
        return {"fits": 0 if self._model is None else self._model.fits}
