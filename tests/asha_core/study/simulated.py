"""Small tables, and studies over them, for tests."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from asha_core import Curves, Float, SearchSpace
from asha_core.cli.study import main

SPACE = SearchSpace({"lr": Float(1e-4, 1.0, log=True), "momentum": Float(0.0, 0.99)})
ARMS = ("baseline", "ohgw-1step")


def table(path: Path, arms: Sequence[str] = ARMS, *, rows: int = 12, units: int = 9, **more: Any) -> Path:
    """A table whose second arm is better by a little."""
    draw = np.random.default_rng(0)
    configurations = [SPACE.from_unit(list(map(float, draw.random(2)))) for _ in range(rows)]
    quality = draw.beta(2, 3, rows)
    growth = 1 - 0.7 ** np.arange(1, units + 1)
    value = np.stack([np.outer(np.minimum(quality + 0.03 * arm, 1.0), growth) for arm in range(len(arms))])
    refined = {
        (arm, row): {**configurations[row], "momentum": configurations[row]["momentum"] / 2}
        for arm in range(1, len(arms))
        for row in range(rows)
    }
    given = {
        "seconds": draw.uniform(1.0, 3.0, value.shape),
        "warm_seconds": np.array([[0.5 * (arm > 0)] * rows for arm in range(len(arms))]),
        "metric": "accuracy",
        **more,
    }
    Curves.from_arrays(SPACE, configurations, value, arms=arms, refined=refined, **given).save(path)
    return path


@dataclass(frozen=True)
class Done:
    """What ``asha-study`` left: its exit status, and what it printed."""

    returncode: int
    stdout: str
    stderr: str


def study(folder: Path, *more: str, directory: str = "study", **content: Any) -> Done:
    """Run a study over ``curves.npz``, which is made if need be, in this process."""
    if not (folder / "curves.npz").exists():
        table(folder / "curves.npz")
    usual = {"curves": "curves.npz", "seeds": 3, "targets": [0.3, 0.5], "schedulers": ["asha", "random"]}
    merged = {key: value for key, value in (usual | content).items() if value is not None}
    (folder / "s.yaml").write_text(yaml.safe_dump(merged))
    out, err = io.StringIO(), io.StringIO()
    given = [
        "s.yaml",
        "--results-dir",
        directory,
        *([] if "--parallel" in more else ["--parallel", "1"]),
        *more,
    ]
    with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(given)
    return Done(status, out.getvalue(), err.getvalue())
