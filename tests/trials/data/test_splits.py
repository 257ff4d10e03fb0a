"""Splits by class and label noise: their laws, and that the split is the one of earlier versions."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import chisquare
from sklearn.model_selection import train_test_split

from asha_core.errors import AshaError, SettingError, TaskError
from trials.data.image_files import read
from trials.data.splits import stratified_split, symmetric_noise

SHARES = st.floats(0, 1, exclude_max=True)
SEEDS = st.integers(0, 2**32 - 1)


def before(labels: NDArray[np.int64], subset: float) -> tuple[list[int], list[int]]:
    """The split of CIFAR-10 as version 0.1's task made it."""
    rows = list(range(len(labels)))
    if subset < 1:
        rows, _ = train_test_split(rows, train_size=subset, stratify=labels.tolist(), random_state=0)
    train, valid = train_test_split(rows, test_size=0.1, stratify=labels[rows].tolist(), random_state=0)
    return train, valid


def balanced(classes: int, each: int) -> NDArray[np.int64]:
    return np.random.default_rng(1).permutation(np.repeat(np.arange(classes), each))


@pytest.mark.parametrize("subset", [1.0, 0.02, 0.3])
def test_cifars_split_is_the_one_of_earlier_results(cifar_dir: Path, subset: float) -> None:
    _, labels = read("cifar10", cifar_dir, "train")
    train, valid = stratified_split(labels, 0.1, subset, 0)
    assert (train.tolist(), valid.tolist()) == before(labels, subset)
    assert (len(train), len(valid)) == (45_000 * subset, 5_000 * subset)
    assert train.dtype == valid.dtype == np.int64


def test_fashion_mnist_is_split_54000_to_6000(fashion_dir: Path) -> None:
    _, labels = read("fashion-mnist", fashion_dir, "train")
    train, valid = stratified_split(labels, 0.1, 1.0, 0)
    assert np.bincount(labels[train]).tolist() == [5400] * 10
    assert np.bincount(labels[valid]).tolist() == [600] * 10


@pytest.mark.parametrize("subset", [1.0, 0.5, 0.037])
def test_any_labels_are_split_as_before(subset: float) -> None:
    labels = np.random.default_rng(0).choice(7, 9000, p=np.arange(1, 8) / 28)
    train, valid = stratified_split(labels, 0.1, subset, 0)
    assert (train.tolist(), valid.tolist()) == before(labels, subset)


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=6),
    st.floats(0.02, 0.98),
    st.floats(0, 1, exclude_min=True),
    SEEDS,
)
@example([500, 10], 0.1, 1.0, 0)
@example([11, 10], 0.1, 20 / 21, 0)
def test_a_split_is_disjoint_and_has_every_class_on_both_sides_or_is_refused(
    counts: list[int], validation: float, subset: float, seed: int
) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    try:
        train, valid = stratified_split(labels, validation, subset, seed)
    except AshaError:
        return
    assert len(set(train) | set(valid)) == len(train) + len(valid) == int(subset * len(labels))
    assert set(labels[train]) == set(labels[valid]) == set(labels)


@pytest.mark.long
@given(st.lists(st.integers(10, 3000), min_size=2, max_size=6), st.floats(1e-5, 0.5), SEEDS)
def test_the_subset_that_an_error_advises_is_enough(counts: list[int], subset: float, seed: int) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    try:
        stratified_split(labels, 0.1, subset, seed)
        assume(False)
    except SettingError:
        assume(False)
    except TaskError as error:
        advised = re.search(r"use a subset of (\S+) or more", str(error))
    assert advised
    stratified_split(labels, 0.1, float(advised[1]), seed)


def test_a_subset_too_small_names_a_class_and_what_would_do() -> None:
    with pytest.raises(
        TaskError,
        match=r"subset is 0\.01: that leaves class \d+ with 5 examples, and at least 10 are needed, .*"
        r"use a subset of 0\.02 or more",
    ):
        stratified_split(balanced(100, 500), 0.1, 0.01, 0)
    with pytest.raises(TaskError, match=r"with 0 examples.* use a subset of 0\.002 or more"):
        stratified_split(balanced(10, 5000), 0.1, 0.0001, 0)
    train, valid = stratified_split(balanced(10, 5000), 0.1, 0.002, 0)
    assert (len(train), len(valid)) == (90, 10)


@pytest.mark.parametrize("subset", [1.0, 0.5])
def test_a_rare_class_is_named(subset: float) -> None:
    labels = np.array([0] * 50 + [4] * 3 + [7] * 50)
    with pytest.raises(
        TaskError, match=r"class 4 has 3 examples, and at least 10 are needed.*leave the class out"
    ):
        stratified_split(labels, 0.1, subset, 0)


def test_a_split_of_nothing_is_refused() -> None:
    with pytest.raises(TaskError, match="the data set has 0 examples"):
        stratified_split([], 0.1, 1.0, 0)


