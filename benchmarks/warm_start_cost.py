"""What a warm start costs: time, arithmetic and memory, beside an ordinary mini-batch of the same run.

What is timed   "route": one hyper-gradient, from a network and a mini-batch that are there. "strategy": the
                whole warm start as a worker pays it: building the problem and the network, reading the
                mini-batches, moving the configuration. The peer is a mini-batch of the training loop: reading
                and augmenting it, forward, backward, optimiser step; "bare" is that without reading and
                augmenting. The other peer, "reverse", is what most people would write: differentiate through
                the step (double backward).
On what         Random data in the shape of the task's. On a CPU one thread, as in a worker with one core, and
                processor time, which other programs disturb less than seconds; on a GPU seconds.
How             In turn: a mini-batch before and after each measurement, which is divided by their mean;
                medians and quartiles of `--repeats` rounds. Arithmetic: torch's flop counter (matrix products
                and convolutions). Memory: the most bytes in live tensors, network included and data set
                left out, over that of three training steps; on a GPU torch's own count.
First calls     In new processes, with a warm start before the training steps and without.

    python -m benchmarks.warm_start_cost --model resnet20 --json FILE --markdown FILE
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from asha_core.space import Configuration, SearchSpace
from asha_core.streams import stream_seed
from benchmarks import tables
from tests.warmstart.reverse_mode import reversed_steps
from tests.warmstart.smoothing import cross_entropy
from trials import TorchTask
from trials.costs.warm_start_flops import OperationCounter
from trials.tasks.cifar import Cifar10
from trials.tasks.digits import Digits
from trials.torch_task.learner import Learner, fresh_model, heldout_inputs, load_data, training_inputs
from trials.torch_task.warm_start_problem import TrainingProblem
from warmstart.base import Network
from warmstart.estimates.estimate import estimate
from warmstart.estimates.modes import differentiable, twice_differentiable
from warmstart.estimates.types import Route
from warmstart.problem.randomness import generator_for
from warmstart.registry import VARIATIONS, build

EPOCH = 352  # mini-batches of 128 in 45,056 images
MODELS = {"resnet20": 128, "digits-cnn": 32, "digits-mlp": 32, "mlp": 32}  # network -> usual batch size
OPTIMIZERS = ("sgd", "adamw")
SETTINGS = ("lr", "weight_decay", "momentum")
VALUES = {"lr": 0.05, "weight_decay": 5e-4, "momentum": 0.9, "magnitude": 0.4, "label_smoothing": 0.1}
BARS = {"time": 1.2, "memory": 1.1, "share": 0.01}
BAR_ROW = "closed, optimiser settings"
MASKED = "ohgw-1step, optimiser settings"

Row = dict[str, Any]


def smoothed_loss(outputs: Tensor, samples: Any, config: Configuration) -> Tensor:
    """The tasks' training loss, differentiable by its label smoothing."""
    return cross_entropy(outputs, samples.targets, config["label_smoothing"])


# -- what is trained -------------------------------------------------------------------------------


class _Optimizers:
    """AdamW in the place of a task's SGD, if that is asked for; its betas are not searched."""

    kind = "sgd"

    def chosen(self, kind: str) -> None:
        self.kind = kind
        if kind == "adamw":
            known = {name: d for name, d in self.space.items() if name != "momentum"}  # type: ignore[has-type]
            self.space = SearchSpace(known)

    def optimizer(self, parameters: Any, config: Configuration) -> torch.optim.Optimizer:
        if self.kind == "sgd":
            return TorchTask.optimizer(self, parameters, config)  # type: ignore[arg-type]
        # the searched range is SGD's; the first step of Adam is about lr in every weight
        return torch.optim.AdamW(parameters, lr=config["lr"] / 50, weight_decay=config["weight_decay"])


