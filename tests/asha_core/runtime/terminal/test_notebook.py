"""The live view in a notebook's cell: one output, whatever happens, and nothing on standard error."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from asha_core.runtime.executor import Notice
from asha_core.runtime.observers import Observer
from asha_core.runtime.terminal import streams
from asha_core.runtime.terminal.console import JsonLines, PlainLines, make_console
from asha_core.runtime.terminal.notebook import NotebookView
from asha_core.runtime.terminal.streams import in_notebook, say
from tests.asha_core.runtime.terminal.test_console import midway, run, train


class Cell:
    """What ``IPython.display.display`` does to a cell: it adds an output, and its handle replaces it."""

    def __init__(self) -> None:
        self.outputs: list[dict[str, str]] = []
        self.frames = 0

    def display(self, bundle: dict[str, str], *, raw: bool, display_id: bool) -> Any:
        assert raw
        assert display_id
        self.outputs.append(bundle)
        number = len(self.outputs) - 1

        class Handle:
            def update(_, bundle: dict[str, str], *, raw: bool) -> None:
                self.outputs[number] = bundle
                self.frames += 1

        return Handle()


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setattr(streams, "_is_kernel", lambda: True)


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("auto", NotebookView),
        ("rich", NotebookView),
        ("plain", PlainLines),
        ("json", JsonLines),
        ("none", Observer),
    ],
)
def test_in_a_notebook_each_name_makes_its_console(name: str, kind: type) -> None:
    assert type(make_console(name, "title", "accuracy", "epoch")) is kind


def test_ipython_alone_is_no_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not in_notebook()
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    assert not in_notebook()


def test_a_whole_search_is_one_output_that_ends_with_what_was_found(
    capsys: pytest.CaptureFixture[str],
) -> None:
    cell = Cell()
    view = NotebookView("digits: asha baseline", "accuracy", "epoch", cell.display)
    scheduler, _ = run(view, max_trials=9)
    (output,) = cell.outputs
    assert cell.frames > 2
    assert set(output) == {"text/plain", "text/html"}
    text = output["text/plain"]
    assert text.startswith("digits: asha baseline\nsearch complete: 9 trials")
    assert f"best accuracy {scheduler.best.value:.4f}" in text
    assert "worker" not in text
    assert output["text/html"].startswith("<pre")
    assert capsys.readouterr() == ("", "")


def test_what_was_warned_of_stays_in_the_cell() -> None:
    cell = Cell()
    view = NotebookView("digits: asha baseline", "accuracy", "epoch", cell.display)
    warning = Notice("warning: nothing reads 'k'", once=True)
    run(view, work=lambda job, unit: [warning, *train(job, unit)], max_trials=3)
    text = cell.outputs[0]["text/plain"]
    assert text.index(warning.text) < text.index("search complete")


def test_an_error_leaves_the_last_frame() -> None:
    cell = Cell()
    view = NotebookView("digits [/x] <b>", "accuracy", "epoch", cell.display)
    view.on_start(midway())
    view.close()
    (output,) = cell.outputs
    assert "digits [/x] <b>" in output["text/plain"]
    assert "digits [/x] &lt;b&gt;" in output["text/html"]
    assert "25s gone" in output["text/plain"]
    assert "\x1b" not in output["text/plain"] + output["text/html"]


@pytest.mark.usefixtures("kernel")
def test_what_is_said_in_a_notebook_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    say("results: here")
    say("to whom it was for", sys.stderr)
    assert capsys.readouterr() == ("results: here\n", "to whom it was for\n")
