"""Tables as text: nothing of a cell is lost or read as markup, and numbers stay numbers."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.number_formats import p_cell, percent_cell, significant, slug, with_interval
from analysis.report.tables import Table, escaped, latex, markdown, text

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("C",)), max_size=20)


@given(WORDS)
def test_no_cell_is_read_as_latex(words: str) -> None:
    shown = escaped(words)
    for command in (r"\textbackslash{}", r"\textasciitilde{}", r"\textasciicircum{}", r"\textless{}"):
        shown = shown.replace(command, "")
    shown = (
        shown.replace(r"\textgreater{}", "")
        .replace(r"\dag{}", "")
        .replace(r"\textbar{}", "")
        .replace(r"$-$", "")
    )
    shown = re.sub(r"\$\\(infty|pm|le|ge)\$", "", shown).replace("{[}", "")
    assert not re.search(r"(?<!\\)[&%$#_{}~^]", shown)
    assert not re.search(r"\\(?![&%$#_{}])", shown)
    assert "$-$" not in shown


@given(WORDS.filter(lambda words: words.strip()))
def test_a_row_has_its_columns_whatever_is_in_them(words: str) -> None:
    table = Table("t", "title", ("a", words), ((words, "1"), ("x", words)))
    rows = [line for line in latex(table).splitlines() if line.endswith(r" \\")]
    assert all(len(re.findall(r"(?<!\\)&", row)) == 1 for row in rows)
    assert len(rows) == 3
    body = [markdown(table).splitlines()[place] for place in (2, 4, 5)]
    bare = [re.sub(r"\\.", "", row) for row in body]  # without what a backslash makes plain
    assert all(row.count("|") == 3 for row in bare)
    assert not re.search(r"[$*`]", "".join(bare))  # a formula, bold letters, code
    assert not re.search(r"<[A-Za-z/!?]", "".join(body))


def test_a_table_by_hand() -> None:
    table = Table(
        "t", "50% & more", ("arm", "T [95%]"), (("a_b", "-1.5 [-2, \N{INFINITY}]"), ("c", "> 3")),
        ("A note.",), "lr", frozenset({1}),
    )  # fmt: skip
    assert latex(table).splitlines() == [
        "% 50% & more",
        "% A note.",
        r"% needs \usepackage{booktabs}",
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"arm & T [95\%] \\",
        r"\midrule",
        r"a\_b & $-$1.5 [$-$2, $\infty$] \\",
        r"\midrule",
        r"c & \textgreater{} 3 \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]
    assert markdown(table).splitlines()[2:4] == ["| arm | T [95%] |", "| :-- | --: |"]
    assert text(table).splitlines()[2:4] == ["arm       T [95%]", "a_b  -1.5 [-2, \N{INFINITY}]"]


@given(st.floats(-1e12, 1e12))
def test_a_number_keeps_three_digits_of_its_value(value: float) -> None:
    shown = float(significant(value).replace(",", ""))
    assert math.isclose(shown, value, rel_tol=0.051 if abs(value) < 1e-4 else 0.0051, abs_tol=1e-300)
    assert not re.search(r"e\+|e0|e-0", significant(value))


def test_numbers_that_are_none() -> None:
    assert significant(math.nan) == "\N{EN DASH}"
    assert significant(math.inf) == "\N{INFINITY}"
    assert with_interval(math.nan, 0.0, 1.0) == "\N{EN DASH}"
    assert with_interval(1.0, math.nan, math.nan, ".2f") == "1.00"
    assert with_interval(0.5, 0.25, math.inf, ".2f") == "0.50 [0.25, \N{INFINITY}]"
    assert (p_cell(None), p_cell(0.0004), p_cell(0.012), p_cell(0.5)) == (
        "\N{EN DASH}",
        "<.001",
        "0.012",
        "0.50",
    )
    assert (percent_cell(0.5), percent_cell(0.00123), percent_cell(0.0)) == ("50.0", "0.12", "0.0")


@given(st.lists(WORDS, max_size=8))
def test_names_of_files_differ_and_are_plain(names: list[str]) -> None:
    taken: list[str] = []
    for name in names:
        taken.append(slug(name, taken))
    assert len(set(taken)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9-]{1,70}", each) for each in taken)


@pytest.mark.parametrize("name", ["digits, asha", "a/b", "../x", ""])
def test_names_of_files_stay_in_their_folder(name: str) -> None:
    assert "/" not in slug(name)
    assert not slug(name).startswith(".")
