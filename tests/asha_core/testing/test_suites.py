"""The public suites notice what they are for: each mistake here fails the test that is about it."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from asha_core import ASHA, Observer, RandomSearch, Searcher
from asha_core.errors import AshaError
from asha_core.schedulers.stopping import StoppingASHA
from asha_core.searchers.listed import Listed
from asha_core.testing import (
    ObserverContract,
    SchedulerContract,
    SearcherContract,
    TaskContract,
    WarmStartContract,
)
from asha_core.testing.looking import differences, fingerprint
from trials import Task
from warmstart import Outcome


def notices(suite: object, test: str, *arguments: object) -> None:
    """The test of the suite fails."""
    with pytest.raises((AssertionError, AshaError, TypeError, RuntimeError)):
        getattr(suite, test)(*arguments)


def of_scheduler(kind: type[ASHA]) -> SchedulerContract:
    class Suite(SchedulerContract):
        def scheduler(self, space, **settings):
            return kind(space, **settings)

    return Suite()


class Moody(ASHA):
    name = "moody"

    def arrived(self, trial, loss):
        super().arrived(trial, loss + random.random())


class Restless(ASHA):
    """Looking changes something."""

    name = "restless"
    looked = 0

    def promotable(self):
        self.looked += 1
        return super().promotable()


class Hidden(Restless):
    """In an object of a class from elsewhere, deep down."""

    def begin(self):
        super().begin()
        self.box = SimpleNamespace(inside=SimpleNamespace(looked=0))

    def promotable(self):
        self.box.inside.looked += 1
        return ASHA.promotable(self)


class Stops(StoppingASHA):
    name = "stops"
    stops = False


class Forgetful(ASHA):
    name = "forgetful"

    def __init__(self, space, **settings):
        super().__init__(space, **{**settings, "max_retries": 2, "seed": 0})


class Long(ASHA):
    name = "long"

    @staticmethod
    def ladder(min_resource, max_resource, reduction_factor):
        return tuple(range(min_resource, max_resource + 1))


class Fragile(ASHA):
    name = "fragile"

    def arrived(self, trial, loss):
        assert loss == loss, "nobody fails"  # noqa: PLR0124
        super().arrived(trial, loss)


class Keeps(ASHA):
    """A failed trial is waited for, and never comes."""

    name = "keeps"

    def goes_on(self, trial):
        return True


class Nameless(ASHA):
    """It goes by the name of another."""


@pytest.mark.parametrize(
    ("kind", "test", "arguments"),
    [
        (Nameless, "test_it_has_a_name_and_describes_what_was_resolved", ()),
        (Moody, "test_equal_searches_are_equal_to_the_last_detail", ()),
        (Restless, "test_asking_in_vain_changes_nothing", ()),
        (Hidden, "test_asking_in_vain_changes_nothing", ()),
        (Stops, "test_a_search_ends_with_everybody_at_rest", (3,)),
        (Forgetful, "test_a_lost_job_is_tried_again_so_often_and_then_failed", (0,)),
        (Forgetful, "test_another_seed_gives_other_configurations", ()),
        (Long, "test_without_a_limit_a_sensible_number_of_trials_is_taken", ()),
        (Fragile, "test_a_journal_rebuilds_it_whatever_went_wrong", (0, "min")),
        (Keeps, "test_what_it_says_of_itself_is_plain", ()),
    ],
)
def test_a_mistake_of_a_scheduler_is_noticed(kind, test, arguments):
    notices(of_scheduler(kind), test, *arguments)
    getattr(of_scheduler(ASHA), test)(*arguments)  # and what is right is not


def of_searcher(kind: Callable[..., Searcher]) -> SearcherContract:
    class Suite(SearcherContract):
        def searcher(self, space, seed):
            return kind(space, seed)

    return Suite()


class Anywhere(RandomSearch):
    name = "anywhere"

    def propose(self, index):
        return self.space.from_unit([random.random() for _ in self.space])


class Outside(RandomSearch):
    name = "outside"

    def propose(self, index):
        return self.space.from_unit([0.99] * len(self.space))  # which the constraint refuses


class Learns(RandomSearch):
    name = "learns"
    luck = random.Random(0)

    def observe(self, trial, resource, loss):
        self.seed = self.luck.randrange(10**6)


class Fussy(RandomSearch):
    name = "fussy"

    def observe(self, trial, resource, loss):
        assert abs(loss) < 1e9, "no infinity"


class Anonymous(RandomSearch):
    """Likewise."""


@pytest.mark.parametrize(
    ("kind", "test", "arguments"),
    [
        (Anonymous, "test_it_says_what_it_is", ()),
        (Anywhere, "test_asked_again_it_says_the_same", ()),
        (Anywhere, "test_the_same_seed_is_the_same_sequence_whatever_the_global_generators_do", ()),
        (Outside, "test_what_is_proposed_belongs_to_the_space_constraints_included", ()),
        (Outside, "test_another_seed_is_another_sequence", ()),
        (Learns, "test_a_search_that_is_resumed_meets_the_same_configurations", (0,)),
        (Fussy, "test_any_loss_will_do", ()),
        (lambda space, seed: Listed([], RandomSearch(space, 0)), "test_another_seed_is_another_sequence", ()),
    ],
)
def test_a_mistake_of_a_searcher_is_noticed(kind, test, arguments):
    notices(of_searcher(kind), test, *arguments)
    getattr(of_searcher(RandomSearch), test)(*arguments)


class Meddles(Observer):
    def on_event(self, view, event):
        view.scheduler.max_trials = 5


class Assumes(Observer):
    def on_event(self, view, event):
        view.now += event.seconds  # not every event has any


class Boastful(Observer):
    def on_end(self, view, outcome):
        print(outcome.best.value)


@pytest.mark.parametrize(
    ("kind", "test"),
    [
        (Meddles, "test_it_raises_nothing_and_changes_nothing_whatever_happens"),
        (Assumes, "test_it_raises_nothing_and_changes_nothing_whatever_happens"),
        (Boastful, "test_a_search_without_a_trial_has_no_best"),
    ],
)
def test_a_mistake_of_an_observer_is_noticed(kind, test, tmp_path):
    def of(made: type[Observer]) -> ObserverContract:
        class Suite(ObserverContract):
            def observer(self, folder: Path) -> Observer:
                return made()

        return Suite()

    notices(of(kind), test, tmp_path)
    getattr(of(Observer), test)(tmp_path)


class Noisy:
    name, needs_losses = "noisy", False

    def refine(self, problem, configuration, seed):
        np.random.rand()
        torch.rand(1)
        return Outcome(configuration, {"strategy": self.name})


class Wanders:
    name, needs_losses = "wanders", False

    def refine(self, problem, configuration, seed):
        from asha_core import Configuration

        changed = {**configuration, "lr": configuration["lr"] * 100}
        return Outcome(Configuration(tuple(changed), tuple(changed.values())), {"strategy": self.name})


@pytest.mark.parametrize(
    ("kind", "test"),
    [
        (Noisy, "test_a_refinement_is_inside_the_space_and_leaves_no_trace"),
        (Wanders, "test_it_stays_inside_from_every_corner"),
    ],
)
def test_a_mistake_of_a_warm_start_is_noticed(kind, test):
    class Suite(WarmStartContract):
        def warm_start(self):
            return kind()

    notices(Suite(), test)


class Forgets(Task):
    """Keeps nothing, so a pause begins anew."""

    space = SearcherContract.space

    def run(self, trial):
        total = 0.0
        for _ in trial.units():
            total += trial.config["x"]
            trial.report(total)


class Rolls(Forgets):
    def run(self, trial):
        for _ in trial.units():
            trial.report(random.random())


@pytest.mark.parametrize(
    ("kind", "test"),
    [
        (Forgets, "test_a_trial_that_was_paused_goes_on_where_it_was"),
        (Rolls, "test_every_unit_is_reported_and_the_same_seed_gives_the_same_values"),
    ],
)
def test_a_mistake_of_a_task_is_noticed(kind, test, tmp_path):
    class Suite(TaskContract):
        def task(self):
            return kind()

    notices(Suite(), test, tmp_path)


def test_two_objects_that_differ_anywhere_have_other_fingerprints():
    def made(value: object) -> object:
        return SimpleNamespace(a=[{"b": SimpleNamespace(c=value)}])

    values = [1, 1.0, float("nan"), "1", (1,), {1}, np.array([1, 2]), np.array([1, 3]), random.Random(1)]
    found = [fingerprint(made(value)) for value in values]
    assert len({repr(each) for each in found}) == len(values)
    assert fingerprint(made(random.Random(2))) == fingerprint(made(random.Random(2)))


def test_where_two_objects_differ_is_said():
    one, other = (SimpleNamespace(a=[1, {"b": SimpleNamespace(c=value)}], d=0) for value in (1, 2))
    assert differences(fingerprint(one), fingerprint(one)) == []
    assert differences(fingerprint(one), fingerprint(other)) == ["SimpleNamespace.a[1].'b'.c: 1 and 2"]
    assert len(differences(fingerprint([1]), fingerprint([1, 2]))) == 1


def test_a_circle_has_a_fingerprint():
    one = SimpleNamespace()
    one.itself = one
    assert "itself" in repr(fingerprint(one))


@pytest.mark.processes
def test_without_pytest_the_import_says_how_to_get_it():
    program = "import sys; sys.modules['pytest'] = None; import asha_core.testing"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "asha_core.testing needs pytest: pip install pytest" in done.stderr
