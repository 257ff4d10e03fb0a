"""A replicate says what its run says, in three measures, and keeps no record of the journal."""

from __future__ import annotations

import json
import math
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis import load_run
from analysis.journals import metrics as of_runs
from analysis.journals.metrics import first_reached, mean_of_steps, steps_at
from analysis.journals.replicate import (
    Planned,
    Replicate,
    area_under_curve,
    best_at,
    horizon,
    horizon_and_source,
    read_replicate,
    time_to_target,
)
from analysis.journals.spending import summed
from analysis.journals.trial_table import search_coordinates, trial_columns
from asha_core.errors import SettingError
from asha_core.runtime.budget import MEASURES
from asha_core.runtime.storage.journal import read_journal
from tests.analysis.journals.test_metrics import REPORTS, write_run
from tests.analysis.studies import FLOPS, SPACE, write_search

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
often = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read(folder: Path) -> Replicate:
    return read_replicate(Planned("a run", folder))


values = st.floats(-2, 2) | st.sampled_from(["nan", "inf", "-inf", 0.5])


@often
@given(st.lists(values, max_size=12), st.floats(-2, 2), st.sampled_from(["max", "min"]))
def test_its_time_to_target_is_the_run_s(
    tmp_path: Path, reported: list[Any], target: float, mode: str
) -> None:
    reports = [(1.5 * i + 1, i, 1, value) for i, value in enumerate(reported)]
    run = load_run(write_run(tmp_path, reports, mode=mode, end=20.0))
    told = of_runs.time_to_target(run, target)
    replicate = read_replicate(Planned("a run", run.directory))
    for measure, expected in (
        ("seconds", told.seconds),
        ("gpu_hours", told.gpu_hours),
        ("units", told.units),  # no warm start: units are those that were trained
    ):
        assert time_to_target(replicate, target, measure) == (expected, told.censored)  # type: ignore[arg-type]


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=8, unique=True).map(sorted),
    st.floats(0, 10),
    st.floats(0, 10),
    st.floats(0, 1),
)
@often
def test_a_horizon_censors_what_comes_after_it_and_nothing_else(
    tmp_path: Path, found: list[float], one: float, other: float, target: float
) -> None:
    run = load_run(write_run(tmp_path, [(i + 1.0, i, 1, v) for i, v in enumerate(found)], end=9.5))
    replicate = read_replicate(Planned("a run", run.directory))
    free, never = time_to_target(replicate, target)
    low, high = sorted([one, other])
    (early, early_censored), (late, late_censored) = (
        time_to_target(replicate, target, "seconds", limit) for limit in (low, high)
    )
    assert early <= late <= free
    assert early_censored >= late_censored >= never
    for limit, time, censored in ((low, early, early_censored), (high, late, late_censored)):
        assert (time, censored) == ((free, False) if not never and free <= limit else (min(limit, 9.5), True))


def test_a_measure_that_there_is_not_is_refused(tmp_path: Path) -> None:
    replicate = read(write_run(tmp_path, REPORTS, end=10.0))
    with pytest.raises(
        SettingError, match="measure is 'epochs': it must be one of seconds, gpu_hours, units"
    ):
        time_to_target(replicate, 0.5, "epochs")  # type: ignore[arg-type]


def test_warm_starts_are_units_by_their_flops(tmp_path: Path) -> None:
    replicate = read(write_search(tmp_path, "ohgw-1step", warm_seconds=3.0))
    trials = replicate.curve.trial  # one worker: as many warm starts as trials had begun
    begun = np.maximum.accumulate(trials) + 1
    assert replicate.spent_from == "flops"
    extra = replicate.spent_units - replicate.curve.units
    assert (np.diff(extra) >= -1e-9).all()
    assert (extra >= 0.1 * begun - 1e-9).all()
    assert extra[0] == pytest.approx(0.1)  # a tenth of a unit's FLOPs
    trained = int(replicate.trials["reached"].sum())
    assert replicate.ends["units"] == pytest.approx(trained + 0.1 * len(replicate.trials["id"]))


def test_without_flops_warm_starts_are_units_by_their_seconds(tmp_path: Path) -> None:
    folder = write_search(tmp_path, "ohgw-1step", warm_seconds=3.0, costs=False)
    replicate, run = read(folder), load_run(folder)
    assert replicate.spent_from == "seconds"
    unit = float(np.median(run.seconds))
    assert replicate.spent_units[0] == pytest.approx(1 + 3.0 / unit)
    count = len(replicate.trials["id"])
    assert replicate.ends["units"] == pytest.approx(int(run.units[-1]) + 3.0 * count / unit)