class RandomImages(_Optimizers, Cifar10):
    """CIFAR-10's space, augmentation and loss on random images; ResNet-20, or an MLP of 10.5M weights."""

    def __init__(self, network: str, optimizer: str, batch: int) -> None:
        super().__init__(precision=type(self).precision)
        self.network, self.batch_size = network, batch
        self.chosen(optimizer)

    def prepare(self) -> None:
        """Nothing to download."""

    def model(self, config: Configuration) -> nn.Module:
        if self.network == "resnet20":
            return super().model(config)
        layers = [nn.Flatten(), nn.Linear(3072, 2048), nn.ReLU(), nn.Linear(2048, 2048), nn.ReLU()]
        return nn.Sequential(*layers, nn.Linear(2048, 10))

    def data(self) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        generator = torch.Generator().manual_seed(0)

        def images(count: int) -> tuple[Tensor, Tensor]:
            pixels = torch.randint(256, (count, 3, 32, 32), generator=generator, dtype=torch.uint8)
            return pixels, torch.randint(10, (count,), generator=generator)

        return images(8 * self.batch_size), images(2 * self.batch_size)


class SmallDigits(_Optimizers, Digits):
    """The digits task."""

    def __init__(self, network: str, optimizer: str, batch: int) -> None:
        super().__init__(network.partition("-")[2])
        self.batch_size = batch
        self.chosen(optimizer)


def task_of(model: str, optimizer: str, batch: int) -> TorchTask:
    kind = SmallDigits if model.startswith("digits") else RandomImages
    return kind(model, optimizer, batch)


class Loop:
    """The training loop's mini-batches, one at a time."""

    def __init__(self, task: TorchTask, config: Configuration, device: str) -> None:
        self.task, self.config = task, config
        self.learner = Learner(task, config, 0, device)
        self.learner.model.train()
        self.batches = load_data(task, device)[0]
        self.noise = generator_for(0, "augmentation", 1, device)
        self.pairs = self.endless()
        self.ready: Any = None  # a mini-batch, augmented
        self.loss = torch.zeros(())

    def endless(self) -> Iterator[tuple[Tensor, Tensor]]:
        order = generator_for(0, "order", 1)
        while True:
            yield from self.batches.shuffled(self.task.batch_size, order)

    def step(self) -> None:
        """As ``trials.torch_task.training`` does it."""
        inputs, targets = next(self.pairs)
        self.ready = training_inputs(self.task, inputs, self.config, self.noise), targets
        self.bare()
        self.ready = None

    def bare(self) -> None:
        (augmented, targets), learner, precision = self.ready, self.learner, self.learner.precision
        with precision.autocast():
            loss = self.task.loss(learner.model(augmented), targets, self.config)
        learner.optimizer.zero_grad(set_to_none=True)
        precision.scaler.scale(loss).backward()
        precision.scaler.step(learner.optimizer)
        precision.scaler.update()
        self.loss = loss.detach()


