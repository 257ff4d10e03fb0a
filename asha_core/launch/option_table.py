"""The table of ``asha-run``'s options: names, what they take, what they mean."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from asha_core.errors import SettingError
from asha_core.runtime.units import parse_bytes, parse_duration
from asha_core.schedulers import SCHEDULERS
from asha_core.searchers import SEARCHERS
from trials.tasks import TASKS
from warmstart.registry import VARIATIONS

FLAG = "flag"


def _integer(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError
    return int(value)


def _positive_integer(value: Any) -> int:
    number = _integer(value)
    if number < 1:
        raise ValueError
    return number


def _natural(value: Any) -> int:
    number = _integer(value)
    if number < 0:
        raise ValueError
    return number


def _time(value: Any) -> str:
    """A time as text, as it is kept in the manifest."""
    text = _text(value)
    try:
        parse_duration(text)
    except SettingError:
        raise ValueError from None
    return text


def _bytes(value: Any) -> int:
    try:
        return parse_bytes(value)
    except SettingError:
        raise ValueError from None


def _number(value: Any) -> float:
    if isinstance(value, bool):
        raise ValueError
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def _positive(value: Any) -> float:
    number = _number(value)
    if number <= 0:
        raise ValueError
    return number


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):  # gpus: [0, 1] in YAML
        return ",".join(map(str, value))
    if value is None or isinstance(value, dict):
        raise ValueError
    return str(value)


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its name, how to read it, what it means.

    read: raises ValueError for what it does not take; ``FLAG`` for a switch.
    kind: what an error says it must be.
    """

    name: str
    read: Callable[[Any], Any] | str
    kind: str
    default: Any
    help: str
    metavar: str = ""
    group: str = "what to run"

    @property
    def key(self) -> str:
        """The name as a Python identifier."""
        return self.name.replace("-", "_")


_WHAT, _WHERE, _LIMITS, _RUNGS, _CARE, _OUT = (
    "what to run",
    "where to run",
    "when to stop",
    "rungs (defaults come with the task)",
    "when something goes wrong",
    "what to show and keep",
)