def test_flops_of_some_warm_starts_alone_are_not_used(tmp_path: Path) -> None:
    folder = write_search(tmp_path / "a", "ohgw-1step")
    _rewrite(folder, lambda r: r.pop("costs") if r["type"] == "refined" and r["trial"] == 3 else None)
    assert read(folder).spent_from == "seconds"
    assert "flops" not in read(folder).warm_start_costs
    assert "host_bytes" in read(folder).warm_start_peaks
    assert read(write_search(tmp_path / "b", "baseline")).spent_from == "none"


def test_costs_are_summed_where_every_unit_has_them(tmp_path: Path) -> None:
    folder = write_search(tmp_path, "baseline")
    replicate, run = read(folder), load_run(folder)
    assert replicate.costs["flops"] == FLOPS * replicate.reports == FLOPS * len(run.t)
    assert replicate.costs["train_seconds"] == pytest.approx(0.7 * run.seconds.sum())
    assert replicate.peaks == {"host_bytes": 3e8}
    assert np.nansum(replicate.trials["flops"]) == replicate.costs["flops"]
    _rewrite(folder, lambda r: r["costs"].pop("flops") if r["type"] == "report" and r["trial"] == 0 else None)
    less = read(folder)
    assert set(replicate.costs) - set(less.costs) == {"flops"}
    assert math.isnan(less.trials["flops"][0])
    assert less.trials["flops"][1] == replicate.trials["flops"][1]


costs = st.dictionaries(st.sampled_from(["flops", "start_seconds", "host_bytes"]), st.integers(0, 100))


@given(st.lists(costs, max_size=6), st.integers(0, 2))
def test_sums_and_peaks(entries: list[dict[str, float]], unrecorded: int) -> None:
    expected = len(entries) + unrecorded
    sums, peaks = summed(entries, expected)
    told = [entry["host_bytes"] for entry in entries if "host_bytes" in entry]
    assert peaks == ({"host_bytes": max(told)} if told else {})
    flops = [entry["flops"] for entry in entries if "flops" in entry]
    assert sums.get("flops") == (sum(flops) if flops and len(flops) == expected else None)
    starts = [entry["start_seconds"] for entry in entries if "start_seconds" in entry]
    assert sums.get("start_seconds") == (sum(starts) if starts and not unrecorded else None)


def test_numbers_that_json_does_not_have_are_read(tmp_path: Path) -> None:
    assert math.isnan(summed([{"flops": 1.0}, {"flops": "nan"}], 2)[0]["flops"])

    def odd(record: dict[str, Any]) -> None:
        if record["type"] == "refined":
            record["diagnostics"] |= {
                "gradient": [{"lr": "inf", "momentum": 2.0}, {"lr": 1.0}],
                "heldout_loss": "nan",
            }

    folder = write_search(tmp_path, "ohgw-trust")
    _rewrite(folder, odd)
    trials = read(folder).trials
    assert (trials["gradient.lr"] == math.inf).all()  # of several estimates the first
    assert (trials["gradient.momentum"] == 2.0).all()
    assert np.isnan(trials["gradient.magnitude"]).all()
    assert np.isnan(trials["heldout_loss"]).all()


def test_the_trials_columns_are_what_the_warm_start_did_in_search_coordinates(tmp_path: Path) -> None:
    folder = write_search(tmp_path, "ohgw-1step", shift=0.5)
    trials, run = read(folder).trials, load_run(folder)
    assert len({len(column) for column in trials.values()}) == 1
    for name in SPACE:
        if name == "optimizer":
            continue
        moved = trials[f"refined.{name}"] - trials[f"proposed.{name}"]
        assert moved == pytest.approx(trials[f"step.{name}"], abs=1e-9)
    assert abs(trials["step.lr"]).max() == pytest.approx(0.5)
    lr = [run.trials[i].proposed["lr"] for i in trials["id"]]
    assert 10 ** trials["proposed.lr"] == pytest.approx(lr)
    assert set(trials["refined.optimizer"]) == {"sgd", "adam"}
    assert "gradient.optimizer" not in trials
    base = read(write_search(tmp_path / "b", "baseline")).trials
    assert (base["proposed.lr"] == trials["proposed.lr"]).all()  # one seed, one stream of configurations
    assert np.isnan(base["step.lr"]).all()
    assert base["warm_start_seconds"].sum() == 0


