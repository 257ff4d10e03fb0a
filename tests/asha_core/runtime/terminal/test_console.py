"""What a search tells people and programs: plain lines, JSON lines, the live view."""

from __future__ import annotations

import io
import json
import math
import re
import sys

import pytest
from rich.cells import cell_len
from rich.console import Console

from asha_core.errors import SettingError, TaskError
from asha_core.messages import Failed, Finished, Lost, Rejected, Report
from asha_core.runtime.budget import Budget
from asha_core.runtime.executor import Notice, WorkerReady
from asha_core.runtime.loop import Search
from asha_core.runtime.observers import (
    Observer,
    SearchView,
    SlotView,
    describe,
    describe_outcome,
    one_line,
)
from asha_core.runtime.pace import Pace
from asha_core.runtime.small_budget import SmallBudget
from asha_core.runtime.storage.journal import JournalWriter, NullJournal, read_journal
from asha_core.runtime.storage.records import to_json
from asha_core.runtime.terminal.console import PROGRESS, JsonLines, PlainLines, format_table, make_console
from asha_core.runtime.terminal.live import LiveView
from tests.asha_core.runtime.engine_doubles import SPACE, FakeExecutor, ManualClock, asha, eventful, train

ESCAPE = "\x1b"


def run(observer, *, work=train, budget=None, journal=None, observers=(), **settings):
    clock = ManualClock()
    scheduler = asha(**settings)
    executor = FakeExecutor(clock, 3, work)
    outcome = Search(
        scheduler, executor, journal or NullJournal(), clock, budget, [observer, *observers]
    ).run()
    return scheduler, outcome


# -- which one -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind"), [("rich", LiveView), ("plain", PlainLines), ("json", JsonLines), ("none", Observer)]
)
def test_each_name_makes_its_console(name, kind):
    assert type(make_console(name, "title", "accuracy", "epoch")) is kind


def test_auto_is_plain_where_there_is_no_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert type(make_console("auto", "title", "accuracy", "epoch")) is PlainLines


@pytest.mark.parametrize(("term", "kind"), [("xterm", LiveView), ("dumb", PlainLines)])
def test_auto_is_rich_on_a_terminal_that_can(monkeypatch, term, kind):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", term)
    assert type(make_console("auto", "title", "accuracy", "epoch")) is kind


def test_an_unknown_name_is_told_the_nearest_and_all():
    with pytest.raises(SettingError) as caught:
        make_console("plian", "title", "accuracy", "epoch")
    said = str(caught.value)
    assert "'plian'" in said
    assert 'did you mean "plain"?' in said
    assert all(name in said for name in PROGRESS)


# -- plain -----------------------------------------------------------------------------------------


def plain_lines(**options):
    stream = io.StringIO()
    scheduler, outcome = run(PlainLines("digits: asha", "accuracy", "epoch", stream), **options)
    text = stream.getvalue()
    assert text.endswith("\n")
    return text.split("\n")[:-1], scheduler, outcome


@pytest.mark.parametrize("work", [train, eventful])
def test_plain_lines_are_plain_and_each_begins_with_its_time(work):
    lines, _, outcome = plain_lines(work=work, max_trials=40)
    assert all(re.match(r"\[ *[\d.]+[smh][^\]]*\] \S", line) for line in lines)
    assert not any(ESCAPE in line or "\r" in line for line in lines)
    assert lines[0].endswith("] digits: asha; of accuracy, higher is better")
    assert f"] search complete: {outcome.trials} trials" in lines[-1]
    assert f", {outcome.units} " in lines[-1]


def test_the_best_is_told_when_it_changes_and_the_last_one_is_the_best_of_all():
    lines, scheduler, _ = plain_lines(max_trials=40)
    told = [float(m[1]) for line in lines if (m := re.search(r"best accuracy (\S+) by trial", line))]
    assert len(told) > 1
    assert told == sorted(told)
    assert len(set(told)) == len(told)
    best = scheduler.best
    (last,) = [line for line in lines if f"best accuracy {best.value:.4f}" in line]
    assert f"by trial {best.trial} at epoch {best.resource}: {describe(best.configuration)}" in last


