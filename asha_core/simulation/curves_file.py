"""Tables of curves as files: .npz, without pickles. docs/reference/curves-file.md has the form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from asha_core.errors import CurvesError
from asha_core.runtime.storage.atomic import whole
from asha_core.simulation.plain_space import plain_space
from asha_core.simulation.table_parts import table_parts
from asha_core.space import stored

FORMAT = "asha-curves 1"
_METRIC = "metrics."


def write_parts(path: Path, parts: Mapping[str, Any]) -> None:
    """Write the fields of a ``Curves``, whole or not at all.

    Raises:
        CurvesError: it cannot be written.
    """
    arrays: dict[str, Any] = {
        "format": FORMAT,
        "arms": np.array(parts["arms"]),
        "units": np.array(parts["units"], dtype=np.int64),
        "configurations": np.array([_json(stored(each)) for each in parts["configurations"]]),
        **{name: parts[name] for name in ("metric", "mode", "unit", "value", "length", "ended")},
        **{name: parts[name] for name in ("warm_seconds", "warm_batches")},
        "space": _json(parts["space"].to_dict()),
        "source": _json(parts["source"]),
        "why": _json([[*key, words] for key, words in sorted(parts["why"].items())]),
        "refined": _json([[*key, stored(each)] for key, each in sorted(parts["refined"].items(), key=_key)]),
        **{_METRIC + name: values for name, values in parts["metrics"].items()},
    }
    if parts["seconds"] is not None:
        arrays["seconds"] = parts["seconds"]
    try:
        with whole(path, "wb") as file:
            np.savez_compressed(file, **arrays)
    except OSError as error:
        raise CurvesError(f"{path} cannot be written: {error.strerror or error}") from None


def read_parts(path: Path) -> dict[str, Any]:
    """The fields of a ``Curves`` from a file.

    Raises:
        CurvesError: there is no such file, or it is none of these, or damaged.
    """
    try:
        with path.open("rb") as raw, _archive(raw) as file:
            ours = "format" in file and str(file["format"]) == FORMAT
            found = {name: file[name] for name in file.files} if ours else {}
        parts = _parts(found) if ours else None
    except FileNotFoundError:
        raise CurvesError(f"there is no file {path}") from None
    except OSError as error:
        raise CurvesError(f"{path} cannot be read: {error.strerror or error}") from None
    except Exception as error:  # whatever numpy, zipfile and zlib make of any bytes
        why = " ".join((str(error) or type(error).__name__).split())
        raise CurvesError(f"{path} is no table of curves, or is damaged: {why}") from None
    if parts is None:
        raise CurvesError(
            f"{path} is no table of curves ({FORMAT}): make one with asha-curves, or with "
            "Curves.from_arrays(...).save(path)"
        )
    return parts


def _archive(raw: BinaryIO) -> Any:
    """The arrays; numpy takes any other file for a pickle, and says how to load it all the same."""
    if raw.read(2) != b"PK":
        raise ValueError("it is no archive of arrays (.npz)")
    raw.seek(0)
    return np.load(raw, allow_pickle=False)


def _parts(found: Mapping[str, Any]) -> dict[str, Any]:
    space = plain_space(json.loads(str(found["space"])))
    return table_parts(
        space,
        [space.restored(json.loads(str(each))) for each in found["configurations"]],
        found["value"],
        seconds=found.get("seconds"),
        units=found["units"].tolist(),
        arms=[str(arm) for arm in found["arms"]],
        mode=str(found["mode"]),
        metric=str(found["metric"]),
        unit=str(found["unit"]),
        metrics={
            name.removeprefix(_METRIC): values for name, values in found.items() if name.startswith(_METRIC)
        },
        refined={(arm, row): space.restored(each) for arm, row, each in json.loads(str(found["refined"]))},
        warm_seconds=found["warm_seconds"],
        warm_batches=found["warm_batches"],
        length=found["length"],
        ended=found["ended"],
        why={(arm, row): words for arm, row, words in json.loads(str(found["why"]))},
        source=json.loads(str(found["source"])),
    )


def _key(item: tuple[tuple[int, int], Any]) -> tuple[int, int]:
    return item[0]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
