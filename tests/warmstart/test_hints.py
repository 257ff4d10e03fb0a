"""What a user should know, said once."""

from __future__ import annotations

import functools
import subprocess
import sys
import warnings
from collections.abc import Mapping
from typing import Any

import pytest
from torch import nn

import warmstart
from asha_core import Float, SearchSpace
from tests.warmstart.models import problem as any_problem
from tests.warmstart.small_problems import SPACE, Small, black_box, configuration
from warmstart import Problem
from warmstart.hints import hints, new_hints, subject

LR = SearchSpace({"lr": Float(1e-4, 30.0, log=True)})


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warmstart, "_hints_given", set())


def test_nothing_is_said_of_what_went_as_it_should() -> None:
    outcome = warmstart.refine("ohgw-trust", Small(), configuration())
    assert not hints(outcome.diagnostics)


def warned(name: str, problem: Problem, config: Mapping[str, Any], **settings: Any) -> list[Any]:
    """What three refinements warn of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for seed in range(3):
            warmstart.refine(name, problem, config, seed=seed, **settings)
    return caught


def test_a_fallback_is_warned_of_once_where_it_was_called() -> None:
    (warning,) = warned("ohgw-1step", black_box(LR), {"lr": 0.1})
    assert "finite differences in the place of differentiation (nothing to" in str(warning.message)
    assert (warning.category, warning.filename) == (UserWarning, __file__)


def test_what_nothing_depends_on_is_warned_of_once_by_name() -> None:
    space = SearchSpace({**SPACE, "idle": Float(0.0, 1.0)}, conditions=SPACE.conditions)
    (warning,) = warned("ohgw-1step", Small(space=space), {**configuration(), "idle": 0.5})
    assert "nothing depends on 'idle', so its hyper-gradient is 0" in str(warning.message)


def test_differences_that_were_asked_for_are_no_surprise() -> None:
    assert not warned("ohgw-1step", black_box(LR), {"lr": 0.1}, route="differences")


def test_other_texts_are_told_as_they_come() -> None:
    said: set[Any] = set()
    assert len(new_hints({"ignored": ["a", "b"]}, said)) == 2
    assert not new_hints({"ignored": ["b", "a"]}, said)
    assert len(new_hints({"ignored": ["c", "a"], "fallback": "x", "unmatched": ["lr"]}, said)) == 3


def test_a_problem_may_know_why_nothing_depends_on_one() -> None:
    """Its user cannot read it anywhere: a task of this package does."""
    problem = type("Known", (), {"why_ignored": {"a": "it acts later"}})()
    first, second = hints({"ignored": ["a", "b"]}, problem)
    assert first.endswith("is 0 (it acts later)")
    assert second.endswith("is 0 (if it should, read it from the configuration that the function is given)")
    assert new_hints({"ignored": ["a"]}, set(), problem=problem) == [first]


def test_each_model_is_told_of_once_however_many_problems_are_made_of_it() -> None:
    """A tuner makes one for each trial. Python's own filter, which knows texts and lines, lets it by."""

    def evaluate(config: Any, draw: int) -> float:
        return float(config["lr"])

    def other(config: Any, draw: int) -> float:
        return -float(config["lr"])

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for seed in range(3):
            for function in (evaluate, other):
                warmstart.refine("ohgw-1step", warmstart.BlackBox(LR, function), {"lr": 0.1}, seed=seed)
    assert len(caught) == 2


def test_what_a_hint_is_about() -> None:
    """Names, not objects: layers may differ in number and in their settings from trial to trial."""

    def problem(*layers: nn.Module, **arguments: Any) -> warmstart.ModelProblem:
        return any_problem(nn.Sequential(nn.Linear(6, 4), *layers), **arguments)

    one = subject(problem(nn.Dropout(0.1)))
    assert one == subject(problem(nn.Dropout(0.2), nn.Dropout(0.3)))
    assert one != subject(problem(nn.Tanh()))
    assert one != subject(problem(nn.Dropout(0.1), loss=lambda outputs, targets, config: outputs.mean()))
    assert one != subject(problem(nn.Dropout(0.1), space=LR))

    class Made(nn.Linear):
        def __init__(self, configuration: Any, width: int = 4) -> None:
            super().__init__(6, width)

    assert subject(any_problem(functools.partial(Made, width=6))) == subject(any_problem(Made))


@pytest.mark.processes
def test_the_public_names_are_there_and_torch_is_not_until_it_is_needed() -> None:
    assert all(getattr(warmstart, name) for name in warmstart.__all__)
    code = (
        "import sys, warmstart\n"
        "warmstart.build('screen+trust'), warmstart.build('flipped'), warmstart.BlackBox\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        warmstart.Nothing  # noqa: B018


def test_lambdas_of_different_lines_are_different_subjects() -> None:
    first = any_problem(loss=lambda outputs, targets, config: outputs.sum())
    second = any_problem(loss=lambda outputs, targets, config: outputs.mean())
    assert subject(first) != subject(second)
    assert len({subject(any_problem(loss=lambda outputs, targets, config: outputs.sum())) for _ in "ab"}) == 1
