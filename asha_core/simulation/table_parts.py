"""The parts of a table, made of plain arrays and checked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from asha_core.arguments import instance, integer, one_of, shown, text
from asha_core.errors import ConfigurationError, CurvesError
from asha_core.simulation.curve import ENDED
from asha_core.space import Configuration, SearchSpace

Floats = NDArray[np.float64]
_UNKNOWN, _COMPLETE = ENDED.index("unknown"), ENDED.index("complete")


def table_parts(
    space: SearchSpace | Mapping[str, Any],
    configurations: Sequence[Mapping[str, Any]],
    value: ArrayLike,
    *,
    seconds: ArrayLike | None,
    units: Sequence[int] | None,
    arms: Sequence[str],
    mode: str,
    metric: str,
    unit: str,
    metrics: Mapping[str, ArrayLike] | None,
    refined: Mapping[tuple[int, int], Mapping[str, Any]] | None,
    warm_seconds: ArrayLike | None,
    warm_batches: ArrayLike | None,
    length: ArrayLike | None,
    ended: ArrayLike | None,
    why: Mapping[tuple[int, int], str] | None,
    source: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The fields of a ``Curves``; arguments and errors are those of ``Curves.from_arrays``."""
    space = space if isinstance(space, SearchSpace) else SearchSpace(space)
    arms = _arms(arms)
    rows = _configurations(space, configurations)
    values = _numbers("value", value)
    if values.ndim == 2:
        values = values[None]
    if values.ndim != 3 or values.shape[:2] != (len(arms), len(rows)) or values.shape[2] == 0:
        raise CurvesError(
            f"value has shape {np.shape(values)}: with {len(arms)} arms ({', '.join(arms)}) and {len(rows)} "
            f"configurations it must be ({len(rows)}, U) for one arm, or ({len(arms)}, {len(rows)}, U), with "
            "at least one unit"
        )
    shape = values.shape
    resources = _units(units, shape[2])
    lengths = _lengths(length, values)
    beyond = np.arange(shape[2]) >= lengths[..., None]
    return {
        "space": space,
        "metric": text("metric", metric),
        "mode": one_of("mode", mode, ("max", "min")),
        "unit": text("unit", unit),
        "arms": arms,
        "units": resources,
        "configurations": rows,
        "value": np.where(beyond, np.nan, values),
        "seconds": None if seconds is None else _seconds(seconds, shape, beyond),
        "length": lengths,
        "ended": _ended(ended, lengths, shape),
        "why": {_place(key, shape, "why"): str(words) for key, words in (why or {}).items()},
        "refined": {
            _place(key, shape, "refined"): _configuration(space, given, f"refined[{key}]")
            for key, given in (refined or {}).items()
        },
        "warm_seconds": _warm("warm_seconds", warm_seconds, shape),
        "warm_batches": _warm("warm_batches", warm_batches, shape),
        "metrics": {
            str(name): _like("metric " + str(name), each, shape) for name, each in (metrics or {}).items()
        },
        "source": _source(source),
    }


def _arms(arms: Sequence[str]) -> tuple[str, ...]:
    if isinstance(arms, str):
        arms = (arms,)
    found = tuple(text("arm", arm) for arm in arms)
    if not found or len(set(found)) < len(found):
        raise CurvesError(f"arms are {list(found)}: give one or more names, each once")
    return found


def _configurations(space: SearchSpace, given: Sequence[Mapping[str, Any]]) -> tuple[Configuration, ...]:
    instance("configurations", given, Sequence, "a list of configurations, each a mapping")
    rows = tuple(_configuration(space, each, f"configuration {row}") for row, each in enumerate(given))
    if not rows:
        raise CurvesError("the table is empty: give at least one configuration, with its curve")
    return rows


def _configuration(space: SearchSpace, given: Mapping[str, Any], place: str) -> Configuration:
    try:
        return space.configuration(given)
    except ConfigurationError as error:
        raise ConfigurationError(f"{place}: {error}") from None


