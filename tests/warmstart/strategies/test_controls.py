"""The controls: a step the wrong way, a random step of the same length, a random step."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asha_core import Choice, Float, Int, RandomSearch, SearchSpace
from tests.warmstart.small_problems import SPACE as SMALL
from tests.warmstart.small_problems import Small, configuration
from trials.task import PlainProblem
from warmstart import build
from warmstart.moves import move, step_taken
from warmstart.strategies.random_step import RandomStep

MIXED = SearchSpace(
    {
        "lr": Float(1e-4, 1.0, log=True),
        "dropout": Float(0.0, 0.5),
        "layers": Int(1, 8),
        "kind": Choice(["a", "b"]),
    }
)

FOLLOWED: list[tuple[str, dict[str, Any]]] = [
    ("hypergradient", {"eta_h": 1e-3}),
    ("hypergradient", {"eta_h": 1e-3, "coordinates": "unit"}),
    ("trust", {"steps": 1, "batches": 1, "delta": 0.02, "mask": None}),
]


@pytest.mark.parametrize(("of", "settings"), FOLLOWED)
def test_flipped_is_exactly_the_mirror_image_for_one_step(of: str, settings: dict[str, Any]) -> None:
    there = build(of, settings).refine(Small(), configuration(), 3).diagnostics
    back = build("flipped", {"of": of, **settings}).refine(Small(), configuration(), 3).diagnostics
    assert back["gradient"] == there["gradient"]
    assert any(there["step"].values())
    for name, change in there["step"].items():
        assert back["step"][name] == pytest.approx(-change, rel=1e-9, abs=1e-13), name


def length(step: dict[str, float], *, unit: bool) -> float:
    spans = {}
    for name in step:
        dimension = SMALL[name]
        assert isinstance(dimension, Float)
        low, high = dimension.search_bounds
        spans[name] = high - low if unit else 1.0
    return math.hypot(*(change / spans[name] for name, change in step.items()))


@pytest.mark.parametrize(("of", "settings"), FOLLOWED)
def test_a_matched_step_has_the_same_length_and_another_direction(of: str, settings: dict[str, Any]) -> None:
    unit = of == "trust" or settings.get("coordinates") == "unit"
    step = build(of, settings).refine(Small(), configuration(), 3).diagnostics["step"]
    directions = set()
    for seed in range(5):
        told = (
            build("random-matched", {"of": of, **settings}).refine(Small(), configuration(), seed).diagnostics
        )
        assert length(told["step"], unit=unit) == pytest.approx(length(step, unit=unit), rel=1e-9)
        assert all(change != 0.0 for change in told["step"].values())
        directions.add(tuple(math.copysign(1, change) for change in told["step"].values()))
    assert len(directions) > 1


def test_a_matched_step_goes_over_the_same_dimensions() -> None:
    told = build("random-matched", {"eta_h": 0.1, "mask": "lr,noise"}).refine(Small(), configuration(), 1)
    assert {name for name, change in told.diagnostics["step"].items() if change} == {"lr", "noise"}


def test_a_matched_step_is_clamped_or_reflected_as_that_of_the_strategy() -> None:
    far = {"of": "trust", "steps": 1, "batches": 1, "delta": 1.0, "mask": "noise", "lookahead": 1}
    edges = set()
    for bounds in ("clamp", "reflect"):
        for seed in range(6):
            outcome = build("random-matched", {**far, "bounds": bounds}).refine(
                Small(), configuration(), seed
            )
            edges.add((bounds, outcome.configuration["noise"] in (0.0, 1.0)))
    assert edges == {("clamp", True), ("reflect", False)}


@given(seed=st.integers(0, 2**62), index=st.integers(0, 10**6))
def test_random_steps_move_real_dimensions_alone(seed: int, index: int) -> None:
    before = RandomSearch(MIXED, 5).propose(index)
    outcome = RandomStep(sigma=0.01).refine(PlainProblem(MIXED), before, seed)
    assert outcome.configuration["layers"] == before["layers"]
    assert outcome.configuration["kind"] == before["kind"]
    MIXED.configuration(outcome.configuration)
    assert set(outcome.diagnostics["step"]) == {"lr", "dropout"}


def test_random_steps_have_their_standard_deviation() -> None:
    space = SearchSpace({"x": Float(-10.0, 10.0)})
    centre = space.configuration({"x": 0.0})
    steps = torch.tensor(
        [RandomStep(0.5).refine(PlainProblem(space), centre, seed).configuration["x"] for seed in range(4000)]
    )
    assert steps.mean().abs() < 4 * 0.5 / math.sqrt(4000)
    assert steps.std().item() == pytest.approx(0.5, rel=0.05)


@given(index=st.integers(0, 10**6), step=st.floats(-100, 100), reflect=st.booleans())
def test_moves_stay_inside_and_are_told_as_they_were_taken(index: int, step: float, reflect: bool) -> None:
    before = RandomSearch(MIXED, 0).propose(index)
    after = move(MIXED, before, {"lr": step, "dropout": -step}, reflect=reflect)
    MIXED.configuration(after)
    told = step_taken(MIXED, before, after)
    assert abs(told["lr"]) <= abs(step) + 1e-9
    assert move(MIXED, before, {"lr": 0.0}) == before
