"""Runs an example four ways in a process of its own, and writes what came out of its trials as JSON.

    python -m tests.integrations.driver plain_loop OUT.json             without the added lines (which is to
        say, without warmstart), with them and --without, with a step of length 0, and as it is
    python -m tests.integrations.driver plain_loop OUT.json warm        only as it is

Its own process: the libraries warn in ways that are errors in pytest, and "warmstart was never imported" can
be seen only where it never was.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).parents[2] / "examples" / "warm_start"
VARIATION = {"stripped": (None,), "without": (None,), "zero": ("hypergradient",), "warm": ()}
BEGIN, END = "# warm start: begin", "# warm start: end"


def split(name: str) -> tuple[list[str], list[str]]:
    """(the script without what the warm start adds, the added lines)."""
    kept, added, inside = [], [], False
    for line in (EXAMPLES / f"{name}.py").read_text().splitlines():
        if line.strip() in (BEGIN, END):
            assert inside == (line.strip() == END), f"{name}: unpaired markers"
            inside = not inside
        else:
            (added if inside else kept).append(line)
    assert not inside
    return kept, added


def plain_loop(module: Any, *variation: Any, **settings: Any) -> list[dict[str, Any]]:
    return module.main(*variation, trials=3, epochs=2, **settings)


def optuna_objective(module: Any, *variation: Any, **settings: Any) -> list[dict[str, Any]]:
    module.optuna.logging.set_verbosity(module.optuna.logging.WARNING)
    study = module.main(*variation, trials=5, epochs=2, **settings)
    return [
        {
            "proposed": trial.params,
            "config": trial.user_attrs.get("warm_start", trial.params),
            "loss": trial.user_attrs["loss"],
            "accuracy": trial.intermediate_values,
        }
        for trial in study.trials
    ]


def ray_tune(module: Any, *variation: Any, **settings: Any) -> list[dict[str, Any]]:
    if not module.ray.is_initialized():
        module.ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        results = module.main(folder, *variation, trials=2, epochs=2, **settings)
    assert not results.errors
    return [
        {
            "proposed": result.config,
            "config": {**result.config, "lr": result.metrics.get("trained_lr", result.config["lr"])},
            "loss": result.metrics["loss"],
            "accuracy": result.metrics["accuracy"],
        }
        for result in results
    ]


def lightning_callback(module: Any, *variation: Any, **settings: Any) -> list[dict[str, Any]]:
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    results = module.main(*variation, rates=(0.001, 0.3), epochs=2, **settings)
    return [{**result, "proposed": {**result["config"], "lr": result["proposed"]}} for result in results]


def main(name: str, out: str, *ways: str) -> None:
    run = globals()[name]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / f"stripped_{name}.py").write_text("\n".join(split(name)[0]) + "\n")
        for path in (folder, str(EXAMPLES)):  # Ray's workers import the modules, too
            sys.path.insert(0, path)
            os.environ["PYTHONPATH"] = f"{path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
        results = {}
        for way in ways or ("stripped", "without", "zero", "warm"):
            module = importlib.import_module(f"stripped_{name}" if way == "stripped" else name)
            settings = {"eta_h": 0.0} if way == "zero" else {}
            results[way] = run(module, *VARIATION[way], **settings)
            if way == "stripped":
                assert not any(module.partition(".")[0] == "warmstart" for module in sys.modules)
        Path(out).write_text(json.dumps(results))


if __name__ == "__main__":
    main(*sys.argv[1:])
