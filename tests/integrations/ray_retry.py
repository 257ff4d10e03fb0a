"""The Ray example, in a trial that breaks once after two epochs and is restored by Ray."""

from __future__ import annotations

import json
import logging
import sys
import tempfile
from pathlib import Path
from typing import Any

import ray
import ray_tune as example  # examples/warm_start is on the path
from ray import tune


def breaks_once(config: dict[str, Any], notes: str) -> None:
    attempts, refined = Path(notes) / "attempts", Path(notes) / "refined"
    with attempts.open("a") as file:
        file.write("x")
    first = len(attempts.read_text()) == 1
    really_report, really_refine, count = tune.report, example.warm_start, 0

    def report(*arguments: Any, **keywords: Any) -> None:
        nonlocal count
        really_report(*arguments, **keywords)
        count += 1
        if first and count == 2:
            raise RuntimeError("once")

    def warm_start(*arguments: Any, **keywords: Any) -> Any:
        with refined.open("a") as file:
            file.write("x")
        return really_refine(*arguments, **keywords)

    tune.report, example.warm_start = report, warm_start
    try:
        example.trainable(config, 4, "ohgw-trust", {})
    finally:
        tune.report, example.warm_start = really_report, really_refine


def main(out: str) -> None:
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        tuner = tune.Tuner(
            tune.with_parameters(breaks_once, notes=folder),
            param_space={**example.PARAM_SPACE, "lr": tune.loguniform(0.019, 0.02)},
            run_config=tune.RunConfig(
                storage_path=folder, verbose=0, failure_config=tune.FailureConfig(max_failures=1)
            ),
        )
        result = tuner.fit()[0]
        answer = {
            "attempts": len((Path(folder) / "attempts").read_text()),
            "refined": len((Path(folder) / "refined").read_text()),
            "trained": result.metrics_dataframe["trained_lr"].tolist(),
            "proposed": result.config["lr"],
        }
    Path(out).write_text(json.dumps(answer))


if __name__ == "__main__":
    main(sys.argv[1])