# -- what is measured ------------------------------------------------------------------------------


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of the tensors that operations make inside, and takes away those that are freed.

    Deterministic, and on any device. It counts storages, so views cost nothing; what an operation needs and
    frees within itself is not seen, nor are tensors from before.

    live, peak: bytes now, and at most.
    """

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._known: dict[int, Any] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before = {
            leaf.untyped_storage()._cdata
            for leaf in pytree.tree_leaves((args, kwargs))
            if isinstance(leaf, Tensor)
        }
        result = func(*args, **(kwargs or {}))
        for leaf in pytree.tree_leaves(result):
            if isinstance(leaf, Tensor) and leaf.untyped_storage()._cdata not in before:
                self._add(leaf.untyped_storage())
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return

        def gone(_: Any) -> None:
            self.live -= size
            del self._known[key]

        self._known[key] = weakref.ref(storage, gone)
        self.live += size
        self.peak = max(self.peak, self.live)


def peak_bytes(work: Callable[[], Any], device: str) -> int:
    """The most that lives at once while ``work`` runs, beyond what was there before."""
    if device == "cpu":
        with LiveBytes() as counter:
            work()
        return counter.peak
    torch.cuda.synchronize(device)
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    work()
    return torch.cuda.max_memory_allocated(device) - before


def flops(work: Callable[[], Any]) -> int:
    with OperationCounter() as counter:
        work()
    return int(counter.total)


class Stopwatch:
    """Processor time on a CPU; seconds on a GPU, waiting for it."""

    def __init__(self, device: str) -> None:
        self.device = device

    def __call__(self, work: Callable[[], Any], number: int = 1) -> float:
        """Seconds of one of ``number`` calls."""
        began = self._now()
        for _ in range(number):
            work()
        return (self._now() - began) / number

    def _now(self) -> float:
        if self.device == "cpu":
            return time.process_time()
        torch.cuda.synchronize(self.device)
        return time.perf_counter()


class Case:
    """One network, and everything that is measured on it."""

    def __init__(self, model: str, optimizer: str, batch: int, device: str) -> None:
        self.device = device
        self.task = task_of(model, optimizer, batch)
        self.task.setup(device)
        self.config = self.task.space.configuration({name: VALUES[name] for name in self.task.space})
        self.seeds = iter(range(1_000_000))

    def routes(self) -> dict[str, tuple[Callable[[Any], Any], int]]:
        """Name -> (hyper-gradient of some losses, virtual steps)."""
        settings = [name for name in SETTINGS if name in self.task.space]

        def route(kind: Route, only: Sequence[str] | None, ahead: int) -> tuple[Callable[[Any], Any], int]:
            def run(drawn: Any) -> Any:
                losses, train, heldout = drawn
                return estimate(losses, self.task.space, self.config, train, heldout, route=kind, only=only)

            return run, ahead

        def reverse(only: Sequence[str] | None, ahead: int) -> tuple[Callable[[Any], Any], int]:
            def run(drawn: Any) -> Any:
                losses, train, heldout = drawn
                given = self.functional(losses.network), self.task.space, self.config, train, heldout
                with differentiable(), twice_differentiable():
                    return reversed_steps(*given, only=only)

            return run, ahead

        return {
            "closed, lr": route("closed", ["lr"], 1),
            BAR_ROW: route("closed", settings, 1),
            "closed, + label smoothing": route("closed", [*settings, "label_smoothing"], 1),
            "closed, all: + magnitude": route("closed", None, 1),
            "tangents H=2, optimiser settings": route("tangents", settings, 2),
            "tangents H=2, all": route("tangents", None, 2),
            "tangents H=3, all": route("tangents", None, 3),
            "reverse H=1, optimiser settings": reverse(settings, 1),
            "reverse H=1, all": reverse(None, 1),
            "reverse H=2, all": reverse(None, 2),
            "differences H=1, all": route("differences", None, 1),
        }

    def functional(self, network: Network) -> Network:
        """The network as a function of weights that depend on the configuration."""
        model = fresh_model(self.task, self.config, 0, self.device).train()

        def outputs(theta: Any, inputs: Any) -> Any:
            state = {**theta, **{name: buffer.clone() for name, buffer in model.named_buffers()}}
            return functional_call(model, state, (inputs,))

        def forward(theta: Any, samples: Any, config: Configuration) -> Any:
            noise = torch.Generator(self.device).manual_seed(samples.seed)
            return outputs(theta, training_inputs(self.task, samples.inputs, config, noise))

        def heldout_loss(theta: Any, samples: Any) -> Tensor:
            found = outputs(theta, heldout_inputs(self.task, samples.inputs))
            return self.task.heldout_loss(found, samples.targets)

        return Network(network.parameters, forward, smoothed_loss, heldout_loss, network.groups)

    def drawn(self, ahead: int) -> Any:
        """(losses, training halves, held-out half), ready for a route."""
        losses = TrainingProblem(self.task, 0, self.device).losses(self.config)
        pairs = [losses.batches(draw, "half") for draw in range(ahead)]
        return losses, [train for train, _ in pairs], pairs[0][1]

    def strategies(self) -> dict[str, Callable[[], Any]]:
        """Name -> a whole warm start, of another trial each time."""

        def whole(strategy: str, settings: Any) -> Callable[[], Any]:
            warm_start = build(strategy, dict(settings))

            def run() -> Any:
                seed = stream_seed(next(self.seeds), "trial")
                return warm_start.refine(self.task.problem(seed, self.device), self.config, seed)

            return run

        found = {name: whole(each.strategy, each.settings) for name, each in VARIATIONS.items()}
        masked = whole("hypergradient", {"mask": [*SETTINGS]})
        return {**found, MASKED: masked}

    def trained(self) -> None:
        """Three steps, from nothing: what training needs of memory."""
        loop = Loop(self.task, self.config, self.device)
        for _ in range(3):
            loop.step()


def measure(
    case: Case, repeats: int, number: int, *, quick: bool = False, only: str = ""
) -> tuple[list[Row], Row]:
    """(rows, first that of the mini-batch; what else the run is told by)."""
    loop, watch = Loop(case.task, case.config, case.device), Stopwatch(case.device)
    loop.step()
    works: dict[str, tuple[str, Callable[[], Any]]] = {}
    memory: dict[str, int] = {}
    peak = peak_bytes(case.trained, case.device)

    def bare() -> None:
        loop.ready = prepared
        loop.bare()

    inputs, targets = next(loop.pairs)
    prepared = training_inputs(case.task, inputs, case.config, loop.noise), targets
    works["bare mini-batch"] = "bare", bare
    memory["bare mini-batch"] = peak
    skipped = ("tangents", "reverse H=2", "differences") if quick else ()
    for name, (run, ahead) in case.routes().items():
        if name.startswith(skipped) or only not in name:
            continue
        drawn = case.drawn(ahead)
        works[name] = "route", lambda run=run, drawn=drawn: run(drawn)
        memory[name] = peak_bytes(lambda run=run, ahead=ahead: run(case.drawn(ahead)), case.device)
    for name, whole in case.strategies().items():
        if (quick and name not in ("baseline", "ohgw-1step", MASKED)) or only not in name:
            continue
        works[name] = "strategy", whole
        memory[name] = peak_bytes(whole, case.device)

    one = flops(loop.step)
    rows: list[Row] = []
    for name, (kind, work) in works.items():
        rows.append({"name": name, "kind": kind, "flops": flops(work) / one, "memory": memory[name] / peak})
    seconds: dict[str, list[float]] = {row["name"]: [] for row in rows}
    ratios: dict[str, list[float]] = {row["name"]: [] for row in rows}
    ordinary = [watch(loop.step, number)]
    for _ in range(repeats):
        for name, (_, work) in works.items():
            seconds[name].append(watch(work, number))
            ordinary.append(watch(loop.step, number))
            ratios[name].append(2 * seconds[name][-1] / (ordinary[-2] + ordinary[-1]))
    for row in rows:
        row["seconds"] = statistics.median(seconds[row["name"]])
        row.update(spread(ratios[row["name"]]))
        row["share"] = row["ratio"] / EPOCH
    rows.insert(0, {"name": "mini-batch", "kind": "peer", "flops": 1.0, "memory": 1.0, "share": 1 / EPOCH})
    rows[0] |= {"seconds": statistics.median(ordinary), "ratio": 1.0}
    relative = spread([each / rows[0]["seconds"] for each in ordinary])
    rows[0] |= {"low": relative["low"], "high": relative["high"]}
    numbers = {"flops": one, "peak_bytes": peak, "parameters": parameters(loop)}
    return rows, numbers


def parameters(loop: Loop) -> int:
    return sum(parameter.numel() for parameter in loop.learner.model.parameters())


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median and quartiles."""
    if len(values) < 2:
        return {"ratio": values[0], "low": values[0], "high": values[0]}
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"ratio": middle, "low": low, "high": high}


