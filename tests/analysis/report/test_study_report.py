"""The report on a study: complete, the same numbers everywhere, drawn by a real browser without complaint."""

from __future__ import annotations

import base64
import fcntl
import html
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from analysis.cli import main
from analysis.report.choosing import is_study
from analysis.report.drawings import Drawing
from tests.analysis.report.browser import browse
from tests.analysis.studies import write_search, write_study

ARMS = {"baseline": 1.0, "random-warm": 1.0, "ohgw-1step <b>": 0.7}
DOT = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAG7buVgAAAABJRU5ErkJggg=="
)
ASK = """<script>addEventListener("load", () => {
  const first = document.querySelector("main").innerText.split(/\\s+/).length;
  document.querySelectorAll("details").forEach(part => { part.open = true; });
  const told = {
    first,
    widths: [...document.images].map(image => image.naturalWidth),
    outside: performance.getEntriesByType("resource").map(entry => entry.name),
    sideways: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    verdicts: [...document.querySelectorAll(".verdicts td.verdict b")].map(cell => cell.innerText),
    lost: [...document.querySelectorAll("a[href^='#']")].filter(
      link => !document.getElementById(link.getAttribute("href").slice(1))).length,
  };
  document.body.setAttribute("data-told", JSON.stringify(told));
});</script>"""


def sketch(tasks: Sequence[partial[str]], processes: int | None = None) -> list[str]:
    """Draws every figure on axes, and neither lays it out nor renders it: its files are a white dot."""
    for task in tasks:
        drawing = getattr(task.func, "__self__", None)
        assert isinstance(drawing, Drawing)
        drawing.draw(Figure().add_subplot())
        for ending, content in ((".png", DOT), (".pdf", b"%PDF")):
            (task.args[0] / f"{drawing.name}{ending}").write_bytes(content)
    return [""] * len(tasks)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on a study of two groups in which something of everything is wrong."""
    folder = tmp_path_factory.mktemp("studies") / "a study"
    write_study(folder, ARMS, range(7), trials=8, levels=(1, 3), targets=(0.6, 0.7), shift=0.3, test=0.7)
    other = {"baseline": 1.0, "random-warm": 1.0}
    write_study(folder, other, range(2), group="digits, pasha", trials=6, levels=(1, 3), targets=(0.999,))
    (folder / "runs/digits-asha-random-warm/seed-5/journal.jsonl").write_text("rubbish\n{}\n")
    write_search(folder / "runs/digits-asha-random-warm/seed-6", "random-warm", 6, trials=8, reason=None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("analysis.report.study_report.do_all", sketch)
        assert main([str(folder)]) == 0
    return folder / "evaluation"


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are a white dot: for what is not about them."""
    monkeypatch.setattr("analysis.report.study_report.do_all", sketch)


def page_of(study: Path) -> str:
    return (study / "report.html").read_text(encoding="utf-8")


def test_figures_tables_and_numbers_are_there(study: Path) -> None:
    numbers = json.loads((study / "comparison.json").read_text())
    assert [group["name"] for group in numbers["groups"]] == ["digits, asha", "digits, pasha"]
    figures = {path.name for path in (study / "figures").iterdir()}
    assert {"effects.png", "best-seconds-digits-asha.png", "kaplan-meier-0.7-digits-asha.png"} <= figures
    assert {
        "scores-digits-pasha.png",
        "before-after-digits-asha-1.png",
        "benefit-digits-asha-2.png",
    } <= figures
    assert {f"{Path(name).stem}.pdf" for name in figures} <= figures
    tables = {path.name for path in (study / "tables").iterdir()}
    assert {"criteria.md", "times-digits-asha.tex", "shifts-digits-asha.md"} <= tables
    assert {f"{Path(name).stem}.md" for name in tables} <= tables


def test_a_table_says_what_comparison_json_says(study: Path) -> None:
    group = json.loads((study / "comparison.json").read_text())["groups"][0]
    rows = (study / "tables" / "times-digits-asha.md").read_text().splitlines()
    for against in group["against"]:
        for effect in against["times"]:
            if effect["measure"] != "seconds":
                continue
            shown = f"{effect['target']:g}{' (primary)' if effect['target'] == group['targets'][-1] else ''}"
            (row,) = (
                r for r in rows if r.startswith(f"| {shown} | {against['arm'].replace('<b', '&lt;b')} |")
            )
            ratio = effect["ratio"]
            shown = f"{ratio['value']:.2f} [{ratio['low']:.2f}, {ratio['high']:.2f}]"
            assert shown in row.replace("*", "")
            assert f"| {effect['n']} |" in row


