"""Models and functions that write, each as a user would write it: () -> (roots, what writes)."""

from __future__ import annotations

import copy
import functools
import random
import types
import warnings
import weakref
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

Written = tuple[list[Any], Callable[[], object]]
WRITERS: dict[str, Callable[[], Written]] = {}
Make = Callable[[], Written]

calls = 0
history: list[float] = [0.5]
EMA = torch.ones(3)


def writer(name: str) -> Callable[[Make], Make]:
    def register(make: Make) -> Make:
        WRITERS[name] = make
        return make

    return register


def ones(*shape: int) -> Tensor:
    return torch.arange(1.0, 1.0 + torch.Size(shape).numel()).reshape(shape) / 10


@writer("max_norm")
def _() -> Written:
    layer = nn.Embedding(50, 6, max_norm=1)
    return [layer], lambda: layer(torch.arange(50))


class MomentumEncoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.online = nn.Linear(3, 2)
        self.target = copy.deepcopy(self.online).requires_grad_(False)
        self.register_buffer("queue", torch.zeros(4, 2))
        self.at = 0

    def forward(self, x: Tensor) -> Tensor:
        for slow, fast in zip(self.target.parameters(), self.online.parameters(), strict=True):
            slow.data = 0.9 * slow.data + 0.1 * fast.data
        self.queue[self.at] = self.target(x).mean(0).detach()
        self.at = (self.at + 1) % 4
        return self.online(x)


@writer("momentum encoder by .data =")
def _() -> Written:
    model = MomentumEncoder()
    with torch.no_grad():
        model.online.weight.add_(1)
    return [model], lambda: model(ones(5, 3))


@writer("max-norm by .data.copy_, of which no version tells")
def _() -> Written:
    layer = nn.Linear(3, 2)
    return [layer], lambda: layer.weight.data.copy_(layer.weight.data * 0.1)


@writer("weights, buffers, moments and gradients of a training step")
def _() -> Written:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1)

    def step() -> None:
        model(torch.randn(8, 3)).square().mean().backward()
        optimizer.step()
        schedule.step()

    step()
    return [model, step], step


@writer("an optimizer's first step, which makes its moments")
def _() -> Written:
    layer = nn.Linear(3, 1)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)

    def loss(x: Tensor) -> None:
        layer(x).sum().backward()
        optimizer.step()

    return [loss], lambda: loss(ones(2, 3))


class Counting(nn.Module):
    calls = 0
    shapes: list[Any] = []  # noqa: RUF012 - a user's mistake, or trick

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.steps, self.norms, self.seen = 0, [0.0], {"x": 1}
        self.last: Tensor | None = None
        self.kinds, self.recent = {"a"}, deque([1, 2], maxlen=3)
        self.tally, self.by_size = Counter("ab"), defaultdict(list)
        self.order = OrderedDict(a=1, b=2, c=3)
        self.octets, self.nested = bytearray(b"abc"), (["deep"], {"er": [1]})

    def forward(self, x: Tensor) -> Tensor:
        self.steps += 1
        type(self).calls += 1
        self.shapes.append(x.shape)
        self.norms.append(float(x.norm()))
        self.seen["x"] += 1
        self.seen[x.shape] = "new"
        self.last = self.layer(x)
        self.kinds.add("b")
        self.recent.extend([3, 4])
        self.tally.update("b")
        self.by_size[len(x)].append(x)
        self.order.move_to_end("a")
        self.octets += b"d"
        self.nested[0].append("er")
        self.nested[1]["er"][0] = 2
        return self.last


@writer("counters and containers of a model and its class")
def _() -> Written:
    model = Counting()
    return [model], lambda: model(ones(2, 3))


@writer("attributes and submodules that come and go")
def _() -> Written:
    model = Counting()

    def act() -> None:
        vars(model).pop("norms", None)
        model.cache = ones(3)
        model.add_module("late", nn.Linear(2, 2))
        model.layer.register_parameter("bias", None)
        model.register_buffer("new", ones(2))

    return [model], act


@writer("a buffer that is replaced, and one that is made")
def _() -> Written:
    model = nn.BatchNorm1d(3)
    model.register_buffer("statistics", None)

    def act() -> None:
        model.running_mean = model.running_mean + 1
        model.statistics = ones(3)

    return [model], act


