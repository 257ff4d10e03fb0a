"""Which images are trained on and which are held out, and labels made wrong on purpose.

Both depend on the labels and a seed alone, not on any global random state.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from asha_core.arguments import integer, number
from asha_core.errors import SettingError, TaskError
from asha_core.runtime.units import counted

Rows = NDArray[np.int64]
_LARGEST_SEED = 2**32 - 1


def stratified_split(labels: ArrayLike, validation: float, subset: float, seed: int) -> tuple[Rows, Rows]:
    """Draw a subset, then split it into training and validation; each class keeps its share in both draws.

    Args:
        labels: (N,) integers.
        validation: share of the subset that is held out, in (0, 1).
        subset: share of the N examples that is used at all, in (0, 1].
        seed: of both draws, 0 to 2**32 - 1.
    Returns:
        Rows for training and rows for validation: int64, shuffled, without a row in common. Every class is
        in both.
    Raises:
        TaskError: a class has too few examples for that.
        SettingError: an argument is out of its range.
    """
    from sklearn.model_selection import train_test_split

    number("validation", validation, above=0, below=1)
    seed = integer("seed", seed, 0, _LARGEST_SEED)
    need = math.ceil(max(1 / validation, 1 / (1 - validation)))  # for one example on either side
    classes = np.asarray(labels)
    rows = _subset(classes, subset, seed, need)
    train, valid = train_test_split(rows, test_size=validation, stratify=classes[rows], random_state=seed)
    return np.asarray(train, dtype=np.int64), np.asarray(valid, dtype=np.int64)


def symmetric_noise(labels: ArrayLike, share: float, classes: int, seed: int) -> NDArray[np.int64]:
    """Replace a share of the labels, each by one of the *other* classes, all of them as likely.

    Exactly ``round(share * N)`` labels are wrong afterwards. Which, and how, depends on the seed and N; with
    a larger share, the same ones are wrong in the same way, and others besides.

    Args:
        labels: (N,) integers from 0 to classes - 1; left as they were.
        share: in [0, 1).
        classes: how many there are, at least 2.
        seed: 0 to 2**32 - 1.
    Returns:
        (N,) int64.
    Raises:
        SettingError: an argument is out of its range.
        TaskError: a label is.
    Source: Patrini et al. 2017, arXiv:1609.03683, whose code gives each other class the probability
        share/(classes - 1), label by label; here their number is fixed. Others draw from all classes, the
        right one included, so that a "50%" of 10 classes is 45% of wrong labels: Li et al. 2020,
        arXiv:2002.07394, section 4.1, report both.
    """
    number("share of wrong labels", share, least=0, below=1)
    classes = integer("classes", classes, 2)
    seed = integer("seed", seed, 0, _LARGEST_SEED)
    wrong = np.array(labels, dtype=np.int64)
    if len(wrong) and not 0 <= wrong.min() <= wrong.max() < classes:
        raise TaskError(f"labels go from {wrong.min()} to {wrong.max()}: they must be 0 to {classes - 1}")
    # raw words of PCG64, because numpy keeps those the same in every version (NEP 19), unlike a Generator's
    order, shift = np.random.PCG64(seed).random_raw(2 * len(wrong)).reshape(2, -1)
    chosen = np.argsort(order, kind="stable")[: round(share * len(wrong))]
    shifts = 1 + (shift[chosen] % np.uint64(classes - 1)).astype(np.int64)  # 2**64 words: no bias to speak of
    wrong[chosen] = (wrong[chosen] + shifts) % classes
    return wrong


def check_batch(batch_size: int, images: int, subset: float) -> None:
    """Raise ``TaskError`` if there are fewer training images than a batch has."""
    if images < batch_size:
        part = f" (subset is {subset:g})" if subset < 1 else ""
        raise TaskError(
            f"batch_size is {batch_size}, and there are {images} training images{part}: use a batch of at "
            f"most {images}, as in --task-option batch_size={images}{', or a larger subset' * (subset < 1)}"
        )


def _subset(classes: NDArray[Any], subset: float, seed: int, need: int) -> Rows:
    """Rows of a share of all examples, by class, at least ``need`` of each.

    Raises:
        TaskError: some class would have fewer.
        SettingError: the share cannot be drawn.
    """
    from sklearn.model_selection import train_test_split

    number("subset", subset, above=0, most=1)
    values, counts = np.unique(classes, return_counts=True)
    total, rarest = len(classes), int(counts.min(initial=len(classes)))
    wanted = f"at least {need} are needed, so that one can be on either side of the split"
    if rarest < need:
        name = f"class {values[counts.argmin()]}" if total else "the data set"
        raise TaskError(
            f"{name} has {counted(rarest, 'example')}, and {wanted}: add some, or leave the class out"
        )
    rows = np.arange(total, dtype=np.int64)
    size = math.floor(subset * total)  # as sklearn rounds it
    if size == total:
        return rows
    if total - size < len(values):
        raise SettingError(
            f"subset is {subset!r}: that leaves out {total - size} of {total} examples, too few for each of "
            f"the {len(values)} classes; use 1, or a little less than {subset!r}"
        )
    kept = counts * size // total
    if size >= len(values):
        rows, _ = train_test_split(rows, train_size=subset, stratify=classes, random_state=seed)
        kept = np.array([np.count_nonzero(classes[rows] == value) for value in values])
    if kept.min() < need:
        enough = _smallest(-(-need * total // rarest), total, len(values))
        raise TaskError(
            f"subset is {subset!r}: that leaves class {values[kept.argmin()]} with "
            f"{counted(int(kept.min()), 'example')}, and {wanted}; use a subset of {enough:g} or more"
        )
    return rows


def _smallest(size: int, total: int, classes: int) -> float:
    """The smallest subset, as a number of three digits, with at least ``size`` of ``total`` examples."""
    unit = 10.0 ** (math.floor(math.log10(size / total)) - 2)
    steps = math.floor(size / total / unit)
    while math.floor(float(f"{steps * unit:.3g}") * total) < size:
        steps += 1
    share = float(f"{steps * unit:.3g}")
    return share if total - math.floor(share * total) >= classes else 1.0
