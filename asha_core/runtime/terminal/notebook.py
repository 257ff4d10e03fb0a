"""The live view in a cell of a notebook: one output, which each frame takes the place of.

It is a display with an id, which every front end knows, and which a saved notebook has with its last frame.
Rich's own ``Live`` needs ipywidgets there, and leaves the word ``Output()`` in a saved notebook.
"""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.text import Text

from asha_core.runtime.observers import Outcome, SearchView, describe_outcome
from asha_core.runtime.terminal.live import LiveView

_WIDTH, _HEIGHT = 100, 40  # characters, lines: a cell has no size that one could ask for
_FORMAT = '<pre style="white-space:pre;overflow-x:auto;line-height:normal">{code}</pre>'


class NotebookView(LiveView):
    """The frames of ``LiveView``, as HTML, and as text for what knows no HTML.

    Args:
        title: what is searched.
        metric, unit: names for people.
        display: ``IPython.display.display``; by default that.
    """

    def __init__(self, title: str, metric: str, unit: str, display: Any = None) -> None:
        super().__init__(title, metric, unit, _console())
        self._display = display
        self._handle: Any = None

    def on_start(self, view: SearchView) -> None:
        """Show the first frame."""
        self._draw(view)

    def on_end(self, view: SearchView, outcome: Outcome) -> None:
        """Leave what was searched and warned of, how it ended, the rungs and the best, and no workers."""
        lines = [self._title, *self._warnings, describe_outcome(outcome, self._unit)]
        title = Text("\n".join(lines), style="bold")
        self._show(Group(title, Text(), self._rungs(view), Text(), self._best_lines(view)))

    def close(self) -> None:
        """Leave the last frame, unless ``on_end`` has more to say."""

    def _show(self, frame: RenderableType) -> None:
        self._console.print(frame)
        text = self._console.export_text(clear=False)
        html = self._console.export_html(inline_styles=True, code_format=_FORMAT)
        bundle = {"text/plain": text, "text/html": html}
        if self._handle is None:
            if self._display is None:
                from IPython.display import display

                self._display = display
            self._handle = self._display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)


def _console() -> Console:
    """One that keeps what is printed, and prints nothing."""
    return Console(
        file=io.StringIO(),
        record=True,
        width=_WIDTH,
        height=_HEIGHT,
        force_terminal=True,
        force_jupyter=False,
        color_system="truecolor",
        legacy_windows=False,
    )
