"""What the hooks of a scheduler may answer; a mistake there is named before it does harm."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import cast

from asha_core.arguments import shown
from asha_core.errors import AshaError, SettingError
from asha_core.schedulers.state import Status, TrialState


def levels_of(rule: object, levels: object, most: int) -> tuple[int, ...]:
    """What ``ladder`` gave, if it is levels of rungs; else ``SettingError``.

    Args:
        rule: the scheduler, for errors.
        most: the unit at which the last of them has to be.
    """
    found = tuple(levels) if isinstance(levels, Iterable) else ()
    ints = all(type(level) is int for level in found)
    if not ints or found[-1:] != (most,) or any(a >= b for a, b in zip((0, *found), found, strict=False)):
        raise SettingError(
            f"{type(rule).__name__}: ladder() gave {shown(levels)}: it must give units from 1 on that grow, "
            f"the last of them max_resource, which is {most}"
        )
    return found


def check_next(rule: object, trial: TrialState) -> None:
    """Raise ``SettingError`` if ``promotable`` gave what cannot go on."""
    if not isinstance(trial, TrialState):
        raise SettingError(
            f"{type(rule).__name__}: promotable() gave {shown(trial)}: it must give a trial, as "
            "self.trials has them, or None"
        )
    if trial.status != Status.PAUSED:
        raise SettingError(
            f"{type(rule).__name__}: promotable() gave trial {trial.id}, which is {_said(trial)}: it must "
            "give one that is paused, or None; promote() takes note of who goes on, and nobody comes twice"
        )


def check_stopped(rule: object, trial: TrialState) -> None:
    """Raise ``SettingError`` if a trial that is given to ``stop`` is not paused."""
    if trial.status != Status.PAUSED:
        raise SettingError(
            f"{type(rule).__name__}: stop() was given trial {trial.id}, which is {_said(trial)}: it takes "
            "trials whose status is Status.PAUSED"
        )


@contextmanager
def rehearsing(rule: object) -> Iterator[None]:
    """Whatever somebody's scheduler raises in a rehearsal is told in one line, as a ``SettingError``."""
    try:
        yield
    except AshaError:
        raise
    except Exception as error:
        place = cast("TracebackType", error.__traceback__)
        while place.tb_next is not None:
            place = place.tb_next
        raise SettingError(
            f"{type(rule).__name__} cannot be rehearsed: it raised {type(error).__name__}: {error} "
            f"({place.tb_frame.f_code.co_filename}, line {place.tb_lineno})"
        ) from error


def _said(trial: TrialState) -> str:
    return trial.status.name.lower()
