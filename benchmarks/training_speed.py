"""How fast the training loop is on CIFAR-10 with ResNet-20, beside a plain torchvision script in one run.

What is timed   An epoch: reading and augmenting the training images, training, validating, keeping a
                checkpoint, reporting. "plain" is `plain_cifar.py`, with that many worker processes in each of
                its loaders. "ours" is the `cifar10` task as a worker of a search runs it, with a `JobRunner`.
On what         The same images, batch size and network, and as many threads of torch in each process. With
                --data-dir, of real CIFAR-10; without, random images, in files like CIFAR's own.
How             Each route in a process of its own, and all of them take turns, epoch by epoch, in an order
                that rotates. A ratio is the seconds of the faster plain route in the same round over the
                route's own: above 1, the route is faster. Medians of the rounds, and their range. An epoch
                before them is left out ("first": threads and processes start, a compiler may work).
                Processor time: of all of a route's processes. Peak memory: what they have for themselves,
                without files, looked at ten times a second of that first epoch; on a GPU torch's own count.
The bound       See `training_parts.py`. "of the bound" is images a second over what the network alone could
                do, if every operation took as long as its arithmetic or its traffic, whichever is longer.

    python -m benchmarks.training_speed --data-dir DIR --json FILE --document FILE
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # run as a file
    sys.path.insert(0, str(ROOT))

from asha_core.runtime.machine import cores  # noqa: E402
from benchmarks import tables  # noqa: E402 - found only now
from benchmarks.training_routes import Plan, Route, Row, Running, plan_of  # noqa: E402

BAR = 1.0  # ours, in epochs of the faster plain route
Watch = Callable[[float, float], Row]  # began, ended -> what else is known of that time


def routes(workers: Sequence[int], compile_modes: Sequence[str] = (), settings: bool = False) -> list[Route]:
    """Plain ones, the project's own; with ``settings`` also the other settings of its own."""
    plain = [Route(f"plain, {_count(number)}", plain=True, workers=number) for number in workers]
    compiled = [Route(f"ours, compile={mode}", compile=mode) for mode in compile_modes]
    others = [
        Route("ours, channels_last off", channels_last=False),
        Route("ours, bfloat16", precision="bfloat16"),
    ]
    return [*plain, Route("ours"), *(others if settings else ()), *compiled]


def _count(workers: int) -> str:
    return f"{workers or 'no'} worker{'s' * (workers != 1)}"


# -- routes, in turn -------------------------------------------------------------------------------


def compare(
    chosen: Sequence[Route],
    plan: Plan,
    rounds: int,
    epochs: int = 1,
    watch: Watch = lambda began, ended: {},
) -> list[Row]:
    """One row for each route; a route that fails has a ``status`` in the place of figures."""
    running = [Running(route, plan) for route in chosen]
    found: dict[str, list[Row]] = {route.name: [] for route in chosen}
    try:
        first = {each.route.name: each.epochs(1, watched=True) for each in running}
        for turn in range(rounds):
            start = turn % len(running)
            for each in running[start:] + running[:start]:
                told = each.epochs(epochs)
                if told:
                    found[each.route.name].append(told | watch(told["began"], told["ended"]))
                print(f"round {turn + 1}: {each.route.name}: {_shown(told)}", file=sys.stderr, flush=True)
    finally:
        for each in running:
            each.close()
    rows = []
    for each in running:
        row: Row = {"name": each.route.name, "full": each.route.full}
        peer = _peer([other.route for other in running if not other.error], found, each.route)
        if each.error or peer is None:
            rows.append(row | {"status": each.error or "no plain route beside it"})
        else:
            before, turns = first[each.route.name], found[each.route.name]
            row |= {"first": before["seconds"], "peak": max(one["peak"] for one in [before, *turns])}
            rows.append(row | _summary(turns, found[peer], plan))
    return rows


def _shown(told: Row) -> str:
    return f"{told['seconds']:.2f} s an epoch" if told else "failed"


def _peer(there: Sequence[Route], found: dict[str, list[Row]], route: Route) -> str | None:
    """The faster of the plain routes with the same precision."""
    plain = [other.name for other in there if other.plain and other.full == route.full and found[other.name]]
    return min(plain, key=lambda name: _median(found[name], "seconds"), default=None)


def _median(told: Sequence[Row], name: str) -> float:
    return float(statistics.median(each[name] for each in told))


def _summary(told: Sequence[Row], peer: Sequence[Row], plan: Plan) -> Row:
    ratios = [theirs["seconds"] / own["seconds"] for own, theirs in zip(told, peer, strict=True)]
    row: Row = {name: _median(told, name) for name in ("seconds", "cpu")}
    row["images"] = plan.steps * plan.batch / row["seconds"]
    row |= {"ratio": statistics.median(ratios), "low": min(ratios), "high": max(ratios)}
    row["every"] = [each["seconds"] for each in told]
    if all("utilisation" in each for each in told):
        row["utilisation"] = _median(told, "utilisation")
    return row