OPTIONS = (
    Option(
        "task",
        _text,
        "a name",
        "cifar10",
        f"{', '.join(TASKS)}, or mypackage.mymodule:MyTask",
        "TASK",
        _WHAT,
    ),
    Option("model", _text, "a name", None, "the task's network, such as resnet50", "NAME", _WHAT),
    Option("subset", _number, "a number", None, "share of the data to use, such as 0.1", "SHARE", _WHAT),
    Option(
        "label-noise",
        _number,
        "a number",
        None,
        "share of the training labels that are replaced by another class, the same ones in every trial",
        "SHARE",
        _WHAT,
    ),
    Option(
        "task-option",
        _text,
        "KEY=VALUE",
        None,
        "an option of the task, such as cutout=8; may be repeated",
        "KEY=VALUE",
        _WHAT,
    ),
    Option(
        "variation",
        _text,
        "a name",
        "baseline",
        f"the warm start: {', '.join(VARIATIONS)}, or a strategy; with or without the scheduler before it "
        "(asha-ohgw-1step)",
        "NAME",
        _WHAT,
    ),
    Option(
        "warm-start-option",
        _text,
        "KEY=VALUE",
        None,
        "a setting of the warm start, such as eta_h=3e-4, or trust.delta=0.05 for a part of screen+trust; "
        "may be repeated",
        "KEY=VALUE",
        _WHAT,
    ),
    Option("scheduler", _text, "a name", None, f"{', '.join(SCHEDULERS)} [asha]", "NAME", _WHAT),
    Option(
        "searcher",
        _text,
        "a name",
        "random",
        f"where configurations come from: {', '.join(SEARCHERS)}",
        "NAME",
        _WHAT,
    ),
    Option(
        "start-points",
        _text,
        "a path",
        None,
        "configurations to try first: a YAML or JSON list, or the results directory of a search (its best)",
        "FILE",
        _WHAT,
    ),
    Option(
        "freeze",
        _text,
        "KEY=VALUE",
        None,
        "hold a dimension of the search space at one value; may be repeated",
        "KEY=VALUE",
        _WHAT,
    ),
    Option("seed", _integer, "an integer", 0, "seed of everything random", "N", _WHAT),
    Option(
        "data-dir", _text, "a path", None, "where the task's data lies, or is downloaded to", "DIR", _WHAT
    ),
    Option(
        "gpus",
        _text,
        "a list of GPUs",
        "auto",
        "0,1,2,3; auto (every visible GPU, else the CPU); cpu; or inline (this very process, for debugging)",
        "LIST",
        _WHERE,
    ),
    Option(
        "workers-per-gpu",
        _positive_integer,
        "an integer of at least 1",
        None,
        "workers on each GPU (1); on the CPU how many in all (one a core)",
        "N",
        _WHERE,
    ),
    Option(
        "max-trials",
        _positive_integer,
        "an integer of at least 1",
        None,
        "configurations to start (without any limit: 100, or as many as it takes for one to be expected at "
        "the last rung)",
        "N",
        _LIMITS,
    ),
    Option("budget", _text, "a time", None, "wall-clock: 3h, 90m, 1h30m, 600s", "TIME", _LIMITS),
    Option(
        "gpu-hours",
        _positive,
        "a number above 0",
        None,
        "devices held times hours (on the CPU: worker processes times hours)",
        "HOURS",
        _LIMITS,
    ),
    Option(
        "target",
        _number,
        "a number",
        None,
        "tau: report the time to the first value this good (does not stop the search)",
        "TAU",
        _LIMITS,
    ),
    Option(
        "min-resource",
        _positive_integer,
        "an integer of at least 1",
        None,
        "units before the first comparison (peers: grace_period)",
        "R",
        _RUNGS,
    ),
    Option(
        "max-resource",
        _positive_integer,
        "an integer of at least 1",
        None,
        "units of a complete trial (peers: max_t)",
        "R",
        _RUNGS,
    ),
    Option(
        "reduction-factor",
        _integer,
        "an integer of at least 2",
        None,
        "eta: one in eta goes up a rung",
        "ETA",
        _RUNGS,
    ),
    Option(
        "resume",
        FLAG,
        "true or false",
        False,
        "go on with the search in --results-dir (without it: the newest of the same name under results/); "
        "options that are not given are those it was begun with",
        "",
        _CARE,
    ),
    Option(
        "max-retries",
        _natural,
        "an integer of at least 0",
        2,
        "how often a trial whose worker died or hung is tried again before it counts as failed",
        "N",
        _CARE,
    ),
    Option(
        "trial-timeout",
        _time,
        "a time such as 30m or 2h",
        None,
        "how long one trial may train in all; beyond it, it fails: 30m, 2h",
        "TIME",
        _CARE,
    ),
    Option(
        "no-progress-timeout",
        _time,
        "a time such as 30m or 2h",
        None,
        "how long a worker may report no unit; beyond it, it is killed and replaced: 20m",
        "TIME",
        _CARE,
    ),
    Option(
        "heartbeat-timeout",
        _time,
        "a time such as 30m or 2h",
        "60s",
        "how long a worker may give no sign of life (stopped, frozen); beyond it, it is killed and replaced",
        "TIME",
        _CARE,
    ),
    Option(
        "checkpoint-budget",
        _bytes,
        "a size such as 20GB or 500MB",
        None,
        "what all checkpoints together may take: 20GB, 500MB; beyond it, those of the trials that are least "
        "likely to be promoted are deleted",
        "BYTES",
        _CARE,
    ),
    Option(
        "checkpoint-size",
        _bytes,
        "a size such as 20GB or 500MB",
        None,
        "size of one checkpoint, for --plan with --checkpoint-budget, if the task cannot tell",
        "BYTES",
        _CARE,
    ),
    Option("config", _text, "a file", None, "YAML file with any of these options", "FILE.yaml", _OUT),
    Option(
        "results-dir",
        _text,
        "a path",
        None,
        "a new directory for everything that is written (results/TASK-SCHEDULER-...)",
        "DIR",
        _OUT,
    ),
    Option("progress", _text, "a name", "auto", "auto, rich, plain, json or none", "KIND", _OUT),
    Option(
        "plan",
        FLAG,
        "true or false",
        False,
        "print the rungs and what the budget buys; run nothing",
        "",
        _OUT,
    ),
    Option(
        "unit-seconds",
        _positive,
        "a number above 0",
        None,
        "seconds that one unit takes, for --plan with a budget in time",
        "S",
        _OUT,
    ),
    Option(
        "json",
        FLAG,
        "true or false",
        False,
        "print the result as one JSON object on standard output, everything else on standard error",
        "",
        _OUT,
    ),
)
