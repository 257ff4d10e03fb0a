"""What the judge finds about ``warmstart`` on a case: right, flagged and right, refused; and its traces."""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch

from asha_core.errors import SettingError, TaskError
from tests.warmstart.gallery import judge
from tests.warmstart.gallery.case import Case, Loop
from tests.warmstart.gallery.traces import changes, picture
from warmstart import ModelProblem, Outcome, refine
from warmstart.base import Losses
from warmstart.estimates.estimate import estimate

FLAGGED = 1e-2  # what differences of steps of 1% give, relative to the largest coordinate
NOISE = 1e-10  # of the judge's own differences


@dataclass(frozen=True)
class Verdict:
    """On one estimate.

    Attributes:
        route: that was taken; None: it was refused.
        flagged: why it is a fallback.
        error: against differences of the user's loop: relative to each coordinate; of a fallback, relative to
            the largest.
        changed: what it left changed.
        refused: the words.
        right: law A holds.
        why: where it does not.
    """

    route: str | None = None
    flagged: str | None = None
    error: float | None = None
    changed: tuple[str, ...] = ()
    refused: str | None = None
    right: bool = True
    why: str = ""


@dataclass(frozen=True)
class Drawn:
    """What ``warmstart`` drew for a case, copied before it was used, and what is right on it."""

    trains: list[Any]
    heldout: Any
    slopes: dict[str, float]
    wrong: str | None


@cache
def drawn(case: Case, steps: int) -> Drawn:
    """Raises what ``warmstart`` raises."""
    loop = case.make()
    trains, heldout = _draws(problem_of(case, loop).losses(case.psi), steps)
    kept = copy.deepcopy((trains, heldout))
    wrong = judge.misdrawn(case.make().data, kept[0][0], kept[1])
    return Drawn(*kept, judge.slopes(case, *kept), wrong)


def problem_of(case: Case, loop: Loop) -> ModelProblem:
    return ModelProblem(case.space, **loop.arguments())


def _draws(losses: Losses, steps: int) -> tuple[list[Any], Any]:
    train, heldout = losses.batches(0, "half")
    return [train, *(losses.batches(draw, "half")[0] for draw in range(1, steps))], heldout


def judged(case: Case, steps: int, route: str = "auto", *, compared: bool = True) -> Verdict:
    """One estimate, as a user would have it.

    Args:
        compared: with differences; not where the route is no derivative (first-order through several steps).
    """
    loop = case.make()
    roots = _roots(loop)
    before = picture(roots)
    try:
        losses = problem_of(case, loop).losses(case.psi)
        batches = _draws(losses, steps)
        found = estimate(losses, case.space, case.psi, *batches, route=route)  # type: ignore[arg-type]
    except (TaskError, SettingError) as error:
        changed = tuple(changes(before, picture(roots)))
        return Verdict(refused=str(error), changed=changed, right="\n" not in str(error), why="many lines")
    del losses
    changed = tuple(changes(before, picture(roots)))
    given = drawn(case, steps)
    verdict = Verdict(found.route, found.fallback, None, changed)
    if given.wrong is not None:
        return replace(verdict, right=False, why=given.wrong)
    changed += _going_on(case, loop, given)
    verdict = replace(verdict, changed=changed)
    if not compared:
        return replace(verdict, right=found.finite, why="not finite")
    return compare(verdict, case, found.gradient, given.slopes)


def compare(verdict: Verdict, case: Case, found: dict[str, float], right: dict[str, float]) -> Verdict:
    """The verdict, with its error."""
    flagged = verdict.flagged is not None or verdict.route == "differences"
    rough = flagged or case.coarse is not None
    top = max(abs(value) for value in right.values())
    off = {name: abs(found.get(name, float("nan")) - value) for name, value in right.items()}
    floor = {name: top if rough else max(abs(value), 1e-4 * top) for name, value in right.items()}
    error = max(max(0.0, off[name] - NOISE) / max(floor[name], NOISE) for name in right)
    allowed = max(FLAGGED, case.exact) if flagged else case.exact
    words = ", ".join(f"{name} {found.get(name)} for {value}" for name, value in right.items())
    return replace(verdict, error=error, right=error <= allowed, why=words)


def broken_off(case: Case, steps: int, route: str, call: int) -> tuple[bool, list[str]]:
    """(the error arrived, what was left changed) where the loss raises at one of its calls."""
    loop = case.make()
    roots = _roots(loop)
    before = picture(roots)
    calls = 0

    def fails(outputs: Any, targets: Any, c: Any) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls > call:
            raise ZeroDivisionError
        return loop.loss(outputs, targets, c)

    problem = problem_of(case, replace(loop, loss=fails))
    arrived = False
    try:
        losses = problem.losses(case.psi)
        estimate(losses, case.space, case.psi, *_draws(losses, steps), route=route)  # type: ignore[arg-type]
    except ZeroDivisionError:
        arrived = True
    except (TaskError, SettingError):
        arrived = True
    return arrived, changes(before, picture(roots))


def _roots(loop: Loop) -> dict[str, Any]:
    return dict(vars(loop))


def _going_on(case: Case, loop: Loop, given: Drawn) -> tuple[str, ...]:
    """Whether training with the very objects that were warm-started gives what it gives without."""
    ends = [
        judge.trained(each, case.psi, case.psi, given.trains, given.heldout) for each in (loop, case.make())
    ]
    return () if ends[0] == ends[1] else (f"training goes on differently: {ends[0]} for {ends[1]}",)


def refined(case: Case, variation: str, **settings: Any) -> tuple[Outcome | None, list[str]]:
    """(what a strategy made of it, or None where it refused; what was left changed, and lines too many)."""
    loop = case.make()
    roots = _roots(loop)
    before = picture(roots)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # hints, which are told once a process
        try:
            outcome = refine(variation, problem_of(case, loop), case.psi, seed=3, **settings)
        except (TaskError, SettingError) as error:
            return None, [*changes(before, picture(roots)), *str(error).split("\n")[1:]]
    return outcome, changes(before, picture(roots))