# -- the first trial in a worker -------------------------------------------------------------------


def child(arguments: argparse.Namespace) -> None:
    """In a new process: seconds of warm starts (if any), and of the training steps that follow."""
    torch.set_num_threads(1)
    case = Case(arguments.model, arguments.optimizer, arguments.batch, arguments.device)
    watch = Stopwatch(arguments.device)
    whole = case.strategies()["ohgw-1step"]
    warm = [watch(whole) for _ in range(arguments.child)]
    loop = Loop(case.task, case.config, case.device)
    print(json.dumps({"warm": warm, "steps": [watch(loop.step) for _ in range(4)]}))


def first_calls(arguments: argparse.Namespace, processes: int) -> Row:
    """What the first warm start of a process adds, beside a process that begins with training.

    Returns:
        ratios to a mini-batch, medians of processes. first, later: a warm start. first_step: a training step,
        with no warm start before it. added: what a warm start and a training step take more than that.
    """
    command = [sys.executable, "-m", "benchmarks.warm_start_cost", "--model", arguments.model]
    command += ["--device", arguments.device, "--batch", str(arguments.batch)]
    command += ["--optimizer", arguments.optimizer, "--precision", arguments.precision, "--child"]
    firsts, laters, added, steps = [], [], [], []
    for _ in range(processes):
        plain, warm = (
            json.loads(subprocess.run([*command, n], check=True, capture_output=True, text=True).stdout)
            for n in ("0", "2")
        )
        ordinary = statistics.median(plain["steps"][1:] + warm["steps"][1:])
        firsts.append(warm["warm"][0] / ordinary)
        laters.append(warm["warm"][1] / ordinary)
        steps.append(plain["steps"][0] / ordinary)
        more = warm["warm"][0] + warm["steps"][0] - plain["steps"][0]
        added.append(more / ordinary)
    middle = statistics.median
    found = {"first": middle(firsts), "later": middle(laters), "added": middle(added)}
    return {**found, "first_step": middle(steps), "processes": processes}


