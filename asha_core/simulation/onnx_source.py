"""Learning curves from a model: an ONNX surrogate, which answers for any configuration.

A JSON file says how it is asked (docs/reference/curves-file.md has the form); onnxruntime, the extra
``onnx``, runs it. A surrogate knows neither noise nor warm starts, so there is one arm.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asha_core.arguments import integer, one_of, text
from asha_core.errors import AshaError, CurvesError, SettingError
from asha_core.extras import needed
from asha_core.messages import Job
from asha_core.searchers.base import Searcher
from asha_core.searchers.random_search import RandomSearch
from asha_core.simulation.curve import Curve
from asha_core.simulation.curves import Curves
from asha_core.simulation.plain_space import plain_space
from asha_core.space import Configuration

ARM = "baseline"
_TYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
}
_NEEDED = ("model", "space", "inputs", "outputs", "fidelity", "units", "metric")
_OTHERS = ("codes", "fixed", "absent", "mode", "unit", "seconds", "cumulative", "metrics")


class OnnxCurves:
    """A surrogate as a source of curves.

    Args:
        path: of its description, a JSON file.
    Raises:
        CurvesError: the description or the model cannot be read, or do not fit each other; says in what.
        SettingError: onnxruntime is not installed.

    Attributes: as ``CurveSource`` has them.
    """

    arms: tuple[str, ...] = (ARM,)

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        told = _description(self.path)
        try:
            self._read(told)
        except CurvesError:
            raise
        except (AshaError, TypeError, ValueError, KeyError, AttributeError) as error:
            raise CurvesError(f"{self.path}: {error}") from None
        self._told = {key: value for key, value in told.items() if key != "model"}
        self._model = self.path.parent / str(told["model"])
        self._session = _session(self._model)
        self._check_model()
        self._curves: dict[Configuration, Curve] = {}

    @property
    def digest(self) -> str:
        """Sixteen letters that tell these curves from others: of the description, and of the model."""
        found = blake2b(json.dumps(self._told, sort_keys=True).encode(), digest_size=8)
        found.update(self._model.read_bytes())
        return found.hexdigest()

    def _read(self, told: Mapping[str, Any]) -> None:
        self.space = plain_space(told["space"])
        self.metric = text("metric", told["metric"])
        self.mode = one_of("mode", told.get("mode", "max"), ("max", "min"))
        self.unit = text("unit", told.get("unit", "epoch"))
        units = told["units"]
        units = range(1, integer("units", units, 1) + 1) if not isinstance(units, list) else units
        self.units = tuple(integer("a unit", unit, 1) for unit in units)
        if not self.units or any(now <= before for before, now in pairwise(self.units)):
            raise CurvesError(f"{self.path}: units are {list(units)}: they must grow")
        self._fidelity = text("fidelity", told["fidelity"])
        self._inputs = {str(name): _names(columns, "inputs") for name, columns in told["inputs"].items()}
        self._outputs = {str(name): _names(columns, "outputs") for name, columns in told["outputs"].items()}
        self._codes = {name: dict(codes) for name, codes in told.get("codes", {}).items()}
        self._fixed, self._absent = dict(told.get("fixed", {})), dict(told.get("absent", {}))
        self._seconds = None if told.get("seconds") is None else text("seconds", told["seconds"])
        self._cumulative = bool(told.get("cumulative", True))
        self._metrics = _names(told.get("metrics", []), "metrics")
        self.timed = self._seconds is not None
        self._check_names()

    def _check_names(self) -> None:
        """Every input has a value, and everything that is read is put out."""
        known = {self._fidelity, *self._fixed, *self.space}
        asked = [name for columns in self._inputs.values() for name in columns]
        for name in asked:
            if name not in known:
                raise CurvesError(
                    f"{self.path}: the model's input {name!r} is no dimension of the space, not the fidelity "
                    "and not fixed: say what it is"
                )
        given = [name for columns in self._outputs.values() for name in columns]
        for name in [self.metric, *([self._seconds] if self._seconds else []), *self._metrics]:
            if name not in given:
                raise CurvesError(f"{self.path}: no output is called {name!r}: there are {', '.join(given)}")

    def _check_model(self) -> None:
        """The model's inputs and outputs are those that the description names."""
        for kind, told, there in (
            ("input", self._inputs, self._session.get_inputs()),
            ("output", self._outputs, self._session.get_outputs()),
        ):
            names = {each.name: each.shape[-1] for each in there}
            if set(told) - set(names) or (kind == "input" and set(names) - set(told)):
                raise CurvesError(
                    f"{self.path}: {kind}s are {', '.join(told)}, and the model has {', '.join(names)}"
                )
            for name, columns in told.items():
                if isinstance(names[name], int) and names[name] != len(columns):
                    raise CurvesError(
                        f"{self.path}: the model's {kind} {name} has {names[name]} columns, and "
                        f"{len(columns)} are named"
                    )
        self._types = {}
        for each in self._session.get_inputs():
            if each.type not in _TYPES:
                raise CurvesError(f"{self.path}: the model's input {each.name} is a {each.type}, no number")
            self._types[each.name] = _TYPES[each.type]

    # -- curves ------------------------------------------------------------------------------------

    def searcher(self, seed: int) -> Searcher:
        """Random draws from the space."""
        return RandomSearch(self.space, seed)

    def finder(self, arm: str, searcher: Searcher) -> OnnxFinder:
        """What finds the curves of one search's trials."""
        one_of("arm", arm, self.arms)
        return OnnxFinder(self)

    def curve(self, configuration: Configuration) -> Curve:
        """What the model says of a configuration, at all units; asked once.

        Raises:
            CurvesError: it lacks what the model needs.
        """
        curve = self._curves.get(configuration)
        if curve is None:
            curve = self._curves[configuration] = self._asked(configuration)
        return curve

    def _asked(self, configuration: Configuration) -> Curve:
        feed = {
            name: np.stack([self._column(column, configuration) for column in columns], axis=1).astype(
                self._types[name]
            )
            for name, columns in self._inputs.items()
        }
        answers = self._session.run(list(self._outputs), feed)
        found: dict[str, NDArray[np.float64]] = {}
        for (name, columns), answer in zip(self._outputs.items(), answers, strict=True):
            rows = np.asarray(answer, dtype=np.float64).reshape(len(self.units), -1)
            if rows.shape[1] != len(columns):
                raise CurvesError(f"{self.path}: the model's output {name} has {rows.shape[1]} columns")
            found |= {column: rows[:, place] for place, column in enumerate(columns)}
        return Curve(
            self.units,
            found[self.metric].tolist(),
            self._each(found),
            metrics={name: found[name].tolist() for name in self._metrics},
        )

    def _column(self, name: str, configuration: Configuration) -> NDArray[np.float64]:
        """(U,) of one input."""
        if name == self._fidelity:
            return np.array(self.units, dtype=np.float64)
        value = (
            configuration[name] if name in configuration else self._fixed.get(name, self._absent.get(name))
        )
        if name in self._codes:
            code = self._codes[name].get(str(value))
            if code is None:
                known = ", ".join(self._codes[name])
                raise CurvesError(f"{self.path}: {name} is {value!r}, which has no code; codes: {known}")
            value = code
        if isinstance(value, str) or value is None:
            raise CurvesError(
                f"{self.path}: {name} is {value!r}: give codes for it"
                + (", or under absent what the model takes where it does not exist" if value is None else "")
            )
        return np.full(len(self.units), float(value))

    def _each(self, found: Mapping[str, NDArray[np.float64]]) -> list[float]:
        """Seconds of each unit, from the one before; made to grow where the model's do not."""
        if self._seconds is None:
            return np.diff(self.units, prepend=0).astype(float).tolist()
        seconds = np.maximum(found[self._seconds], 0.0)
        if self._cumulative:
            seconds = np.diff(np.maximum.accumulate(seconds), prepend=0.0)
        told: list[float] = seconds.tolist()
        return told

    def table(self, configurations: int, seed: int = 0, *, source: Mapping[str, Any] | None = None) -> Curves:
        """A table of configurations that are drawn at random.

        Args:
            configurations: how many.
            source: more of how it is made, as JSON can hold it.
        """
        count, searcher = integer("configurations", configurations, 1), self.searcher(seed)
        drawn = [searcher.propose(index) for index in range(count)]
        curves = [self.curve(each) for each in drawn]
        return Curves.from_arrays(
            self.space,
            drawn,
            [curve.values for curve in curves],
            seconds=[curve.seconds for curve in curves] if self.timed else None,
            units=self.units,
            mode=self.mode,
            metric=self.metric,
            unit=self.unit,
            metrics={name: [curve.metrics[name] for curve in curves] for name in self._metrics},
            length=len(self.units),
            source={"model": self.path.name, "seeds": [seed], "fixed": self._fixed, **(source or {})},
        )


