"""Data sets of openml.org, by scikit-learn's ``fetch_openml``, which keeps them in its cache.

Only what needs no more than the id is asked for: scikit-learn fetches the rest. Once a set is in the cache
(``SCIKIT_LEARN_DATA``, ~/scikit_learn_data by default) no network is needed.
"""

from __future__ import annotations

import re
import socket
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from asha_core.errors import TaskError
from asha_core.extras import needed
from trials.data.tables.frames import columns_of, nominal_in
from trials.data.tables.table import Table, listed

PREFIX = "openml:"
_PATIENCE = 30  # seconds without a byte; urllib would wait for ever


def read(data: str, target: str | None, drop: Collection[str], text: Collection[str]) -> Table:
    """The data set of an id, as ``openml:61``.

    Raises:
        TaskError: no such id, no network, or no table of numbers and categories.
    """
    identity = data.removeprefix(PREFIX)
    if not (identity.isascii() and identity.isdecimal()) or int(identity) < 1:
        raise TaskError(
            f"data is {data}: wanted is the number of the data set at openml.org, as in openml:61"
        )
    needed("tabular", "pandas", what=f"data={data}")
    found, notes = _fetched(data, int(identity))
    frame = found.frame
    named = [str(name) for name in found.target_names or ()]
    if target is None and len(named) > 1:
        raise TaskError(f"{data} has several targets: add target=NAME, one of: {listed(named)}")
    columns = columns_of(frame, data, drop, text)
    dropped = frozenset(drop) & {*map(str, frame.columns)}
    return Table(data, columns, named[0] if named else None, nominal_in(frame), dropped, notes)


def _fetched(data: str, identity: int) -> tuple[Any, tuple[str, ...]]:
    """What scikit-learn finds, and what it warns of."""
    from sklearn.datasets import fetch_openml

    try:
        with warnings.catch_warnings(record=True) as said, _patience():
            warnings.simplefilter("always")
            try:
                found = fetch_openml(data_id=identity, as_frame=True, parser="auto", n_retries=1)
            except TypeError:  # pandas 3.1 and categories that are numbers: scikit-learn#34892
                found = fetch_openml(data_id=identity, as_frame=True, parser="liac-arff", n_retries=1)
    except Exception as error:  # urllib's, OpenML's own, a sparse table: they have no common class
        reason = re.sub(r"<urlopen error (?:\[Errno -?\d+\] )?(.*?)>", r"no connection: \1", str(error))
        reason = " ".join(reason.split()) or type(error).__name__
        network = "check the network, or " if isinstance(error, OSError) else ""
        raise TaskError(
            f"{data} cannot be had from openml.org ({reason}): {network}save the data set as CSV and name "
            f"that file (what was fetched once needs no network)"
        ) from None
    notes = dict.fromkeys(f"{data}: {' '.join(str(each.message).split())}" for each in said)
    return found, tuple(note for note in notes if "OpenML" in note or "inactive" in note)


@contextmanager
def _patience() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_PATIENCE)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
