"""The example notebooks run from top to bottom, and hold no output of anybody's machine."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from analysis.journals.runs import load_run
from tests.test_docs import blocks

EXAMPLES = Path(__file__).parents[1] / "examples"
# with a third argument, the stop button is pressed when that journal has a report
RUN = """
import asyncio, sys, threading, time
from pathlib import Path
import nbformat
from nbclient import NotebookClient

book = nbformat.read(sys.argv[1], as_version=4)
client = NotebookClient(book, timeout=500, kernel_name="python3", shutdown_kernel="immediate")

def press_stop(journal):
    while not (journal.exists() and b'"report"' in journal.read_bytes()):
        time.sleep(0.05)
    asyncio.run(client.km.interrupt_kernel())

if sys.argv[3:]:
    threading.Thread(target=press_stop, args=[Path(sys.argv[3])], daemon=True).start()
client.execute()
nbformat.write(book, sys.argv[2])
"""


def executed(name: str, folder: Path, *stop_at: str) -> list[dict[str, Any]]:
    """The code cells of a notebook that was run, with what they show."""
    for package in ("nbclient", "nbformat", "ipykernel"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    # a process of its own: Jupyter's packages warn of each other, and warnings are errors here
    environment = {
        **os.environ,
        "PYTHONPATH": str(EXAMPLES.parent),
        "IPYTHONDIR": str(folder / "ipython"),
    }
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(EXAMPLES / name), str(folder / "run.ipynb"), *stop_at],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    cells = [c for c in json.loads((folder / "run.ipynb").read_text())["cells"] if c["cell_type"] == "code"]
    assert all(cell["execution_count"] for cell in cells)
    return cells


def text_of(output: dict[str, Any], kind: str) -> str:
    return "".join(output.get("data", {}).get(kind, ""))


@pytest.mark.processes
@pytest.mark.slow
@pytest.mark.timeout(600)  # half a minute on two idle cores
def test_the_notebook_of_a_study_runs(tmp_path: Path) -> None:
    cells = executed("study.ipynb", tmp_path)
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == 2
    printed = "".join("".join(output.get("text", "")) for output in outputs)
    assert r"\toprule" in printed
    assert "figures" in printed


@pytest.mark.processes
@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_notebook_of_a_search_is_stopped_by_its_button_and_goes_on(tmp_path: Path) -> None:
    cells = executed("tune.ipynb", tmp_path, "results/notebook/journal.jsonl")
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert not [output for output in outputs if output.get("name") == "stderr"], outputs
    stopped, gone_on = [cell["outputs"] for cell in cells if "result = tune(" in "".join(cell["source"])]
    for shown, ended in ((stopped, "interrupted"), (gone_on, "stopped at its budget")):
        (view,) = [output for output in shown if output["output_type"] == "display_data"]
        assert f"search {ended}: " in text_of(view, "text/plain")  # the last frame alone
        assert text_of(view, "text/html").count("best accuracy") == 1
        said = "".join("".join(output.get("text", "")) for output in shown)
        assert "report:  asha-report results/notebook\n" in said
        assert said.count("\n") < 7
    (error,) = [output for output in outputs if output["output_type"] == "error"]
    assert error == stopped[-1]
    assert error["ename"] == "KeyboardInterrupt"
    (line,) = error["traceback"]  # and no page of one
    assert f"Result.load('{tmp_path / 'results' / 'notebook'}')" in line
    assert [output for output in outputs if "dataframe" in text_of(output, "text/html")]
    assert len([output for output in outputs if "image/png" in output.get("data", {})]) == 1
    run = load_run(tmp_path / "results" / "notebook")
    assert len(run.sessions) == 2
    reported = sum(trial.reached > 0 for trial in run.trials.values())
    assert text_of(gone_on[-1], "text/html").count("<tr>") == 1 + min(reported, 10)
    assert not [trial for trial in run.trials.values() if trial.state == "failed"]


def test_what_the_page_shows_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = EXAMPLES.parent / "docs" / "how-to" / "notebooks.md"
    (code,), (shown,) = blocks(page, "python"), blocks(page, "text")
    monkeypatch.chdir(tmp_path)
    for _ in range(2):  # and again, as it says
        exec(code, {"__name__": "page"})
        assert capsys.readouterr().out == shown


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.ipynb")))
def test_notebooks_are_kept_without_outputs(name: str) -> None:
    content = (EXAMPLES / name).read_text(encoding="utf-8")
    for cell in json.loads(content)["cells"]:
        assert cell["metadata"] in ({}, {"tags": ["raises-exception"]})
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None
