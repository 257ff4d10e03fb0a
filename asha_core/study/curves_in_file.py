"""``curves: FILE`` in a study's file: recorded curves in the place of a task."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asha_core.errors import AshaError, SettingError, nearest
from asha_core.runtime.storage.paths import user_path

if TYPE_CHECKING:
    from asha_core.simulation.curves import Curves

KEY = "curves"
SHARE = "share:"  # before a target that is a share of the baseline's configurations
_ALLOWED = (
    *("curves", "curves_option", "workers", "decision_seconds", "executor_option"),
    *("task", "scheduler", "scheduler_option", "searcher", "searcher_option", "variation", "seed"),
    *("min_resource", "max_resource", "reduction_factor", "max_trials", "max_retries"),
    *("budget", "gpu_hours", "target", "stop_at", "patience"),
)


@dataclass(frozen=True, slots=True)
class TableFile:
    """A table that a study names.

    Attributes:
        path: of the file.
        sha256: of its bytes.
        curves: what it holds.
    """

    path: Path
    sha256: str
    curves: Curves

    @property
    def name(self) -> str:
        """What its problem is called."""
        return self.path.stem


def tables_of(level: Mapping[str, Any], top: Mapping[str, Any], place: str) -> list[TableFile]:
    """The tables of an experiment; none: it has tasks.

    Raises:
        SettingError: it has both, or a file is no table; the message has the place in the study's file.
    """
    for where in (level, top):
        tasks = [key for key in ("task", "tasks") if where.get(key) is not None]
        if where.get(KEY) is None:
            if tasks:
                return []
            continue
        if tasks:
            raise SettingError(f"{place}: it has both curves and {tasks[0]}: curves stand in place of a task")
        given = where[KEY]
        return [_table(each, place) for each in (given if isinstance(given, list) else [given])]
    return []


def _table(given: Any, place: str) -> TableFile:
    if not isinstance(given, str) or not given.strip():
        raise SettingError(f"{place}: curves is {given!r}: give the path of a table, such as curves.npz")
    try:
        return loaded(user_path(given, f"{place}: curves"))
    except OSError as error:
        raise SettingError(f"{place}: curves {given}: {error.strerror}") from None
    except AshaError as error:
        raise SettingError(f"{place}: curves: {error}") from None


def loaded(path: str | Path) -> TableFile:
    """A table, read once.

    Raises:
        OSError: it cannot be read.
        CurvesError: it is none.
    """
    path = Path(path)
    stat = path.stat()
    return _loaded(path.absolute(), stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=8)
def _loaded(path: Path, size: int, changed: int) -> TableFile:
    """The table, read again only if it has changed."""
    from asha_core.simulation.curves import Curves

    content = path.read_bytes()
    return TableFile(path, hashlib.sha256(content).hexdigest(), Curves.load(path))


def of_share(given: str, table: TableFile | None, baseline: str, place: str) -> float:
    """A target such as ``share:0.1``: what that share of the baseline's configurations reach in the table.

    Raises:
        SettingError: there is no table, or none of the baseline, or it is no share.
    """
    from asha_core.simulation.shares import target_of_share

    if table is None:
        raise SettingError(
            f"{place}: targets has {given!r}, which is of recorded curves: give a value, or curves in place "
            "of a task"
        )
    check_arm(baseline, table, f"{place}: targets {given}")
    try:
        return target_of_share(table.curves, baseline, float(given.strip().removeprefix(SHARE)))
    except (AshaError, ValueError) as error:
        raise SettingError(f"{place}: targets has {given!r}: {error}") from None


def check_options(options: Iterable[str], place: str) -> None:
    """Raise ``SettingError`` for an option that has no meaning where nothing is trained."""
    for key in options:
        if key not in _ALLOWED:
            raise SettingError(
                f"{place}: {key.replace('_', '-')} has no meaning with curves, which are recorded already: "
                "leave it out"
            )


def check_arm(arm: str, table: TableFile, place: str) -> None:
    """Raise ``SettingError`` if a table was not recorded with this warm start."""
    if arm not in table.curves.arms:
        raise SettingError(
            f"{place}: variation {arm!r}: {table.path.name} has no such arm{nearest(arm, table.curves.arms)}"
        )
