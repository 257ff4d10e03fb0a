"""How long a simulated study takes, how much disk, and its report: 4 arms x 4 schedulers x 1,000 seeds.

What is timed   Wall-clock and processor seconds, and memory, of two commands, each a fresh process:
                `asha-study` over recorded curves, and `asha-report` on what it left; and its bytes.
On what         The first 300 configurations of LCBench's surrogate (`published_curves.lcbench`), 27 epochs,
                or with `--synthetic` made-up curves. The other three arms are those curves with made-up
                gains: what is timed does not depend on them. ASHA, PASHA, Hyperband and random search,
                4 workers.
n               1: the load of the machine when it began is in the JSON file. Processor seconds are those of
                all processes.
How             `--processes` simulate (one a core).

The bounds that the project has set itself are 10 minutes on two cores and 200 MB.

    python -m benchmarks.study_simulated --data DATA
    python -m benchmarks.study_simulated --synthetic --seeds 10
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from asha_core import Curves, Float, SearchSpace
from benchmarks import tables
from benchmarks.published_curves import lcbench
from benchmarks.study_scale import REPORT, measured

RESULTS = tables.RESULTS / "study_simulated.json"
STUDY = "import sys; from asha_core.cli.study import main; sys.exit(main(sys.argv[1:]))"
ARMS = ("baseline", "random-warm", "ohgw-1step", "ohgw-trust")
SCHEDULERS = ("asha", "pasha", "hyperband", "random")
ROWS, UNITS, WORKERS = 300, 27, 4


def table(data: Path | None) -> Curves:
    """The baseline's curves, and those of three arms that are a little better."""
    draw = np.random.default_rng(0)
    if data is None:
        space = SearchSpace({"lr": Float(1e-4, 1.0, log=True), "momentum": Float(0.0, 0.99)})
        rows = [space.from_unit(list(map(float, draw.random(2)))) for _ in range(ROWS)]
        value = np.outer(draw.beta(2, 3, ROWS), 1 - 0.85 ** np.arange(1, UNITS + 1)) * 100
        seconds = np.repeat(draw.uniform(1, 3, (ROWS, 1)), UNITS, axis=1)
        metric = "accuracy"
    else:
        whole = lcbench(data, "helena")
        space, rows, metric = whole.space, list(whole.configurations[:ROWS]), whole.metric
        value, seconds = whole.value[0, :ROWS, :UNITS], whole.seconds[0, :ROWS, :UNITS]  # type: ignore[index]
    gain = draw.normal(0.5, 1.0, (len(ARMS), ROWS, 1)) * np.arange(len(ARMS))[:, None, None]
    return Curves.from_arrays(
        space,
        rows,
        value + gain,
        seconds=np.stack([seconds] * len(ARMS)),
        arms=ARMS,
        metric=metric,
        refined={(arm, row): rows[row - 1] for arm in range(1, len(ARMS)) for row in range(ROWS)},
        warm_seconds=np.repeat([[0.0], [0.01], [0.1], [0.3]], ROWS, axis=1),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="How long a simulated study and its report take.")
    parser.add_argument("--data", type=Path, help="the folder with lc_lcbench_surrogate")
    parser.add_argument("--synthetic", action="store_true", help="made-up curves")
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--json", type=Path, default=RESULTS)
    options = parser.parse_args()
    if options.synthetic == (options.data is not None):
        parser.error("give one of --data and --synthetic")
    settings: dict[str, Any] = {"load_average": os.getloadavg()[0], "processes": options.processes}
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        curves = table(options.data)
        curves.save(folder / "curves.npz")
        best = [float(np.quantile(curves.value[0].max(axis=1), share)) for share in (0.9, 0.97)]
        content = {"curves": str(folder / "curves.npz"), "schedulers": list(SCHEDULERS)}
        content |= {"seeds": options.seeds, "workers": WORKERS, "targets": best}
        (folder / "study.yaml").write_text(yaml.safe_dump(content))
        results = folder / "study"
        command = [str(folder / "study.yaml"), "--results-dir", str(results), "--progress", "none"]
        for name, code, arguments in (
            ("asha-study", STUDY, [*command, "--parallel", str(options.processes)]),
            ("asha-report", REPORT, [str(results), "--output", str(folder / "report")]),
        ):
            row = measured(code, *arguments)
            rows.append({"system": name} | row)
            print(
                f"{name:12s} {row['seconds']:6.1f} s {row['processor']:6.1f} s of processor "
                f"{row['memory'] / 1e6:6.0f} MB"
            )
        settings |= {
            "runs": options.seeds * len(ARMS) * len(SCHEDULERS),
            "configurations": ROWS,
            "units": UNITS,
            "workers": WORKERS,
            "table": "synthetic" if options.synthetic else "lcbench surrogate, helena",
            "bytes": sum(path.stat().st_size for path in results.rglob("*") if path.is_file()),
            "page_bytes": (folder / "report" / "report.html").stat().st_size,
        }
        print(f"{settings['bytes'] / 1e6:.1f} MB of results, page {settings['page_bytes'] / 1e6:.1f} MB")
    options.json.parent.mkdir(exist_ok=True)
    tables.write(options.json, rows, ["asha-core", "numpy", "matplotlib"], settings)


if __name__ == "__main__":
    main()
