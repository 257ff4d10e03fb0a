"""Runs an example four ways, and gives what came out of its trials.

"stripped": without the added lines, where warmstart cannot be imported. "without": with them, and --without.
"zero": with a step of length 0. "warm": as it is.

Ray is started in a process of its own, which writes JSON:

    python -m tests.integrations.driver ray_tune OUT.json
"""

from __future__ import annotations

import importlib.util
import json
import logging
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).parents[2] / "examples" / "warm_start"
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


def example(name: str, stripped_in: Path | None = None) -> Any:
    """An example as a module of its own; as it is, or without the added lines, in a file in a folder."""
    path = EXAMPLES / f"{name}.py"
    if stripped_in is not None:
        path = stripped_in / f"stripped_{name}.py"
        path.write_text("\n".join(split(name)[0]) + "\n")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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


def results(name: str, folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The trials of each way in which an example can be run.

    Args:
        folder: where the stripped example is written to.
    """
    run = globals()[name]
    with without_warmstart():
        found = {"stripped": run(example(name, folder))}
    module = example(name)
    return found | {
        "without": run(module, None),
        "zero": run(module, "hypergradient", eta_h=0.0),
        "warm": run(module),
    }


@contextmanager
def without_warmstart() -> Iterator[None]:
    """To import it is an error inside."""
    kept = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "warmstart"}
    sys.modules.update(dict.fromkeys([*kept, "warmstart"]))  # type: ignore[arg-type]
    try:
        yield
    finally:
        del sys.modules["warmstart"]
        sys.modules.update(kept)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        Path(sys.argv[2]).write_text(json.dumps(results(sys.argv[1], Path(scratch))))
