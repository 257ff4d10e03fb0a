"""``asha-study --dry-run``: what a study would cost, before any of it is run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from asha_core.cli.study import main


def dry_run(capsys: pytest.CaptureFixture[str], path: Path, gpus: str, *more: str, **content: Any) -> str:
    study = {"task": "digits", "variations": ["baseline", "random-warm"], "targets": [0.9], **content}
    path.write_text(yaml.safe_dump(study))
    results = str(path.parent / "results")
    assert main([str(path), "--gpus", gpus, "--results-dir", results, "--dry-run", *more]) == 0
    assert not Path(results).exists()
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("gpus", "hours", "other"),
    [
        ("cpu", "worker-hours", "GPU-hours"),
        ("inline", "worker-hours", "GPU-hours"),
        ("0,1", "GPU-hours", "worker-hours"),
    ],
)
def test_hours_are_those_of_the_devices_that_it_would_run_on(
    gpus: str, hours: str, other: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = dry_run(capsys, tmp_path / "s.yaml", gpus, gpu_hours=0.5, seeds="0-1")
    assert f"{hours} a run" in told
    assert f"2 {hours} in all, 2 left" in told
    assert other not in told


def test_units_are_at_most_those_of_all_trials_where_time_may_end_a_run_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for limits, cell, at_most in (
        ({"max_trials": 27}, "92", False),
        ({"max_trials": 27, "budget": "1h"}, "<=92", True),
        ({"budget": "1h"}, "-", False),
        ({"max_trials": 27, "stop_at": 0.9}, "<=92", True),
        ({"max_trials": 27, "patience": "30m"}, "<=92", True),
    ):
        path = tmp_path / "s.yaml"
        told = dry_run(capsys, path, "cpu", **limits)
        assert ("stop-at and patience may end runs before" in told) == bool(
            {"stop_at", "patience"} & {*limits}
        )
        rows = [line.split() for line in told.splitlines()]
        assert [row[6] for row in rows if "asha" in "".join(row[:1])] == [cell, cell]
        arms = json.loads(dry_run(capsys, path, "cpu", "--json", **limits))["arms"]
        assert [arm["units_at_most"] for arm in arms] == [at_most] * 2
        assert all((arm["units_a_run"] is None) == (cell == "-") for arm in arms)


def test_why_the_hours_are_not_known_is_said(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    wall_clock = dry_run(capsys, path, "cpu", budget="100s", seeds="0-1")
    assert "are not known: their budget is wall-clock, and on how many devices" in wall_clock
    assert "no budget in time" not in wall_clock
    assert "are not known: no budget in time; no run is done yet" in dry_run(
        capsys, path, "cpu", max_trials=9, seeds="0-1"
    )
    assert "not known" not in dry_run(capsys, path, "cpu", gpu_hours=1, budget="100s", seeds="0-1")