# -- tables ----------------------------------------------------------------------------------------

TABLE = tables.Table(
    [
        ("what", lambda row: row["name"]),
        ("ms", lambda row: f"{1000 * row['seconds']:,.{1 if row['seconds'] < 0.1 else 0}f}"),
        ("mini-batches", lambda row: f"{row['ratio']:.2f}"),
        ("     quartiles", lambda row: f"{row['low']:.2f} to {row['high']:.2f}"),
        (f"of {EPOCH} steps", lambda row: f"{row['share']:.2%}"),
        ("arithmetic", lambda row: f"{row['flops']:.2f}"),
        ("peak memory", lambda row: f"{row['memory']:.2f}"),
    ],
    first=44,
)


def verdicts(content: Row) -> list[str]:
    """Each bar, and whether it is met."""
    rows = {row["name"]: row for row in content["rows"]}
    route, masked, whole = rows[BAR_ROW], rows[MASKED], rows["ohgw-1step"]
    found = [
        ("one step for lr, decay and momentum, in mini-batches", route["ratio"], BARS["time"], "{:.2f}"),
        ("its peak memory, over training's", route["memory"], BARS["memory"], "{:.2f}"),
        (f"the whole warm start for these, of {EPOCH} steps", masked["share"], BARS["share"], "{:.2%}"),
        (f"ohgw-1step, all coordinates, of {EPOCH} steps", whole["share"], BARS["share"], "{:.2%}"),
        ("its peak memory, over training's", whole["memory"], BARS["memory"], "{:.2f}"),
    ]
    return [
        f"{'met' if value <= bar else 'NOT MET'}: {what}: {shown.format(value)} (bar {shown.format(bar)})"
        for what, value, bar, shown in found
    ]


def markdown(content: Row) -> str:
    """The table as documents have it, with its conditions and the bars."""
    settings, numbers = content["settings"], content["numbers"]
    versions = ", ".join(f"{name} {number}" for name, number in content["versions"].items())
    head = (
        f"{content['date']}, {settings['device']}, {content['cores']}-core {content['system']}, {versions}; "
        f"{settings['model']} ({numbers['parameters']:,} weights), {settings['optimizer']}, batch "
        f"{settings['batch']}, {settings['precision']} precision, {settings['repeats']} rounds of "
        f"{settings['number']}. A mini-batch: {numbers['flops'] / 1e9:.3g} GFLOP; training's peak: "
        f"{numbers['peak_bytes'] / 2**20:,.1f} MiB."
    )
    parts = [head, "", TABLE.markdown(content["rows"]), "", *(f"- {line}" for line in verdicts(content))]
    if content.get("first"):
        first = content["first"]
        parts += [
            "",
            f"First trial in a worker (medians of {first['processes']} processes, in mini-batches): "
            f"ohgw-1step {first['first']:.2f}, the next one {first['later']:.2f}; without it the first "
            f"training step takes {first['first_step']:.2f}. So the first warm start adds "
            f"{first['added']:.2f}.",
        ]
    return "\n".join(parts)


