"""Where an epoch goes, and how fast the network could be trained at all: `training_speed.py`.

The bound is of one mini-batch through the network and its optimiser, on the device's own measured rates:

- arithmetic: matrix products and convolutions (torch's formulas), over the rate of one large matrix product;
- traffic: every operation reads its inputs and writes its outputs once, over the rate of one large copy: what
  operations need one by one, without what a cache keeps from one to the next, or a compiler fuses;
- each operation the slower of the two, added up.
"""

from __future__ import annotations

import math
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import default_collate
from torch.utils.flop_counter import flop_registry

from benchmarks import plain_cifar
from benchmarks.training_routes import VALUES, Plan, Route, Row, task_of, torchvision_data
from trials.checkpoints.files import save_checkpoint
from trials.checkpoints.writer import snapshot
from trials.data.augmentation import cutout, random_crop_flip
from trials.data.rand_augment import rand_augment
from trials.torch_task.evaluation import evaluate
from trials.torch_task.learner import Learner, load_data, training_inputs
from warmstart.problem.randomness import generator_for

Work = Callable[[], Any]


def seconds(work: Work, device: str) -> float:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    began = time.perf_counter()
    work()
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


class Step:
    """The training of one mini-batch, in pieces."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.device = plan, plan.device
        self.task = task_of(plan, Route("parts"))
        self.config = self.task.space.configuration(VALUES)
        self.train, self.valid = load_data(self.task, self.device)
        self.learner = Learner(self.task, self.config, 0, self.device)
        self.noise = generator_for(0, "augmentation", 1, self.device)
        self.order = generator_for(0, "order", 1)
        self.raw, self.targets = self.read()
        self.ready = training_inputs(self.task, self.raw, self.config, self.noise)

    def read(self) -> tuple[Tensor, Tensor]:
        return next(self.train.shuffled(self.plan.batch, self.order))

    def network(self) -> None:
        """Forward, backward, and the optimiser's step."""
        learner = self.learner
        learner.model.train()
        with learner.precision.autocast():
            loss = self.task.loss(learner.model(self.ready), self.targets, self.config)
        learner.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        learner.optimizer.step()


# -- the parts of an epoch -------------------------------------------------------------------------


def parts(plan: Plan, rounds: int) -> list[Row]:
    """Seconds of each part of an epoch, and its share: of our loop, and of the plain one without workers.

    Returns:
        name; of: "ours", "plain", "both", or "beside" what ours trains; seconds: of one call, the median;
        calls: in an epoch; share: of the epoch's sum, for each loop that it is a part of.
    """
    step = Step(plan)
    with tempfile.TemporaryDirectory() as folder:
        works = _works(step, Path(folder))
        found: dict[str, list[float]] = {name: [] for name, *_ in works}
        for *_, work in works:
            work()
        for _ in range(rounds):  # in turn, since other programs come and go
            for name, _, _, work in works:
                found[name].append(seconds(work, plan.device))
    rows: list[Row] = []
    for name, of, calls, _ in works:
        rows.append({"name": name, "of": of, "calls": calls, "seconds": statistics.median(found[name])})
    for row in rows:
        row["share"] = {
            of: row["calls"] * row["seconds"] / _sum(rows, of)
            for of in ("ours", "plain")
            if row["of"] in (of, "both")
        }
    return rows


def _sum(rows: list[Row], of: str) -> float:
    """Seconds of an epoch, without what is done beside it."""
    return math.fsum(row["calls"] * row["seconds"] for row in rows if row["of"] in (of, "both"))


