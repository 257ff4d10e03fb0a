"""A source of curves by its file: a table, or a model."""

from __future__ import annotations

from pathlib import Path

from asha_core.simulation.curve import CurveSource
from asha_core.simulation.curves import Curves
from asha_core.simulation.onnx_source import OnnxCurves


def load_source(path: str | Path) -> CurveSource:
    """What a file has: a table of curves, or, if its name ends in .json, a surrogate's description.

    Raises:
        CurvesError: there is no such file, it is neither, or it is damaged.
        SettingError: a library that runs the surrogate is not installed.
    """
    if Path(path).suffix == ".json":
        return OnnxCurves(path)
    return Curves.load(path)
