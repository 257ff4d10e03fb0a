"""What the hooks of somebody's scheduler answer, and what becomes of a wrong answer."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

from asha_core import ASHA, Float, Report, Scheduler, SearchSpace, Status
from asha_core.errors import SettingError
from asha_core.schedulers.forecast import Forecast
from tests.asha_core.schedulers.helpers import drive

SPACE = SearchSpace({"x": Float(0.0, 1.0)})


class Onward(Scheduler):
    """Everybody goes on, in the order in which they came."""

    name = "onward"

    def begin(self) -> None:
        self.onward: list[Any] = []

    def arrived(self, trial: Any, loss: float) -> None:
        if trial.status == Status.PAUSED:
            self.onward.append(trial)

    def promotable(self) -> Any:
        return self.onward[0] if self.onward else None

    def promote(self, trial: Any) -> None:
        self.onward.remove(trial)


class Forgets(Onward):
    def promote(self, trial: Any) -> None:
        pass


class TooMany(Onward):
    def arrived(self, trial: Any, loss: float) -> None:
        self.onward.append(trial)


class Numbers(Onward):
    def promotable(self) -> Any:
        return self.onward[0].id if self.onward else None


class Stops(Onward):
    stops = True

    def arrived(self, trial: Any, loss: float) -> None:
        self.stop(trial)
        self.stop(trial)


class Breaks(Onward):
    def arrived(self, trial: Any, loss: float) -> None:
        raise KeyError("lr")


def make(kind: type[Onward], **settings: Any) -> Onward:
    return kind(SPACE, **{"max_resource": 3, "max_trials": 3, **settings})


def test_whoever_is_given_goes_on() -> None:
    scheduler = make(Onward)
    drive(scheduler, lambda trial, unit: trial)
    assert [trial.status for trial in scheduler.trials] == [Status.DONE] * 3


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Forgets, r"^Forgets: promotable\(\) gave trial 0, which is done: .* paused, or None; promote\(\)"),
        (TooMany, r"^TooMany: promotable\(\) gave trial 0, which is done: "),
        (Numbers, r"^Numbers: promotable\(\) gave 0: it must give a trial, as self.trials has them, or None"),
        (Stops, r"^Stops: stop\(\) was given trial 0, which is stopped: it takes trials whose status is "),
    ],
)
def test_a_trial_that_cannot_go_on_or_be_stopped_is_named(kind: type[Onward], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        drive(make(kind), lambda trial, unit: trial)
    with pytest.raises(SettingError, match=said):  # as before a search, in its rehearsal
        Forecast(make(kind), 3, 1)


@pytest.mark.parametrize(
    "levels", [(), None, 3, [3, 1], (1, 1, 3), (0, 3), (1, 2), (1, 4), ("1", 3), (1.0, 3)]
)
def test_a_ladder_that_is_none_is_named_with_what_it_gave(levels: Any) -> None:
    kind = type("Mine", (Onward,), {"ladder": staticmethod(lambda *settings: levels)})
    said = re.escape(f"Mine: ladder() gave {levels!r}: it must give units from 1 on that grow, ")
    with pytest.raises(SettingError, match=f"{said}the last of them max_resource, which is 3"):
        make(kind)


@pytest.mark.parametrize("levels", [(3,), [1, 3], range(1, 4), (1, 2, 3)])
def test_any_row_of_levels_will_do_and_the_method_may_look_at_settings(levels: Any) -> None:
    kind = type(
        "Mine", (Onward,), {"ladder": lambda self, least, most, eta: levels if self.seed == 0 else ()}
    )
    assert make(kind).levels == tuple(levels)


def test_what_a_hook_raises_in_a_rehearsal_is_one_line_with_its_place() -> None:
    with pytest.raises(
        SettingError, match=r"^Breaks cannot be rehearsed: it raised KeyError: 'lr' \(.*test_hooks"
    ):
        Forecast(make(Breaks), 3, 1)


def test_who_has_observed_is_told_every_unit_unless_it_says_otherwise() -> None:
    def observed(self: Any, trial: Any, resource: int, loss: float) -> None:
        self.heard = resource

    hears = type("Hears", (Onward,), {"observed": observed})
    assert hears.observes
    assert type("Heir", (hears,), {}).observes
    assert not type("Deaf", (Onward,), {"observed": observed, "observes": False}).observes
    assert not Onward.observes
    scheduler: Any = make(hears)
    scheduler.ask()
    scheduler.tell(Report(0, 0, 1, 0.5, 0.0))
    assert scheduler.heard == 1


def test_help_and_editors_show_what_a_scheduler_takes() -> None:
    class Mine(Onward):
        def __init__(self, space: Any, *, patience: int = 3, **others: Any) -> None:
            super().__init__(space, **others)

    assert list(inspect.signature(ASHA).parameters)[:4] == ["space", "mode", "min_resource", "max_resource"]
    assert list(inspect.signature(Mine).parameters) == ["space", "patience", "others"]
