"""The how-tos show the examples whole, and the searches that they make run."""

from __future__ import annotations

import math
import re
import runpy
from pathlib import Path

import pytest

from asha_core import ASHA, tune
from asha_core.streams import stream_seed
from examples.plugins.best_of_three import BestOfThree
from examples.plugins.rosenbrock import Rosenbrock

ROOT = Path(__file__).resolve().parents[2]
PLUGINS, HERE = ROOT / "examples" / "plugins", Path(__file__).parent
PAGES = [f"own-{kind}.md" for kind in ("scheduler", "searcher", "observer", "warm-start", "task")]


def blocks(page: str) -> dict[str, str]:
    """The Python files that a page has, by their names."""
    text = (ROOT / "docs" / "how-to" / page).read_text()
    return dict(re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```", text, re.MULTILINE | re.DOTALL))


def test_a_page_has_the_example_and_its_test_as_they_are() -> None:
    shown: dict[str, str] = {}
    for page in PAGES:
        shown |= blocks(page)
    for file in PLUGINS.glob("*.py"):
        assert shown[file.name] == file.read_text()
        test = (HERE / f"test_{file.name}").read_text()
        assert shown[f"test_{file.name}"] == test.replace("from examples.plugins.", "from ")
        assert len([line for line in test.splitlines() if line]) <= 5


@pytest.mark.parametrize("page", [page for page in PAGES if "search.py" in blocks(page)])
def test_the_search_of_a_page_runs(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in blocks(page).items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    runpy.run_path("search.py", run_name="__main__")
    printed = capsys.readouterr().out
    assert re.match(r"(20 Configuration\(\{'x': 0\.|9 seconds,trial,unit,value)", printed)


def test_a_search_with_the_task_and_the_warm_start(tmp_path: Path) -> None:
    task, warm_start = Rosenbrock(), f"{PLUGINS / 'best_of_three.py'}:BestOfThree"
    scheduler = ASHA(task.space, mode="min", max_resource=9, max_trials=9)
    folder = tmp_path / "run"
    result = tune(task, scheduler, variation=warm_start, gpus="inline", progress="none", results_dir=folder)
    assert result.outcome.failures == 0
    assert '"strategy": "best-of-three"' in (folder / "journal.jsonl").read_text()
    assert result.best_value is not None
    assert 0 <= result.best_value < 30


def test_the_warm_start_takes_the_best_of_the_three_that_it_measured() -> None:
    task, warm_start = Rosenbrock(), BestOfThree()
    before = task.space.configuration({"lr": 1e-4, "momentum": 0.5})
    seed = stream_seed(0, "trial", 0)
    outcome = warm_start.refine(task.problem(seed, "cpu"), before, seed)
    heights = {rate: task.warm_start_loss({**before, "lr": rate}, seed) for rate in (1e-4, 1e-4 / 3, 3e-4)}
    best = min(heights, key=lambda rate: heights[rate])
    assert outcome.configuration["lr"] == pytest.approx(best)
    assert outcome.diagnostics["step"]["lr"] == pytest.approx(math.log10(best / 1e-4))
