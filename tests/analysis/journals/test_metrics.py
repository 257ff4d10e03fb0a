"""Metrics on journals written by hand, whose answers are worked out by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import (
    area_under_curve,
    best_so_far,
    find_runs,
    load_run,
    rung_survival,
    time_split,
    time_to_target,
)
from asha_core.errors import AshaError

CONFIG = {"lr": 0.1}


def write_run(
    folder: Path,
    reports: list[tuple[float, int, int, Any]],
    *,
    mode: str = "max",
    end: float | None = None,
    extra: tuple[dict[str, Any], ...] = (),
) -> Path:
    """A run with two workers on two devices; reports are (t, trial, resource, value), 2 s each."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest = {
        "schema": 1,
        "versions": {},
        "task": {"name": "t", "metric": "score", "mode": mode, "unit": "epoch"},
        "space": {"lr": {"type": "float", "lower": 0.01, "upper": 1.0, "log": True}},
        "scheduler": {
            "name": "asha",
            "levels": [1, 3, 9],
            "reduction_factor": 3,
            "seed": 0,
            "max_retries": 2,
        },
        "variation": {"name": "baseline", "strategy": "none", "settings": {}},
        "budget": {"seconds": None, "gpu_seconds": None, "devices": 2},
        "target": None,
        "hardware": {"devices": ["cpu", "cpu"], "gpus": []},
    }
    (folder / "run.json").write_text(json.dumps(manifest))
    records: list[dict[str, Any]] = [{"type": "journal", "schema": 1}]
    records += [
        {"t": 1.0, "type": "worker", "slot": s, "pid": 1, "device": "cpu", "seconds": 1} for s in (0, 1)
    ]
    body = [
        {
            "t": t,
            "type": "report",
            "trial": trial,
            "attempt": 0,
            "resource": resource,
            "value": value,
            "seconds": 2.0,
        }
        for t, trial, resource, value in reports
    ]
    started = dict.fromkeys(r["trial"] for r in [*body, *extra] if "trial" in r)
    records += [
        {
            "t": 0.0,
            "type": "job",
            "slot": 0,
            "trial": trial,
            "start": 0,
            "until": 1,
            "attempt": 0,
            "configuration": CONFIG,
        }
        for trial in started
    ]
    records += sorted([*body, *extra], key=lambda r: r["t"])
    if end is not None:
        records.append({"t": end, "type": "end", "reason": "complete"})
    (folder / "journal.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    return folder


REPORTS = [(2.0, 0, 1, 0.3), (4.0, 1, 1, 0.5), (5.0, 2, 1, 0.4), (8.0, 1, 3, 0.9), (9.0, 0, 3, 0.7)]


def test_best_so_far_is_the_running_best(tmp_path: Path) -> None:
    curve = best_so_far(load_run(write_run(tmp_path, REPORTS, end=10.0)))
    assert curve.t.tolist() == [2.0, 4.0, 8.0]
    assert curve.value.tolist() == [0.3, 0.5, 0.9]
    assert curve.trial.tolist() == [0, 1, 1]
    assert curve.units.tolist() == [1, 2, 5]


def test_time_to_target_counts_seconds_devices_and_units(tmp_path: Path) -> None:
    run = load_run(write_run(tmp_path, REPORTS, end=10.0))
    reached = time_to_target(run, 0.5)
    assert (reached.seconds, reached.units, reached.censored) == (4.0, 2, False)
    assert reached.gpu_hours == pytest.approx(4.0 * 2 / 3600)
    never = time_to_target(run, 0.95)
    assert (never.seconds, never.units, never.censored) == (10.0, 7, True)


def test_smaller_is_better_where_the_mode_says_so(tmp_path: Path) -> None:
    run = load_run(write_run(tmp_path, REPORTS, mode="min", end=10.0))
    assert best_so_far(run).value.tolist() == [0.3]
    assert not time_to_target(run, 0.3).censored
    assert time_to_target(run, 0.2).censored


def test_area_under_the_curve_by_hand(tmp_path: Path) -> None:
    run = load_run(write_run(tmp_path, REPORTS, end=10.0))
    # 0 for 2 s, .3 for 2 s, .5 for 4 s, .9 for 2 s
    assert area_under_curve(run) == pytest.approx((0.6 + 2.0 + 1.8) / 10)
    assert area_under_curve(run, budget=4.0) == pytest.approx(0.6 / 4)
    assert area_under_curve(run, budget=20.0) == pytest.approx((4.4 + 9.0) / 20)
    assert area_under_curve(run, start=0.1) == pytest.approx((4.4 + 0.2) / 10)


def test_survival_and_time_split_by_hand(tmp_path: Path) -> None:
    refined = {
        "t": 1.5,
        "type": "refined",
        "trial": 0,
        "configuration": {"lr": 0.2},
        "seconds": 0.5,
        "diagnostics": {"strategy": "x", "step": {"lr": 0.3}},
    }
    rejected = {"t": 3.0, "type": "rejected", "trial": 7, "reason": "explodes", "seconds": 0.25}
    failed = {"t": 6.0, "type": "failed", "trial": 2, "attempt": 0, "kind": "error", "error": "x"}
    run = load_run(write_run(tmp_path, REPORTS, end=10.0, extra=(refined, rejected, failed)))
    assert [(s.level, s.trials, s.share) for s in rung_survival(run)] == [
        (1, 3, 1.0),
        (3, 2, 2 / 3),
        (9, 0, 0.0),
    ]
    split = time_split(run)
    assert (split.training, split.warm_start, split.starting) == (10.0, 0.75, 2.0)
    assert split.total == pytest.approx(20.0)
    assert run.trials[0].configuration == {"lr": 0.2}
    assert run.trials[0].proposed == CONFIG
    assert [run.trials[i].state for i in (0, 2, 7)] == ["paused", "failed", "rejected"]


def test_repeated_units_count_once_and_odd_values_never_win(tmp_path: Path) -> None:
    reports = [
        (1.0, 0, 1, "nan"),
        (2.0, 1, 1, "inf"),
        (3.0, 2, 1, 0.2),
        (4.0, 2, 1, 0.9),  # trained again after its worker was lost: counted once
        (5.0, 2, 2, 0.3),
    ]
    run = load_run(write_run(tmp_path, reports))
    assert len(run.t) == 4
    assert run.units.tolist() == [1, 2, 3, 4]
    assert best_so_far(run).value.tolist() == [0.2, 0.3]
    assert math.isnan(run.value[0])
    assert run.reason == "killed"
    assert run.end == 5.0


def test_a_run_without_reports_is_no_error(tmp_path: Path) -> None:
    run = load_run(write_run(tmp_path, [], end=3.0))
    assert len(best_so_far(run).t) == 0
    assert time_to_target(run, 0.5).censored
    assert area_under_curve(run) == 0.0
    assert time_split(run).training == 0.0


@given(
    values=st.lists(st.floats(0, 1) | st.sampled_from(["nan", "inf", "-inf"]), min_size=1, max_size=20),
    target=st.floats(0, 1),
)
def test_reaching_a_target_agrees_with_the_raw_reports(
    values: list[Any], target: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("run")
    run = load_run(write_run(folder, [(float(i + 1), i, 1, v) for i, v in enumerate(values)], end=50.0))
    hits = [i for i, v in enumerate(values) if isinstance(v, float) and v >= target]
    reached = time_to_target(run, target)
    assert reached.censored == (not hits)
    assert reached.seconds == (hits[0] + 1 if hits else 50.0)
    curve = best_so_far(run)
    assert np.all(np.diff(curve.value) > 0)


def test_links_lead_to_runs_elsewhere_and_no_run_is_found_twice(tmp_path: Path) -> None:
    write_run(tmp_path / "elsewhere" / "deep" / "c", REPORTS)
    write_run(tmp_path / "chosen" / "b", REPORTS)
    chosen = tmp_path / "chosen"
    (chosen / "a").symlink_to(tmp_path / "elsewhere" / "deep" / "c")
    (chosen / "again").symlink_to(chosen / "a")
    (chosen / "data").symlink_to(tmp_path / "elsewhere")  # is not searched: it may be large
    (chosen / "latest").symlink_to(chosen / "b")
    (chosen / "up").symlink_to(tmp_path)
    (chosen / "gone").symlink_to(tmp_path / "gone")
    assert [path.name for path in find_runs([chosen])] == ["a", "b"]
    (tmp_path / "link").symlink_to(chosen)
    assert [path.name for path in find_runs([tmp_path / "link"])] == ["a", "b"]


def test_what_is_no_results_directory_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(AshaError, match="does not exist"):
        find_runs([tmp_path / "none"])
    with pytest.raises(AshaError, match=r"no journal\.jsonl"):
        find_runs([tmp_path])
    write_run(tmp_path / "b", REPORTS)
    write_run(tmp_path / "a", REPORTS)
    assert [path.name for path in find_runs([tmp_path])] == ["a", "b"]
    (tmp_path / "a" / "run.json").write_text("{")
    with pytest.raises(AshaError, match="damaged"):
        load_run(tmp_path / "a")
    (tmp_path / "b" / "run.json").unlink()
    with pytest.raises(AshaError, match="cannot read"):
        load_run(tmp_path / "b")
