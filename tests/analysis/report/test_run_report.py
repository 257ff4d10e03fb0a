"""The report: complete, self-contained, and drawn by a real browser without a complaint."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from analysis.cli import main
from analysis.journals.runs import load_run
from analysis.report.run_figures import plot_best_so_far
from analysis.report.run_page import commits
from analysis.report.run_report import summary_of, targets_for
from analysis.report.run_tables import in_words, targets_table, time_table
from tests.analysis.journals.test_metrics import REPORTS, write_run
from tests.analysis.report.browser import browse
from tests.analysis.studies import write_search

REFINED = tuple(
    {
        "t": 1.5,
        "type": "refined",
        "trial": trial,
        "configuration": {"lr": 0.1 + trial / 100},
        "seconds": 0.1,
        "diagnostics": {
            "strategy": "hypergradient",
            "gradient": {"lr": 0.5},
            "step": {"lr": -5e-4 * (trial + 1)},
        },
    }
    for trial in range(3)
)
FIGURES = (
    *("best_so_far", "rung_survival", "time_split", "learning_curves", "warm_start", "confusion"),
    *("importance", "slices"),
)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run <1>", REPORTS, end=10.0, extra=REFINED)


def measured(run: Path, **changes: object) -> Path:
    """With what ``asha-test`` keeps."""
    told = {
        "schema": 1,
        "metric": "score",
        "value": 0.875,
        "loss": 0.4,
        "count": 8,
        "trial": 1,
        "resource": 3,
    }
    told |= {"confusion": [[3, 1], [0, 4]], "validation": 0.9, "unit": "epoch", "configuration": {}}
    (run / "test.json").write_text(json.dumps({**told, **changes}))
    return run


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """(a search whose report is drawn, what the command printed), made without torch."""
    folder = measured(
        write_run(tmp_path_factory.mktemp("drawn") / "run <1>", REPORTS, end=10.0, extra=REFINED)
    )
    code = "import sys; from analysis.cli import main; main(sys.argv[1:]); sys.exit('torch' in sys.modules)"
    command = [sys.executable, "-c", code, str(folder), "--target", "0.8"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr  # torch was not loaded
    return folder, done.stdout


@pytest.mark.processes
def test_a_report_has_tables_figures_numbers_and_a_page(drawn: tuple[Path, str]) -> None:
    run, printed = drawn
    said = " ".join(printed.split())
    assert "The best score (higher is better) on validation data is 0.9000, by trial 1, after 8.0s" in said
    assert re.search(r"0\.8\s+8\.0s\s+0\.00444\s+5\s+reached", printed)
    for name in FIGURES:
        assert (run / "figures" / f"{name}.pdf").read_bytes().startswith(b"%PDF")
        assert (run / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    numbers = json.loads((run / "comparison.json").read_text())["runs"][0]
    assert numbers["time_to_target"] == [
        {"target": 0.8, "seconds": 8.0, "gpu_hours": 8 * 2 / 3600, "units": 5, "censored": False}
    ]
    assert numbers["warm_start"]["median_abs_step"]["lr"] == pytest.approx(1e-3)


@pytest.mark.processes
def test_what_was_measured_on_test_data_is_told_and_drawn(drawn: tuple[Path, str]) -> None:
    run, printed = drawn
    said = " ".join(printed.split())
    assert "Trial 1's checkpoint has score 0.8750 on the test data of 8 samples, measured once." in said
    numbers = json.loads((run / "comparison.json").read_text())["runs"][0]
    assert numbers["test"]["confusion"] == [[3, 1], [0, 4]]
    assert "<b>0.8750</b><span>the same on test data" in (run / "report.html").read_text()


class Outside(HTMLParser):
    """Collects every reference that a page makes."""

    def __init__(self) -> None:
        super().__init__()
        self.references: list[str] = []
        self.images = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.images += tag == "img"
        self.references += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")]


@pytest.mark.processes
def test_the_page_refers_to_nothing_outside_itself(drawn: tuple[Path, str]) -> None:
    text = (drawn[0] / "report.html").read_text()
    page = Outside()
    page.feed(text)
    assert page.images == len(FIGURES)
    assert all(reference.startswith(("data:", "#")) for reference in page.references)
    assert "url(" not in text
    assert "@import" not in text
    assert "run &lt;1&gt;" in text  # names are escaped


@pytest.mark.processes
def test_a_browser_draws_the_page_without_errors(drawn: tuple[Path, str], tmp_path: Path) -> None:
    picture = tmp_path / "page.png"
    browse(
        tmp_path, "--window-size=1100,2400", f"--screenshot={picture}", (drawn[0] / "report.html").as_uri()
    )
    from matplotlib.image import imread

    pixels = imread(picture)
    assert pixels.shape[:2] == (2400, 1100)
    assert len({tuple(p) for p in pixels[::7, ::7].reshape(-1, pixels.shape[2]).tolist()}) > 20


@pytest.mark.usefixtures("undrawn")
def test_several_runs_stand_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        write_run(tmp_path / name, REPORTS, end=10.0)
    assert main([str(tmp_path)]) == 0
    assert (tmp_path / "report.html").exists()
    assert len(json.loads((tmp_path / "comparison.json").read_text())["runs"]) == 2
    page = (tmp_path / "report.html").read_text()
    assert "seed 0 (a)" in page  # the same task, variation and seed: told apart by their directories
    assert "seed 0 (b)" in page
    assert main([str(tmp_path / "a"), str(tmp_path / "b")]) == 2
    assert "--output" in capsys.readouterr().err


def test_mixed_metrics_damage_and_emptiness_are_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "a", REPORTS)
    write_run(tmp_path / "b", REPORTS, mode="min")
    assert main([str(tmp_path / "a"), str(tmp_path / "b"), "--output", str(tmp_path / "c")]) == 2
    assert "different metrics" in capsys.readouterr().err
    (tmp_path / "b" / "journal.jsonl").write_text('{"type": "journal", "schema": 1}\nrubbish\n{}\n')
    assert main([str(tmp_path / "b")]) == 2
    error = capsys.readouterr().err
    assert "line 2, is damaged" in error
    assert error.count("\n") == 1
    assert main([str(tmp_path / "nothing")]) == 2


@pytest.mark.usefixtures("undrawn")
def test_a_run_without_a_single_report_still_has_a_page(tmp_path: Path) -> None:
    write_run(tmp_path / "a", [], end=1.0)
    assert main([str(tmp_path / "a")]) == 0
    assert "No trial reported a value." in (tmp_path / "a" / "report.html").read_text()


def refined(trial: int, **diagnostics: object) -> dict[str, object]:
    return {
        "t": 1.5,
        "type": "refined",
        "trial": trial,
        "configuration": {"lr": 0.1},
        "seconds": 0.1,
        "diagnostics": {"strategy": "a", "step": {"lr": 0.1}, **diagnostics},
    }


@pytest.mark.usefixtures("undrawn")
def test_the_report_counts_what_became_of_configurations(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    extra = (
        refined(0, rejected=3, ratio="inf", step={}, gradient=[{"lr": "nan"}, {"lr": -2.0}], non_finite=1),
        refined(1, acted=2, ratio=5.0, fallback="no <double> backward", note="explodes still"),
        refined(2, rejected=0, acted=0, note="non-finite hyper-gradient: no nudge"),  # an older journal's
    )
    run = write_run(tmp_path / "run", REPORTS, end=10.0, extra=extra)
    assert main([str(run)]) == 0
    warm = json.loads((run / "comparison.json").read_text())["runs"][0]["warm_start"]
    assert {key: warm[key] for key in ("redrawn", "rejected", "braked", "brake_steps")} == {
        "redrawn": 1,
        "rejected": 3,
        "braked": 1,
        "brake_steps": 2,
    }
    assert (warm["non_finite"], warm["fallbacks"], warm["trials"], warm["skipped"]) == (2, 1, 3, 2)
    assert warm["fallback_because"] == ["no <double> backward"]
    assert warm["median_abs_gradient"]["lr"] == 2.0
    said = " ".join(capsys.readouterr().out.split())
    for text in (
        "1 exploded and was drawn again (3 draws rejected)",
        "1 exploded and was slowed down (by 2 steps)",
        "2 estimates not finite",
        "1 measured by finite differences instead",
    ):
        assert text in said
        assert text in (run / "report.html").read_text()
    assert "no &lt;double&gt; backward" in (run / "report.html").read_text()


@pytest.mark.usefixtures("undrawn")
def test_diagnostics_of_other_packages_strategies_do_no_harm(tmp_path: Path) -> None:
    """Names that are no dimensions, and numbers that are none."""
    extra = (
        refined(0, step={"elsewhere": 1.0, "lr": "nan"}, gradient={"elsewhere": 1.0}),
        refined(1, anything=[1, {"a": None}]),
    )
    run = write_run(tmp_path / "run", REPORTS, end=10.0, extra=extra)
    assert main([str(run)]) == 0
    warm = json.loads((run / "comparison.json").read_text())["runs"][0]["warm_start"]
    assert warm["median_abs_step"] == {"lr": 0.1}


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"confusion": None}, True),  # outputs that are no classes
        ({"confusion": [[1, 2], [3]]}, True),
        ({"confusion": [["a"]]}, True),
        ({"value": "much"}, False),
        ({"count": None, "trial": None}, True),
    ],
)
def test_odd_test_results_do_no_harm(run: Path, changes: dict[str, object], told: bool) -> None:
    assert main([str(measured(run, **changes))]) == 0
    assert (run / "figures" / "confusion.png").exists() is ("confusion" not in changes and told)
    assert ("on test data" in (run / "report.html").read_text()) is told


@pytest.mark.usefixtures("undrawn")
def test_losses_are_drawn_where_they_were_reported(tmp_path: Path, run: Path) -> None:
    search = write_search(tmp_path / "search", trials=3, levels=(1, 3))
    assert main([str(search)]) == 0
    assert (search / "figures" / "losses.pdf").exists()
    assert "Training and validation loss of the best trials" in (search / "report.html").read_text()
    assert main([str(run)]) == 0
    assert not (run / "figures" / "losses.pdf").exists()


@pytest.mark.usefixtures("undrawn")
def test_targets_are_shares_of_the_best_of_the_same_problem(tmp_path: Path) -> None:
    """Values of two problems have no common scale."""
    for name, best in (("a", 0.5), ("b", 0.9), ("c", 0.2)):
        write_run(tmp_path / name, [(2.0, 0, 1, best)], end=3.0)
    manifest = json.loads((tmp_path / "c" / "run.json").read_text())
    manifest["task"]["name"] = "another"
    (tmp_path / "c" / "run.json").write_text(json.dumps(manifest))
    several = [*(str(tmp_path / name) for name in "abc"), "--output", str(tmp_path)]
    assert main(several) == 0
    runs = json.loads((tmp_path / "comparison.json").read_text())["runs"]
    targets = [[entry["target"] for entry in run["time_to_target"]] for run in runs]
    assert targets[0] == targets[1] == pytest.approx([0.81, 0.855, 0.891])
    assert targets[2] == pytest.approx([0.18, 0.19, 0.198])
    assert main([*several, "--target", "0.3"]) == 0  # one that is given is everybody's
    runs = json.loads((tmp_path / "comparison.json").read_text())["runs"]
    assert all([entry["target"] for entry in run["time_to_target"]] == [0.3] for run in runs)


def test_one_trial_is_one_trial(tmp_path: Path) -> None:
    from analysis import load_run
    from analysis.report.run_figures import plot_learning_curves

    axes = Figure().add_subplot()
    plot_learning_curves(axes, load_run(write_run(tmp_path, REPORTS, end=10.0)))
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["9 (0 trials)", "3 (2 trials)", "1 (1 trial)"]


@pytest.mark.parametrize("target", ["nan", "inf", "", "x"])
def test_a_target_must_be_a_finite_number(run: Path, target: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(run), "--target", target]) == 2
    assert "--target is" in (told := capsys.readouterr().err)
    assert "it must be a finite number" in told


def test_an_end_of_a_kind_that_is_not_known_is_told_as_it_stands(run: Path) -> None:
    """A journal of a later version."""
    loaded = replace(load_run(run), reason="frozen")
    words = in_words(loaded, summary_of(loaded, []))
    assert "It ended for a reason that this version does not know (frozen)." in words


def test_who_looks_at_a_terminal_is_told_what_takes_seconds(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("analysis.report.run_drawings.drawings_of", lambda *given: [])
    assert main([str(run)]) == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert main([str(run), "--json"]) == 0
    told = capsys.readouterr()
    assert told.err == "asha-report: 1 run read; drawing the figures\n"
    assert json.loads(told.out)["metric"] == "score"


def test_where_lower_is_better_every_word_says_so(tmp_path: Path) -> None:
    """A loss on new data is a little higher, not less; its targets are a little above the best."""
    loaded = load_run(write_run(tmp_path, [(2.0, 0, 1, 0.5), (4.0, 1, 1, 0.2)], mode="min", end=5.0))
    targets, named = targets_for([loaded], ())
    assert (targets, named) == (pytest.approx([0.2222, 0.2105, 0.202]), False)
    summary = summary_of(loaded, targets, named=named)
    words = in_words(loaded, summary)
    assert "The best score (lower is better) on validation data is 0.2000, by trial 1" in words
    assert "expect it to be a little higher on new data" in words
    assert "less" not in words
    title = targets_table(loaded, summary).title
    assert title == "Time to target (the best value over 0.90, 0.95 and 0.99)"
    assert (summary["best"], summary["auc"]) == (0.2, None)
    axes = Figure().add_subplot()
    plot_best_so_far(axes, [loaded])
    assert "lower is better" in axes.get_ylabel().replace("\n", " ")
    (steps, *_) = axes.lines
    assert list(np.asarray(steps.get_ydata())) == [0.5, 0.2, 0.2]


def test_a_score_below_nothing_has_no_area(tmp_path: Path) -> None:
    """The area begins at 0, which would count as better than all that was found."""
    loaded = load_run(write_run(tmp_path, [(2.0, 0, 1, -0.5), (4.0, 1, 1, 0.2)], end=5.0))
    assert summary_of(loaded, [])["auc"] is None


def test_which_commit_is_whose_is_said() -> None:
    about = commits(
        {"commit": "a" * 40, "repository": {"directory": "/home/you/wine", "commit": "b" * 40 + "-dirty"}}
    )
    assert about == ["asha-core at commit aaaaaaaaaa", "wine at commit bbbbbbbbbb, changed since"]
    assert commits({"commit": None, "repository": None}) == commits({}) == []


def test_a_search_without_a_warm_start_spends_nothing_on_one(run: Path) -> None:
    summary = {
        "time_split": {"training": 1.0, "warm_start": 0.0, "starting": 0.5, "waiting": 0.0, "total": 1.5}
    }
    for warm, named in ((None, False), ({"trials": 3}, True)):
        told = [row[0] for row in time_table(summary | {"warm_start": warm}).rows]
        assert ("warm start" in told) == named
        assert {"training", "starting", "waiting"} <= {*told}