@writer("a buffer that gets a graph")
def _() -> Written:
    layer = nn.Linear(3, 3)
    layer.register_buffer("center", torch.zeros(3))

    def act() -> None:
        layer.center.mul_(0.9).add_(layer(ones(2, 3)).mean(0))

    return [layer], act


@writer("a buffer that views another tensor, and gets a graph")
def _() -> Written:
    layer = nn.Linear(3, 3)
    layer.register_buffer("row", layer.weight.detach()[1])

    def act() -> None:
        layer.row.mul_(layer(ones(2, 3)).mean(0))

    return [layer], act


@writer("an attribute that is expanded")
def _() -> Written:
    model = Counting()
    model.wide = ones(2, 1).expand(2, 4)  # type: ignore[assignment]
    base = model.wide._base
    assert base is not None
    return [model], lambda: base.add_(1)


@writer("a nonlocal counter, and a list in a closure")
def _() -> Written:
    step, losses, beta = 0, [1.0], None

    def loss(x: Tensor) -> Tensor:
        nonlocal step, beta
        step += 1
        beta = 0.9 if beta is None else beta * 0.9
        losses.append(float(x.sum()))
        return x.sum() * step

    return [loss], lambda: loss(ones(3))


@writer("a nonlocal that is not bound yet")
def _() -> Written:
    def loss(x: Tensor) -> None:
        nonlocal first
        first = float(x.sum())

    if not WRITERS:
        first = 0.0
    return [loss], lambda: loss(ones(3))


@writer("globals: a counter, a list, one that is new, an average")
def _() -> Written:
    def tell(x: Tensor) -> None:
        global made_late  # noqa: PLW0603
        made_late = x  # type: ignore[name-defined]
        history.append(float(x.sum()))

    def loss(x: Tensor) -> Tensor:
        global calls, EMA  # noqa: PLW0603
        calls += 1
        EMA.mul_(0.9)
        EMA = EMA + x
        tell(x)
        return x.sum()

    return [loss], lambda: loss(ones(3))


class Stats:
    mean = 0.0
    all_means: list[float] = []  # noqa: RUF012

    @classmethod
    def update(cls, x: Tensor) -> None:
        cls.mean = 0.9 * cls.mean + float(x.mean())
        cls.all_means.append(cls.mean)


@writer("a class that stands for a namespace")
def _() -> Written:
    def loss(x: Tensor) -> Tensor:
        Stats.update(x)
        Stats.late = 1  # type: ignore[attr-defined]
        return x.sum()

    return [loss], lambda: loss(ones(3))


class Slotted:
    __slots__ = ("count", "late", "values")

    def __init__(self) -> None:
        self.count, self.values = 0, [1]

    def __call__(self, x: Tensor) -> Tensor:
        self.count += 1
        self.late = x
        self.values.append(2)
        return x * self.count


@writer("an object with slots, called through a partial of its method")
def _() -> Written:
    call = functools.partial(Slotted().__call__, **{})
    return [call], lambda: call(ones(3))


