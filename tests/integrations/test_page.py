"""The page on warm starts elsewhere: its code runs, or is an example's own; its counts are right."""

from __future__ import annotations

import re
import runpy
import sys
import tomllib
from pathlib import Path

import pytest

from asha_core.plugins import installed
from tests.integrations.contract import ROOT, run_module
from tests.integrations.driver import EXAMPLES, split
from warmstart import BlackBox, Float, SearchSpace, refine, variation

PAGE = (ROOT / "docs" / "how-to" / "warm-start-elsewhere.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
SCRIPTS = {
    match[1]: code
    for language, code in BLOCKS
    if language == "python" and (match := re.match(r"# (\w+\.py)\n", code))
}
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.py"))


def test_every_excerpt_is_in_an_example() -> None:
    # ruff format, which reads Markdown too, decides on the indentation and the empty lines of an excerpt
    sources = [_lines(path.read_text()) for path in EXAMPLES.glob("*.py")]
    excerpts = [code for language, code in BLOCKS if language == "python" and code not in SCRIPTS.values()]
    assert len(excerpts) >= 8
    for code in excerpts:
        assert any(_lines(code) in source for source in sources), code


def _lines(code: str) -> str:
    return "".join(f"{line.strip()}\n" for line in code.splitlines() if line.strip())


@pytest.mark.parametrize("name", NAMES)
def test_the_table_counts_right(name: str) -> None:
    code = [line for line in split(name)[1] if line.strip() and not line.strip().startswith("#")]
    assert re.search(rf"{name}\.py\) \| {len(code)} \|", PAGE), len(code)


def _outputs(command: str) -> list[str]:
    (block,) = (code for language, code in BLOCKS if language == "console" and f"$ {command}\n" in code)
    return block.splitlines()[1:]


def _rates(lines: list[str]) -> list[str]:
    return [line.partition(":")[0] for line in lines if line.startswith("lr ")]


def _printed(path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a script prints that is run in this process."""
    monkeypatch.setattr(sys, "argv", [str(path)])
    runpy.run_path(str(path), run_name="__main__")
    return capsys.readouterr().out.splitlines()


def test_the_plain_example_runs_and_proposes_what_the_page_says(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = _printed(EXAMPLES / "plain_loop.py", capsys, monkeypatch)
    proposed, shown = (
        [rate.partition(" ->")[0] for rate in _rates(lines)]
        for lines in (printed, _outputs("python examples/warm_start/plain_loop.py"))
    )
    assert len(proposed) == 4
    assert proposed[: len(shown)] == shown
    assert printed[-1].startswith("best: 0.9")


def test_the_cost_is_the_variations() -> None:
    assert f"It costs about {variation('ohgw-trust').cost} mini-batches" in PAGE


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.parametrize("switch", [[], ["--without"]], ids=["with", "without"])
@pytest.mark.parametrize("name", NAMES)
def test_every_example_runs_as_a_script(name: str, switch: list[str]) -> None:
    rates = _rates(run_module(f"examples/warm_start/{name}.py", *switch).splitlines())
    assert len(rates) >= 3
    changed = [before != after for before, after in (line[3:].split(" -> ") for line in rates)]
    assert any(changed) == (not switch)


@pytest.mark.filterwarnings("ignore:warm start. finite differences:UserWarning")
def test_a_black_box_is_warm_started(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "boosting.py"
    script.write_text(SCRIPTS["boosting.py"])
    (printed,), (shown,) = _printed(script, capsys, monkeypatch), _outputs("python boosting.py")
    before, after = map(float, printed.split(" -> "))
    assert before == float(shown.partition(" ")[0])
    assert before < after <= 1.0  # how far it goes is the strategy's affair


def test_graphs_are_split_by_the_pages_function(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "graphs.py"
    script.write_text(SCRIPTS["graphs.py"])
    (printed,) = _printed(script, capsys, monkeypatch)
    assert float(printed) != 0.01


def test_a_strategy_of_ones_own_is_found_by_its_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (toml,) = (code for language, code in BLOCKS if language == "toml")
    ((group, points),) = tomllib.loads(toml)["project"]["entry-points"].items()
    (tmp_path / "cautious.py").write_text(SCRIPTS["cautious.py"])
    info = tmp_path / "cautious-1.0.dist-info"  # as pip leaves it
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: cautious\nVersion: 1.0\n")
    lines = [f"{name} = {value}" for name, value in points.items()]
    (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines, ""]))
    monkeypatch.syspath_prepend(str(tmp_path))
    installed.cache_clear()
    try:
        space = SearchSpace({"lr": Float(1e-4, 1.0, log=True)})
        problem = BlackBox(space, lambda config, draw: 0.0)
        alone = refine("cautious", problem, {"lr": 0.3}, factor=3.0)
        assert alone.configuration["lr"] == pytest.approx(0.1)
        assert refine("random+cautious", problem, {"lr": 1e-4}).configuration["lr"] == 1e-4
    finally:
        installed.cache_clear()
        sys.modules.pop("cautious", None)
