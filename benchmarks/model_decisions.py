"""What a model-based scheduler's decisions cost, and how long slots wait for them.

What is timed   *decision*: ask and tell of one job, with one worker that takes no time, so that a fit that
                runs beside the search has to be waited for in full: the median of the last 50 jobs before n
                observations (fits apart), and the longest of all of them (with a fit).
                *idle*: the share of the slots' time in which they wait for a job, in real time, with workers
                that sleep for a unit; the engine's own work and starting a job are not in it.
On what         Made-up curves of four hyper-parameters, R = 27; the default settings, and ``--option``.
n               Observations: reports at a level at which the scheduler decides.

    python -m benchmarks.model_decisions dyhpo
    python -m benchmarks.model_decisions dyhpo boil --observations 100 1000 --unit-seconds 1 --units 60
    python -m benchmarks.model_decisions asha --option searcher=gp --observations --unit-seconds 5 --units 10
"""

from __future__ import annotations

import argparse
import heapq
import math
import statistics
import time
from typing import Any

from asha_core import Choice, Float, Int, Job, Report, SearchSpace
from asha_core.schedulers import MODEL_BASED, scheduler_class
from asha_core.schedulers.base import Scheduler
from asha_core.streams import uniforms

R = 27
SPACE = SearchSpace(
    {
        "lr": Float(1e-5, 1.0, log=True),
        "decay": Float(1e-6, 1e-1, log=True),
        "layers": Int(1, 8),
        "optimizer": Choice(["sgd", "adam", "rmsprop"]),
    }
)
WARM_UP = 2  # units a slot that are not counted: the model's libraries are loaded meanwhile


def made(name: str, options: dict[str, Any]) -> Scheduler:
    return scheduler_class(name)(SPACE, max_resource=R, **options)


def report(scheduler: Scheduler, job: Job, unit: int) -> Report:
    """A curve that rises to a height that depends on the configuration, with a little noise."""
    lr, layers = math.log10(job.configuration["lr"]), job.configuration["layers"]
    height = 1 - 0.05 * (lr + 2.5) ** 2 - 0.01 * (layers - 4) ** 2
    noise = 0.01 * uniforms(job.seed, "noise", unit, 1)[0]
    return Report(job.trial, job.attempt, unit, height * (1 - math.exp(-unit / 5)) + noise, 1.0)


def decisions(name: str, observations: list[int], options: dict[str, Any]) -> list[tuple[int, float, float]]:
    """(n, median seconds of a decision before it, longest up to it)."""
    scheduler, spent, found = made(name, options), list[float](), []
    while len(spent) < max(observations):
        began = time.perf_counter()
        job = scheduler.ask()
        seconds = time.perf_counter() - began
        if job is None:
            raise SystemExit(f"{name} has nothing left to do after {len(spent)} jobs")
        for unit in range(job.start + 1, job.until + 1):
            event = report(scheduler, job, unit)
            began = time.perf_counter()
            scheduler.tell(event)
            seconds += time.perf_counter() - began
        spent.append(seconds)
        if len(spent) in observations:
            found.append((len(spent), statistics.median(spent[-50:]), max(spent)))
    return found


def idle(name: str, workers: int, unit_seconds: float, units: int, options: dict[str, Any]) -> float:
    """The share of the slots' time in which they wait, over ``units`` for each worker."""
    scheduler = made(name, options)
    free, running, count, waited, began = [0.0] * workers, list[tuple[float, int, Job, int]](), 0, 0.0, 0.0
    while count < (units + WARM_UP) * workers:
        while free:
            job = scheduler.ask()
            now, since = time.perf_counter(), free.pop()
            assert job is not None
            waited += (now - since) if began else 0.0
            heapq.heappush(running, (now + unit_seconds, job.trial, job, job.start + 1))
        due, _, job, unit = heapq.heappop(running)
        time.sleep(max(due - time.perf_counter(), 0.0))
        count += 1
        if not began and count >= WARM_UP * workers:
            began = time.perf_counter()
        scheduler.tell(report(scheduler, job, unit))
        if unit < job.until:  # the worker goes on by itself
            heapq.heappush(running, (due + unit_seconds, job.trial, job, unit + 1))
        else:
            free.append(due)
    return waited / (workers * (time.perf_counter() - began))


def option_of(given: str) -> tuple[str, Any]:
    key, _, value = given.partition("=")
    try:
        return key, float(value)
    except ValueError:
        return key, value  # such as searcher=gp


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("schedulers", nargs="*", default=[*MODEL_BASED])
    parser.add_argument("--observations", nargs="*", type=int, default=[100, 1_000, 10_000])
    parser.add_argument("--workers", nargs="*", type=int, default=[1, 4, 16])
    parser.add_argument("--unit-seconds", type=float, default=1.0)
    parser.add_argument("--units", type=int, default=60, help="of each worker")
    parser.add_argument("--option", nargs="*", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    options = dict(map(option_of, arguments.option))
    for name in arguments.schedulers:
        if arguments.observations:
            for n, median, longest in decisions(name, arguments.observations, options):
                print(
                    f"{name}: {n:6,} observations: {1000 * median:.1f} ms, longest {longest:.2f} s",
                    flush=True,
                )
        for workers in arguments.workers:
            share = idle(name, workers, arguments.unit_seconds, arguments.units, options)
            print(
                f"{name}: {workers:2} workers, units of {arguments.unit_seconds:g} s: idle {share:.1%}",
                flush=True,
            )


if __name__ == "__main__":
    main()
