"""The simulated runs of a study, as replicates like any others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.journals.metrics import BestCurve, RungShare, TimeSplit
from analysis.journals.replicate import Planned, Replicate
from analysis.study.curve_table import CurveTable
from analysis.study.problems import Problem
from analysis.study.simulated_runs import FILE, STATES, SimulatedRun, read_simulated
from asha_core.errors import AshaError
from asha_core.runtime.units import counted, ranges
from asha_core.searchers.drawn_rows import drawn_rows

NO_JOURNAL = 0  # in the place of a journal's schema

Column = NDArray[Any]


def read_simulated_runs(runs: Sequence[Planned]) -> tuple[list[Replicate], list[Problem]]:
    """Those that are there, in the order of ``runs``, and what is wrong with the others."""
    files: dict[Path, dict[str, SimulatedRun]] = {}
    tables: dict[Path, CurveTable | AshaError] = {}
    found: list[Replicate] = []
    wrong: dict[tuple[str, str, str, str], list[Planned]] = {}  # kind, sentence, group, arm -> of which runs
    for planned in runs:
        assert planned.table is not None
        study = planned.table.parent.parent
        if study not in files:
            files[study] = read_simulated(study / FILE)
        if planned.table not in tables:
            tables[planned.table] = _table(planned.table)
        run = files[study].get(planned.directory.relative_to(study / "runs").as_posix())
        table = tables[planned.table]
        if run is None:
            told = "missing", "planned, and not simulated yet"
        elif run.reason == "error":
            told = "failed", f"an error ended it: {run.why}"
        elif isinstance(table, AshaError):
            told = "damaged", str(table)
        else:
            found.append(simulated_replicate(planned, run, table))
            continue
        wrong.setdefault((*told, planned.group, planned.arm), []).append(planned)
    return found, [_problem(*told, of) for told, of in wrong.items()]


def _problem(kind: str, text: str, group: str, arm: str, of: Sequence[Planned]) -> Problem:
    """What is alike in many runs of an arm is said once."""
    if len(of) == 1:
        return Problem(kind, of[0].id, text, group, arm)
    seeds = ranges(each.seed for each in of)
    return Problem(kind, "", f"{counted(len(of), 'run')} (seeds {seeds}): {text}", group, arm)


def _table(path: Path) -> CurveTable | AshaError:
    try:
        return CurveTable.read(path)
    except AshaError as error:
        return error


def simulated_replicate(planned: Planned, run: SimulatedRun, table: CurveTable) -> Replicate:
    """A simulated run as a replicate; ``trials`` is worked out of the table when it is asked for."""
    manifest = {**planned.manifest, "scheduler": {**planned.manifest["scheduler"], "seed": planned.seed}}
    workers = manifest["simulated"]["workers"]
    cost = manifest["simulated"].get("warm_start_cost", 1.0)
    trials = TrialColumns(run, table, table.arms.index(planned.variation), cost)
    in_units = run.warmed / run.unit_seconds if run.unit_seconds else np.zeros(len(run.warmed))
    total = workers * run.seconds
    warm_units = run.warm_start / run.unit_seconds if run.unit_seconds else 0.0
    met, in_order = _met(
        run, drawn_rows(manifest["simulated"]["study_seed"], planned.seed, len(table.proposed))
    )
    fields = {name: getattr(planned, name) for name in Planned.__dataclass_fields__ if name != "manifest"}
    return Replicate(
        **fields,
        manifest=manifest,
        reason=run.reason,
        curve=BestCurve(run.times, run.spent, run.values, run.by),
        spent_units=run.spent + in_units,
        gpu_hours=run.times * workers / 3600,
        ends={
            "seconds": run.seconds,
            "gpu_hours": total / 3600,
            "units": float(run.reached.sum()) + warm_units,
        },
        spent_from="seconds" if trials.warmed else "none",
        trials=trials,
        rungs=_rungs(run, manifest["scheduler"]["levels"]),
        reports=int(table.place(run.reached).sum()),
        split=TimeSplit(run.training, run.warm_start, 0.0, max(total - run.training - run.warm_start, 0.0)),
        costs={},
        warm_start_costs={},
        peaks={},
        warm_start_peaks={},
        warm_start=_warm_start(run) if trials.warmed else None,
        test=np.nan,
        test_loss=np.nan,
        status=None,
        torn=False,
        schema=NO_JOURNAL,
        sessions=1,
        met=met,
        met_at=np.minimum(run.begun, met).astype(np.int64) if in_order else None,
    )


@lru_cache(maxsize=2_000)  # the same in all arms and schedulers
def _drawn(seed: int, search: int, rows: int) -> list[int]:
    return drawn_rows(seed, search, rows)


def _met(run: SimulatedRun, drawn: Sequence[int]) -> tuple[int, bool]:
    """How many of the drawn rows played a part, and whether these are the first ones: all if not."""
    count = min(len(run.row), len(drawn))
    in_order = run.row[:count].tolist() == drawn[:count]
    return (count if in_order else len(drawn)), in_order


def _rungs(run: SimulatedRun, levels: Sequence[int]) -> list[RungShare]:
    reached = run.reached[run.state != STATES.index("rejected")]
    total = max(len(reached), 1)
    counts = [int((reached >= level).sum()) for level in levels]
    return [RungShare(level, count, count / total) for level, count in zip(levels, counts, strict=True)]


def _warm_start(run: SimulatedRun) -> dict[str, Any]:
    """What a table knows of ``analysis.journals.trial_table.warm_start_summary``."""
    without = STATES.index("rejected"), STATES.index("warming")
    return {"trials": int((~np.isin(run.state, without)).sum())}


class TrialColumns(Mapping[str, Column]):
    """The columns of ``analysis.journals.trial_table.trial_columns``, and ``row`` of the table.

    Each is worked out when it is asked for: those of ten thousand runs would take gigabytes.
    """

    def __init__(self, run: SimulatedRun, table: CurveTable, arm: int, warm_start_cost: float = 1.0) -> None:
        self._run = run
        self._table = table
        self._arm = arm
        self._cost = warm_start_cost
        self.warmed = arm in table.warmed

    def __getitem__(self, name: str) -> Column:
        kind, _, dimension = name.partition(".")
        make = _MAKERS.get(kind)
        if make is None or bool(dimension) != (kind in _OF_DIMENSIONS) or name not in self._names:
            raise KeyError(name)
        return make(self, dimension)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    @property
    def _names(self) -> dict[str, None]:
        return self._table.names_of_columns

    # -- each column

    def _of_run(self, name: str) -> Column:
        return np.asarray(getattr(self._run, name), dtype=np.int64)

    @property
    def _warming(self) -> Column:
        return np.equal(self._run.state, STATES.index("warming"))

    def _state(self) -> Column:
        return _STATE_NAMES[self._run.state]

    def _by_units(self, values: Column) -> Column:
        """Of what a table has by arm, row and number of units."""
        column: Column = values[self._arm, self._run.row, self._table.place(self._run.reached)]
        return column

    def _first_value(self) -> Column:
        values = self._table.value[self._arm, self._run.row, 0]
        return np.where(self._run.reached > 0, values, np.nan)

    def _warm_seconds(self) -> Column:
        recorded = self._table.warm_seconds[self._arm, self._run.row]
        return np.where(self._warming, 0.0, self._cost * recorded)

    def _unknown(self) -> Column:
        return np.full(len(self._run.row), np.nan)

    def _proposed(self, dimension: str) -> Column:
        column: Column = self._table.coordinates(None)[dimension][self._run.row]
        return column

    def _refined(self, dimension: str) -> Column:
        refined: Column = self._table.coordinates(self._arm)[dimension][self._run.row]
        return np.where(self._warming, self._proposed(dimension), refined)

    def _step(self, dimension: str) -> Column:
        return self._refined(dimension) - self._proposed(dimension) if self.warmed else self._unknown()


_STATE_NAMES = np.array([{"warming": "running"}.get(name, name) for name in STATES], dtype="U8")
_OF_DIMENSIONS = ("proposed", "refined", "gradient", "step")
_MAKERS: Mapping[str, Callable[[TrialColumns, str], Column]] = {
    "id": lambda made, _: np.arange(len(made._run.row), dtype=np.int64),
    "row": lambda made, _: made._of_run("row"),
    "state": lambda made, _: made._state(),
    "first": lambda made, _: made._of_run("first"),
    "reached": lambda made, _: made._of_run("reached"),
    "best": lambda made, _: made._by_units(made._table.best),
    "best_at": lambda made, _: made._by_units(made._table.best_at),
    "first_value": lambda made, _: made._first_value(),
    "warm_start_seconds": lambda made, _: made._warm_seconds(),
    "warm_start_flops": lambda made, _: made._unknown(),
    "seconds": lambda made, _: made._by_units(made._table.elapsed),
    "flops": lambda made, _: made._unknown(),
    "heldout_loss": lambda made, _: made._unknown(),
    "proposed": lambda made, dimension: made._proposed(dimension),
    "refined": lambda made, dimension: made._refined(dimension),
    "gradient": lambda made, _: made._unknown(),
    "step": lambda made, dimension: made._step(dimension),
}
