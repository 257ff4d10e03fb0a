"""PyTorch's operators, given a thread's own generators."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode, _get_current_dispatch_mode_stack

from asha_core.errors import TaskError
from warmstart.plain_attention import PlainAttention
from warmstart.private_randomness.functions import ReplacedFunctions
from warmstart.private_randomness.streams import Streams


class PrivateRandomness(TorchDispatchMode):
    """Inside, what this thread draws comes from ``streams``.

    Raises:
        TaskError: an operator draws random numbers, and takes no generator.
    """

    supports_higher_order_operators = True

    def __init__(self, seed: int = 0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.streams = Streams(seed)
        self._stack = ExitStack()

    def __enter__(self) -> PrivateRandomness:
        with ExitStack() as stack:
            stack.enter_context(_replaced_functions())
            # the fused kernels of a GPU take no generator; on a CPU attention with dropout is plain anyway
            cuda = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
            stack.enter_context(PlainAttention(with_dropout_alone=True) if cuda else nullcontext())
            super().__enter__()  # type: ignore[no-untyped-call]
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *raised: Any) -> None:
        super().__exit__(*raised)  # type: ignore[no-untyped-call]
        self._stack.close()

    @contextmanager
    def seeded(self, seed: int) -> Iterator[None]:
        """Other streams inside; outside, those that there were go on."""
        before, self.streams = self.streams, Streams(seed)
        try:
            yield
        finally:
            self.streams = before

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        draw = _how_to_draw(func)
        return func(*args, **(kwargs or {})) if draw is None else draw(self, args, kwargs or {})


def private_randomness() -> PrivateRandomness | None:
    """That of this thread, if it has one."""
    for mode in _get_current_dispatch_mode_stack():
        if isinstance(mode, PrivateRandomness):
            return mode
    return None


def _streams() -> Streams | None:
    """Those of this thread."""
    mode = private_randomness()
    return None if mode is None else mode.streams


_replaced_functions = ReplacedFunctions(_streams)
_COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd
Draw = Callable[[PrivateRandomness, Sequence[Any], Mapping[str, Any]], Any]


@functools.cache
def _how_to_draw(func: Any) -> Draw | None:
    """How an operator is called so that it draws from the thread's own streams; None: it draws nothing."""
    if not isinstance(func, OpOverload):  # a higher-order one
        return None
    if torch._C._dispatch_has_kernel_for_dispatch_key(func._name, _COMPOSITE):
        return functools.partial(_by_its_parts, func)  # only in inference mode; what it is made of may draw
    if _generator_at(func) is not None:
        return functools.partial(_with_generator, func)
    if torch.Tag.nondeterministic_seeded not in func.tags:
        return None
    kin = [getattr(func.overloadpacket, name) for name in func.overloadpacket.overloads()]
    for other in kin:
        if _generator_at(other) is not None and _arguments(other) == _arguments(func):
            return functools.partial(_with_generator, other)
    if func.overloadpacket is torch.ops.aten.native_dropout:
        return _dropout
    return functools.partial(_unless_it_draws, func)


def _generator_at(func: Any) -> int | None:
    names = [argument.name for argument in func._schema.arguments]
    return names.index("generator") if "generator" in names else None


def _arguments(func: Any) -> list[tuple[str, str]]:
    return [(a.name, str(a.type)) for a in func._schema.arguments if a.name != "generator"]


def _by_its_parts(func: Any, mode: PrivateRandomness, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    with _inside(mode):
        return func._op_dk(_COMPOSITE, *args, **kwargs)  # not func.decompose, which has other kernels


@contextmanager
def _inside(mode: PrivateRandomness) -> Iterator[None]:
    """The mode again, while it handles an operator; without what its own ``__enter__`` does besides."""
    TorchDispatchMode.__enter__(mode)  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        TorchDispatchMode.__exit__(mode, None, None, None)  # type: ignore[no-untyped-call]


def _with_generator(
    func: Any, mode: PrivateRandomness, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    place = _generator_at(func)
    assert place is not None
    given = args[place] if place < len(args) else kwargs.get("generator")
    device = _device(args, kwargs)
    if device.type == "meta" or not (given is None or _is_the_processs(given)):
        return func(*args, **kwargs)
    own = mode.streams.generator(device)
    if place < len(args):
        return func(*args[:place], own, *args[place + 1 :], **kwargs)
    return func(*args, **{**kwargs, "generator": own})


def _is_the_processs(generator: Any) -> bool:
    default: Any = torch.default_generator
    if generator.device.type == "cuda":
        default = torch.cuda.default_generators[generator.device.index]
    return bool(generator._cdata == default._cdata)


def _device(args: Sequence[Any], kwargs: Mapping[str, Any]) -> torch.device:
    tensors = [value for value in [*args, *kwargs.values()] if isinstance(value, Tensor)]
    return torch.device(kwargs.get("device") or (tensors[0].device if tensors else "cpu"))


def _dropout(
    mode: PrivateRandomness, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[Tensor, Tensor]:
    """``native_dropout``: (input, probability, whether in training) -> (output, mask)."""
    inputs, p, train = (*args, *kwargs.values())[:3]
    if train is False or p == 0:
        return inputs.clone(), torch.ones_like(inputs, dtype=torch.bool)
    kept = torch.empty_like(inputs).bernoulli_(1 - p, generator=mode.streams.generator(inputs.device))
    return inputs * kept * (0.0 if p == 1 else 1 / (1 - p)), kept.bool()


def _unless_it_draws(
    func: Any, mode: PrivateRandomness, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    """An operator that cannot be given a generator; most draw for dropout alone."""
    names = [argument.name for argument in func._schema.arguments]
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    if "backward" in func.name():
        return func(*args, **kwargs)  # it repeats the numbers of the forward pass
    if ("dropout_p" in names or "dropout" in names) and (
        not (given.get("dropout_p") or given.get("dropout")) or given.get("train") is False
    ):
        return func(*args, **kwargs)
    raise TaskError(
        f"{func} draws random numbers from a generator of the whole process, and other threads draw from it "
        "as well: warm-start in a process of one thread (with Optuna: n_jobs=1, and several processes), or "
        "set the layer's dropout to 0"
    )