def test_a_dimension_that_does_not_exist_is_nan_and_constants_are_left_out(tmp_path: Path) -> None:
    folder = write_run(tmp_path, REPORTS, end=10.0)
    manifest = json.loads((folder / "run.json").read_text())
    manifest["space"] |= {
        "depth": {"type": "int", "lower": 1, "upper": 4, "log": False},
        "fixed": {"type": "constant", "value": 3},
        "act": {"type": "choice", "options": ["a", "b"]},
    }
    (folder / "run.json").write_text(json.dumps(manifest))
    columns = trial_columns(load_run(folder))
    assert np.isnan(columns["proposed.depth"]).all()
    assert list(columns["proposed.act"]) == [None, None, None]
    assert not any("fixed" in name for name in columns)
    lists = search_coordinates([["a", 1], ["b", 2]], {"type": "choice"})
    assert lists.shape == (2,)
    assert lists[1] == ["b", 2]


def test_best_values_are_of_finite_reports_and_states_are_kept(tmp_path: Path) -> None:
    reports = [(1.0, 0, 1, "nan"), (2.0, 0, 2, 0.4), (3.0, 0, 3, 0.2), (4.0, 1, 1, "inf")]
    trials = read(write_run(tmp_path, reports, end=5.0)).trials
    assert trials["best"][0] == 0.4
    assert trials["best_at"].tolist() == [2, 0]
    assert math.isnan(trials["best"][1])
    assert math.isnan(trials["first_value"][0])
    assert trials["first_value"][1] == math.inf
    assert trials["seconds"].tolist() == [6.0, 2.0]
    assert trials["state"].tolist() == ["paused", "paused"]


@pytest.mark.parametrize(
    ("seconds", "held", "devices", "expected"),
    [
        (None, None, 4, (math.inf, math.inf)),
        (3600.0, None, 4, (3600.0, 4.0)),
        (None, 3600.0, 4, (900.0, 1.0)),
        (600.0, 3600.0, 4, (600.0, 600 * 4 / 3600)),
    ],
)
def test_a_budget_in_one_measure_is_one_in_the_other(
    tmp_path: Path, seconds: float | None, held: float | None, devices: int, expected: tuple[float, float]
) -> None:
    folder = write_run(tmp_path, REPORTS, end=10.0)
    manifest = json.loads((folder / "run.json").read_text())
    manifest["budget"] = {"seconds": seconds, "gpu_seconds": held, "devices": devices}
    (folder / "run.json").write_text(json.dumps(manifest))
    replicate = read(folder)
    assert (replicate.budget("seconds"), replicate.budget("gpu_hours")) == pytest.approx(expected)
    assert replicate.budget("units") == math.inf


def ended(folder: Path, best: float, end: float, budget: float | None = None) -> Replicate:
    """A search that reported 0.1 after 1 s, and ``best`` after 5 s if it got there."""
    reports = [(t, trial, 1, value) for t, trial, value in ((1.0, 0, 0.1), (5.0, 1, best)) if t <= end]
    write_run(folder, reports, end=end)
    manifest = json.loads((folder / "run.json").read_text())
    manifest["budget"]["seconds"] = budget
    (folder / "run.json").write_text(json.dumps(manifest))
    reason = "complete" if budget is None or end < budget else "budget"
    return replace(read(folder), id=folder.name, reason=reason)


def test_the_horizon_is_the_budget_or_where_half_of_the_searches_had_ended(tmp_path: Path) -> None:
    good, better, bad = (
        ended(tmp_path / name, best, end)
        for name, best, end in (("good", 0.9, 10.0), ("better", 0.95, 8.0), ("bad", 0.5, 9.0))
    )
    assert horizon([good, better, bad], "seconds") == 9.0
    assert horizon([good, better, bad], "seconds", 0.9) == 9.0
    assert horizon([good, better, bad], "gpu_hours", 0.9) == pytest.approx(9.0 * 2 / 3600)
    assert horizon([good, better], "seconds", 0.9) == 10.0  # all did: nobody is censored
    stopped = ended(tmp_path / "stopped", 0.95, 7.0, budget=7.0)
    assert horizon_and_source([good, better, stopped], "seconds", 0.9) == (7.0, "budget", "")
    with pytest.raises(SettingError, match="no search is given"):
        horizon([], "seconds")


