"""A dimension with a step is left as it is: half a step would be no value of it."""

from __future__ import annotations

from typing import Any

import pytest

from asha_core.space import Configuration, Float, SearchSpace
from warmstart import refine
from warmstart.base import BlackBox
from warmstart.moves import move, step_taken

SPACE = SearchSpace({"lr": Float(1e-4, 1.0, log=True), "width": Float(0.0, 1.0, step=0.25)})
BEFORE = SPACE.configuration({"lr": 0.01, "width": 0.5})


@pytest.mark.parametrize("coordinates", ["search", "unit"])
def test_a_step_moves_what_has_no_step(coordinates: Any) -> None:
    after = move(SPACE, BEFORE, {"lr": 0.1, "width": 0.1}, coordinates=coordinates)
    assert (after["lr"] > 0.01, after["width"]) == (True, 0.5)
    assert set(step_taken(SPACE, BEFORE, after)) == {"lr"}


@pytest.mark.filterwarnings("ignore:warm start")  # of finite differences
@pytest.mark.parametrize("name", ["random", "ohgw-1step", "ohgw-trust"])
def test_no_strategy_moves_it(name: str) -> None:
    def loss(config: Configuration, draw: int) -> float:
        return float(config["lr"] - config["width"])

    after = refine(name, BlackBox(SPACE, loss), BEFORE, seed=1).configuration
    assert after["width"] == 0.5
    assert after["lr"] != 0.01