def test_failures_and_lost_workers_are_told_one_line_each():
    lines, scheduler, _ = plain_lines(work=eventful, max_trials=40, max_retries=0)
    failed = [line for line in lines if re.search(r"trial \d+ failed: ", line)]
    lost = [line for line in lines if re.search(r"trial \d+ lost: killed by signal 9", line)]
    ready = [line for line in lines if re.search(r"worker \d ready on fake:\d$", line)]
    invalid = scheduler.rejected
    assert len(failed) + len(lost) == scheduler.failures + invalid
    assert len(lost) > 0
    assert len(failed) > 0
    assert len(ready) == 3


def test_the_status_comes_every_ten_seconds():
    lines, _, _ = plain_lines(max_trials=None, budget=Budget(seconds=45))
    status = [line for line in lines if "reached epoch" in line]
    assert len(status) == 4
    assert all(
        re.search(r"\d+ trials; \d+ epochs; reached epoch 1 by \d+, epoch 3 by \d+.*; \d+% done", s)
        for s in status
    )


TRACEBACK = 'Traceback (most recent call last):\n  File "x.py", line 1\nValueError: ' + "long " * 60


@pytest.mark.parametrize(
    "event",
    [
        Failed(0, 0, TRACEBACK),
        Failed(0, 0, ""),
        Failed(0, 0, "\n\n"),
        Failed(0, 0, "\x1b[31mred\x1b[0m alert"),
        Lost(0, 0, "worker died\nand left two lines"),
        Rejected(0, "diverges\nafter one step"),
    ],
    ids=["traceback", "empty", "blank", "coloured", "lost", "rejected"],
)
def test_an_event_is_one_line_without_escape_codes_whatever_its_text(event):
    stream = io.StringIO()
    console = PlainLines("title", "accuracy", "epoch", stream)
    scheduler = asha()
    scheduler.ask()
    console.on_event(SearchView(scheduler, Budget(), []), event)
    text = stream.getvalue()
    assert text.startswith("[")
    assert text.count("\n") == 1
    assert ESCAPE not in text
    assert len(text) < 200


# -- JSON ------------------------------------------------------------------------------------------


def test_json_lines_are_strict_json_and_say_what_the_journal_says(tmp_path):
    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    stream, path = io.StringIO(), tmp_path / "journal.jsonl"
    run(JsonLines(stream), work=eventful, journal=JournalWriter(path), max_trials=30)
    lines = stream.getvalue().split("\n")
    assert lines.pop() == ""
    told = [json.loads(line, parse_constant=refuse) for line in lines]
    assert all(isinstance(record["t"], float) for record in told)
    timeless = [{key: value for key, value in record.items() if key != "t"} for record in told]
    written = read_journal(path).records
    assert timeless == [{key: value for key, value in record.items() if key != "t"} for record in written]
    assert {record["type"] for record in told} >= {"worker", "job", "report", "lost", "failed", "end"}
    assert any(record.get("value") == "nan" for record in told)


def test_text_that_utf8_does_not_have_does_not_end_the_search():
    # as sys.stderr is: what cannot be encoded is escaped
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace")
    JsonLines(stream).on_event(SearchView(asha(), Budget(), []), Failed(0, 0, "d\udce4ten"))
    assert json.loads(raw.getvalue())["error"] == "d\udce4ten"


# -- live ------------------------------------------------------------------------------------------


def screen(width):
    return Console(file=io.StringIO(), width=width, height=60, force_terminal=True, legacy_windows=False)


def shown(view, width=100, live=None):
    console = screen(width)
    live = live or LiveView("digits: asha baseline", "accuracy", "epoch", console)
    console.print(live.render(view))
    text = console.file.getvalue()
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)


def midway():
    """Four trials at 1 unit (one failed), one gone on to 3; a slot trains, one starts, one is idle."""
    scheduler = asha(max_resource=27, max_trials=40)
    for value in (0.1234, 0.9876, math.nan):
        job = scheduler.ask()
        scheduler.tell(Report(job.trial, 0, 1, value, 1.0))
    climber, fresh = scheduler.ask(), scheduler.ask()
    scheduler.tell(Report(climber.trial, 0, 2, 0.4321, 2.0))
    slots = [
        SlotView(
            0, "cuda:0", climber, resource=2, value=0.4321, unit_seconds=2.0, ready=True, pace=Pace(1, 0, 99)
        ),
        SlotView(1, "cuda:1", fresh, resource=0, ready=False),
        SlotView(2, "cuda:2", ready=True),
        SlotView(3, "cpu"),
    ]
    return SearchView(scheduler, Budget(seconds=100.0), slots, now=25.0)


