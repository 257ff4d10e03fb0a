"""The file of a study's simulated runs, ``simulated.runs``: many searches in few bytes.

Frames (see ``asha_core.runtime.storage.frames``), each of a batch of runs in the order of running. A frame's
line has ``runs``: [id, reason, best value or null, virtual seconds] of each. Its bytes are an .npz, arrays by
the names of ``SimulatedRun``: (B,) of numbers of a run, and those of several runs end to end with their
lengths beside them, (B,) in ``improvements`` and ``trials``. Of a run there twice the last counts.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.stats.arrays import Floats, Ints
from asha_core.errors import ResultsError
from asha_core.runtime.storage.frames import read_frames

FILE = "simulated.runs"
KIND = "simulated runs"
# of trials, by number; "warming" is a running one whose warm start has not ended
STATES = ("running", "paused", "done", "finished", "failed", "rejected", "warming")


@dataclass(frozen=True, slots=True)
class SimulatedRun:
    """One search in virtual time, as it is kept."""

    id: str
    reason: str  # how it ended, as in a journal; "error" with ``why``
    seconds: float  # virtual, until it ended
    training: float  # seconds of all reported units, over all workers
    warm_start: float  # seconds of all warm starts
    unit_seconds: float  # median over the reported units
    # of improvements, (I,)
    times: Floats  # virtual seconds
    values: Floats
    spent: Ints  # units of resource, of all trials
    warmed: Floats  # seconds of warm starts so far
    by: Ints  # whose it is
    begun: Ints  # trials so far
    # of trials, (T,)
    row: Ints  # of the table
    state: NDArray[np.uint8]  # an index of ``STATES``
    reached: Ints  # units
    first: Ints  # the level at which it is first compared
    why: str = ""  # the error that ended it

    @property
    def best(self) -> float | None:
        """Its best value; None: it found none."""
        return float(self.values[-1]) if len(self.values) else None


_OF_A_RUN = ("seconds", "training", "warm_start", "unit_seconds")
_OF_IMPROVEMENTS: dict[str, Any] = {
    "times": np.float64, "values": np.float64, "spent": np.int64, "warmed": np.float64, "by": np.int32,
    "begun": np.int32,
}  # fmt: skip
_OF_TRIALS: dict[str, Any] = {"row": np.int32, "state": np.uint8, "reached": np.int32, "first": np.int32}


def failed_run(id: str, why: str) -> SimulatedRun:
    """What is kept of a search that an error ended."""
    none = {name: np.empty(0, kind) for name, kind in (_OF_IMPROVEMENTS | _OF_TRIALS).items()}
    return SimulatedRun(id, "error", 0.0, 0.0, 0.0, 0.0, **none, why=why)


def packed(runs: Sequence[SimulatedRun]) -> tuple[bytes, dict[str, Any]]:
    """A frame's bytes, and what its line says; the same runs give the same ones."""
    arrays: dict[str, Any] = {
        name: np.array([getattr(each, name) for each in runs], np.float64) for name in _OF_A_RUN
    }
    for length, of in (("improvements", _OF_IMPROVEMENTS), ("trials", _OF_TRIALS)):
        first = next(iter(of))
        arrays[length] = np.array([len(getattr(each, first)) for each in runs], np.int32)
        for name, kind in of.items():
            arrays[name] = np.concatenate([np.asarray(getattr(each, name), kind) for each in runs])
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    told: dict[str, Any] = {"runs": [[each.id, each.reason, each.best, each.seconds] for each in runs]}
    why = {each.id: each.why for each in runs if each.why}
    return buffer.getvalue(), told | ({"why": why} if why else {})


def unpacked(content: bytes, told: dict[str, Any]) -> Iterator[SimulatedRun]:
    """The runs of a frame."""
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    numbers = {name: arrays[name].tolist() for name in _OF_A_RUN}
    parts: dict[str, list[Any]] = {}
    for length, of in (("improvements", _OF_IMPROVEMENTS), ("trials", _OF_TRIALS)):
        ends = np.cumsum(arrays[length])[:-1]
        parts |= {name: np.split(arrays[name], ends) for name in of}
    why = told.get("why", {})
    for place, (id, reason, *_) in enumerate(told["runs"]):
        yield SimulatedRun(
            id=id,
            reason=reason,
            why=why.get(id, ""),
            **{name: values[place] for name, values in numbers.items()},
            **{name: values[place] for name, values in parts.items()},
        )


def read_simulated(path: Path) -> dict[str, SimulatedRun]:
    """The runs of a file by their ids; none if there is no file.

    Raises:
        ResultsError: it cannot be read, or is none of these.
    """
    found: dict[str, SimulatedRun] = {}
    try:
        for told, content, _ in read_frames(path, KIND):
            found.update((each.id, each) for each in unpacked(content, told))
    except (KeyError, TypeError, ValueError) as error:
        raise ResultsError(f"{path} is damaged: {type(error).__name__} {error}") from None
    return found


@dataclass(slots=True)
class Index:
    """How far each run of a file is, without its arrays.

    Attributes:
        runs: by id, (reason, best value or NaN, seconds).
        end: where the last whole frame ends; what lies behind is torn.
    """

    runs: dict[str, tuple[str, float, float]]
    end: int

    @classmethod
    def of(cls, path: Path) -> Index:
        """Read it.

        Raises:
            ResultsError: as ``read_simulated``.
        """
        index = cls({}, 0)
        try:
            for told, _, end in read_frames(path, KIND):
                index.take(told)
                index.end = end
        except (KeyError, TypeError, ValueError) as error:
            raise ResultsError(f"{path} is damaged: {type(error).__name__} {error}") from None
        return index

    def take(self, told: dict[str, Any]) -> None:
        """A frame's line."""
        for id, reason, best, seconds in told["runs"]:
            self.runs[id] = str(reason), math.nan if best is None else float(best), float(seconds)