# -- tables ----------------------------------------------------------------------------------------


def table(content: Row) -> tables.Table:
    """The routes' table; on a GPU it says how busy that was."""
    bound, gpu = content["bound"], content["settings"]["device"] != "cpu"
    network = content["settings"]["batch"] / bound["operations"]

    def share(row: Row) -> str:  # the bound is of the usual precision
        return f"{row['images'] / network:.0%}" if not (gpu and row["full"]) else "-"

    columns: list[tuple[str, Callable[[Row], str]]] = [
        ("route", lambda row: row["name"]),
        ("images a second", lambda row: f"{row['images']:,.0f}"),
        ("epoch, s", lambda row: f"{row['seconds']:.2f}"),
        ("times plain", lambda row: f"{row['ratio']:.2f}"),
        ("range of rounds", lambda row: f"{row['low']:.2f} to {row['high']:.2f}"),
        ("processor, s", lambda row: f"{row['cpu']:.1f}"),
        ("peak MiB", lambda row: f"{row['peak'] / 2**20:,.0f}"),
        ("of the bound", share),
        ("first epoch, s", lambda row: f"{row['first']:.1f}"),
    ]
    if gpu:
        columns.append(("GPU busy", lambda row: f"{row['utilisation']:.0%}" if "utilisation" in row else "-"))
    return tables.Table(columns, first=36)


def _share(of: str) -> Callable[[Row], str]:
    return lambda row: f"{row['share'][of]:.1%}" if of in row["share"] else ""


PARTS = tables.Table(
    [
        ("part", lambda row: row["name"]),
        ("ms", lambda row: f"{1000 * row['seconds']:,.1f}"),
        ("times an epoch", lambda row: f"{row['calls']}"),
        ("of ours", _share("ours")),
        ("of plain", _share("plain")),
    ],
    first=42,
)


CROWD = tables.Table(
    [
        ("processes", lambda row: str(row["processes"])),
        ("images a second", lambda row: f"{row['images']:,.0f}"),
        ("times one", lambda row: f"{row['ratio']:.2f}"),
        ("GPU busy", lambda row: f"{row['utilisation']:.0%}" if "utilisation" in row else "-"),
        ("GPU memory, MiB", lambda row: f"{row['used'] / 2**20:,.0f}" if "used" in row else "-"),
    ],
    first=20,
)


def told_of_repeats(found: Row) -> list[str]:
    """Of what `gpu/training_speed.py` finds when it trains a trial again."""
    told = [f"- not with deterministic algorithms alone: {found['refused']}"] if "refused" in found else []
    names = {"again": "two runs of one trial", "resumed": "paused after an epoch and gone on with"}
    for key, name in names.items():
        if key in found:
            values, weights = found[key]["values"], found[key]["weights"]
            differ = f"accuracies differ by {values:.4f}, weights by {weights:.1e}"
            told.append(f"- {name}: {differ if values or weights else 'the same to the last bit'}")
    return told


def told_of_bound(content: Row) -> list[str]:
    bound, batch = content["bound"], content["settings"]["batch"]
    arithmetic, traffic, both = (
        f"{batch / bound[name]:,.0f} images a second" for name in ("arithmetic", "traffic", "operations")
    )
    flops, rate = f"{bound['flops'] / 1e9:.1f} GFLOP", f"{bound['matrix'] / 1e9:,.0f} GFLOP/s"
    size, copy = f"{bound['bytes'] / 2**30:.2f} GiB", f"{bound['copy'] / 2**30:,.1f} GiB/s"
    return [
        f"- arithmetic: {flops} a mini-batch at {rate} ({bound['dtype']}): {arithmetic}",
        f"- traffic: {size} a mini-batch at {copy}: {traffic}",
        f"- each operation the slower of the two: {both}",
    ]


def verdict(content: Row) -> str:
    row = next(row for row in content["rows"] if row["name"] == "ours")
    if "status" in row:
        return f"NOT MET: ours: {row['status']}"
    met = "met" if row["ratio"] >= BAR else "NOT MET"
    return f"{met}: ours beside the faster plain route: {row['ratio']:.2f} of its speed (bar {BAR:.2f})"


