"""The gallery by every route, by every strategy, and with a loss that raises anywhere."""

from __future__ import annotations

from typing import Any

import pytest

from tests.warmstart.gallery import kinds
from tests.warmstart.gallery.case import GALLERY, Case
from tests.warmstart.gallery.verdicts import broken_off, judged, refined
from warmstart.registry import VARIATIONS

assert kinds  # puts them on show

pytestmark = pytest.mark.slow

EXACT = ((1, "closed"), (1, "tangents"), (1, "first-order"), (2, "tangents"), (2, "first-order"))
ROUTES = (*EXACT, (1, "differences"), (2, "differences"))


def ways(each: tuple[tuple[int, str], ...]) -> list[Any]:
    """Every kind, with so many steps, by such a route."""
    return [
        pytest.param(case, steps, route, id=f"{case.name}, {route}, {steps}")
        for case in GALLERY
        for steps, route in each
    ]


@pytest.mark.parametrize(("case", "steps", "route"), ways(ROUTES))
def test_every_route_is_right_or_says_so_and_leaves_no_trace(case: Case, steps: int, route: str) -> None:
    verdict = judged(case, steps, route, compared=(steps, route) != (2, "first-order"))
    assert verdict.right, (verdict, verdict.why)
    assert not verdict.changed, verdict.changed


@pytest.mark.parametrize("call", [0, 1, 2, 3])
@pytest.mark.parametrize(("case", "steps", "route"), ways(((1, "auto"), (2, "auto"), (2, "differences"))))
def test_no_trace_is_left_where_the_loss_raises(case: Case, steps: int, route: str, call: int) -> None:
    arrived, changed = broken_off(case, steps, route, call)
    assert not changed
    assert arrived or call > 0  # a loss may be called once alone


# with settings under which it does nothing
STRATEGIES: dict[str, dict[str, Any]] = {
    "baseline": {},
    "random-warm": {"sigma": 1e-300},
    "random-matched": {"eta_h": 0.0},
    "ohgw-1step": {"eta_h": 0.0},
    "ohgw-3step": {"eta_h": 0.0},
    "ohgw-trust": {"delta": 0.0},
    "ohgw-brake": {"factor": 1e300},
    "ohgw-flipped": {"eta_h": 0.0},
    "ohgw-screen": {"factor": 1e300},
    "ohgw-screen-trust": {"screen.factor": 1e300, "trust.delta": 0.0},
    "trust-matched": {"delta": 0.0},
    "trust-flipped": {"delta": 0.0},
    "ohgw-trust-promoted": {"delta": 0.0},
    "ohgw-place": {"factor": 1e300},
    "ohgw-pooled": {"factor": 1e300},
}


def test_every_variation_is_tried() -> None:
    assert set(STRATEGIES) == set(VARIATIONS)


@pytest.mark.parametrize("variation", STRATEGIES)
@pytest.mark.parametrize("case", GALLERY, ids=lambda case: case.name)
def test_every_strategy_stays_inside_the_space_and_leaves_no_trace(case: Case, variation: str) -> None:
    outcome, changed = refined(case, variation)
    assert not changed
    if outcome is not None:
        assert case.space.configuration(dict(outcome.configuration)) == outcome.configuration
    outcome, changed = refined(case, variation, **STRATEGIES[variation])
    assert not changed
    if outcome is not None:
        assert dict(outcome.configuration) == pytest.approx(dict(case.psi), rel=1e-12)
