"""``tune``: a search from a script."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asha_core.arguments import true_or_false
from asha_core.errors import SettingError
from asha_core.launch.argument_names import errors_name_arguments
from asha_core.launch.closing import close
from asha_core.launch.launching import launch
from asha_core.launch.naming import default_directory, short_name
from asha_core.launch.result import Result
from asha_core.launch.tune_curves import is_source, refuse, refuse_beside, simulated_parts
from asha_core.launch.tune_parts import Wanted, executor_of, observers_of, tune_parts, variation_name
from asha_core.launch.types import Launch, SafetyLimits, choose_warm_start, recorded_warm_start
from asha_core.runtime.budget import Budget
from asha_core.runtime.early_end import Patience
from asha_core.runtime.executor import Executor
from asha_core.runtime.observers import Observer
from asha_core.runtime.storage.paths import user_path
from asha_core.runtime.storage.run_directory import RunDirectory
from asha_core.runtime.units import parse_duration
from asha_core.schedulers.base import Scheduler
from asha_core.searchers.base import Searcher
from asha_core.space import SearchSpace
from trials.devices import parse_devices
from trials.task import Task
from warmstart.registry import strategy_label

if TYPE_CHECKING:
    from asha_core.simulation.curve import CurveSource
    from trials.trial import Trial


@errors_name_arguments
def tune(
    train: Callable[[Trial], None] | Task | CurveSource | str,
    scheduler: Scheduler | type[Scheduler] | str = "asha",
    *,
    space: SearchSpace | Mapping[str, Any] | None = None,
    searcher: Searcher | type[Searcher] | str | None = None,
    scheduler_options: Mapping[str, Any] | None = None,
    searcher_options: Mapping[str, Any] | None = None,
    gpus: str | Sequence[int] = "auto",
    workers_per_gpu: int | None = None,
    budget: str | float | None = None,
    variation: str = "baseline",
    warm_start_options: Mapping[str, Any] | None = None,
    metric: str = "value",
    target: float | None = None,
    stop_at: float | None = None,
    patience: int | str | None = None,
    results_dir: str | Path | None = None,
    progress: str = "auto",
    observers: Sequence[Observer | str] = (),
    executor: str | Callable[..., Executor] | None = None,
    executor_options: Mapping[str, Any] | None = None,
    resume: bool = False,
    retry_failed: bool = False,
    trial_timeout: str | float | None = None,
    no_progress_timeout: str | float | None = None,
    heartbeat_timeout: str | float | None = 60.0,
    start_timeout: str | float | None = 600.0,
    checkpoint_budget: str | int | None = None,
    workers: int | None = None,
    curves_options: Mapping[str, Any] | None = None,
    decision_seconds: float | str | None = None,
) -> Result:
    """Search in worker processes, from a script.

    Args:
        train: a function ``train(trial)``, wherever it is defined, a ``Task``, or the name of one. Or
            ``Curves``: then nothing is trained, and the search is simulated in virtual time.
        scheduler: such as ``ASHA(space, max_trials=100)``; give it ``max_trials``, or give a budget. Or its
            class, or its name: of ours ("asha"), of an installed package's, "mypackage.mymodule:MyScheduler"
            or "path/file.py:MyScheduler". Then it is made here, for the task's space, mode and rungs.
        space: of a function, where the scheduler is made here; of a task in the place of its own.
        searcher: where configurations come from, likewise by name, class or object.
        scheduler_options: of a scheduler that is made here: ``max_trials``, ``max_resource``, ``seed``, ...,
            and settings of its own.
        searcher_options: settings of a searcher that is made here.
        gpus: "auto", "cpu", "0,1,2,3" or [0, 1, 2, 3], or "inline": in this very process, for debugging.
        workers_per_gpu: workers on each GPU; on the CPU how many in all, by default one a core.
        budget: wall-clock such as "90m", or seconds.
        variation: the warm start; all but "baseline" and "random-warm" need a task with losses to
            measure, such as a ``TorchTask``.
        warm_start_options: settings in the place of the variation's own, such as {"eta_h": 3e-4}.
        metric: what ``train`` reports, for people.
        target: a value whose time to reach the report gives; the search goes on past it.
        stop_at: a value that is good enough: the search ends when a trial reaches it.
        patience: how long the search goes on without a better best: a number of results (a trial gives one
            each time that it completes a rung), or a time such as "30m"; then it ends.
        results_dir: a new directory, or with ``resume`` one that a search was begun in; by default a new
            one under results/.
        progress: "auto", "rich", "plain", "json" or "none".
        observers: called along with the progress display: objects of subclasses of ``asha_core.Observer``,
            or names of their classes, as for ``scheduler``.
        executor: what runs the jobs in the place of worker processes on this machine: a class (or a function,
            or the name of one) that is called with ``trials.WorkerSettings`` and a sequence of
            ``trials.Slot``, one for each worker that ``gpus`` asks for. "simulate": of ``Curves``.
        executor_options: further arguments of it; of a simulated search what goes wrong on purpose, as in
            ``asha_core.simulation.faults.Faults``.
        resume: go on with the search in ``results_dir`` if there is one, else begin it there. Scheduler
            and task must be made as they were then; ``max_trials`` and the budget may be larger.
        retry_failed: with ``resume``, try each trial that has failed again, from its last unit, since what
            it failed of is mended. What was decided without it stays.
        trial_timeout: how long one trial may train in all its jobs; beyond it, it fails.
        no_progress_timeout: how long a worker may report no unit; beyond it, it is replaced.
        heartbeat_timeout: how long a worker may give no sign of life at all; None: for ever.
        start_timeout: likewise while it starts, which it does not before its imports are done.
        checkpoint_budget: bytes of all checkpoints together, such as "20GB"; beyond it those of the trials
            that are least likely to be promoted are deleted.
        workers: how many a simulated search has; 1 by default.
        curves_options: {"resample": True}: a simulated search goes on when it has drawn all configurations;
            {"warm_start_cost": 0.1}: warm starts take a tenth of their recorded seconds.
        decision_seconds: virtual time that each decision of a simulated search takes: seconds, or "measured".
    Returns:
        The best configuration and where everything lies.
    Raises:
        AshaError: an argument that cannot be used, in one line.
        KeyboardInterrupt: the search was interrupted (Ctrl-C, SIGTERM, a notebook's stop button), and ended
            in order: everything is saved, and the message says where, and how to go on.

    A script may call it anywhere: worker processes do not run it again. What ``train`` uses of it is sent to
    them.
    """
    variation_name(variation)
    true_or_false("resume", resume)
    if true_or_false("retry_failed", retry_failed) and not resume:
        raise SettingError("retry_failed=True goes with resume=True: it tries again what failed before")
    wanted = Wanted(space, searcher, scheduler_options, searcher_options)
    beside: dict[str, Any] = {
        "workers": workers,
        "curves_options": curves_options,
        "decision_seconds": decision_seconds,
    }
    if is_source(train):
        refuse(executor, gpus=gpus, workers_per_gpu=workers_per_gpu, warm_start_options=warm_start_options)
        parts, simulation = simulated_parts(
            train, scheduler, wanted, variation, ends=budget is not None, faults=executor_options, **beside
        )
        chosen, devices = recorded_warm_start(variation), simulation.devices
        executor = executor_options = None
    else:
        refuse_beside(executor, beside)
        parts, simulation = tune_parts(train, scheduler, wanted, metric, ends=budget is not None), None
        chosen, devices = None, parse_devices(gpus, workers_per_gpu)
    task, made = parts.task, parts.scheduler
    limit = Budget(None if budget is None else parse_duration(budget), None, devices.held)
    if resume and results_dir is None:
        raise SettingError("resume=True needs results_dir: where the search was begun, or is to begin")
    if results_dir is None:
        name = short_name(task.describe()["target"]) if simulation is None else simulation.task.name
        directory = default_directory(name, made.name, strategy_label(variation), made.seed)
    else:
        directory = RunDirectory(user_path(results_dir, "results_dir"))
    setup = Launch(
        task,
        task,
        made,
        choose_warm_start(variation, warm_start_options) if chosen is None else chosen,
        devices,
        limit,
        directory,
        progress=progress,
        target=target,
        stop_at=stop_at,
        patience=None if patience is None else Patience.read(patience),
        observers=observers_of(observers),
        executor=executor_of(executor, executor_options),
        own_settings=parts.own_settings,
        notes=parts.notes,
        safety=SafetyLimits.read(
            trial_timeout=trial_timeout,
            no_progress_timeout=no_progress_timeout,
            heartbeat_timeout=heartbeat_timeout,
            start_timeout=start_timeout,
            checkpoint_budget=checkpoint_budget,
        ),
        resume=resume,
        retry_failed=retry_failed,
        simulation=simulation,
    )
    result = launch(setup)
    close(setup, result)
    return result