def row(text, first):
    """The cells of the table row that begins with this cell."""
    found = [
        cells
        for line in text.split("\n")
        if (cells := re.split(r"[\s│┃|]+", line.strip(" │┃|"))) and cells[0] == first
    ]
    return found


def test_a_frame_shows_rungs_best_progress_and_workers():
    view = midway()
    text = shown(view)
    assert "digits: asha baseline" in text
    assert "25%" in text
    assert "25s gone, about 1m 15s left" in text
    for counts in view.scheduler.counts():
        numbers = (counts.running, counts.paused, counts.promoted, counts.done, counts.failed)
        assert [str(counts.level), *(str(n) if n else "·" for n in numbers)] in row(text, str(counts.level))
    best = view.scheduler.best
    assert (
        f"accuracy {best.value:.4f} (higher is better)  trial {best.trial} at epoch {best.resource}" in text
    )
    assert describe(best.configuration) in text
    assert ["0", "cuda:0", "1", "2/3", "0.4321", "30.0"] in row(text, "0")
    assert ["1", "cuda:1", "3", "starting", "·", "·"] in row(text, "1")
    assert ["2", "cuda:2", "·", "idle", "·", "·"] in row(text, "2")
    assert ["3", "cpu", "·", "starting", "·", "·"] in row(text, "3")


def test_a_frame_shows_the_rungs_bottom_first_as_the_report_does():
    text = shown(midway())
    table = text[text.index("rung (") : text.index("best")]
    assert [int(n) for n in re.findall(r"^ *(\d+) ", table, re.MULTILINE)] == [1, 3, 9, 27]


def test_a_frame_before_the_first_report_and_without_limits():
    scheduler = asha(max_trials=None)
    text = shown(SearchView(scheduler, Budget(), [SlotView(0, "cpu")]))
    assert "no report yet" in text
    assert "starting" in text
    assert "left" not in text


def test_the_names_of_a_users_are_no_markup():
    live = LiveView("[/x] asha", "[red]m", "[/x]", screen(100))
    text = shown(midway(), live=live)
    assert all(name in text for name in ("[/x] asha", "best [red]m", "rung ([/x]s)", "[/x]s/min"))


@pytest.mark.parametrize("width", [200, 100, 60, 40, 20])
def test_a_frame_fits_its_width(width):
    live = LiveView("digits: asha baseline " * 3, "accuracy", "epoch", screen(width))
    view = midway()
    for event in (
        Failed(0, 0, TRACEBACK),
        Lost(1, 0, "killed [bold]by[/bold] signal 9 [/]"),
        WorkerReady(2, 41, "cuda:2", 3.0),
        Rejected(3, "ταβ " * 40),
    ):
        live.on_event(view, event)
    text = shown(view, width, live)
    assert all(cell_len(line) <= width for line in text.split("\n"))
    if width >= 100:
        assert "trial 0 failed: ValueError" in text
        assert "trial 1 lost: killed [bold]by[/bold] signal 9 [/]" in text
        assert "worker 2 ready on cuda:2" in text
        assert "after 3.0s" not in text  # of its process: the search may be older, and the line has its time


@pytest.mark.long
@pytest.mark.parametrize("width", [100, 60])
def test_a_whole_search_is_drawn_and_leaves_one_line_behind(width):
    console = screen(width)
    frames = []

    class Counting(LiveView):
        def render(self, view):
            frames.append(view.now)
            return super().render(view)

    live = Counting("digits: asha", "accuracy", "epoch", console)
    before = sys.stderr, sys.stdout
    _, outcome = run(live, work=eventful, max_trials=40)
    assert (sys.stderr, sys.stdout) == before
    text = console.file.getvalue()
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1  # the cursor is back
    assert describe_outcome(outcome)[:20] in text.split("\x1b[?25h")[1]
    # at most four frames a second of the search's own time, however many events came
    assert 2 < len(frames) <= outcome.seconds / 0.25 + 2


