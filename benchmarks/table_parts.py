"""Parts of published tables: fewer units, some of the rows, other seconds; and where the tables lie."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asha_core import Curves
from benchmarks.published_curves import cifar10_cnn, lcbench, lcbench_tasks

Floats = NDArray[np.float64]
CIFAR, LCBENCH = "CNN on CIFAR-10", "LCBench surrogate"


def data_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--data``."""
    known = os.environ.get("ASHA_TEST_DATA")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(known) if known else None,
        required=known is None,
        help="has lc_lcbench_surrogate/ and lc_cifar10_cnn/; ASHA_TEST_DATA by default",
    )


def lcbench_tables(data: Path, tasks: Sequence[str] = ()) -> Iterator[tuple[str, Curves]]:
    """LCBench's tasks by name, all of them by default."""
    for task in tasks or lcbench_tasks(data):
        yield task, lcbench(data, task)


def cifar_table(data: Path) -> Curves:
    """The convolutional networks."""
    return cifar10_cnn(data)


def gains(curves: Curves) -> Floats:
    """(N, U), larger is better, whatever the mode."""
    return curves.value[0] if curves.mode == "max" else -curves.value[0]


def part(
    curves: Curves,
    units: int,
    *,
    rows: NDArray[np.int_] | None = None,
    seconds: Floats | None = None,
    arms: Sequence[str] = ("baseline",),
    timed: bool = True,
) -> Curves:
    """The first ``units`` of each curve of ``rows`` (all), with the same values in all arms.

    Args:
        seconds: of each unit, (rows, units) or (arms, rows, units), if they are other than recorded.
        timed: without seconds, if not: a unit takes 1.
    """
    rows = np.arange(len(curves)) if rows is None else rows
    shape = (len(arms), len(rows), units)
    if seconds is None and timed:
        assert curves.seconds is not None
        seconds = curves.seconds[0][rows, :units]
    return Curves.from_arrays(
        curves.space,
        [curves.configurations[row] for row in rows],
        np.broadcast_to(curves.value[0][rows, :units], shape),
        seconds=None if seconds is None else np.broadcast_to(seconds, shape),
        arms=arms,
        mode=curves.mode,
        metric=curves.metric,
        source=curves.source,
    )
