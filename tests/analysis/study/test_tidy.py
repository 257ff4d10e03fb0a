"""The tables hold what the runs and their journals hold: one row each, none lost, none twice."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest

import analysis
from analysis.journals.trial_table import trial_columns
from analysis.study.problems import UNUSED
from analysis.study.tidy import TABLES
from asha_core.errors import SettingError
from tests.analysis.studies import GROUP, TARGETS, write_search, write_study

ARMS = {"baseline": 1.0, "ohgw-1step (eta_h=0.001)": 0.9, "ohgw-3step": 0.8}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_study(tmp_path, ARMS, range(3), skip=[("ohgw-3step", 0)], test=0.9)
    write_search(tmp_path / "runs/digits-asha-baseline/seed-2", "baseline", 2, reason=None)
    return tmp_path


@pytest.fixture
def tables(folder: Path) -> analysis.Tables:
    return analysis.load(folder)


def test_tables_and_runs_are_short_when_printed(folder: Path, tables: analysis.Tables) -> None:
    assert repr(tables) == "<Tables runs, trials, improvements, targets, reports: 8 runs>"
    run = analysis.load_run(folder / "runs/digits-asha-baseline/seed-0")
    assert repr(run).startswith(f"<Run {run.directory}: {len(run.trials)} trials, {len(run.t)} reports, ")
    assert repr(run).endswith(f"{run.reason}>")


@pytest.mark.parametrize("name", TABLES)
def test_columns_are_of_one_length_and_say_whose_they_are(tables: analysis.Tables, name: str) -> None:
    table = tables.table(name)
    assert len({len(column) for column in table.values()}) == 1
    assert all(column.ndim == 1 for column in table.values())
    known = {each.id: each for each in [*tables.study.replicates, *tables.study.left_out]}
    assert set(table["run"]) == set(known)
    for run, arm, group, seed in zip(*(table[key] for key in ("run", "arm", "group", "seed")), strict=True):
        assert (known[run].arm, known[run].group, known[run].seed) == (arm, group, seed)


def test_every_run_is_there_once_and_says_whether_it_is_used(tables: analysis.Tables) -> None:
    runs = tables.runs
    assert len(runs["run"]) == len(set(runs["run"])) == 8
    assert dict(zip(runs["run"], runs["used"], strict=True))["digits-asha-baseline/seed-2"] == np.False_
    assert runs["used"].sum() == len(tables.study.replicates) == 7
    unread = {problem.run for problem in tables.problems if problem.kind in UNUSED} - set(runs["run"])
    assert unread == {"digits-asha-ohgw-3step/seed-0"}


def test_numbers_of_a_run(tables: analysis.Tables) -> None:
    runs = tables.runs
    for place, run in enumerate(runs["run"]):
        each = next(r for r in [*tables.study.replicates, *tables.study.left_out] if r.id == run)
        assert runs["best"][place] == each.best
        assert runs["trained_units"][place] == each.reports
        assert runs["cost.flops"][place] == each.costs["flops"]
        assert runs["peak.host_bytes"][place] == each.peaks["host_bytes"]
    parts = [runs[f"{part}_seconds"] for part in ("training", "warm_start", "starting", "waiting")]
    assert sum(parts) == pytest.approx(runs["seconds"])  # one worker
    assert np.isnan(runs["auc"]).tolist() == [not used for used in runs["used"]]
    baseline = runs["arm"] == "baseline"
    assert np.isnan(runs["warm_start_cost.flops"]).tolist() == baseline.tolist()
    assert np.nanmax(runs["setting.eta_h"]) == 0.001
    assert (runs["test"][runs["used"]] == 0.9).all()


def test_trials_and_reports_are_the_journals(tables: analysis.Tables) -> None:
    trials, reports = tables.trials, tables.reports
    assert list(trials)[4] == "trial"
    for each in [*tables.study.replicates, *tables.study.left_out]:
        run = analysis.load_run(each.directory)
        mine = trials["run"] == each.id
        for name, column in trial_columns(run).items():
            got = trials["trial" if name == "id" else name][mine]
            assert got.tolist() == column.tolist() or np.array_equal(got, column, equal_nan=True)
        mine = reports["run"] == each.id
        for name in ("t", "trial", "resource", "value", "seconds"):
            assert (reports[name][mine] == getattr(run, name)).all()
        last = max(trial.reached for trial in run.trials.values())
        losses = {
            r: loss for t in run.trials.values() for r, loss in zip(t.resources, t.metrics, strict=True)
        }
        at_last = mine & (reports["resource"] == last)
        assert set(reports["metric.train_loss"][at_last]) == {losses[last]["train_loss"]}
    assert reports["cost.flops"].sum() == tables.runs["cost.flops"].sum()


def test_targets_and_improvements_are_the_replicates(tables: analysis.Tables) -> None:
    targets, improvements = tables.targets, tables.improvements
    assert len(targets["run"]) == len(TARGETS) * 8
    for place, run in enumerate(targets["run"]):
        mine = improvements["run"] == run
        good = improvements["value"][mine] >= targets["target"][place]
        assert targets["reached"][place] == good.any()
        for measure in ("seconds", "gpu_hours", "units"):
            expected = improvements[measure][mine][good]
            if len(expected):
                assert targets[measure][place] == expected[0]
            else:
                assert targets[measure][place] == tables.runs[measure][tables.runs["run"] == run][0]


def test_a_run_and_a_folder_of_runs_have_tables_too(folder: Path) -> None:
    one = analysis.load(folder / "runs/digits-asha-ohgw-3step/seed-1")
    assert one.runs["run"].tolist() == ["seed-1"]
    assert one.runs["arm"].tolist() == ["ohgw-3step"]
    arm = analysis.load(folder / "runs/digits-asha-ohgw-3step")
    assert arm.runs["seed"].tolist() == [1, 2]
    assert len(arm.targets["run"]) == 0  # no --target


def test_nothing_read_is_empty_tables(tmp_path: Path) -> None:
    tables = analysis.load(write_study(tmp_path, ARMS, [0], skip=[(arm, 0) for arm in ARMS]))
    for name in TABLES:
        assert all(len(column) == 0 for column in tables.table(name).values())
    assert len(tables.problems) == 3


def test_settings_that_are_lists_are_one_cell(tmp_path: Path) -> None:
    write_search(tmp_path / "a", 'ohgw-1step (mask="lr")')
    write_search(tmp_path / "b", "ohgw-1step (mask=[1])", 1)
    assert analysis.load(tmp_path).runs["setting.mask"].tolist() == ["lr", [1]]


def test_a_name_that_there_is_not_is_refused(tables: analysis.Tables) -> None:
    with pytest.raises(SettingError, match="no table 'trial': take one of runs, trials, improvements"):
        tables.frame("trial")


def test_frames_without_pandas_say_what_to_install(
    tables: analysis.Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(SettingError, match=r"pip install pandas, or use the arrays in Tables\.trials"):
        tables.frame("trials")


def test_frames_are_the_tables(tables: analysis.Tables) -> None:
    pandas = pytest.importorskip("pandas")
    for name in TABLES:
        frame = tables.frame(name)
        assert isinstance(frame, pandas.DataFrame)
        assert list(frame.columns) == list(tables.table(name))
    used = tables.frame()[tables.runs["used"]]
    best = used.groupby("arm")["best"].mean()
    replicates = tables.study.of(GROUP, "ohgw-3step")
    assert best["ohgw-3step"] == pytest.approx(math.fsum(each.best for each in replicates) / len(replicates))
