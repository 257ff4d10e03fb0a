"""Four kills of workers and engines; twenty more in ``make test-all``, two hundred in ``make faults``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.harness import Campaign


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("seed", "kills"),
    [(13, 2), *(pytest.param(seed, 5, marks=pytest.mark.slow) for seed in (11, 12, 13, 14))],
)
def test_whatever_is_killed_nothing_is_lost(seed: int, kills: int, tmp_path: Path) -> None:
    tally = Campaign(tmp_path, kills=kills, seed=seed).run()
    print("\n".join(tally.lines()))
    assert tally.kills >= kills
    assert tally.checks["every decision replayed from the journal"] >= 1
    assert tally.checks["reports in order, each once"] >= 20
