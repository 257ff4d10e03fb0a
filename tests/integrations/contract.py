"""What holds for every integration, whatever the library."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.integrations.driver import split

LIMIT = 20
QUIET = {
    "OMP_NUM_THREADS": "1",  # the networks are tiny, and tests run side by side
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
ROOT = Path(__file__).parents[2]


def run_module(*words: str, timeout: int = 170, path: Path | None = None) -> str:
    """``python -m`` something of the tests, in a process of its own."""
    environment = {**os.environ, **QUIET}
    if path is not None:
        environment["PYTHONPATH"] = f"{path}{os.pathsep}{environment.get('PYTHONPATH', '')}"
    done = subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def check_added_lines(name: str) -> None:
    """At most 20 of them, and all that is of warmstart."""
    kept, added = split(name)
    code = [line for line in added if line.strip() and not line.strip().startswith("#")]
    assert 0 < len(code) <= LIMIT
    for node in ast.walk(ast.parse("\n".join(kept))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
            assert not {n.partition(".")[0] for n in names} & {"warmstart", "asha_core", "trials"}
    imports = [line.split()[1] for line in code if line.strip().startswith(("from ", "import "))]
    assert {module.partition(".")[0] for module in imports} == {"warmstart"}


def check_moved(trials: list[dict[str, Any]]) -> list[bool]:
    """Which trials have another lr: some, and nothing else is different in them."""
    for trial in trials:
        assert {**trial["config"], "lr": 0} == {**trial["proposed"], "lr": 0}
    moved = [trial["config"]["lr"] != trial["proposed"]["lr"] for trial in trials]
    assert any(moved)
    return moved


def check_runs(runs: dict[str, list[dict[str, Any]]]) -> None:
    """Without the warm start nothing is changed; with a step of length 0 nothing is; with one, lr is."""
    stripped, warm = runs["stripped"], runs["warm"]
    assert runs["without"] == stripped
    assert runs["zero"] == stripped  # to the last bit: losses, and so weights and the order of batches
    moved = check_moved(warm)
    assert warm[0]["proposed"] == stripped[0]["proposed"]
    for trial, before, changed in zip(warm, stripped, moved, strict=True):
        if trial["proposed"] == before["proposed"]:  # a searcher that learns proposes other ones in time
            assert (trial["loss"] != before["loss"]) == changed
