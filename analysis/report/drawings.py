"""A figure that is still to be drawn: which, how large, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes

from analysis.figures import SIZE, save_figure


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure to be drawn.

    Attributes:
        name: of its files, without their endings.
        draw: a partial of a function of ours, since it may be sent to other processes.
        words: what it shows, for those who cannot see it.
        caption: what is to be said below it.
        size: inches.
        wide: it takes a row of the page for itself.
    """

    name: str
    draw: Callable[[Axes], None]
    words: str
    caption: str = ""
    size: tuple[float, float] = SIZE
    wide: bool = False

    def save(self, folder: Path) -> tuple[Path, Path]:
        """Draw it, into a PDF and a PNG file; returns their paths."""
        return save_figure(self.draw, folder / self.name, self.size)
