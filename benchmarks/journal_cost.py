"""What the journal costs: records that outlive the process at once, and the machine a moment later.

What is timed   A journal is fed reports at a fixed pace, as an engine's loop feeds it. `blocked`: the share
                of wall-clock that the loop spends on a record. `processor`: processor time of the whole
                process, the sync thread included, as a share of wall-clock. The first row is the loop
                alone: what the journal costs is the difference to it, and what fsync costs is the
                difference between the third row and the second.
On what         1,000 reports a second for `--seconds` (10), one `append` each, on the file system of
                `--folder` (the current directory).
How             All variants in one run, in turn, `--repeats` times; the median is reported. `rate` says
                whether the pace was kept.

    python benchmarks/journal_cost.py
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tables

from asha_core.messages import Report
from asha_core.runtime.storage.journal import JournalWriter, NullJournal
from asha_core.runtime.storage.records import event_record

RESULTS = tables.RESULTS / "journal_cost.json"
METRICS = {"train_loss": 0.7081372232148142, "valid_loss": 0.22568321228027344}


class Every(JournalWriter):
    """Waits for the disk in every append."""

    def append(self, t: float, records: Any) -> None:
        super().append(t, records)
        os.fsync(self._file)


VARIANTS: dict[str, Callable[[Path], Any]] = {
    "nothing kept": lambda path: NullJournal(),
    "no fsync": lambda path: JournalWriter(path, sync=False),
    "fsync, batched (the default)": JournalWriter,
    "fsync in every append": lambda path: Every(path, sync=False),
}


def measure(make: Callable[[Path], Any], folder: Path, seconds: float, pace: float) -> dict[str, float]:
    journal = make(folder / f"journal-{time.monotonic_ns()}")
    blocked, count = 0.0, round(seconds * pace)
    processor, began = time.process_time(), time.perf_counter()
    for number in range(count):
        wait = began + number / pace - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        before = time.perf_counter()
        report = Report(number % 1000, 0, number // 1000 + 1, 0.9888888888888889, 0.2456, METRICS)
        journal.append(before - began, [event_record(report)])
        blocked += time.perf_counter() - before
    took = time.perf_counter() - began
    used = time.process_time() - processor
    journal.close()
    return {"blocked": blocked / took, "processor": used / took, "rate": count / took}


def main() -> None:
    parser = argparse.ArgumentParser(description="What the journal costs at 1,000 reports a second.")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--pace", type=float, default=1000.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path.cwd())
    options = parser.parse_args()
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in VARIANTS}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for _ in range(options.repeats):
            for name, make in VARIANTS.items():
                runs[name].append(measure(make, Path(folder), options.seconds, options.pace))
    rows = [
        {"system": name} | {key: statistics.median(run[key] for run in every) for key in every[0]}
        for name, every in runs.items()
    ]
    for row in rows:
        print(
            f"{row['system']:32s} {row['blocked']:7.2%} blocked {row['processor']:7.2%} processor "
            f"{row['rate']:7.0f}/s"
        )
    settings = {"pace": options.pace, "seconds": options.seconds, "repeats": options.repeats}
    tables.write(RESULTS, rows, ["asha-core"], settings)


if __name__ == "__main__":
    main()