def markdown(content: Row) -> str:
    """The tables as documents have them, with their conditions and the bar."""
    settings = content["settings"]
    versions = ", ".join(f"{name} {number}" for name, number in content["versions"].items())
    parts = [
        f"{content['date']}, {settings['machine']}, {content['cores']}-core {content['system']}, {versions}; "
        f"{settings['data']}, {settings['train']:,} for training and {settings['valid']:,} for validation; "
        f"batch {settings['batch']}, {settings['threads']} thread{'s' * (settings['threads'] != 1)}, "
        f"{settings['rounds']} rounds of {settings['epochs']} epoch{'s' * (settings['epochs'] != 1)}.",
        *("", table(content).markdown(content["rows"])),
        *("", f"- {verdict(content)}"),
        *("", "The bound of the network and its optimiser:"),
        *("", *told_of_bound(content)),
        *("", "Where an epoch goes, each part alone, one after the other:"),
        *("", PARTS.markdown(content["parts"])),
    ]
    if "together" in content:
        parts += ["", "Processes on one GPU at the same time:", "", CROWD.markdown(content["together"])]
    if "again" in content:
        parts += ["", "The same again:", "", *told_of_repeats(content["again"])]
    return "\n".join(parts)


def write_into(document: Path, content: Row) -> None:
    """Replace the tables between the document's two comments for this kind of device."""
    name = content["settings"]["device"].partition(":")[0]
    before, begin, rest = document.read_text().partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition("\n<!-- end -->")
    if not (begin and end):
        raise SystemExit(f"{document} has no place for tables of {name}: <!-- {name} --> to <!-- end -->")
    document.write_text(f"{before}{begin}{markdown(content)}{end}{after}")


# -- the whole of it -------------------------------------------------------------------------------


def measure(plan: Plan, chosen: Sequence[Route], rounds: int, epochs: int, watch: Watch | None = None) -> Row:
    """Everything that ``markdown`` shows."""
    import torch

    from benchmarks import training_parts

    rows = compare(chosen, plan, rounds, epochs, *([watch] if watch else []))
    torch.set_num_threads(plan.threads)
    gpu = plan.device != "cpu"
    settings: dict[str, Any] = {
        "device": plan.device,
        "machine": torch.cuda.get_device_name(plan.device) if gpu else "cpu",
        "data": "random images" if plan.random else "CIFAR-10's images",
        "train": len(plan.rows[0]),
        "valid": len(plan.rows[1]),
        "batch": plan.batch,
        "threads": plan.threads,
        "rounds": rounds,
        "epochs": epochs,
    }
    versions = {name: tables.version(name).partition("+")[0] for name in ("torch", "torchvision")}
    return {
        "benchmark": "training_speed",
        "date": tables.TODAY,
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {"python": platform.python_version()} | versions,
        "settings": settings,
        "rows": rows,
        "bound": training_parts.bound(plan),
        "parts": training_parts.parts(plan, max(rounds, 2)),
    }


def show(content: Row) -> None:
    routes_table = table(content)
    print(routes_table.head())
    for row in content["rows"]:
        print(routes_table.line(row))
    print("\n".join(["", verdict(content), "", *told_of_bound(content), "", PARTS.head()]))
    for row in content["parts"]:
        print(PARTS.line(row), flush=True)


def parser(description: str | None = __doc__) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawTextHelpFormatter)
    made.add_argument("--data-dir", help="holds cifar-10-batches-py; random images without it")
    made.add_argument("--batch", type=int, default=128)
    made.add_argument("--threads", type=int, default=cores(), help="of each process; default: one a core")
    made.add_argument(
        "--workers", type=_numbers, default=[0, cores()], help="of plain loaders; default: 0 and one a core"
    )
    made.add_argument("--json", type=Path, metavar="FILE")
    made.add_argument("--document", type=Path, metavar="FILE", help="a document whose tables are replaced")
    return made


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def write(content: Row, options: argparse.Namespace) -> None:
    if options.json:
        options.json.write_text(json.dumps(content, indent=2) + "\n")
    if options.document:
        write_into(options.document, content)


def main(command: Sequence[str] | None = None) -> None:
    made = parser()
    made.add_argument("--images", type=int, default=2500, help="how many of the 50,000; a tenth validates")
    made.add_argument("--rounds", type=int, default=7)
    made.add_argument("--epochs", type=int, default=1, help="in a route's turn")
    made.add_argument("--compile", nargs="*", default=[], metavar="MODE", help="routes with torch.compile")
    made.add_argument("--quick", action="store_true", help="few images, one round: does it work?")
    options = made.parse_args(command)
    if options.quick:
        options.images, options.batch, options.rounds, options.workers = 100, 30, 1, [0]
    with tempfile.TemporaryDirectory() as folder:
        plan = plan_of(
            options.data_dir,
            Path(folder),
            images=options.images,
            device="cpu",
            threads=options.threads,
            batch=options.batch,
        )
        chosen = routes(options.workers, options.compile, settings=not options.quick)
        content = measure(plan, chosen, options.rounds, options.epochs)
    show(content)
    write(content, options)


if __name__ == "__main__":
    main()
