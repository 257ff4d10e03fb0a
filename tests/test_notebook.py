"""The example notebook runs from top to bottom, and holds no output of anybody's machine."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[1] / "examples" / "study.ipynb"
RUN = """
import sys
import nbformat
from nbclient import NotebookClient
book = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(book, timeout=500, kernel_name="python3").execute()
nbformat.write(book, sys.argv[2])
"""


@pytest.mark.processes
@pytest.mark.slow
@pytest.mark.timeout(600)  # half a minute on two idle cores
def test_the_notebook_runs(tmp_path: Path) -> None:
    for name in ("nbclient", "nbformat", "ipykernel"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    # a process of its own: Jupyter's packages warn of each other, and warnings are errors here
    environment = {
        **os.environ,
        "PYTHONPATH": str(NOTEBOOK.parents[1]),
        "IPYTHONDIR": str(tmp_path / "ipython"),
    }
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(NOTEBOOK), str(tmp_path / "run.ipynb")],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    cells = [c for c in json.loads((tmp_path / "run.ipynb").read_text())["cells"] if c["cell_type"] == "code"]
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert all(cell["execution_count"] for cell in cells)
    assert not [output for output in outputs if output.get("name") == "stderr"]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == 2
    printed = "".join("".join(output.get("text", "")) for output in outputs)
    assert r"\toprule" in printed
    assert "figures" in printed


def test_the_notebook_is_kept_without_outputs() -> None:
    content = NOTEBOOK.read_text(encoding="utf-8")
    for cell in json.loads(content)["cells"]:
        assert cell["metadata"] == {}
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None