class Hostile:
    """Whatever is asked of it runs code: it must not be."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.value = 1

    def __getattribute__(self, name: str) -> Any:
        object.__getattribute__(self, "asked").append(name)
        return object.__getattribute__(self, name)

    def __eq__(self, other: object) -> bool:
        self.asked.append("eq")
        raise AssertionError

    def __hash__(self) -> int:
        object.__getattribute__(self, "asked").append("hash")
        return 1

    def __bool__(self) -> bool:
        self.asked.append("bool")
        raise AssertionError

    def __len__(self) -> int:
        self.asked.append("len")
        return 0


@writer("an object of which every question is a change")
def _() -> Written:
    one = Hostile()
    # the picture asks too: so it is shown the object's own dict
    inner = object.__getattribute__(one, "__dict__")
    held = [inner]

    class Holder:
        held_one = held

    return [held, Holder], lambda: inner.update(value=2)


@writer("hooks on weights, on modules, and what they keep")
def _() -> Written:
    model = nn.Linear(3, 2)
    model.weight.register_hook(lambda g: g)
    kept: list[Tensor] = []

    def act() -> None:
        model.weight.register_hook(kept.append)
        model.bias.register_hook(lambda g: 2 * g)
        model.bias.register_post_accumulate_grad_hook(lambda p: None)
        model.register_forward_hook(lambda *a: None)
        model.register_full_backward_hook(lambda *a: None)
        model(ones(2, 3).requires_grad_()).sum().backward()

    return [model, act], act


@writer("requires_grad, modes of parts, values on tensors")
def _() -> Written:
    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout(), nn.BatchNorm1d(3))
    model[1].eval()
    model[0].weight.tag = "mine"  # type: ignore[attr-defined]

    def act() -> None:
        model[0].weight.requires_grad_(False)
        model.train()
        model[2].eval()
        model[0].weight.tag = "theirs"  # type: ignore[attr-defined]
        model[0].bias.fresh = [1]  # type: ignore[attr-defined]

    return [model], act


@writer("gradients that lie there")
def _() -> Written:
    model = nn.Linear(3, 2)
    model(ones(2, 3)).sum().backward()

    def act() -> None:
        model(ones(2, 3)).sum().backward()
        assert model.weight.grad is not None
        model.weight.grad.mul_(0)
        model.bias.grad = None

    return [model], act


@writer("spectral norm, the old and the new")
def _() -> Written:
    old, new = nn.Linear(3, 3), parametrizations.spectral_norm(nn.Linear(3, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.nn.utils.spectral_norm(old)
    return [old, new], lambda: (old(ones(2, 3)), new(ones(2, 3)))


@writer("weight norm, the old and the new")
def _() -> Written:
    old, new = nn.Linear(3, 3), parametrizations.weight_norm(nn.Linear(3, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.nn.utils.weight_norm(old)

    def act() -> None:
        for model in (old, new):
            for p in model.parameters():
                p.data.mul_(2)
            model(ones(2, 3)).sum().backward()

    return [old, new], act


@writer("a parametrization that is registered")
def _() -> Written:
    class Positive(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.exp()

    model = nn.Sequential(nn.Linear(3, 3))
    return [model], lambda: parametrize.register_parametrization(model[0], "weight", Positive())


@writer("a lazy module that is made by its first call")
def _() -> Written:
    model = nn.Sequential(nn.LazyLinear(2), nn.LazyBatchNorm1d())
    return [model], lambda: model(ones(4, 3))


@writer("LSTM weights in one chunk")
def _() -> Written:
    model = nn.LSTM(3, 4, num_layers=2)

    def act() -> None:
        for p in model.parameters():
            p.data.mul_(0.5)
        model.flatten_parameters()
        model._flat_weights[0] = nn.Parameter(ones(1))

    return [model], act


@writer("tied weights that are untied")
def _() -> Written:
    model = nn.ModuleDict({"embed": nn.Embedding(5, 3), "head": nn.Linear(3, 5, bias=False)})
    model["head"].weight = model["embed"].weight

    def act() -> None:
        model["head"].weight.data.add_(1)
        model["head"].weight = nn.Parameter(ones(5, 3))

    return [model], act


@writer("parameters that are views of one flat tensor")
def _() -> Written:
    model = nn.Linear(3, 2)
    flat = torch.cat([model.weight.detach().reshape(-1), model.bias.detach()])
    model.weight.data, model.bias.data = flat[:6].view(2, 3), flat[6:]
    model.flat = flat
    return [model], lambda: flat.mul_(2)


@writer("generators: torch's, numpy's three, Python's")
def _() -> Written:
    ours = torch.Generator().manual_seed(1)
    new, old, plain = np.random.default_rng(1), np.random.RandomState(1), random.Random(1)
    bits = np.random.Philox(3)

    def augment(x: Tensor) -> Tensor:
        noise = torch.rand(3, generator=ours) + float(new.normal()) + float(old.normal()) + plain.gauss(0, 1)
        return x + noise + float(np.random.Generator(bits).random())

    return [augment, old, bits.state], lambda: (augment(ones(3)), plain.gauss(0, 1))


@writer("a file that is read")
def _() -> Written:
    file = open(Path(__file__), "rb")  # noqa: SIM115

    def lines(n: int) -> list[bytes]:
        return [file.readline() for _ in range(n)]

    lines(2)
    # closed with the test: a local that goes
    weakref.finalize(lines, file.close)
    return [lines], lambda: lines(3)


@writer("arrays, and tensors that are not registered")
def _() -> Written:
    counts, average = np.zeros(4), ones(4)
    trained = nn.Parameter(ones(2))
    shared = torch.from_numpy(counts)

    def loss(x: Tensor) -> Tensor:
        counts[0] += 1
        shared[1] += 1
        average.mul_(0.9).add_(x, alpha=0.1)
        average[0] = torch.nan
        value = (x.sum() * trained.exp()).sum()
        value.backward()
        trained.data -= 0.1
        return value

    return [loss], lambda: loss(ones(4))


@writer("an attribute's .data that is replaced")
def _() -> Written:
    model = Counting()
    model.shadow = [ones(3)]  # type: ignore[assignment]

    def act() -> None:
        model.shadow[0].data = torch.ones(5)

    return [model], act


@writer("a forward that is patched, and adapters that it reaches alone")
def _() -> Written:
    model, down, up = nn.Sequential(nn.Linear(3, 3)), nn.Linear(3, 1), nn.Linear(1, 3)
    old = model[0].forward
    model[0].forward = lambda x: old(x) + up(down(x))  # type: ignore[method-assign]

    def act() -> None:
        for p in (*up.parameters(), *down.parameters()):
            p.data.add_(1)
        model(ones(2, 3)).sum().backward()

    return [model], act


@writer("a layer that is reached by a partial of a weak reference")
def _() -> Written:
    layer = nn.Linear(3, 2)

    def call(reference: Callable[[], nn.Linear | None], x: Tensor) -> Tensor:
        one = reference()
        assert one is not None
        one.bias.data += 1
        return one(x)

    forward = functools.partial(call, weakref.ref(layer))
    forward.keeps = layer  # type: ignore[attr-defined] # or it is gone
    return [forward], lambda: forward(ones(2, 3))


@writer("a default that is written, an attribute of a function")
def _() -> Written:
    def loss(x: Tensor, seen: list[float] = [], *, more: dict[str, int] = {"n": 0}) -> Tensor:  # noqa: B006
        seen.append(float(x.sum()))
        more["n"] += 1
        loss.calls = getattr(loss, "calls", 0) + 1  # type: ignore[attr-defined]
        return x.sum()

    return [loss], lambda: loss(ones(3))


@writer("a namespace of settings, a dict of a user's class")
def _() -> Written:
    class Config(dict[str, Any]):
        def __getattr__(self, name: str) -> Any:
            return self[name]

    settings, config = types.SimpleNamespace(step=0, log=[]), Config(step=0)

    def loss(x: Tensor) -> Tensor:
        settings.step += 1
        settings.log.append(x)
        config["step"] += 1
        config.extra = 1  # type: ignore[attr-defined]
        return x.sum()

    return [loss], lambda: loss(ones(3))


@writer("a weak dictionary by module")
def _() -> Written:
    model = nn.Linear(3, 2)
    scales: weakref.WeakKeyDictionary[nn.Module, float] = weakref.WeakKeyDictionary()

    def hook(module: nn.Module, args: Any) -> None:
        scales[module] = float(args[0].abs().max())

    model.register_forward_pre_hook(hook)
    hook(model, (torch.zeros(1),))
    return [model, scales.data], lambda: model(ones(2, 3))


@writer("complex weights, whole numbers, nothing at all")
def _() -> Written:
    model = nn.Module()
    model.register_parameter("wave", nn.Parameter(torch.ones(3, dtype=torch.complex64)))
    model.register_buffer("index", torch.arange(3))
    model.register_buffer("none", torch.zeros(0, 3))
    model.register_buffer("turned", ones(2, 3).t())
    model.register_buffer("spread", ones(1).expand(4))
    model.register_buffer("rough", ones(3).bfloat16())

    def act() -> None:
        for tensor in (model.wave, model.index, model.turned, model.rough):
            tensor.data.mul_(3)

    return [model], act