def test_the_terminal_is_given_back_when_the_search_ends_in_an_error():
    console = screen(100)
    live = LiveView("digits: asha", "accuracy", "epoch", console)
    before = sys.stderr, sys.stdout
    try:
        with pytest.raises(TaskError, match="no such optimiser"):
            run(live, work=lambda job, _: [Failed(job.trial, 0, "no such optimiser", "setup")])
        text = console.file.getvalue()
        assert (sys.stderr, sys.stdout) == before
        assert text.count("\x1b[?25l") == text.count("\x1b[?25h")
    finally:
        live._live.stop()


@pytest.mark.parametrize(("mode", "said"), [("max", "higher is better"), ("min", "lower is better")])
def test_what_is_better_is_said_before_and_after_the_first_report(mode, said):
    stream, scheduler = io.StringIO(), asha(mode=mode)
    view = SearchView(scheduler, Budget(), [])
    PlainLines("digits: asha", "accuracy", "epoch", stream).on_start(view)
    assert stream.getvalue().endswith(f"digits: asha; of accuracy, {said}\n")
    assert f"no report yet; of accuracy, {said}" in shown(view)
    scheduler.tell(Report(scheduler.ask().trial, 0, 1, 0.5, 1.0))
    assert f"best accuracy 0.5000 ({said})" in shown(view)


def test_the_events_do_not_repeat_the_best_that_stands_above_them():
    scheduler, live = asha(max_trials=40), LiveView("digits", "accuracy", "epoch", screen(100))
    for now, value in enumerate([0.1, 0.2, 0.3]):
        scheduler.tell(Report(scheduler.ask().trial, 0, 1, value, 1.0))
        view = SearchView(scheduler, Budget(), [], now=float(now))
        live._draw(view)
    text = shown(view, live=live)
    assert text.count("best accuracy 0.3000") == 1
    events = [" ".join(line.split()) for line in text.splitlines() if "by trial" in line]
    assert events == [
        "1.0s best accuracy 0.2000 by trial 1 at epoch 1",
        "0.0s best accuracy 0.1000 by trial 0 at epoch 1",
    ]


def test_a_warning_is_left_whole_when_the_view_is_gone():
    console = screen(300)
    warning = "warning: nothing reads 'weight_decay', 'dropout': " + "read them " * 20 + "or drop them"
    live = LiveView("digits", "accuracy", "epoch", console)
    run(live, work=lambda job, unit: [Notice(warning, once=True), *train(job, unit)], max_trials=3)
    left = console.file.getvalue().split("\x1b[?25h")[1]
    assert left.count(warning) == 1
    assert left.index(warning) < left.index("search complete")


def test_the_line_under_the_frame_is_free_for_what_a_terminal_echoes():
    """``^C`` at the end of a full line would move the cursor to the next one, and the title stay behind."""
    console = screen(80)
    console.print(LiveView("digits", "accuracy", "epoch", console).render(midway()))
    assert console.file.getvalue().endswith("\n\n")


def test_trials_that_finished_early_are_shown_where_they_were_carried_to():
    scheduler = asha(max_resource=9, max_trials=40)
    assert "carried" not in shown(SearchView(scheduler, Budget(), []))
    while (climber := scheduler.ask()).start == 0:
        scheduler.tell(Report(climber.trial, 0, 1, float(climber.trial), 1.0))
    scheduler.tell(Report(climber.trial, 0, 2, 50.0, 1.0))
    scheduler.tell(Finished(climber.trial, 0, 2))
    assert [counts.carried for counts in scheduler.counts()] == [0, 1, 0]
    lines = shown(SearchView(scheduler, Budget(), [])).splitlines()
    assert next(line for line in lines if "rung (" in line).split()[-1] == "carried"
    assert next(line for line in lines if line.split()[:1] == ["3"]).split()[-1] == "1"


def test_a_search_that_goes_on_with_nothing_left_starts_no_workers_in_words():
    stream = io.StringIO()
    clock = ManualClock()
    clock.advance_to(100.0)
    finished = asha(max_trials=1, max_resource=1)
    finished.tell(Report(finished.ask().trial, 0, 1, 0.5, 1.0))
    line = PlainLines("digits", "accuracy", "epoch", stream)
    Search(finished, FakeExecutor(clock, 2, train), NullJournal(), clock, observers=[line]).run()
    assert "starting" not in stream.getvalue()
    assert "search complete" in stream.getvalue()


