"""Median stopping: a trial goes on while its mean so far is no worse than the median of the others' there."""

from collections import deque
from math import isfinite
from statistics import median

from asha_core import Scheduler, Status


class MedianStopping(Scheduler):
    """A trial is compared after every unit, from ``min_resource`` on.

    Args:
        least: how many others must have been there before anybody is stopped.
        others: see ``asha_core.Scheduler``.
    Source: Golovin et al. 2017, "Google Vizier", section 3.2.
    """

    name = "median-stopping"
    stops = True
    survivors = 1

    def __init__(self, space, *, least=3, **others):
        self.least = least
        super().__init__(space, **others)

    @staticmethod
    def ladder(min_resource, max_resource, reduction_factor):
        return tuple(range(min_resource, max_resource + 1))

    def begin(self):
        self._losses = {}  # trial: its losses, unit by unit
        self._means = [[] for _ in self.levels]  # of those that were there
        self._onward = deque()

    def observed(self, trial, resource, loss):
        self._losses.setdefault(trial.id, []).append(loss)

    def arrived(self, trial, loss):
        if trial.status == Status.FAILED:
            return
        losses, others = self._losses[trial.id], self._means[trial.rung]
        mean = sum(losses) / len(losses)
        good = isfinite(mean) and (len(others) < self.least or mean <= median(others))
        if isfinite(mean):
            others.append(mean)
        if trial.status == Status.PAUSED:  # and not done
            if good:
                self._onward.append(trial)
            else:
                self.stop(trial)

    def promotable(self):
        return self._onward[0] if self._onward else None

    def promote(self, trial):
        self._onward.popleft()

    def goes_on(self, trial):
        return trial.status == Status.PAUSED

    def describe(self):
        return {**super().describe(), "least": self.least}

    # rungs do not keep one in `reduction_factor`: the first trial is trained in full already
    whole_bracket = 1
    least_trials = 1