def test_every_row_of_a_latex_table_has_every_column(study: Path) -> None:
    paths = sorted((study / "tables").glob("*.tex"))
    assert paths
    for path in paths:
        text = path.read_text()
        columns = len(re.search(r"\\begin\{tabular\}\{([lr]+)\}", text)[1])  # type: ignore[index]
        rows = [line for line in text.splitlines() if line.endswith(r" \\")]
        assert rows
        assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {columns - 1}, path
        assert all(rule in text for rule in (r"\toprule", r"\midrule", r"\bottomrule"))
        assert all(line.isascii() for line in text.splitlines() if not line.startswith("%")), path


class Parts(HTMLParser):
    """The references and the images of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.references: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "img":
            self.words.append(given.get("alt") or "")
        self.references += [value or "" for name, value in attrs if name in ("src", "srcset", "data")]
        self.references += [given.get("href") or ""] if tag in ("a", "link") else []


def test_the_page_refers_to_nothing_outside_itself(study: Path) -> None:
    text = page_of(study)
    parts = Parts()
    parts.feed(text)
    assert len(parts.words) == len(list((study / "figures").glob("*.png")))
    assert all(parts.words)
    assert all(reference.startswith(("data:", "#")) for reference in parts.references)
    assert "url(" not in text
    assert "@import" not in text
    assert "ohgw-1step &lt;b&gt;" in text
    assert "ohgw-1step <b>" not in text
    assert len(text) < 8e6


def test_what_is_wrong_with_a_study_is_on_its_page(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = page_of(study)
    for words in (
        "random-warm/seed-5: cannot be read",
        "random-warm/seed-6: it was killed",
        "2 runs left out",
        "Not complete",
        "0 of 2",  # that nobody reached it
        "<li>No search had reached accuracy 99.9%",  # a sentence without the name of its group begins as one
    ):
        assert words in text


@pytest.mark.processes
@pytest.mark.parametrize("width", [1300, 500])
def test_a_browser_draws_the_page_without_errors(study: Path, tmp_path: Path, width: int) -> None:
    asking = tmp_path / "page.html"
    asking.write_text(page_of(study).replace("</head>", f"{ASK}</head>"), encoding="utf-8")
    printed = browse(tmp_path, f"--window-size={width},2400", "--dump-dom", asking.as_uri())
    found = re.search(r'data-told="([^"]*)"', printed)
    assert found, printed[-2000:]
    told = json.loads(found[1].replace("&quot;", '"'))
    assert len(told["widths"]) == len(list((study / "figures").glob("*.png")))
    assert all(natural > 0 for natural in told["widths"])
    assert all(name.startswith("data:") for name in told["outside"])
    assert told["sideways"] <= 0
    assert told["lost"] == 0
    assert told["first"] < 300  # all else is folded
    assert len(told["verdicts"]) == 3 * 5  # arms beside the baselines, criteria
    assert all(re.search("holds|fails|not enough data", words) for words in told["verdicts"])


def tiny(folder: Path, **settings: object) -> Path:
    """A study whose report is quick."""
    given: dict[str, object] = {"trials": 3, "levels": (1, 1), "targets": (0.3,), "costs": False}
    arms = {"baseline": 1.0, "random-warm": 1.0}
    return write_study(folder, arms, range(2), **{**given, **settings})  # type: ignore[arg-type]


@pytest.mark.usefixtures("undrawn")
def test_targets_given_later_are_not_tested(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tiny(tmp_path / "study")
    assert main([str(folder), "--target", "0.2", "--json"]) == 0
    printed = capsys.readouterr().out
    (group,) = json.loads(printed)["groups"]
    assert (group["targets"], group["later"]) == ([0.3], [0.2])
    assert printed == (folder / "evaluation" / "comparison.json").read_text()
    rows = (folder / "evaluation" / "tables" / "times-digits-asha.md").read_text()
    assert "| 0.2\N{DAGGER} | random-warm |" in rows
    assert "exploratory" in rows


@pytest.mark.processes
@pytest.mark.slow
def test_the_command_draws_and_reports_on_each_run_too_and_never_loads_torch(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "study", {"baseline": 1.0}, [0], trials=2, levels=(1, 1), targets=())
    code = "import sys; from analysis.cli import main; main(sys.argv[1:]); sys.exit('torch' in sys.modules)"
    command = [sys.executable, "-c", code, str(folder), "--runs", "--output", str(tmp_path / "elsewhere")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "elsewhere" / "figures") in done.stdout
    for figure in ("best-seconds-digits-asha", "scores-digits-asha"):
        content = (tmp_path / "elsewhere" / "figures" / f"{figure}.png").read_bytes()
        assert content.startswith(b"\x89PNG")
        assert len(content) > 5000
    parts = Parts()
    parts.feed((tmp_path / "elsewhere" / "report.html").read_text())
    links = [reference for reference in parts.references if reference.endswith("report.html")]
    assert len(links) == 1
    assert all((tmp_path / "elsewhere" / link).is_file() for link in links)


@pytest.mark.usefixtures("undrawn")
def test_what_an_earlier_report_left_goes(tmp_path: Path) -> None:
    folder = tiny(tmp_path / "study")
    figures = folder / "evaluation" / "figures"
    figures.mkdir(parents=True)
    (figures / "scores-a-group-that-was.png").write_bytes(b"old")
    (figures / "my-own.png").write_bytes(b"mine")
    assert main([str(folder)]) == 0
    assert not (figures / "scores-a-group-that-was.png").exists()
    assert (figures / "my-own.png").exists()


@pytest.mark.parametrize(
    ("arms", "seeds", "answer"),
    [
        (("baseline", "random-warm"), (0, 1), True),
        (("baseline", "random-warm"), (0,), False),  # a pair is not yet a study
        (("baseline",), (0, 1), False),
        (("random-warm", "ohgw-1step"), (0, 1), False),  # nothing to compare with
    ],
)
def test_plain_runs_are_a_study_where_they_form_pairs(
    tmp_path: Path, arms: tuple[str, ...], seeds: tuple[int, ...], answer: bool
) -> None:
    for arm in arms:
        for seed in seeds:
            write_search(tmp_path / f"{arm}-{seed}", arm, seed, trials=2, levels=(1, 1))
    assert is_study([tmp_path]) is answer


@pytest.mark.usefixtures("undrawn")
def test_plain_runs_that_form_pairs_are_reported_on_as_a_study(tmp_path: Path) -> None:
    tiny(tmp_path, plan=False)
    assert main([str(tmp_path / "runs")]) == 0
    assert "random-warm" in page_of(tmp_path / "runs" / "evaluation")


def test_a_damaged_plan_is_said_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tiny(tmp_path / "study")
    (folder / "study.json").write_text('{"schema": 1, "runs": [')
    assert main([str(folder)]) == 2
    error = capsys.readouterr().err
    assert "study.json is damaged" in error
    assert error.count("\n") == 1


def test_a_study_that_has_only_begun_says_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    every = [(arm, seed) for arm in ("baseline", "random-warm") for seed in range(2)]
    folder = tiny(tmp_path / "study", skip=every)
    assert main([str(folder)]) == 2
    error = capsys.readouterr().err
    assert "4 planned, and not run" in error
    assert "asha-study" in error
    assert error.count("\n") == 1
    assert not (folder / "evaluation").exists()


@pytest.mark.long
@pytest.mark.usefixtures("undrawn")
def test_a_study_at_work_is_reported_and_said_to_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tiny(tmp_path / "study", skip=[("random-warm", 1)])
    with open(folder / "study.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert main([str(folder)]) == 0
    assert "asha-study is at work on it" in " ".join(capsys.readouterr().out.split())
    assert "asha-study is at work on it" in page_of(folder / "evaluation")
    assert main([str(folder)]) == 0  # and the lock is as it was
    assert "asha-study goes on where it was" in page_of(folder / "evaluation")


def test_a_place_that_cannot_be_written_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tiny(tmp_path / "study")
    (folder / "evaluation").write_text("a file")
    assert main([str(folder)]) == 2
    error = capsys.readouterr().err
    assert "--output" in error
    assert error.count("\n") == 1
    assert main([str(folder), str(folder)]) == 2
    assert "--output" in capsys.readouterr().err
    write_search(tmp_path / "run", trials=2)
    assert main([str(tmp_path / "run"), "--runs"]) == 2
    assert "--runs goes with a study" in capsys.readouterr().err


@pytest.mark.usefixtures("undrawn")
def test_a_report_begins_with_what_was_compared_what_was_found_and_how_sure_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Eight runs that can tell nothing say so in three sentences, on the page and on the terminal."""
    folder = write_study(tmp_path / "s", {"baseline": 1.0, "ohgw-1step": 0.8}, range(4), trials=6)
    assert main([str(folder)]) == 0
    page = page_of(folder / "evaluation")
    begin = " ".join(capsys.readouterr().out.partition("Time to target")[0].split())
    assert page.count("<figcaption>") == page.count("<figure") > 5  # each says what it shows
    short = re.findall(r"<p>(.*?)</p>", page[page.index('id="summary"') :])[:3]
    assert short[0].startswith("8 of 8 planned runs can be used, with 4 seeds; baseline is compared with")
    assert re.match(r"With ohgw-1step the time to accuracy 90% was 0\.\d\d of the baseline", short[1])
    assert short[2].startswith("Nothing was tested: that takes 6 pairs, and no arm has more than 4.")
    assert short[2].endswith("What differs may be chance: nothing should be decided by it.")
    assert begin.endswith(html.unescape(" ".join(short)))
    for word in ("An <b>arm</b> is", "<b>pair</b> by pair", "the horizon (", "is <b>censored</b>"):
        assert word in page
    assert "a gain below 0 is a loss" in page
