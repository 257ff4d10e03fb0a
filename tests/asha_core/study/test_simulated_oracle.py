"""The compact file of a simulated study says what the journals of the same searches say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.journals.replicate import Planned, Replicate, read_replicate
from analysis.study.loading import load_study
from asha_core import Curves, tune
from asha_core.searchers.drawn_rows import drawn_rows
from tests.asha_core.study.simulated import ARMS, SPACE, study

ROWS, UNITS = 16, 9
WARM = 0.2371  # seconds; no warm start ends at the moment of a report


def odd_table(*, seconds: bool = True) -> Curves:
    """Curves that end early in each way, diverge, and tie in time; the second arm screens two of them out."""
    draw = np.random.default_rng(5)
    configurations = [SPACE.from_unit(list(map(float, draw.random(2)))) for _ in range(ROWS)]
    value = draw.random((2, ROWS, 1)) * (1 - 0.7 ** np.arange(1, UNITS + 1))
    length = np.full((2, ROWS), UNITS)
    ended = np.zeros((2, ROWS), dtype=int)
    for rows, units, how in ((slice(0, None, 5), 4, 1), (slice(1, None, 7), 2, 2), (slice(3, 4), 2, 4)):
        length[:, rows], ended[:, rows] = units, how
    length[1, 6:8], ended[1, 6:8] = 0, 3
    value[:, 9:11, 0] = np.nan
    times = draw.choice([0.5, 1.0, 1.5], (2, ROWS, 1)) * np.ones(UNITS)
    refined = {
        (1, row): {**configurations[row], "momentum": configurations[row]["momentum"] / 2}
        for row in range(ROWS)
        if row not in (6, 7)
    }
    return Curves.from_arrays(
        SPACE, configurations, value, seconds=times if seconds else None, arms=ARMS, refined=refined,
        length=length, ended=ended, warm_seconds=np.array([[0.0] * ROWS, [WARM] * ROWS]), metric="accuracy",
    )  # fmt: skip


def as_met(curves: Curves, seed: int) -> Curves:
    """A table of the rows that a study's search draws, placed so that a plain search meets them in order."""
    drawn = drawn_rows(0, seed, ROWS)
    order = [curves.searcher(seed).row(index) for index in range(ROWS)]
    rows = [drawn[order.index(place)] for place in range(ROWS)]
    return Curves.from_arrays(
        SPACE, [curves.configurations[row] for row in rows], curves.value[:, rows], arms=ARMS,
        seconds=None if curves.seconds is None else curves.seconds[:, rows],
        refined={
            (1, place): curves.refined[1, row] for place, row in enumerate(rows) if (1, row) in curves.refined
        },
        length=curves.length[:, rows], ended=curves.ended[:, rows],
        warm_seconds=curves.warm_seconds[:, rows], metric="accuracy",
    )  # fmt: skip


def assert_alike(kept: Replicate, read: Replicate) -> None:
    assert (kept.reason, kept.reports, kept.rungs) == (read.reason, read.reports, read.rungs)
    for name in ("t", "units", "value", "trial"):
        assert getattr(kept.curve, name).tolist() == getattr(read.curve, name).tolist()
    np.testing.assert_allclose(kept.gpu_hours, read.gpu_hours)
    np.testing.assert_allclose(kept.spent_units, read.spent_units)
    assert kept.ends == pytest.approx(read.ends)
    assert vars_of(kept.split) == pytest.approx(vars_of(read.split))
    assert kept.spent_from == read.spent_from
    assert set(read.trials) <= set(kept.trials)
    for name, column in read.trials.items():
        if name.startswith("step."):  # a table's warm start tells no diagnostics, its configurations do
            continue
        if column.dtype.kind == "f":
            np.testing.assert_allclose(kept.trials[name], column, err_msg=name)
        else:
            assert kept.trials[name].tolist() == column.tolist(), name
    if kept.warm_start is not None:
        assert read.warm_start is not None
        for name, number in kept.warm_start.items():
            assert number == pytest.approx(read.warm_start[name]), name


def vars_of(split: Any) -> dict[str, float]:
    return {name: getattr(split, name) for name in split.__dataclass_fields__}


@pytest.mark.parametrize(
    ("scheduler", "more", "faults", "seconds"),
    [
        ("asha", {"workers": 3}, {"fail_share": 0.3, "lost_every": 20.0}, True),
        ("asha", {"workers": 3}, {}, False),
        ("hyperband", {"workers": 2}, {}, True),
        ("pasha", {"workers": 4, "budget": "20s"}, {}, True),
        ("random", {"workers": 1, "stop_at": 0.6}, {}, True),
        ("sh", {"workers": 3, "patience": 4}, {}, True),
    ],
)
def test_a_kept_search_says_what_its_journal_says(
    scheduler: str, more: dict[str, Any], faults: dict[str, float], seconds: bool, tmp_path: Path
) -> None:
    curves = odd_table(seconds=seconds)
    curves.save(tmp_path / "curves.npz")
    done = study(tmp_path, schedulers=[scheduler], seeds=2, **more, **{"executor-option": faults or None})
    assert done.returncode == 0, done.stderr
    for kept in load_study(tmp_path / "study").replicates:
        result = tune(
            as_met(curves, kept.seed),
            scheduler,
            executor="simulate",
            executor_options=faults,
            variation=kept.arm,
            scheduler_options={"seed": kept.seed},
            results_dir=tmp_path / f"{kept.arm}-{kept.seed}",
            progress="none",
            **more,
        )
        assert_alike(kept, read_replicate(Planned(kept.id, Path(result.directory))))
