"""Folders of images, one a class, as far as they can be checked without torch and without reading an image.

How many images of a class are used, and how many of these are held out, depends on their number alone:
``images_used`` and ``images_held``.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from asha_core.errors import TaskError
from asha_core.runtime.units import counted
from trials.data.splits import check_batch

# what torchvision's ImageFolder takes for an image, which cannot be imported without torch
EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
VALIDATION = 0.02  # of the images of each class in "train"
_NEEDED = {"train": 2, "val": 1}  # images of each class: one of "train" is held out


def images_used(count: int, subset: float) -> int:
    """Of ``count`` images of a class, so many are a share ``subset`` of it: at least 2, if it has them."""
    return min(max(round(subset * count), 2), count)


def images_held(count: int, share: float) -> int:
    """Of ``count`` images of a class that are used, so many are held out: at least 1, and not all of them."""
    return min(max(round(share * count), 1), count - 1)


def class_names(data_dir: Path, part: str) -> list[str]:
    """The names of the folders in ``train`` or ``val``, sorted.

    Raises:
        TaskError: there are none; it says what belongs where.
    """
    folder = data_dir / part
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
    except OSError as error:
        there = folder if data_dir.is_dir() else data_dir
        what = f"{there} is not there" if isinstance(error, FileNotFoundError) else str(error)
        raise TaskError(f"no images for task imagenet: {what}; {_where(data_dir)}") from None
    if not names:
        raise TaskError(
            f"{folder} has no folders, one a class: {_where(data_dir)} (the archive of val has none: "
            "torchvision.datasets.ImageNet makes them)"
        )
    return names


def _where(data_dir: Path) -> str:
    return (
        f"put the images of each class into {data_dir / 'train' / 'CLASS'} and {data_dir / 'val' / 'CLASS'}, "
        "or name another folder with --data-dir. ImageNet is to be had from "
        "https://image-net.org/download.php, after a registration; no program can download it"
    )


def check_same(data_dir: Path, train: Sequence[str], val: Sequence[str]) -> None:
    """Raise ``TaskError`` unless both have the same classes: they would be numbered differently."""
    for here, there, names in (
        ("train", "val", set(train) - set(val)),
        ("val", "train", set(val) - set(train)),
    ):
        if names:
            first = min(names)
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise TaskError(
                f"{data_dir / here} has class {first}{more}, and {data_dir / there} has not: both need the "
                "same folders"
            )


def check_count(data_dir: Path, part: str, found: int, expected: int | None) -> None:
    """Raise ``TaskError`` if the task is for another number of classes than there are folders."""
    if expected is not None and found != expected:
        raise TaskError(
            f"classes is {expected}, and {data_dir / part} has {counted(found, 'folder')}, one a "
            "class: leave the option out, or name another folder with --data-dir"
        )


def check_images(data_dir: Path, classes: Sequence[str], batch_size: int, subset: float) -> None:
    """Raise ``TaskError`` unless each class has images enough, and all of them enough for a batch.

    A folder is read no further than is needed to be certain.
    """
    for part, needed in _NEEDED.items():
        for name in classes:
            _check_filled(data_dir / part / name, needed)

    def trained(count: int) -> int:  # never less for a larger class
        used = images_used(count, subset)
        return used - images_held(used, VALIDATION)

    # so many of one class fill a batch by themselves, whatever is rounded
    enough = math.ceil((batch_size + 2) / (subset * (1 - VALIDATION))) + 2
    certain = len(classes) * trained(_NEEDED["train"])
    for name in classes:
        if certain >= batch_size:
            return
        count = _count(data_dir / "train" / name, enough)
        certain += trained(count) - trained(_NEEDED["train"])
    check_batch(batch_size, certain, subset)


def _check_filled(folder: Path, needed: int) -> None:
    found = _count(folder, needed)
    if found < needed:
        kinds = ", ".join(EXTENSIONS)
        why = ": one of them is held out for validation" if found else f" ({kinds})"
        raise TaskError(f"{folder} has {found or 'no'} image{'s' * (not found)}, and needs {needed}{why}")


def _count(folder: Path, most: int) -> int:
    """How many images there are; a folder with more is read no further than to there."""
    try:
        return sum(1 for _ in islice(_images(folder), most))
    except OSError as error:
        raise TaskError(f"the images in {folder} cannot be listed: {error}") from None


def _images(folder: str | Path) -> Iterator[str]:
    """The names of image files anywhere below."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _images(entry.path)
            elif entry.name.lower().endswith(EXTENSIONS):
                yield entry.path