def test_a_quick_search_decides_nothing_and_keeps_what_it_had(tmp_path: Path) -> None:
    """It had ended by itself, before the others' first report: nothing could have been said of anybody."""
    others = [ended(tmp_path / str(number), 0.9, 10.0 + number) for number in range(5)]
    quick = ended(tmp_path / "quick", 0.9, 0.5)
    for target in (None, 0.9):
        limit, source, _ = horizon_and_source([*others, quick], "seconds", target)
        assert (limit, source) == (12.0, "half")
        assert all(np.isfinite(best_at(each, np.array([limit]))).all() for each in others)
    assert time_to_target(quick, 0.9, horizon=12.0) == (12.0, True)  # not 0.5, as if it had been fast


def test_a_search_that_was_stopped_is_known_to_its_end_and_no_further(tmp_path: Path) -> None:
    others = [ended(tmp_path / str(number), 0.5, 10.0 + number) for number in range(3)]
    stopped = replace(ended(tmp_path / "stopped", 0.5, 7.0), reason="budget")
    assert horizon_and_source([*others, stopped], "seconds", 0.9)[:2] == (7.0, "shortest run")
    assert time_to_target(stopped, 0.9, horizon=12.0) == (7.0, True)


steps = st.lists(st.tuples(st.floats(0, 10), st.floats(0, 1)), max_size=8).map(sorted)


@given(steps, st.lists(st.floats(0, 10), min_size=1, max_size=5))
def test_steps_are_read_off(entries: list[tuple[float, float]], grid: list[float]) -> None:
    at, heights = (np.array([entry[i] for entry in entries]) for i in (0, 1))
    got = steps_at(at, heights, np.array(grid), start=-1.0)
    for where, value in zip(grid, got, strict=True):
        before = [height for t, height in zip(at, heights, strict=True) if t <= where]
        assert value == (before[-1] if before else -1.0)
    fine = np.linspace(0, 7.0, 20_001)[:-1]
    numeric = steps_at(at, heights, fine, start=0.0).mean()
    assert mean_of_steps(at, heights, 7.0) == pytest.approx(numeric, abs=2e-3)


def test_the_curve_and_its_area_are_the_run_s(tmp_path: Path) -> None:
    folder = write_search(tmp_path, "ohgw-1step", seed=4)
    replicate, run = read(folder), load_run(folder)
    assert area_under_curve(replicate) == pytest.approx(of_runs.area_under_curve(run))
    assert area_under_curve(replicate, 12.0) == pytest.approx(of_runs.area_under_curve(run, 12.0))
    assert best_at(replicate, replicate.curve.t) == pytest.approx(replicate.curve.value)
    assert math.isnan(best_at(replicate, np.array([0.0]))[0])
    for measure in MEASURES:
        spent = replicate.spent(measure)
        assert (np.diff(spent) >= 0).all()
        assert spent[-1] <= replicate.ends[measure] + 1e-9
    first = first_reached(replicate.curve.value, replicate.best, replicate.mode)
    assert first == len(replicate.curve.value) - 1


def test_what_lies_beside_the_journal_is_read_if_it_is_sound(tmp_path: Path) -> None:
    folder = write_search(tmp_path, test=0.91)
    (folder / "outcome.json").write_text('{"status": 0}')
    assert (read(folder).test, read(folder).test_loss, read(folder).status) == (0.91, 0.1, 0)
    for content in ("", "[]", "{", '{"value": null, "status": "0"}'):
        for name in ("test.json", "outcome.json"):
            (folder / name).write_text(content)
        replicate = read(folder)
        assert math.isnan(replicate.test)
        assert replicate.status is None


@pytest.mark.parametrize("schema", [1, 2])
def test_journals_of_every_schema_give_replicates(schema: int) -> None:
    folder = GOLDEN / f"schema-{schema}"
    replicate, run = read(folder), load_run(folder)
    assert replicate.schema == schema
    assert replicate.seed == run.manifest["scheduler"]["seed"]
    assert (replicate.costs, replicate.spent_from) == ({}, "none")
    assert replicate.ends["units"] == run.units[-1]
    assert replicate.best == of_runs.best_so_far(run).value[-1]
    assert replicate.sessions == len(run.sessions)


def test_it_is_a_fraction_of_its_journal(tmp_path: Path) -> None:
    folder = write_search(tmp_path, "ohgw-1step", trials=60, levels=(1, 27))
    assert len(pickle.dumps(read(folder))) < 0.3 * (folder / "journal.jsonl").stat().st_size


def _rewrite(folder: Path, change: Any) -> None:
    """Change the records of a journal; it becomes one of schema 1, which has no checksums."""
    records = read_journal(folder / "journal.jsonl").records
    for record in records:
        change(record)
    lines = [{"type": "journal", "schema": 1}, *records]
    (folder / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
