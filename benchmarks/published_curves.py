"""Published learning curves as tables: what tests and benchmarks let schedulers meet in virtual time.

The product names none of them. Their folders are those of the real data sets (``ASHA_TEST_DATA``, or
``shared/data`` beside the checkout); where each is from, and under which licence, its SOURCE.txt says.

    from benchmarks.published_curves import cifar10_cnn, lcbench, mnist_grid

    table = lcbench(folder, "helena")      # 2,000 configurations x 52 epochs
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asha_core import Choice, Float, Int, SearchSpace
from asha_core.simulation.curves import Curves

Arrays = dict[str, NDArray[Any]]


def cifar10_cnn(folder: Path) -> Curves:
    """265 convolutional networks of three layers on CIFAR-10, 40 epochs: the error, to be minimised.

    Real curves with real seconds (Klein et al. 2017, ICLR). Batch size and units are real numbers as stored.
    """
    arrays = _arrays(folder / "lc_cifar10_cnn" / "cifar10_cnn3.npz")
    space = _space(arrays, whole=False)
    return Curves.from_arrays(
        space,
        _configurations(space, arrays["X"]),
        arrays["valid_error"],
        seconds=_each(arrays["time"]),
        mode="min",
        metric="error",
        source={"table": "lc_cifar10_cnn"},
    )


def lcbench(folder: Path, task: str) -> Curves:
    """LCBench as its surrogate has it: 2,000 multi-layer perceptrons on one task, 52 epochs: the accuracy.

    Smooth curves without noise (YAHPO Gym's network, fitted to Zimmer, Lindauer and Hutter 2021). Its
    cumulative seconds are made to grow.

    Args:
        task: one of the file's, such as "helena" (``lcbench_tasks``).
    """
    arrays = _arrays(folder / "lc_lcbench_surrogate" / "lcbench_surrogate.npz")
    space = _space(arrays)
    names = _names(arrays["tasks"])
    if task not in names:
        raise ValueError(f"task {task!r}: the table has {', '.join(names)}")
    place = names.index(task)
    return Curves.from_arrays(
        space,
        _configurations(space, arrays["X"]),
        arrays["valid_accuracy"][place].astype(float) / 10_000,
        seconds=_each(arrays["time"][place].astype(float)),
        metric="accuracy",
        source={"table": "lc_lcbench_surrogate", "task": task},
    )


def lcbench_tasks(folder: Path) -> list[str]:
    """The names of its twelve tasks."""
    return _names(_arrays(folder / "lc_lcbench_surrogate" / "lcbench_surrogate.npz")["tasks"])


def mnist_grid(folder: Path, share: float = 1.0) -> Curves:
    """A grid of 256 configurations on MNIST, at 1, 2, 4, 8 and 16 epochs: the error, to be minimised.

    Real curves with real seconds, evaluation included (HyperJump, Mendes et al. 2021).

    Args:
        share: of the training data: 1, 1/2, 1/4, 1/8 or 1/16.
    """
    arrays = _arrays(folder / "lc_mnist_grid" / "mnist_grid.npz")
    sizes = arrays["size"].tolist()
    if share not in sizes:
        raise ValueError(f"share {share}: the table has {', '.join(map(str, sizes))}")
    place = sizes.index(share)
    names, points = _names(arrays["names"]), arrays["X"]
    whole = dict(zip(names, arrays["integer"].tolist(), strict=True))
    options = {
        name: [int(value) if whole[name] else float(value) for value in np.unique(points[:, column])]
        for column, name in enumerate(names)
    }
    space = SearchSpace({name: Choice(values) for name, values in options.items()})
    return Curves.from_arrays(
        space,
        _configurations(space, points, whole),
        arrays["test_error"][:, place],
        seconds=_each(arrays["train_time"][:, place]) + arrays["test_time"][:, place],
        units=arrays["epoch"].tolist(),
        mode="min",
        metric="error",
        source={"table": "lc_mnist_grid", "share": share},
    )


def _arrays(path: Path) -> Arrays:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _names(array: NDArray[Any]) -> list[str]:
    return [name.decode() for name in array.tolist()]


def _space(arrays: Arrays, *, whole: bool = True) -> SearchSpace:
    """The search space of a file; ``whole``: its whole numbers are such."""
    columns = (arrays[key].tolist() for key in ("lower", "upper", "log", "integer"))
    dimensions: dict[str, Float | Int] = {}
    for name, lower, upper, log, integer in zip(_names(arrays["names"]), *columns, strict=True):
        if whole and integer:
            dimensions[name] = Int(int(lower), int(upper), log=log)
        else:
            dimensions[name] = Float(lower, upper, log=log)
    return SearchSpace(dimensions)


def _configurations(
    space: SearchSpace, points: NDArray[Any], whole: dict[str, bool] | None = None
) -> list[dict[str, float]]:
    integer = whole or {name: isinstance(dimension, Int) for name, dimension in space.items()}
    return [
        {name: int(value) if integer[name] else value for name, value in zip(space, row, strict=True)}
        for row in points.tolist()
    ]


def _each(cumulative: NDArray[Any]) -> NDArray[Any]:
    """(N, U) seconds of each unit from cumulative ones, which are made to grow."""
    grown: NDArray[Any] = np.maximum.accumulate(cumulative, axis=-1)
    return np.diff(grown, axis=-1, prepend=0.0)


def lcbench_description(folder: Path, task: str) -> dict[str, Any]:
    """How the surrogate behind ``lcbench`` is asked, for ``OnnxCurves``; its accuracies are in per cent."""
    place = folder / "lc_lcbench_surrogate"
    arrays = _arrays(place / "lcbench_surrogate.npz")
    number = str(arrays["openml_task"][_names(arrays["tasks"]).index(task)])
    names = ["batch_size", "learning_rate", "momentum", "weight_decay", "num_layers", "max_units"]
    measures = ["val_accuracy", "val_cross_entropy", "val_balanced_accuracy", "test_cross_entropy"]
    return {
        "model": str(place / "model.onnx"),
        "space": _space(arrays).to_dict(),
        "inputs": {"x_cat": ["OpenML_task_id"], "x_cont": ["epoch", *names, "max_dropout"]},
        "outputs": {"output": ["time", *measures, "test_balanced_accuracy"]},
        "fidelity": "epoch",
        "units": 52,
        "metric": "val_accuracy",
        "codes": json.loads((place / "encoding.json").read_text()),
        "fixed": {"OpenML_task_id": number},
        "seconds": "time",
    }
