"""Ten kills of real workers and engines, and ten more if asked; ``make faults`` has two hundred."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.harness import Campaign


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [11, 13, *(pytest.param(more, marks=pytest.mark.slow) for more in (12, 14))])
def test_whatever_is_killed_nothing_is_lost(seed: int, tmp_path: Path) -> None:
    tally = Campaign(tmp_path, kills=5, seed=seed).run()
    print("\n".join(tally.lines()))
    assert tally.kills >= 5
    assert tally.checks["every decision replayed from the journal"] >= 1
    assert tally.checks["reports in order, each once"] >= 20
