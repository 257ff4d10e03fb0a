"""``asha-run --check-warm-start``: what the warm start does with a task, before a search is begun."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, TextIO

from asha_core.errors import AshaError
from asha_core.launch.option_parsing import devices_and_budget
from asha_core.launch.resolve import Parts
from asha_core.runtime.storage.records import to_json
from asha_core.runtime.terminal.encodings import print_json
from asha_core.schedulers.base import Scheduler


def check_warm_start(options: Mapping[str, Any], parts: Parts, results: TextIO | None = None) -> int:
    """Print what was found, as lines or (with ``--json``) as an object; nothing is searched, no file written.

    Returns:
        The exit status: 1 where a slope disagrees with the real optimiser, or the task is refused.
    """
    from warmstart.doctor import diagnose

    task, chosen = parts.task, parts.warm_start
    slot = devices_and_budget(options)[0].slots[0]
    os.environ.update(slot.environment)  # as in a worker: before anything opens a GPU
    task.prepare()
    task.setup(slot.device)
    seed = _first_seed(parts.scheduler)
    try:
        problem = task.problem(seed, slot.device)
        found = diagnose(problem, None, chosen.name, chosen.built, seed)
    except AshaError as error:
        if results is not None:
            print_json(to_json({"refused": str(error)}), results)
        else:
            print(f"{chosen.name} is refused: {error}")
        return 1
    if results is not None:
        print_json(to_json({**asdict(found), "configuration": found.configuration.stored()}), results)
    else:
        print(found)
    return 0 if found.right else 1


def _first_seed(scheduler: Scheduler) -> int:
    """Of the first trial that the search would have."""
    job = scheduler.ask()
    return 0 if job is None else job.seed
