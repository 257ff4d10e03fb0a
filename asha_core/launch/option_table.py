"""The table of ``asha-run``'s options: names, what they take, what they mean, and what another value changes.

An option is added here, and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from asha_core.launch.option_kinds import (
    COUNT,
    DECISIONS,
    ETA,
    FILE,
    FLAG,
    GPU_LIST,
    INTEGER,
    KEY_VALUES,
    NAME,
    NATURAL,
    NUMBER,
    PATH,
    PATIENCE,
    POSITIVE,
    REFERENCE,
    REFERENCES,
    SCORE,
    SIZE,
    TIME,
    Kind,
)
from asha_core.launch.registries import EXECUTOR, OBSERVER, SCHEDULER, SEARCHER
from asha_core.plugins import Plugins
from asha_core.schedulers import SCHEDULERS
from asha_core.searchers import SEARCHERS
from trials.tasks import TASK, TASKS
from warmstart.registry import VARIATIONS, WARM_START


class Scope(Enum):
    """What another value of an option makes of a search; a resumed one keeps all but those of a session."""

    SEARCH = auto()  # another search, to be compared with others that have the same
    ARM = auto()  # another search, to be compared with those that differ from it by this
    HANDLING = auto()  # the same search: what is told of it, and how its trials are looked after
    PLACE = auto()  # the same search on another machine
    SESSION = auto()  # nothing: each start says it for itself


SEARCH, ARM, HANDLING, PLACE, SESSION = Scope


@dataclass(frozen=True, slots=True)
class Option:
    """One option."""

    name: str
    kind: Kind
    scope: Scope
    metavar: str
    help: str
    default: Any = None
    by_study: bool = False  # a study decides it for each of its runs
    of_safety: bool = False  # one of the SafetyLimits
    of_task: bool = False  # short for a --task-option of our own tasks
    plugins: Plugins | None = None  # what it names, which other packages may register

    @property
    def key(self) -> str:
        """The name as a Python identifier."""
        return self.name.replace("-", "_")


# fmt: off
_WHAT = (
    Option("task", REFERENCE, SEARCH, "TASK",
        f"{', '.join(TASKS)}, mypackage.mymodule:MyTask, or path/file.py:MyTask", default="cifar10",
        by_study=True, plugins=TASK),
    Option("model", NAME, SEARCH, "NAME", "the task's network, such as resnet50", of_task=True),
    Option("subset", NUMBER, SEARCH, "SHARE", "share of the data to use, such as 0.1", of_task=True),
    Option("label-noise", NUMBER, SEARCH, "SHARE",
        "share of the training labels that are replaced by another class, the same ones in every trial",
        of_task=True),
    Option("task-option", KEY_VALUES, SEARCH, "KEY=VALUE",
        "an option of the task, such as cutout=8; may be repeated"),
    Option("variation", REFERENCE, ARM, "NAME",
        f"the warm start: {', '.join(VARIATIONS)}, or a strategy; with or without the scheduler before it "
        "(asha-ohgw-1step); or where one is, as for --task", default="baseline", by_study=True,
        plugins=WARM_START),
    Option("warm-start-option", KEY_VALUES, ARM, "KEY=VALUE",
        "a setting of the warm start, such as eta_h=3e-4, or trust.delta=0.05 for a part of screen+trust; "
        "may be repeated"),
    Option("scheduler", REFERENCE, SEARCH, "NAME",
        f"{', '.join(SCHEDULERS)}; or where one is, as for --task [asha]", by_study=True, plugins=SCHEDULER),
    Option("scheduler-option", KEY_VALUES, SEARCH, "KEY=VALUE",
        "a setting of this scheduler's own, such as bracket_size=27 for sh; may be repeated"),
    Option("searcher", REFERENCE, SEARCH, "NAME",
        f"where configurations come from: {', '.join(SEARCHERS)}; or where one is, as for --task "
        "[random; tpe for bohb]", plugins=SEARCHER),
    Option("searcher-option", KEY_VALUES, SEARCH, "KEY=VALUE",
        "a setting of this searcher's own; may be repeated"),
    Option("start-points", PATH, SEARCH, "FILE",
        "configurations to try first: a YAML or JSON list, or the results directory of a search (its best)"),
    Option("freeze", KEY_VALUES, SEARCH, "KEY=VALUE",
        "hold a dimension of the search space at one value; may be repeated"),
    Option("seed", INTEGER, ARM, "N", "seed of everything random", default=0, by_study=True),
    Option("data-dir", PATH, PLACE, "DIR", "where the task's data lies, or is downloaded to", of_task=True),
)
_WHERE = (
    Option("gpus", GPU_LIST, PLACE, "LIST",
        "0,1,2,3; auto (every visible GPU, else the CPU); cpu; or inline (this very process, for debugging)",
        default="auto", by_study=True),
    Option("workers-per-gpu", COUNT, SEARCH, "N",
        "workers on each GPU (1); on the CPU how many in all (one a core)"),
    Option("executor", REFERENCE, PLACE, "NAME",
        "what runs the jobs in the place of worker processes on this machine: simulate (recorded curves, in "
        "virtual time), mypackage.mymodule:MyExecutor, or path/file.py:MyExecutor", plugins=EXECUTOR),
    Option("executor-option", KEY_VALUES, PLACE, "KEY=VALUE",
        "a setting of the executor, such as slow_share=0.05 of simulate; may be repeated"),
)
_SIMULATED = (
    Option("curves", PATH, SEARCH, "FILE", "table of recorded learning curves (.npz, of asha-curves)"),
    Option("curves-option", KEY_VALUES, SEARCH, "KEY=VALUE",
        "resample=true: go on when all its configurations have been drawn; warm_start_cost=0.1: warm starts "
        "take a tenth of their recorded seconds"),
    Option("workers", COUNT, SEARCH, "N", "how many workers there are (1)"),
    Option("decision-seconds", DECISIONS, SEARCH, "S",
        "virtual time that each decision of the scheduler takes: none, seconds, or measured (as long as it "
        "takes)"),
)
_LIMITS = (
    Option("max-trials", COUNT, SEARCH, "N",
        "configurations to start (without any limit: 100, or as many as it takes for one to be expected at "
        "the last rung)"),
    Option("budget", TIME, SEARCH, "TIME", "wall-clock: 3h, 90m, 1h30m, 600s"),
    Option("gpu-hours", POSITIVE, SEARCH, "HOURS",
        "devices held times hours (on the CPU: worker processes times hours)"),
    Option("target", NUMBER, HANDLING, "TAU",
        "tau: report the time to the first value this good (does not stop the search: --stop-at does)",
        by_study=True),
    Option("stop-at", SCORE, SEARCH, "TAU",
        "end the search as soon as a trial has a value this good; none takes it back with --resume"),
    Option("patience", PATIENCE, SEARCH, "N|TIME",
        "end the search when the best has not improved for N results (a trial gives one each time it "
        "completes a rung), or for a time such as 30m; none takes it back with --resume"),
)
_RUNGS = (
    Option("min-resource", COUNT, SEARCH, "R", "units before the first comparison (peers: grace_period)"),
    Option("max-resource", COUNT, SEARCH, "R", "units of a complete trial (peers: max_t)"),
    Option("reduction-factor", ETA, SEARCH, "ETA", "eta: one in eta goes up a rung"),
)
_CARE = (
    Option("resume", FLAG, SESSION, "",
        "go on with the search in --results-dir (without it: the newest of the same name under results/); "
        "options that are not given are those it was begun with", default=False),
    Option("retry-failed", FLAG, SESSION, "",
        "with --resume: try each trial that has failed again, from its last unit, since what it failed of is "
        "mended; what was decided without it stays", default=False),
    Option("max-retries", NATURAL, HANDLING, "N",
        "how often a trial whose worker died or hung is tried again before it counts as failed",
        default=2),
    Option("trial-timeout", TIME, SEARCH, "TIME",
        "how long one trial may train in all; beyond it, it fails: 30m, 2h", of_safety=True),
    Option("no-progress-timeout", TIME, HANDLING, "TIME",
        "how long a worker may report no unit; beyond it, it is killed and replaced: 20m", of_safety=True),
    Option("heartbeat-timeout", TIME, HANDLING, "TIME",
        "how long a worker may give no sign of life (stopped, frozen); beyond it, it is killed and replaced",
        default="60s", of_safety=True),
    Option("start-timeout", TIME, HANDLING, "TIME",
        "likewise for a worker that starts: how long its imports may wait, for a download say, while neither "
        "it nor a compiler that it has started computes", default="10m", of_safety=True),
    Option("checkpoint-budget", SIZE, HANDLING, "BYTES",
        "what all checkpoints together may take: 20GB, 500MB; beyond it, those of the trials that are least "
        "likely to be promoted are deleted", of_safety=True),
    Option("checkpoint-size", SIZE, SESSION, "BYTES",
        "size of one checkpoint, for --plan with --checkpoint-budget, if the task cannot tell"),
)
_OUT = (
    Option("config", FILE, SESSION, "FILE.yaml", "YAML file with any of these options"),
    Option("results-dir", PATH, SESSION, "DIR",
        "a new directory for everything that is written (results/TASK-SCHEDULER-...)"),
    Option("progress", NAME, SESSION, "KIND", "auto, rich, plain, json or none", default="auto"),
    Option("observer", REFERENCES, HANDLING, "NAME",
        "who watches the search, too: mypackage.mymodule:MyObserver, or path/file.py:MyObserver; may be "
        "repeated; none: nobody", plugins=OBSERVER),
    Option("observer-option", KEY_VALUES, HANDLING, "KEY=VALUE",
        "a setting of the observer, such as path=log.csv; of several, NAME.KEY=VALUE; may be repeated"),
    Option("plan", FLAG, SESSION, "",
        "print the rungs and what the budget buys; run nothing", default=False),
    Option("check-warm-start", FLAG, SESSION, "",
        "say what the warm start does with this task, what it costs, and whether its slopes are those of the "
        "real optimiser; search nothing", default=False),
    Option("unit-seconds", POSITIVE, SESSION, "S",
        "seconds that one unit takes, for --plan with a budget in time"),
    Option("json", FLAG, SESSION, "",
        "print the result as one JSON object on standard output, everything else on standard error",
        default=False),
)
# fmt: on

GROUPS = {
    "what to run": _WHAT,
    "where to run": _WHERE,
    "recorded curves, with --executor simulate": _SIMULATED,
    "when to stop": _LIMITS,
    "rungs (defaults come with the task)": _RUNGS,
    "when something goes wrong": _CARE,
    "what to show and keep": _OUT,
}
OPTIONS = tuple(option for group in GROUPS.values() for option in group)
BY_KEY = {option.key: option for option in OPTIONS}
MAPPINGS = tuple(option.key for option in OPTIONS if option.kind is KEY_VALUES)


def keys_of(*scopes: Scope) -> tuple[str, ...]:
    """The keys of the options of these scopes."""
    return tuple(option.key for option in OPTIONS if option.scope in scopes)
