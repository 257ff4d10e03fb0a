"""Searches by Syne Tune's simulator over a table that another benchmark wrote, which runs this.

Syne Tune 0.13 needs numpy 1, and asha-core numpy 2, so it lives in an environment of its own:

    python -m venv syne && syne/bin/pip install -r benchmarks/requirements-syne-tune.txt
    syne/bin/python benchmarks/syne_tune_replay.py WORK     # WORK has table.npz and searches.json

Configurations that the table lacks are answered by the nearest row, by Euclid's distance in the unit cube, as
ours are. Its simulator looks for events every `sleep` virtual seconds (5 by default), and adds what its own
decisions really took to the virtual time. Its delays (0.05 s each) are 0 here.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from syne_tune import StoppingCriterion, Tuner
from syne_tune.backend.simulator_backend.simulator_backend import SimulatorConfig
from syne_tune.backend.simulator_backend.simulator_callback import SimulatorCallback
from syne_tune.blackbox_repository import UserBlackboxBackend
from syne_tune.blackbox_repository.blackbox_tabular import BlackboxTabular
from syne_tune.config_space import lograndint, loguniform, randint, uniform
from syne_tune.optimizer import baselines


class Nearest(BlackboxTabular):
    """The table's rows, or the nearest one."""

    def prepare(self, table: dict[str, np.ndarray]) -> None:
        self.lower, self.upper, self.log = table["lower"], table["upper"], table["log"].astype(bool)
        self.rows = {tuple(row): index for index, row in enumerate(table["X"].tolist())}
        self.points = self.unit(table["X"])
        self.outside = 0

    def unit(self, points: np.ndarray) -> np.ndarray:
        low, high = self.lower.copy(), self.upper.copy()
        points = points.astype(float)
        points[..., self.log] = np.log(points[..., self.log])
        low[self.log], high[self.log] = np.log(low[self.log]), np.log(high[self.log])
        return (points - low) / (high - low)

    def row(self, configuration: dict[str, Any]) -> int:
        point = [float(configuration[name]) for name in self._hp_cols]
        found = self.rows.get(tuple(point))
        if found is None:
            self.outside += 1
            found = int(((self.points - self.unit(np.array(point))) ** 2).sum(axis=1).argmin())
        return found

    def _objective_function(self, configuration: Any, fidelity: Any = None, seed: Any = None) -> Any:
        values = self.objectives_evaluations[self.row(configuration), 0]
        if fidelity is None:
            return values
        return dict(zip(self.objectives_names, values[next(iter(fidelity.values())) - 1], strict=True))


def blackbox_of(table: dict[str, np.ndarray], kind: type[BlackboxTabular]) -> BlackboxTabular:
    """Their own ``BlackboxTabular``, or ``Nearest``."""
    names = [str(name) for name in table["names"]]
    space: dict[str, Any] = {}
    columns = {}
    for index, name in enumerate(names):
        low, high = float(table["lower"][index]), float(table["upper"][index])
        log, integer = bool(table["log"][index]), bool(table["integer"][index])
        if integer:
            space[name] = (lograndint if log else randint)(int(low), int(high))
        else:
            space[name] = (loguniform if log else uniform)(low, high)
        columns[name] = table["X"][:, index].astype(int if integer else float)
    found = kind(
        pd.DataFrame(columns),
        space,
        {"epoch": randint(1, table["value"].shape[1])},
        np.stack([table["value"], table["elapsed"]], axis=-1)[:, None],
        objectives_names=["value", "elapsed"],
    )
    if isinstance(found, Nearest):
        found.prepare(table)
    return found


def scheduler_of(search: dict[str, Any], blackbox: BlackboxTabular, table: dict[str, np.ndarray]) -> Any:
    """Named as in ``baselines``; ASHA is the promotion type, which is also PASHA's."""
    most = table["value"].shape[1]
    frame = blackbox.hyperparameters
    columns = list(frame)
    kinds = [int if frame[name].dtype.kind == "i" else float for name in columns]
    points = [
        {name: kind(value) for name, kind, value in zip(columns, kinds, frame.loc[row], strict=True)}
        for row in search["order"]
    ]
    settings: dict[str, Any] = {"metric": "value", "mode": "max", "random_seed": search["seed"]}
    if points:
        settings["points_to_evaluate"] = points
    space = dict(blackbox.configuration_space, epochs=most)
    system = search["system"]
    if system == "RandomSearch":
        return baselines.RandomSearch(space, **settings)
    settings |= {"resource_attr": "epoch", "max_resource_attr": "epochs", "grace_period": 1}
    if system != "DyHPO":
        settings["reduction_factor"] = 3
    if system in ("ASHA", "Hyperband", "BOHB"):
        settings["type"] = "promotion"
    if system in ("Hyperband", "BOHB"):
        settings["brackets"] = search["brackets"]
    return getattr(baselines, "ASHA" if system == "Hyperband" else system)(space, **settings)


def run(search: dict[str, Any], table: dict[str, np.ndarray], where: Path) -> dict[str, Any]:
    """One search; improvements as (virtual seconds, units, value, row)."""
    blackbox = blackbox_of(table, BlackboxTabular if search.get("own_table") else Nearest)
    scheduler = scheduler_of(search, blackbox, table)
    backend = UserBlackboxBackend(
        blackbox,
        elapsed_time_attr="elapsed",
        max_resource_attr=None if search["system"] == "RandomSearch" else "epochs",
        tuner_sleep_time=search["sleep"],
        simulator_config=SimulatorConfig(0.0, 0.0, 0.0, 0.0, 0.0),
    )
    callback = SimulatorCallback()
    tuner = Tuner(
        trial_backend=backend,
        scheduler=scheduler,
        stop_criterion=StoppingCriterion(
            max_num_trials_started=search.get("trials"), max_num_evaluations=search.get("units")
        ),
        n_workers=search["workers"],
        sleep_time=0,
        callbacks=[callback],
        print_update_interval=1e9,
        save_tuner=False,
        tuner_name="replay",
        trial_backend_path=str(where),
        suffix_tuner_name=False,
    )
    began = time.process_time()
    tuner.run()
    took = time.process_time() - began
    told = callback.results
    values = np.array([one["value"] for one in told])
    best = np.maximum.accumulate(values)
    first = np.flatnonzero(np.diff(best, prepend=-np.inf) > 0)
    columns = list(blackbox.hyperparameters)
    rows = {}
    for index in first:
        one = told[index]
        key = tuple(float(one["config_" + name]) for name in columns)
        rows[index] = (
            blackbox.row(dict(zip(columns, key, strict=True))) if isinstance(blackbox, Nearest) else -1
        )
    return {
        "took": took,
        "units": len(told),
        "trials": len(tuner.tuning_status.trial_rows),
        "seconds": told[-1]["st_tuner_time"],
        "outside": getattr(blackbox, "outside", None),
        "improvements": [
            [told[i]["st_tuner_time"], int(i) + 1, float(values[i]), int(rows[i])] for i in first
        ],
    }


def main() -> None:
    work = Path(sys.argv[1])
    logging.disable(logging.CRITICAL)
    with np.load(work / "table.npz", allow_pickle=False) as file:
        table = dict(file)
    answer = sys.stdout
    sys.stdout = sys.stderr  # it prints
    for search in json.loads((work / "searches.json").read_text()):
        print(json.dumps(run(search, table, work / "tuner")), file=answer, flush=True)


if __name__ == "__main__":
    main()
