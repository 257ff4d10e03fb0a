"""Published tables, as tests and benchmarks read them: what their files have, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from asha_core import RandomSearch
from asha_core.simulation.curves import Curves
from benchmarks.published_curves import cifar10_cnn, lcbench, lcbench_tasks, mnist_grid


def raw(path: Path) -> dict[str, np.ndarray]:
    if not path.exists():
        pytest.skip(f"no {path.name} in {path.parent}")
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def check_seconds(curves: Curves, cumulative: np.ndarray) -> None:
    """Each unit's own seconds are none below 0, and add up to the file's, made to grow."""
    assert curves.seconds is not None
    assert (curves.seconds >= 0).all()
    summed = curves.seconds[0].cumsum(axis=-1)
    assert (np.diff(summed, axis=-1) >= 0).all()
    np.testing.assert_allclose(summed[:, -1], cumulative.max(axis=-1), rtol=1e-9)
    assert (summed >= cumulative - 1e-9).all()


def test_networks_on_cifar_10(data: Path) -> None:
    file = raw(data / "lc_cifar10_cnn" / "cifar10_cnn3.npz")
    curves = cifar10_cnn(data)
    assert (len(curves), curves.units, curves.mode) == (265, tuple(range(1, 41)), "min")
    np.testing.assert_array_equal(curves.value[0], file["valid_error"])
    points = [list(configuration.values()) for configuration in curves.configurations]
    np.testing.assert_array_equal(points, file["X"])
    check_seconds(curves, file["time"])


def test_lcbench_by_the_task_s_name(data: Path) -> None:
    file = raw(data / "lc_lcbench_surrogate" / "lcbench_surrogate.npz")
    names = lcbench_tasks(data)
    assert len(names) == 12
    place = names.index("volkert")
    curves = lcbench(data, "volkert")
    assert (len(curves), curves.units[-1], curves.mode) == (2000, 52, "max")
    np.testing.assert_allclose(curves.value[0] * 10_000, file["valid_accuracy"][place], rtol=1e-12)
    assert (np.diff(file["time"][place].astype(float), axis=-1) < 0).any()  # they are not quite monotone
    check_seconds(curves, file["time"][place].astype(float))
    with pytest.raises(ValueError, match="helena"):
        lcbench(data, "iris")


def test_every_configuration_that_is_drawn_from_the_grid_s_space_is_in_the_table(data: Path) -> None:
    file = raw(data / "lc_mnist_grid" / "mnist_grid.npz")
    curves = mnist_grid(data)
    assert (len(curves), curves.units, curves.mode) == (256, (1, 2, 4, 8, 16), "min")
    drawn = {curves.row_of(RandomSearch(curves.space, 0).propose(index)) for index in range(100)}
    assert None not in drawn
    assert len(drawn) > 70
    np.testing.assert_array_equal(curves.value[0], file["test_error"][:, 4])
    check_seconds(curves, file["train_time"][:, 4] + file["test_time"][:, 4].cumsum(axis=-1))
    small = mnist_grid(data, 1 / 16)
    np.testing.assert_array_equal(small.value[0], file["test_error"][:, 0])