def write_into(document: Path, content: Row) -> None:
    """Replace the table between the document's two comments for this network."""
    settings = content["settings"]
    name = f"{settings['model']}, {settings['optimizer']}"
    before, begin, rest = document.read_text().partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition("\n<!-- end -->")
    if not (begin and end):
        raise SystemExit(f"{document} has no place for a table of {name}: <!-- {name} --> to <!-- end -->")
    document.write_text(f"{before}{begin}{markdown(content)}{end}{after}")


@contextmanager
def conditions(threads: int, precision: str) -> Iterator[None]:
    """One thread, as a worker with one core; and float32 on a GPU, if that is asked for."""
    before, kinds, tf32 = (
        torch.get_num_threads(),
        (RandomImages, SmallDigits),
        torch.backends.cudnn.allow_tf32,
    )
    torch.set_num_threads(threads)
    for kind in kinds:
        kind.precision = "float32" if precision == "full" else "auto"
    if precision == "full":
        torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.set_num_threads(before)
        for kind in kinds:
            kind.precision = "auto"
        torch.backends.cudnn.allow_tf32 = tf32


def run(arguments: argparse.Namespace) -> Row:
    with conditions(arguments.threads, arguments.precision):
        case = Case(arguments.model, arguments.optimizer, arguments.batch, arguments.device)
        rows, numbers = measure(
            case, arguments.repeats, arguments.number, quick=arguments.quick, only=arguments.only
        )
    names = ("model", "optimizer", "batch", "device", "precision", "threads", "repeats", "number")
    return {
        "benchmark": "warm_start_cost",
        "date": tables.TODAY,
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {"python": platform.python_version(), "torch": torch.__version__.partition("+")[0]},
        "settings": {name: getattr(arguments, name) for name in names},
        "numbers": numbers,
        "rows": rows,
        "first": first_calls(arguments, arguments.processes) if arguments.processes else None,
    }


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter, prog="warm_start_cost"
    )
    made.add_argument("--model", choices=MODELS, default="resnet20")
    made.add_argument("--optimizer", choices=OPTIMIZERS, default="sgd")
    made.add_argument("--device", default="cpu")
    made.add_argument("--precision", choices=("usual", "full"), default="usual")
    made.add_argument("--batch", type=int, help="default: 128, or 32 for small networks")
    made.add_argument("--repeats", type=int, default=7, help="rounds")
    made.add_argument("--number", type=int, default=1, help="calls in one measurement")
    made.add_argument("--threads", type=int, default=1)
    made.add_argument("--processes", type=int, default=3, help="new processes, for the first warm start")
    made.add_argument("--quick", action="store_true", help="digits, few rows, one round: does it work?")
    made.add_argument(
        "--only", metavar="TEXT", default="", help="routes and strategies with TEXT in their names"
    )
    made.add_argument("--json", type=Path, metavar="FILE")
    made.add_argument("--markdown", type=Path, metavar="FILE")
    made.add_argument("--document", type=Path, metavar="FILE", help="a document whose table is replaced")
    made.add_argument("--child", type=int, help=argparse.SUPPRESS)
    return made


def main(command: Sequence[str] | None = None) -> None:
    arguments = parser().parse_args(command)
    if arguments.quick:
        arguments.model, arguments.repeats, arguments.processes = "digits-cnn", 2, 0
    if arguments.batch is None:
        arguments.batch = MODELS[arguments.model]
    if arguments.child is not None:
        with conditions(1, arguments.precision):
            child(arguments)
        return
    content = run(arguments)
    print(TABLE.head())
    for row in content["rows"]:
        print(TABLE.line(row))
    if arguments.only:  # the bars are about other rows
        arguments.markdown = arguments.document = None
    else:
        print("\n".join(["", *verdicts(content)]))
    if arguments.json:
        arguments.json.write_text(json.dumps(content, indent=2) + "\n")
    if arguments.markdown:
        arguments.markdown.write_text(markdown(content) + "\n")
    if arguments.document:
        write_into(arguments.document, content)


if __name__ == "__main__":
    main()