@pytest.mark.parametrize("subset", [0, -0.1, 1.01, float("nan")])
def test_a_subset_out_of_range_is_refused(subset: float) -> None:
    with pytest.raises(SettingError, match=r"subset is .* above 0 and at most 1"):
        stratified_split(balanced(10, 100), 0.1, subset, 0)


def test_a_subset_that_leaves_out_less_than_a_class_each_is_refused() -> None:
    with pytest.raises(SettingError, match=r"leaves out 1 of 1000 examples.*use 1, or a little less"):
        stratified_split(balanced(10, 100), 0.1, 0.9999, 0)


@pytest.mark.parametrize("validation", [0, 1, -0.1, float("nan")])
def test_a_validation_share_out_of_range_is_refused(validation: float) -> None:
    with pytest.raises(SettingError, match="validation is"):
        stratified_split(balanced(10, 100), validation, 1.0, 0)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_out_of_range_is_refused(seed: int) -> None:
    with pytest.raises(SettingError, match="seed is"):
        stratified_split(balanced(10, 100), 0.1, 1.0, seed)
    with pytest.raises(SettingError, match="seed is"):
        symmetric_noise([0, 1], 0.5, 2, seed)


@st.composite
def labelled(draw: st.DrawFn) -> tuple[list[int], int]:
    classes = draw(st.integers(2, 12))
    return draw(st.lists(st.integers(0, classes - 1), max_size=80)), classes


@given(labelled(), SHARES, SEEDS)
def test_noise_changes_exactly_its_share_and_always_to_another_class(
    case: tuple[list[int], int], share: float, seed: int
) -> None:
    labels, classes = case
    noisy = symmetric_noise(labels, share, classes, seed)
    assert int((noisy != np.array(labels, dtype=np.int64)).sum()) == round(share * len(labels))
    assert noisy.shape == (len(labels),)
    assert all(0 <= label < classes for label in noisy)


@given(labelled(), SHARES, SHARES, SEEDS)
def test_more_noise_makes_the_same_labels_wrong_in_the_same_way_and_others(
    case: tuple[list[int], int], one: float, other: float, seed: int
) -> None:
    labels, classes = case
    less, more = (symmetric_noise(labels, share, classes, seed) for share in sorted((one, other)))
    wrong = less != np.array(labels, dtype=np.int64)
    assert np.array_equal(less[wrong], more[wrong])


@given(labelled(), SHARES, SEEDS)
def test_noise_depends_on_the_seed_alone(case: tuple[list[int], int], share: float, seed: int) -> None:
    labels, classes = case
    given_labels = np.array(labels, dtype=np.int64)
    before_call = str(np.random.get_state())
    first = symmetric_noise(given_labels, share, classes, seed)
    assert str(np.random.get_state()) == before_call
    np.random.random(3)
    assert np.array_equal(first, symmetric_noise(given_labels, share, classes, seed))
    assert given_labels.tolist() == labels  # left as they were
    assert np.array_equal(symmetric_noise(labels, 0, classes, seed), given_labels)


def test_seeds_make_different_noise() -> None:
    labels = balanced(10, 100)
    assert not np.array_equal(symmetric_noise(labels, 0.4, 10, 0), symmetric_noise(labels, 0.4, 10, 1))


def test_noise_is_uniform_over_the_other_classes_and_over_the_rows() -> None:
    classes, each = 10, 5000
    labels = np.repeat(np.arange(classes), each)
    noisy = symmetric_noise(labels, 0.4, classes, 0)
    moves = np.histogram2d(labels, noisy, bins=classes)[0]
    others = moves[~np.eye(classes, dtype=bool)]  # 90 cells of about 222
    assert chisquare(others).pvalue > 0.001
    wrong_by_row = (noisy != labels).reshape(100, -1).sum(1)  # 100 stretches of 500 rows
    assert chisquare(wrong_by_row).pvalue > 0.001


def test_noise_stays_the_same_in_every_version() -> None:
    # recorded with numpy 2: runs with noise can be compared only as long as it does not move
    wanted = [0, 2, 3, 2, 4, 0, 1, 2, 0, 4, 0, 0, 2, 0, 4, 1, 1, 1, 1, 0]
    assert symmetric_noise(np.arange(20) % 5, 0.5, 5, 0).tolist() == wanted


@pytest.mark.parametrize("share", [1, -0.1, 1.5, float("nan")])
def test_a_share_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(SettingError, match=r"share of wrong labels is .* at least 0 and below 1"):
        symmetric_noise([0, 1], share, 2, 0)


def test_noise_needs_another_class_and_labels_of_the_classes() -> None:
    with pytest.raises(SettingError, match="at least 2"):
        symmetric_noise([0, 0], 0.5, 1, 0)
    for wrong in ([0, 10], [-1, 3]):
        with pytest.raises(TaskError, match=r"labels go from .* must be 0 to 9"):
            symmetric_noise(wrong, 0.5, 10, 0)
