"""The report of one search is something to show: captions, hyper-parameters, every trial, the best one."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from analysis.cli import main
from analysis.figures.value_axis import ValueAxis
from analysis.journals.runs import Run, load_run
from analysis.report.run_drawings import drawings_of
from analysis.report.run_figures import plot_learning_curves
from analysis.report.run_page import best_of, loading, run_page, title_of
from analysis.report.run_report import summary_of
from analysis.report.run_settings import settings_drawings, settings_of
from analysis.report.run_tables import text_tables
from analysis.report.run_trials import MOST_ROWS, trial_table, trials_csv
from tests.analysis.journals.test_metrics import write_run
from tests.analysis.report.browser import browse
from tests.analysis.studies import write_search

SPACE: dict[str, Any] = {
    "opt.name": {"type": "choice", "options": ["adam", "sgd"]},
    "opt.lr": {"type": "float", "lower": 1e-4, "upper": 1.0, "log": True},
    "momentum": {"type": "float", "lower": 0.0, "upper": 1.0, "log": False, "when": {"opt.name": ["sgd"]}},
    "layers": {"type": "choice", "options": [[64], [64, 64], [128, 64, 32]]},
    "flag": {"type": "choice", "options": [1, True, None]},
    "depth": {"type": "constant", "value": 5},
}


def searched(folder: Path, count: int, mode: str = "max", space: dict[str, Any] = SPACE) -> Run:
    """A search of a space with conditions, lists and nested names, whose last trial failed."""
    rng = np.random.default_rng(0)
    records: list[dict[str, Any]] = []
    for trial in range(count):
        lr = float(10 ** rng.uniform(-4, 0))
        options = {name: told["options"] for name, told in space.items() if told["type"] == "choice"}
        configuration: dict[str, Any] = {name: of[int(rng.integers(len(of)))] for name, of in options.items()}
        configuration |= {"opt.lr": lr, "depth": 5}
        if configuration["opt.name"] == "sgd":
            configuration["momentum"] = float(rng.random())
        job = {
            "t": trial + 0.1,
            "type": "job",
            "slot": 0,
            "trial": trial,
            "start": 0,
            "until": 1,
            "attempt": 0,
        }
        records.append({**job, "refine": False, "configuration": configuration})
        if trial == count - 1 > 0:
            records.append(
                {
                    "t": trial + 0.9,
                    "type": "failed",
                    "trial": trial,
                    "attempt": 0,
                    "kind": "error",
                    "error": "boom",
                }
            )
            continue
        value = 1 - (np.log10(lr) + 2) ** 2 / 4 if mode == "max" else (np.log10(lr) + 2) ** 2 + 0.01
        report = {"t": trial + 0.9, "type": "report", "trial": trial, "attempt": 0, "resource": 1}
        records.append({**report, "value": value if trial != 3 else "nan", "seconds": 0.5})
    write_run(folder, [], mode=mode)
    with open(folder / "journal.jsonl", "a") as journal:
        journal.writelines(json.dumps(record) + "\n" for record in records)
        journal.write(json.dumps({"t": float(count), "type": "end", "reason": "complete"}) + "\n")
    manifest = json.loads((folder / "run.json").read_text())
    manifest["space"] = {"dimensions": space, "constraints": []}
    (folder / "run.json").write_text(json.dumps(manifest))
    return load_run(folder)


def test_every_figure_has_a_caption_in_one_order_for_all_searches(tmp_path: Path) -> None:
    runs = [load_run(write_search(tmp_path / name, "ohgw-1step", trials=6)) for name in ("a", "b")]
    summaries = [summary_of(run, [0.5]) | {"test": {"confusion": [[3, 1], [0, 4]]}} for run in runs]
    alone = drawings_of(runs[:1], summaries[:1], 0.5)
    assert [drawing.name for drawing in alone] == [
        *("best_so_far", "learning_curves", "importance", "slices", "parallel", "losses", "warm_start"),
        *("confusion", "rung_survival", "time_split"),
    ]
    beside = drawings_of(runs, summaries, 0.5)
    for drawing in (*alone, *beside):
        assert len(drawing.caption) > 60, drawing.name
        assert drawing.caption.endswith("."), drawing.name
    own = [d.name for d in beside if d.name.endswith("_0")]
    assert [name.replace("_0", "_1") for name in own] == [d.name for d in beside if d.name.endswith("_1")]


def test_training_loss_is_explained_where_it_cannot_be_compared(tmp_path: Path) -> None:
    run = load_run(write_search(tmp_path, trials=3))
    (losses,) = (d for d in drawings_of([run], [summary_of(run, [])], None) if d.name == "losses")
    assert "since magnitude and label_smoothing change what it is measured of" in losses.caption
    assert "it cannot be compared between trials" in losses.caption


@pytest.mark.parametrize(
    ("kinds", "title", "told"),
    [
        (["train_loss"], "Training loss", "none reported a validation loss"),
        (["valid_loss"], "Validation loss", "Validation loss of the best trials."),
        (["train_loss", "valid_loss"], "Training and validation loss", "Compare validation losses"),
    ],
)
def test_only_losses_that_were_reported_are_named(
    tmp_path: Path, kinds: list[str], title: str, told: str
) -> None:
    run = load_run(write_search(tmp_path, trials=3))
    for trial in run.trials.values():
        for metrics in trial.metrics:
            for kind in {"train_loss", "valid_loss"} - set(kinds):
                metrics.pop(kind, None)
    (losses,) = (d for d in drawings_of([run], [summary_of(run, [])], None) if d.name == "losses")
    assert losses.words.startswith(f"{title} of")
    assert told in losses.caption
    axes = Figure().subplots()
    losses.draw(axes)
    named = {text.get_text() for text in axes.figure.findobj(Text)}
    assert ("training" in named, "validation" in named) == ("train_loss" in kinds, "valid_loss" in kinds)


def test_a_small_loss_is_not_told_as_nothing(tmp_path: Path) -> None:
    write_run(tmp_path, [(2.0, 0, 1, 2.3234e-06)], mode="min", end=3.0)
    run = load_run(tmp_path)
    summary = summary_of(run, [])
    assert "2.323e-06" in text_tables([run], [summary])
    page = run_page([run], [summary], [], tmp_path, {})
    assert "2.323e-06" in page
    assert "0.0000<" not in page


def test_learning_curves_of_several_searches_have_the_same_axes(tmp_path: Path) -> None:
    runs = [
        load_run(write_run(tmp_path / "a", [(2.0, 0, 1, 0.5), (4.0, 1, 1, 0.2)], end=5.0)),
        load_run(
            write_run(tmp_path / "b", [(2.0, 0, 1, 0.9), (4.0, 0, 2, 0.95), (4.0, 0, 3, 0.96)], end=5.0)
        ),
    ]
    drawn = []
    for run in runs:
        axes = Figure().add_subplot()
        plot_learning_curves(axes, run, beside=runs)
        drawn.append((axes.get_xlim(), axes.get_ylim()))
    assert drawn[0] == drawn[1]
    (_, (low, high)) = drawn[0]
    assert low < 0.2
    assert high > 0.96


def test_one_diverged_trial_does_not_flatten_the_others() -> None:
    losses = [*np.linspace(0.1, 0.5, 30), 1e12]
    axis = ValueAxis(losses, "min")
    assert axis.limits is not None
    assert (axis.limits[0], axis.outside) == (0.1, 1)
    assert axis.limits[1] < 1e3
    assert ValueAxis([0.5, np.nan], "max").limits is None


def test_spaces_with_conditions_lists_and_nested_names_are_drawn(tmp_path: Path) -> None:
    run = searched(tmp_path, 40)
    settings = settings_of(run)
    assert settings.names == ("opt.name", "opt.lr", "momentum", "layers", "flag")  # no constant
    adam = settings.after[:, 0] == 0
    assert np.isnan(settings.after[adam, 2]).all()
    assert np.isfinite(settings.after[~adam, 2]).all()
    assert set(settings.after[:, 4]) == {0.0, 0.5, 1.0}  # 1 and True are two options, and None is one
    drawings = {drawing.name: drawing for drawing in settings_drawings(run)}
    assert drawings["importance"].draw.keywords["dimensions"][0] == "opt.lr"  # type: ignore[attr-defined]
    assert drawings["importance"].draw.keywords["why"] == ""  # type: ignore[attr-defined]
    assert "by score at epoch 1" in drawings["importance"].caption
    for drawing in drawings.values():
        drawing.draw(Figure().add_subplot())


@pytest.mark.parametrize("mode", ["max", "min"])
@pytest.mark.parametrize("count", [1, 2])
def test_a_search_of_one_trial_has_a_report(tmp_path: Path, mode: str, count: int) -> None:
    run = searched(tmp_path, count, mode)
    drawings = {drawing.name: drawing for drawing in settings_drawings(run)}
    assert "1 trial with a value is too few" in drawings["importance"].caption
    for drawing in drawings.values():
        figure = Figure()
        drawing.draw(figure.add_subplot())
        assert not any("e+" in text.get_text() for text in figure.findobj(Text)), drawing.name
    assert trial_table(run).total == count


def test_nothing_to_search_has_no_figures_of_it(tmp_path: Path) -> None:
    run = load_run(write_run(tmp_path, [], end=1.0))
    assert settings_drawings(run) == []


@pytest.mark.parametrize(("mode", "best"), [("max", max), ("min", min)])
def test_all_trials_are_in_the_table_the_best_first(tmp_path: Path, mode: str, best: Any) -> None:
    run = searched(tmp_path, 12, mode)
    table = trial_table(run)
    assert table.header == [
        *("trial", "best score", "at epoch", "epochs trained", "state"),
        *("opt.name", "opt.lr", "momentum", "layers", "flag"),
    ]
    values = [row[1].number for row in table.rows]
    known = [value for value in values if value is not None]
    assert len(values) == table.total == 12
    assert known == sorted(known, reverse=mode == "max")
    assert known[0] == best(known)
    assert values[-2:] == [None, None]  # it was not finite; it failed
    assert {row[4].text for row in table.rows} == {"not promoted", "failed"}
    assert {row[8].text for row in table.rows} <= {"64", "64/64", "128/64/32"}


def test_trials_csv_holds_every_trial_as_it_is(tmp_path: Path) -> None:
    run = searched(tmp_path, 12)
    rows = list(csv.DictReader(io.StringIO(trials_csv(run))))
    assert len(rows) == 12
    assert float(rows[0]["best_score"]) == max(
        v for t in run.trials.values() for v in t.values if math.isfinite(v)
    )
    by_trial = {int(row["trial"]): row for row in rows}
    for trial in run.trials.values():
        row = by_trial[trial.id]
        assert float(row["opt.lr"]) == trial.configuration["opt.lr"]
        assert json.loads(row["layers"]) == trial.configuration["layers"]
        assert row["momentum"] == str(trial.configuration.get("momentum", ""))


@pytest.mark.usefixtures("undrawn")
def test_a_page_of_very_many_trials_stays_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analysis.report.run_trials.MOST_ROWS", 50)
    assert MOST_ROWS == 1_000  # at 1 kB a row
    searched(tmp_path, 120)
    monkeypatch.setattr("analysis.report.run_drawings.settings_drawings", lambda run: [])
    assert main([str(tmp_path)]) == 0
    page = (tmp_path / "report.html").read_text()
    assert page.count("<tr><td data-n") == 50
    assert "The best 50 of 120; all are in <code>every-trial.csv</code>" in page
    assert len(page) < 100_000 + 50 * 1_000
    assert len((tmp_path / "every-trial.csv").read_text().splitlines()) == 121


def test_the_title_says_what_was_tuned_and_how_good_it_became(tmp_path: Path) -> None:
    runs = [load_run(write_search(tmp_path / arm, arm, trials=3)) for arm in ("baseline", "ohgw-1step")]
    summaries = [summary_of(run, []) for run in runs]
    assert (
        title_of(runs[:1], summaries[:1]) == f"Tuning digits with ASHA: accuracy {summaries[0]['best']:.4g}"
    )
    assert title_of(runs[1:], summaries[1:]).startswith("Tuning digits with ASHA and ohgw-1step: accuracy 0.")
    assert title_of(runs, summaries) == "2 searches of digits, side by side"
    empty = load_run(write_run(tmp_path / "none", [], end=1.0))
    assert title_of([empty], [summary_of(empty, [])]) == "Tuning t with ASHA"


@pytest.mark.parametrize(
    ("target", "of_ours", "expected"),
    [
        ("trials.tasks.digits:Digits", True, "load_model({path!r})"),
        ("wine:Wine", True, "load_model({path!r}, task='wine:Wine')"),
        ("__main__:Wine", True, "load_model({path!r}, task=Wine)"),
        ("train:train", False, "torch.load({best!r}, weights_only=True)"),
    ],
)
def test_the_lines_that_load_the_best_checkpoint(
    tmp_path: Path, target: str, of_ours: bool, expected: str
) -> None:
    run = load_run(write_search(tmp_path, trials=3, costs=of_ours))
    run.manifest["task"]["target"] = target
    code = loading(run)
    assert expected.format(path=str(tmp_path), best=f"{tmp_path}/checkpoints/best.pt") in code
    assert len(code.splitlines()) == 3
    compile(code, "lines", "exec")
    best = best_of(run, summary_of(run, []))
    assert best is not None
    assert best["checkpoint"] == ""  # there is none to load
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "best.pt").touch()
    best = best_of(run, summary_of(run, []))
    assert best is not None
    assert best["checkpoint"] == f"{tmp_path}/checkpoints/best.pt"


_USE = """<script>
addEventListener("load", function () {
  function type(text) {
    var field = document.getElementById("filter");
    field.value = text;
    field.dispatchEvent(new Event("input"));
    return document.getElementById("count").textContent + ": " +
      Array.prototype.filter.call(document.querySelectorAll("#trials tbody tr"), function (row) {
        return !row.hidden;
      }).map(function (row) { return row.cells[0].textContent; }).join(" ");
  }
  function click(name) {
    var head = Array.prototype.find.call(document.querySelectorAll("#trials th"), function (each) {
      return each.textContent === name;
    });
    head.querySelector("button").click();
    return head.getAttribute("aria-sort") + ": " + type("");
  }
  var done = [type("failed"), type("score>=0.7 not"), type("opt.lr<0.001 adam"), type("nobody"), type(""),
    click("trial"), click("trial"), click("best score"), click("opt.name")];
  document.body.innerHTML = "<pre id='done'>" + done.join("\\n") + "</pre>";
});
</script>"""


@pytest.mark.processes
@pytest.mark.usefixtures("undrawn")
def test_the_table_is_searched_and_sorted_in_a_browser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analysis.report.run_drawings.settings_drawings", lambda run: [])
    run = searched(tmp_path, 12)
    assert main([str(tmp_path)]) == 0
    page = tmp_path / "used.html"
    page.write_text((tmp_path / "report.html").read_text().replace("</body>", f"{_USE}</body>"))
    printed = browse(tmp_path, "--dump-dom", page.as_uri())
    found = re.search(r"<pre id=.done.>(.*?)</pre>", printed, re.DOTALL)
    assert found is not None, printed[-2000:]
    told = found[1].replace("&gt;", ">").split("\n")
    best = {trial.id: trial.values[0] for trial in run.trials.values() if trial.values}
    finite = {trial: value for trial, value in best.items() if math.isfinite(value)}
    ranked = sorted(finite, key=lambda trial: -finite[trial])
    assert told[0] == "1 of 12 rows: 11"
    good = [trial for trial in ranked if finite[trial] >= 0.7]
    assert told[1] == f"{len(good)} of 12 rows: {' '.join(map(str, good))}"
    small = {
        trial.id
        for trial in run.trials.values()
        if trial.configuration["opt.lr"] < 0.001 and trial.configuration["opt.name"] == "adam"
    }
    assert {int(each) for each in told[2].partition(": ")[2].split()} == small
    assert told[3] == "0 of 12 rows: "
    every = [*map(str, ranked), "3", "11"]
    assert told[4] == f"12 of 12 rows: {' '.join(every)}"
    assert told[5] == f"ascending: 12 of 12 rows: {' '.join(map(str, range(12)))}"
    assert told[6] == f"descending: 12 of 12 rows: {' '.join(map(str, range(11, -1, -1)))}"
    rising = told[7].partition("rows: ")[2].split()
    assert rising[:-2] == [str(trial) for trial in ranked[::-1]]
    assert set(rising[-2:]) == {"3", "11"}  # who has no value is last, whichever way
    assert told[8].startswith("ascending: 12 of 12 rows: ")
