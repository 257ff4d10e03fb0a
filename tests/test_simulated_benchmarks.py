"""Benchmarks in virtual time: their pages say what their JSON files say, and their parts do what they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asha_core import ASHA, Curves, Float
from benchmarks import (
    against_the_published,
    faster_start,
    replays,
    scale,
    simulator_beside_syne_tune,
    table_parts,
)

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGES = {
    "faster_start": ("when-does-a-faster-start-help", faster_start.markdown),
    "against_the_published": ("against-the-published", against_the_published.markdown),
    "scale": ("scale", scale.markdown),
    "simulator_beside_syne_tune": (
        "scale",
        lambda content: {"syne_tune": simulator_beside_syne_tune.TABLE.markdown(content["rows"])},
    ),
}


def table(values: Any, seconds: Any = None) -> Curves:
    values = np.asarray(values, dtype=float)
    configurations = [{"x": row / len(values)} for row in range(len(values))]
    return Curves.from_arrays({"x": Float(0.0, 1.0)}, configurations, values, seconds=seconds)


@pytest.mark.parametrize("name", PAGES)
def test_the_tables_of_a_page_are_what_the_json_file_says(name: str) -> None:
    page, markdown = PAGES[name]
    text = (ROOT / "docs" / "results" / f"{page}.md").read_text()
    shown = {
        title: body
        for title, body in markdown(json.loads((RESULTS / f"{name}.json").read_text())).items()
        if f"<!-- table: {title} -->" in text
    }
    assert shown
    for title, body in shown.items():
        assert f"<!-- table: {title} -->\n\n{body}\n\n<!-- end -->" in text


def test_what_a_shift_could_have_bought_is_what_was_measured_and_lies_between() -> None:
    content = json.loads(faster_start.FILE.read_text())
    rows = [
        row for row in content["rows"] if row["group"] == faster_start.LCBENCH and row["timing"] == "dealt"
    ]
    known = {
        (row["workers"], row["share"], row["times"], row["cost"]): row["ratio"]
        for row in rows
        if row["scheduler"] == "asha" and row["times"] > 1
    }
    bought = faster_start.could_have_bought
    assert bought("asha", 4, 0.1, 2, 0.03) == pytest.approx(known[4, 0.1, 2, 0.03])
    assert bought("asha", 4, 0.1, 1) == pytest.approx(1.0)
    assert bought("asha", 4, 0.1, 1, 0.1) >= 1.0
    between = sorted((known[4, 0.1, 2, 0.0], known[4, 0.1, 4, 0.0]))
    assert between[0] <= bought("asha", 4, 0.1, 3) <= between[1]
    assert bought("asha", 64, 0.1, 2) == pytest.approx(known[16, 0.1, 2, 0.0])  # the nearest counts


def test_of_27_that_start_one_reaches_the_last_rung() -> None:
    curves = np.tile(np.arange(27.0)[:, None], (1, 27))
    assert faster_start.halved(curves, 26.0) == pytest.approx(1 / 27)
    assert faster_start.halved(-curves, 0.0) == pytest.approx(1 / 27)
    curves[:, 0] *= -1  # the best begins last
    assert faster_start.halved(curves, 26.0) == 0.0


def test_a_search_ends_where_one_more_would_begin() -> None:
    curves = table(np.tile(np.arange(9.0)[:, None], (1, 9)))
    scheduler = ASHA(curves.space, max_resource=9, searcher=curves.searcher(0))
    seconds = replays.until_one_more_would_begin(scheduler, curves, 2)
    assert len(scheduler.trials) == 9
    assert scheduler.units < 21  # to the very end: 9 + 3 x 2 + 6
    assert seconds < 21 / 2


def test_the_best_value_at_a_budget_is_the_last_improvement_by_then() -> None:
    found = [(1.0, 1, 0.2, 0), (3.0, 3, 0.5, 1)]
    assert replays.best_at(found, (1, 2, 3, 9), 0.0) == [0.2, 0.2, 0.5, 0.5]
    assert replays.best_at([], (1,), 0.1) == [0.1]


def test_a_part_of_a_table_has_its_rows_and_no_others() -> None:
    whole = table(np.arange(12.0).reshape(4, 3), seconds=np.ones((4, 3)))
    part = table_parts.part(whole, 2, rows=np.array([2, 2]), arms=("a", "b"))
    assert part.value.tolist() == [[[6.0, 7.0], [6.0, 7.0]]] * 2
    assert [configuration["x"] for configuration in part.configurations] == [0.5, 0.5]
    assert table_parts.part(whole, 2, timed=False).seconds is None


def test_a_ratio_of_medians_leaves_out_tables_that_do_not_reach_the_target_without_the_shift() -> None:
    rng = np.random.default_rng(0)
    base = np.stack([np.full(5, 4.0), np.full(5, 4.0), np.full(5, 4.0), np.full(5, np.inf)])
    shifted = np.stack([np.full(5, 2.0), np.full(5, 1.0), np.full(5, np.inf), np.full(5, 1.0)])
    row = faster_start.ratio_of(shifted, base, rng)
    assert (row["tables"], row["of"], row["each"]) == (3, 4, [0.5, 0.25, None])
    assert row["low"] <= row["ratio"] == 0.5 <= row["high"]
    assert faster_start.ratio_of(shifted, np.stack([base[3]] * 3 + [base[0]]), rng)["ratio"] is None