# -- tables ----------------------------------------------------------------------------------------


def test_a_table_has_columns_of_one_width():
    table = format_table(("rung", "n"), [("1", "81"), ("3", "27000"), ("243", "")])
    lines = table.split("\n")
    assert len({len(line) for line in lines}) == 1
    assert [line.split() for line in lines] == [["rung", "n"], ["1", "81"], ["3", "27000"], ["243"]]
    assert ESCAPE not in table


def test_a_configuration_on_one_line():
    configuration = SPACE.configuration({"lr": 0.0123456, "layers": 3, "act": "réLU"})
    assert describe(configuration) == "lr=0.01235 layers=3 act=réLU"
    assert describe(configuration, ["layers"]) == "layers=3"
    assert "\n" not in to_json(dict(configuration))


def test_a_frame_fits_a_small_terminal_with_the_shape_of_the_main_job():
    scheduler = asha(max_resource=200, max_trials=243)
    slots = [SlotView(index, f"gpu {index}", ready=True, pace=Pace(1, 0.0, 50.0)) for index in range(4)]
    console = Console(file=io.StringIO(), width=80, height=24, force_terminal=True, color_system=None)
    live = LiveView("cifar10: asha ohgw-1step, seed 0, rungs 1/3/9/27/81/200", "accuracy", "epoch", console)
    for number in range(9):
        failed = Failed(scheduler.ask().trial, 0, f"error {number}")
        scheduler.tell(failed)
        live.on_event(SearchView(scheduler, Budget(), slots), failed)
    console.print(live.render(SearchView(scheduler, Budget(seconds=100), slots, now=54.0)))
    lines = console.file.getvalue().splitlines()
    assert len(lines) <= 24
    text = "\n".join(lines)
    for part in ("54%", "about 46s left", "gpu 3", "trial 8 failed", "200"):
        assert part in text


def test_an_error_of_several_lines_is_known_by_its_first():
    cuda = "RuntimeError: CUDA error: device-side assert triggered\nCompile with `TORCH_USE_CUDA_DSA`..."
    assert one_line(cuda) == "RuntimeError: CUDA error: device-side assert triggered"
    assert one_line("Traceback (most recent call last):\n  File x\nValueError: no") == "ValueError: no"


def test_a_budget_that_ends_before_the_first_unit_says_so(capsys):
    _, _ = run(SmallBudget(), work=lambda job, _: [], budget=Budget(seconds=2))
    assert "ended before the first unit was reported" in capsys.readouterr().err
    once = lambda job, unit: train(job, unit)[: job.trial == 0]  # noqa: E731
    _, _ = run(SmallBudget(), work=once, budget=Budget(seconds=3))
    assert "ended before anybody went on from the first rung" in capsys.readouterr().err


def test_a_table_that_is_too_wide_breaks_its_headings_and_cuts_nothing():
    header, row = ("trial", "weight_decay", "label_smoothing"), ("23", "0.0002879", "0.1476")
    assert "label_smoothing" in format_table(header, [row], 200)
    narrow = format_table(header, [row], 30)
    assert narrow.splitlines() == [
        "        weight_     label_",
        "trial      decay  smoothing",
        "   23  0.0002879     0.1476",
    ] or all(len(line) <= 30 for line in narrow.splitlines())
    assert narrow.splitlines()[-1].split() == list(row)


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_a_table_of_any_width_has_every_heading_and_cell_whole(width):
    names = [
        "learning_rate",
        "weight_decay",
        "label_smoothing",
        "momentum",
        "n_layers",
        "validation accuracy",
    ]
    header = ["trial", "accuracy", "at epoch", "reached", *names]
    rows = [[str(10 * row), "0.9876", "27", "81", *["0.00012345"] * len(names)] for row in range(3)]
    text = format_table(header, rows, width)
    assert all(len(line) <= width for line in text.splitlines())
    assert "…" not in text
    assert text.count("0.00012345") == 3 * len(names)
    words = " ".join(text.split())
    assert all(part in words for name in header for part in re.findall(r"[a-z]+_?", name))
    assert all(block.splitlines()[-1].split()[0] == "20" for block in text.split("\n\n"))