def _works(step: Step, folder: Path) -> list[tuple[str, str, int, Work]]:
    """(name, whose, calls in an epoch, what to do)."""
    plan, task, noise = step.plan, step.task, step.noise
    pixels = step.raw.float()
    normal = task.normalize(pixels)
    data = torchvision_data(plan)
    images = data(plan.root, train=True, transform=plain_cifar.TRAINING)
    held_out = data(plan.root, train=True, transform=plain_cifar.VALIDATION)
    batch, valid = plan.rows[0][: plan.batch], plan.rows[1]
    snap = snapshot(step.learner.state())

    def passed(rows: Any, source: Any) -> Work:
        return lambda: default_collate([source[row] for row in rows])

    def validated() -> None:
        evaluate(task, step.learner.model, step.valid)

    @torch.inference_mode()
    def in_small_batches() -> None:
        model, precision = step.learner.model.eval(), step.learner.precision
        for inputs, _ in step.valid.ordered(plan.batch):
            with precision.autocast():
                model(inputs.float()).argmax(1)

    def saved() -> None:
        torch.save(step.learner.state(), folder / "plain.pt")

    return [
        ("forward, backward, optimiser", "both", plan.steps, step.network),
        ("reading a mini-batch", "ours", plan.steps, step.read),
        ("crop and flip", "ours", plan.steps, lambda: random_crop_flip(step.raw, task.padding, noise)),
        ("RandAugment", "ours", plan.steps, lambda: rand_augment(pixels, VALUES["magnitude"], noise)),
        ("normalisation", "ours", plan.steps, lambda: task.normalize(pixels)),
        ("cutout", "ours", plan.steps, lambda: cutout(normal, task.cutout, noise)),
        ("validation: the network", "ours", 1, validated),
        ("checkpoint: the copy", "ours", 1, lambda: snapshot(step.learner.state())),
        (
            "checkpoint: the file, beside training",
            "beside",
            1,
            lambda: save_checkpoint(folder / "last.pt", {"state": snap}),
        ),
        ("torchvision's transforms and collation", "plain", plan.steps, passed(batch, images)),
        ("validation: its images", "plain", 1, passed(valid, held_out)),
        ("validation: the network, in small batches", "plain", 1, in_small_batches),
        ("torch.save", "plain", 1, saved),
    ]


# -- the bound -------------------------------------------------------------------------------------


class Roofline(TorchDispatchMode):
    """Counts the arithmetic and the traffic of every operation inside.

    operations: (flops, bytes) of each.
    """

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[int, int]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if not any(each.alias_info and not each.alias_info.is_write for each in func._schema.returns):
            formula = flop_registry.get(func._overloadpacket)
            flops = int(formula(*args, **kwargs, out_val=result)) if formula else 0
            tensors = [leaf for leaf in pytree.tree_leaves((args, kwargs, result)) if _is_tensor(leaf)]
            self.operations.append((flops, sum(map(_bytes, tensors))))
        return result


def _is_tensor(leaf: Any) -> bool:
    return isinstance(leaf, Tensor)


def _bytes(tensor: Tensor) -> int:
    """What is read or written of it; an expanded one is smaller than it looks."""
    return min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())


def bound(plan: Plan) -> Row:
    """The least seconds of a mini-batch, by arithmetic and by traffic, on this device now.

    Returns:
        flops, bytes: of a mini-batch. matrix: FLOP a second. copy: bytes a second. arithmetic, traffic,
        operations: seconds, the last of each operation's slower part, added up. dtype: of the matrix product.
    """
    step = Step(plan)
    step.network()  # the optimiser makes its state
    with Roofline() as counted:
        step.network()
    dtype = step.learner.precision.dtype if step.learner.precision.mixed else torch.float32
    matrix, copy = matrix_rate(plan.device, dtype), copy_rate(plan.device)
    flops, traffic = (sum(column) for column in zip(*counted.operations, strict=True))
    return {
        "flops": flops,
        "bytes": traffic,
        "matrix": matrix,
        "copy": copy,
        "arithmetic": flops / matrix,
        "traffic": traffic / copy,
        "operations": sum(max(f / matrix, b / copy) for f, b in counted.operations),
        "dtype": str(dtype).removeprefix("torch."),
    }


def matrix_rate(device: str, dtype: torch.dtype) -> float:
    """FLOP a second of a large matrix product: the best of some."""
    size = 8192 if device.startswith("cuda") else 1536
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    return 2 * size**3 / min(seconds(lambda: left @ right, device) for _ in range(8))


def copy_rate(device: str) -> float:
    """Bytes a second, read and written, of a large copy: the best of some."""
    size = 2**30 if device.startswith("cuda") else 2**27
    source = torch.ones(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * size / min(seconds(lambda: target.copy_(source), device) for _ in range(8))
