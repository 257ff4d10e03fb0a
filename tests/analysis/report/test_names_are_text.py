"""A user's text is text in every figure and on every page; what cannot be drawn is left out and said."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from analysis import figures
from analysis.cli import main
from analysis.comparison import compare
from analysis.figures.layout import labelled, legend_below, plain, sample, text_width
from analysis.figures.style import styles
from analysis.journals.runs import load_run
from analysis.report.drawings import Drawing
from analysis.report.run_drawings import drawings_of
from analysis.report.run_report import summary_of
from analysis.report.study_report import _sections, write_study_report
from tests.analysis.journals.test_metrics import REPORTS, write_run
from tests.analysis.synthetic import study, two_arms

METRIC = "cost_$_per_$"
OURS = re.compile(r"\$(10\^|\\mathdefault)")  # the labels of a logarithmic axis


def texts(drawing: Drawing) -> list[str]:
    """What is to be read on a figure, line breaks as spaces."""
    figure = Figure(figsize=drawing.size)
    drawing.draw(figure.add_subplot())
    shown = []
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        words, formula = text._preprocess_math(text.get_text())  # type: ignore[attr-defined]
        assert not formula or OURS.match(words), words
        shown.append(" ".join(words.split()))
    return shown


def hostile_run(folder: Path) -> Path:
    """A run whose metric, unit, hyper-parameters, metrics, choices and task look like formulas and HTML."""
    path = write_run(
        folder,
        REPORTS,
        end=10.0,
        extra=tuple(
            {
                "t": 1.5,
                "type": "refined",
                "trial": trial,
                "configuration": {"lr": 0.1 + trial / 100},
                "seconds": 0.1,
                "diagnostics": {"strategy": "hypergradient", "gradient": {"lr": 0.5}, "step": {"lr": -5e-4}},
            }
            for trial in range(3)
        ),
    )
    for name in ("run.json", "journal.jsonl"):
        text = (path / name).read_text().replace('"score"', f'"{METRIC}"').replace('"epoch"', '"$e_$ <b>"')
        text = text.replace('"name": "t"', '"name": "_$t_$ <b>"').replace('"lr"', '"λ_$x_$ <b>"')
        (path / name).write_text(text)
    return path


def test_every_figure_of_runs_has_names_as_they_stand(tmp_path: Path) -> None:
    runs = [load_run(hostile_run(tmp_path / name)) for name in ("one $_$", "two")]
    for some in (runs, runs[:1]):
        summaries = [summary_of(run, [0.8]) | {"test": {"confusion": [[3, 1], [0, 4]]}} for run in some]
        drawings = drawings_of(some, summaries, 0.8)
        found = {drawing.name: texts(drawing) for drawing in drawings}
        assert any(f"best {METRIC} so far" in words for words in found["best_so_far"])
        assert any("$e_$ <b>" in words for words in found["rung_survival"])


def test_every_figure_of_a_study_has_names_as_they_stand() -> None:
    arm = "_$a_$ <b>"
    given: dict[str, Any] = {"metric": METRIC, "group": "$g_$, <b>", "warm": 1.0, "test": 0.9}
    replicates = two_arms([40, 50, 60], [30, 35, 40], arm, **given)
    sections, effects = _sections(compare(study(replicates)))
    drawings = [*([effects] if effects else []), *(d for s in sections for d in (*s.figures, *s.diagnostics))]
    found = {drawing.name: "\n".join(texts(drawing)) for drawing in drawings}
    assert len(found) > 5
    assert any(METRIC in words for words in found.values())
    assert sum(arm in words for words in found.values()) > 4


def test_a_name_that_begins_with_an_underscore_is_in_the_legend() -> None:
    """Matplotlib leaves these out, with a warning."""

    def draw(axes: Axes) -> None:
        legend_below(axes, [sample(style, name) for name, style in styles(["_a", "b"], "").items()])

    legend = figures.make_figure(draw).axes[0].get_legend()
    assert legend is not None
    assert [text.get_text().strip() for text in legend.get_texts()] == ["_a", "b"]


def test_what_no_font_can_show_is_no_error() -> None:
    assert plain("a\udcff$\x1b\nb") == "a?\\$?\nb"
    assert text_width("a\udcff") > 0


def test_letters_that_the_font_lacks_are_boxes_and_no_complaint(tmp_path: Path) -> None:
    """A warning would be an error here."""

    def draw(axes: Axes) -> None:
        labelled(axes, "精度")

    assert Drawing("font", draw, "").save_or_say(tmp_path) == ""
    assert (tmp_path / "font.png").exists()


def broken(axes: Axes, **given: object) -> None:
    raise ValueError("\nno such formula\n at char 5")


def some_broken(drawings: Sequence[Drawing]) -> list[Drawing]:
    return [replace(each, draw=broken) if each.name.startswith("best") else each for each in drawings]


def test_a_figure_of_a_run_that_cannot_be_drawn_is_left_out_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path / "run", REPORTS, end=10.0)
    figure = run / "figures" / "best_so_far.png"
    figure.parent.mkdir()
    figure.touch()  # of an earlier report
    monkeypatch.setattr(
        "analysis.report.run_drawings.drawings_of", lambda *given: some_broken(drawings_of(*given)[:1])
    )
    assert main([str(run)]) == 0
    told = capsys.readouterr()
    why = "ValueError:  no such formula  at char 5"
    assert told.err == f"asha-report: warning: figure best_so_far could not be drawn and is left out: {why}\n"
    assert "report:" in told.out
    assert not figure.exists()
    page = (run / "report.html").read_text()
    assert f"Best score so far against wall-clock time: this figure could not be drawn ({why})." in page


def test_a_figure_of_a_study_that_cannot_be_drawn_is_left_out_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    effects = Drawing("effects", broken, "Ratios")
    monkeypatch.setattr("analysis.report.study_report._sections", lambda comparison: ([], effects))
    written = write_study_report(study(two_arms([40, 50, 60], [30, 35, 40])), tmp_path)
    assert list(written.failures) == ["effects"]
    assert written.figures == []
    assert "this figure could not be drawn (ValueError" in written.page.read_text(encoding="utf-8")
