"""The pictures of README and tutorial, made from a real search: ``python -m scripts.pictures``.

Searches digits (about a minute on two cores). docs/pictures/live-view.svg is the search's own view as it was
drawn; docs/pictures/report.png is the top of its report in a browser, which needs chromium.
"""

from __future__ import annotations

import io
import re
import subprocess
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI

from analysis import cli as report
from asha_core import ASHA, tune
from asha_core.runtime.observers import Observer, SearchView
from asha_core.runtime.terminal.live import LiveView
from trials.tasks.digits import Digits

PICTURES = Path(__file__).resolve().parent.parent / "docs" / "pictures"
COMMAND = "asha-run --task digits --variation ohgw-1step --gpus cpu --max-trials 60"
WIDTH, MARGIN, PAGE = 104, 16, (1280, 1562)  # columns of the terminal, its margin; pixels of the browser
FONT = "ui-monospace, 'DejaVu Sans Mono', 'Liberation Mono', Menlo, Consolas, monospace"

# rich's own has a window's buttons, and fetches a font
SVG = """<svg viewBox="{terminal_width} {terminal_height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: FONT; font-size: {char_height}px; line-height: {line_height}px; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal"><rect width="100%" height="100%" /></clipPath>{lines}</defs>
<rect fill="#1d1f21" x="-MARGIN" y="-MARGIN" width="100%" height="100%" rx="10" />
<g class="{unique_id}-matrix">{backgrounds}{matrix}</g>
</svg>
""".replace("FONT", FONT).replace("MARGIN", str(MARGIN))


def framed(svg: str) -> str:
    """The picture with a margin around what the terminal shows."""

    def box(found: re.Match[str]) -> str:
        width, height = (float(number) + 2 * MARGIN for number in found.groups())
        return f'viewBox="-{MARGIN} -{MARGIN} {width:g} {height:g}"'

    return re.sub(r'viewBox="([\d.]+) ([\d.]+)"', box, svg, count=1)


class Camera(Observer):
    """Keeps the last view in which every worker trained and a trial was on its way to the top.

    Attributes:
        picture: the view as SVG, or None: no such moment was seen.
    """

    def __init__(self, view: LiveView) -> None:
        self._view = view
        self.picture: str | None = None

    def on_tick(self, view: SearchView) -> None:
        """Draw what the view draws, if it is the moment."""
        rungs = view.scheduler.counts()
        working = all(slot.job is not None and slot.value == slot.value for slot in view.slots)
        if working and rungs[-1].running and rungs[-1].done:
            console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
            console.print(f"[bold]$ {COMMAND}[/bold]\n", highlight=False)
            console.print(self._view.render(view))
            self.picture = framed(console.export_svg(theme=MONOKAI, code_format=SVG, unique_id="live"))


def search(results: Path) -> str:
    """Search, and give the live view as SVG."""
    task = Digits()
    scheduler = ASHA(
        task.space, min_resource=1, max_resource=27, reduction_factor=3, max_trials=60, mode=task.mode
    )
    quiet = Console(file=io.StringIO(), force_terminal=True, width=WIDTH, height=50)
    live = LiveView("digits: asha ohgw-1step, seed 0, rungs 1/3/9/27, 2 x cpu", task.metric, task.unit, quiet)
    camera = Camera(live)
    tune(
        task,
        scheduler,
        gpus="cpu",
        workers_per_gpu=2,
        variation="ohgw-1step",
        target=0.97,
        results_dir=results,
        progress="none",
        observers=[live, camera],
    )
    assert camera.picture is not None, "no moment worth a picture: run it again"
    return camera.picture


def photograph(page: Path, picture: Path) -> None:
    """The top of a page, as a browser draws it."""
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [
                *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
                *(f"--user-data-dir={profile}", f"--window-size={PAGE[0]},{PAGE[1]}"),
                *(f"--screenshot={picture}", page.as_uri()),
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )


def main() -> None:
    """Make both."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "digits"
        (PICTURES / "live-view.svg").write_text(search(results))
        report.main([str(results)])
        page = results / "report.html"
        page.write_text(page.read_text().replace(str(results), "results/digits"))  # no path of this machine
        photograph(page, PICTURES / "report.png")


if __name__ == "__main__":
    main()