def _numbers(name: str, given: ArrayLike) -> Floats:
    try:
        return np.array(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise CurvesError(
            f"{name} is no array of numbers: all curves must be of one length: put NaN where a "
            "unit is missing"
        ) from None


def _like(name: str, given: ArrayLike, shape: tuple[int, ...]) -> Floats:
    found = _numbers(name, given)
    found = found[None] if found.ndim == 2 else found
    if found.shape != shape:
        raise CurvesError(f"{name} has shape {np.shape(given)}: it must be that of value, {shape}")
    return found


def _units(units: Sequence[int] | None, count: int) -> tuple[int, ...]:
    given = list(range(1, count + 1)) if units is None else list(units)
    found = tuple(integer(f"units[{place}]", unit, 1) for place, unit in enumerate(given))
    if len(found) != count:
        raise CurvesError(f"there are {len(found)} units, and {count} values a curve: give one for each")
    if any(now <= before for before, now in pairwise(found)):
        raise CurvesError(f"units are {list(found)}: they must grow")
    return found


def _lengths(length: ArrayLike | None, values: Floats) -> NDArray[np.int32]:
    arms, rows, units = values.shape
    if length is None:
        known = ~np.isnan(values)
        return np.where(known.any(axis=2), units - known[..., ::-1].argmax(axis=2), 0).astype(np.int32)
    found = _for_each("length", length, (arms, rows))
    if found.dtype.kind not in "iu":
        raise CurvesError(f"length is {shown(length)}: it must be how many units each curve has, an integer")
    found = found.astype(np.int32)
    if found.min() < 0 or found.max() > units:
        raise CurvesError(f"length is {found.min()} to {found.max()}: it must be 0 to {units} for each curve")
    return found


def _ended(ended: ArrayLike | None, length: NDArray[np.int32], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    if ended is None:
        return np.where(length == shape[2], _COMPLETE, _UNKNOWN).astype(np.uint8)
    given = _for_each("ended", ended, shape[:2])
    if given.dtype.kind in "USO":
        names = {str(name) for name in given.ravel()}
        if not names <= set(ENDED):
            raise CurvesError(
                f"ended has {', '.join(sorted(names - set(ENDED)))}: allowed: {', '.join(ENDED)}"
            )
        given = np.vectorize(lambda name: ENDED.index(str(name)), otypes=[np.uint8])(given)
    if given.dtype.kind not in "iu" or given.min() < 0 or given.max() >= len(ENDED):
        raise CurvesError(f"ended is {shown(ended)}: it must be 0 to {len(ENDED) - 1}, or {', '.join(ENDED)}")
    short = (given == _COMPLETE) & (length < shape[2])
    if short.any():
        arm, row = (int(index) for index in np.argwhere(short)[0])
        raise CurvesError(
            f"the curve of arm {arm}, configuration {row} is complete, and has {length[arm, row]} of "
            f"{shape[2]} units: give length where it diverged in its last units, or say how it ended"
        )
    return given.astype(np.uint8)


def _seconds(given: ArrayLike, shape: tuple[int, ...], beyond: NDArray[np.bool_]) -> Floats:
    found = np.where(beyond, 0.0, _like("seconds", given, shape))
    wrong = ~(np.isfinite(found) & (found >= 0))
    if wrong.any():
        arm, row, unit = (int(index) for index in np.argwhere(wrong)[0])
        raise CurvesError(
            f"seconds of arm {arm}, configuration {row}, unit {unit} is {found[arm, row, unit]:g}: each must "
            "be a finite number of at least 0, of this unit alone (numpy.diff makes them of cumulative ones)"
        )
    return found


def _warm(name: str, given: ArrayLike | None, shape: tuple[int, ...]) -> Floats:
    if given is None:
        return np.zeros(shape[:2])
    found = _for_each(name, _numbers(name, given), shape[:2])
    if (found < 0).any() or (name == "warm_seconds" and not np.isfinite(found).all()):
        raise CurvesError(f"{name} must be finite numbers of at least 0, one for each arm and configuration")
    return found


def _for_each(name: str, given: ArrayLike, shape: tuple[int, ...]) -> NDArray[Any]:
    """An array for each arm and configuration, (A, N)."""
    try:
        return np.broadcast_to(np.array(given), shape).copy()
    except ValueError:
        raise CurvesError(
            f"{name} is {shown(given)}: it must be one for each arm and configuration, {shape}"
        ) from None


def _place(key: tuple[int, int], shape: tuple[int, ...], name: str) -> tuple[int, int]:
    try:
        arm, row = (int(part) for part in key)
    except (TypeError, ValueError):
        raise CurvesError(f"{name} has {shown(key)}: it must be (arm, row)") from None
    if not (0 <= arm < shape[0] and 0 <= row < shape[1]):
        raise CurvesError(f"{name} has {key}: it must be (arm, row), below ({shape[0]}, {shape[1]})")
    return arm, row


def _source(source: Mapping[str, Any] | None) -> dict[str, Any]:
    try:
        told: dict[str, Any] = json.loads(json.dumps(dict(source or {})))
    except (TypeError, ValueError) as error:
        raise CurvesError(f"source is {shown(source)}, which JSON cannot hold: {error}") from None
    return told
