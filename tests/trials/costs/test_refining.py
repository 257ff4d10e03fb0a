"""Operations of warm starts, concluded from what was counted once; and that counting changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from torch import nn

from asha_core import Float, RandomSearch, Refined, SearchSpace
from tests.trials.workers import digits_job, events_of
from trials.tasks.digits import Digits
from warmstart.operations import OperationCounter
from warmstart.registry import VARIATIONS, build
from warmstart.strategies import first_check

SANE = {"lr": 0.01, "weight_decay": 1e-4, "momentum": 0.8, "magnitude": 0.5, "label_smoothing": 0.1}


@pytest.fixture(scope="module")
def digits() -> Digits:
    task = Digits()
    task.setup("cpu")
    return task


@pytest.mark.long
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name.endswith(("-matched", "-flipped")) else name
        for name in VARIATIONS
    ],
)
def test_a_refinement_costs_what_pytorch_counts_of_it(name: str, digits: Digits) -> None:
    """The first one is counted, the others are concluded from their calls; none is left out, on digits."""
    strategy = build(VARIATIONS[name].strategy, VARIATIONS[name].settings)
    proposals = RandomSearch(digits.space, 0)
    known: dict[str, Any] = {}
    told, real = [], []
    for number in (0, 5, 6, 14):  # all but the first explode, so that screen draws again and brake acts
        configuration = proposals.propose(number)
        problem: Any = digits.problem(number, "cpu")
        with problem.counting(known) as flops:
            outcome = strategy.refine(problem, configuration, number)
        told.append(flops(outcome.diagnostics))
        with OperationCounter() as counter:
            again = strategy.refine(digits.problem(number, "cpu"), configuration, number)
        real.append(counter.total)
        assert repr(again) == repr(outcome)  # to the last bit, counted or not
    assert told == pytest.approx(real, rel=1e-12)


class Wider(Digits):
    """As wide as its configuration says: every network costs something else."""

    space = SearchSpace({**Digits.space, "width": Float(1.0, 40.0)})

    def model(self, config: Any) -> nn.Module:
        width = int(config["width"])
        return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))


@pytest.mark.long
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", ["ohgw-1step", "ohgw-screen-trust"])
def test_refinements_of_networks_of_every_width(name: str) -> None:
    task = Wider()
    task.setup("cpu")
    settings = {"mask": ("lr", "momentum")} if name == "ohgw-1step" else {}
    strategy = build(VARIATIONS[name].strategy, {**VARIATIONS[name].settings, **settings})
    known: dict[str, Any] = {}
    figures = 0
    for number in (0, 1, 2, 0, 1, 2):
        configuration = RandomSearch(task.space, 0).propose(number)
        problem: Any = task.problem(number, "cpu")
        with problem.counting(known) as flops:
            outcome = strategy.refine(problem, configuration, number)
        with OperationCounter() as counter:
            strategy.refine(task.problem(number, "cpu"), configuration, number)
        told = flops(outcome.diagnostics)
        if told is not None:
            figures += 1
            assert told == pytest.approx(counter.total, rel=1e-12)
    assert figures >= 5


@pytest.mark.parametrize("name", [pytest.param("ohgw-1step", marks=pytest.mark.slow), "ohgw-trust"])
def test_a_first_check_is_in_its_own_figure_and_in_no_other(
    name: str, digits: Digits, monkeypatch: pytest.MonkeyPatch
) -> None:
    strategy = build(VARIATIONS[name].strategy, VARIATIONS[name].settings)
    configuration = digits.space.configuration(SANE)
    known: dict[str, Any] = {}

    def told_and_real(*, first: bool) -> tuple[float | None, float]:
        def judge_again() -> None:
            if first:
                monkeypatch.setattr(first_check, "_judgements", {})

        judge_again()
        problem: Any = digits.problem(0, "cpu")
        with problem.counting(known) as flops:
            outcome = strategy.refine(problem, configuration, 0)
        judge_again()
        with OperationCounter() as counter:
            again = strategy.refine(digits.problem(0, "cpu"), configuration, 0)
        assert ("check" in outcome.diagnostics) == first
        assert again.configuration == outcome.configuration
        return flops(outcome.diagnostics), counter.total

    figures = [told_and_real(first=number == 0) for number in range(3)]
    assert all(told == pytest.approx(real, rel=1e-12) for told, real in figures)
    assert figures[0][0] > figures[1][0]  # type: ignore[operator]


@pytest.mark.usefixtures("unchecked")
def test_a_refinement_is_journalled_with_its_costs(tmp_path: Path) -> None:
    jobs = [digits_job(number, until=1, refine=True) for number in (10, 11)]
    sent = events_of(Digits(), tmp_path, jobs, "hypergradient")
    first, second = (event for event in sent if isinstance(event, Refined))
    assert first.costs["flops"] == second.costs["flops"] > 0
    assert first.costs["host_bytes"] > 0


def test_a_warm_start_that_looks_at_nothing_takes_no_operations(tmp_path: Path) -> None:
    sent = events_of(Digits(), tmp_path, [digits_job(until=1, refine=True)], "random")
    assert sent[0].costs["flops"] == 0
