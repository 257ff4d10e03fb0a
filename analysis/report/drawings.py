"""A figure that is still to be drawn: which, how large, and what is said of it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes

from analysis.figures import SIZE, save_figure
from asha_core.runtime.observers import one_line

ENDINGS = (".pdf", ".png")


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

    def save(self, folder: Path) -> None:
        """Draw it, into a PDF and a PNG file."""
        save_figure(self.draw, folder / self.name, self.size)

    def save_or_say(self, folder: Path) -> str:
        """Draw it, and return ""; or why it cannot be drawn, in one line, and then no file of it is left.

        Raises:
            OSError: the files cannot be written.
        """
        try:
            with warnings.catch_warnings():  # a box stands for what the font lacks; the tables have it
                warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
                self.save(folder)
        except OSError:
            raise
        except Exception as error:
            for ending in ENDINGS:
                (folder / f"{self.name}{ending}").unlink(missing_ok=True)
            return one_line(f"{type(error).__name__}: {error}".replace("\n", " "), 160)
        return ""


def files_of(drawings: Sequence[Drawing], folder: Path, failures: Collection[str]) -> list[Path]:
    """The files of those that were drawn."""
    drawn = [drawing.name for drawing in drawings if drawing.name not in failures]
    return [folder / f"{name}{ending}" for name in drawn for ending in ENDINGS]