class OnnxFinder:
    """Finds the curves of one search's trials; none is answered by another configuration."""

    nearest = 0

    def __init__(self, source: OnnxCurves) -> None:
        self._source = source

    def __call__(self, job: Job) -> Curve:
        """The curve of the job's trial."""
        return self._source.curve(job.configuration)


def _description(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CurvesError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise CurvesError(f"{path} is no description of a surrogate: {error}") from None
    if not isinstance(told, dict):
        raise CurvesError(f"{path} is no description of a surrogate: it holds a {type(told).__name__}")
    missing = [key for key in _NEEDED if key not in told]
    unknown = [key for key in told if key not in (*_NEEDED, *_OTHERS)]
    if missing or unknown:
        wrong = f"lacks {', '.join(missing)}" if missing else f"has {', '.join(unknown)}"
        raise CurvesError(f"{path} {wrong}: it must have {', '.join(_NEEDED)}, and may {', '.join(_OTHERS)}")
    return told


def _names(columns: Any, what: str) -> Sequence[str]:
    if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
        raise ValueError(f"{what} has {columns!r}: give a list of names, one a column")
    return columns


def _session(model: Path) -> Any:
    """The model, on one thread: so it says the same each time, and is fastest for a few rows."""
    needed("onnx", "onnxruntime", what=str(model), error=SettingError)
    if not model.is_file():
        raise CurvesError(f"there is no model {model}")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions are of classes that are no part of its interface
        why = " ".join(str(error).split())[:200]
        raise CurvesError(f"{model} is no ONNX model, or is damaged: {why}") from None
