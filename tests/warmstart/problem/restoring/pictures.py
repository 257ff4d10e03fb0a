"""What can be reached from some objects, bit for bit; written apart from what it judges."""

from __future__ import annotations

import functools
import gc
import io
import random
import types
import weakref
from collections import deque
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

# where the description stops: what belongs to Python or a library and holds half of the process
_STOP = (types.ModuleType, types.BuiltinFunctionType, torch.dtype, torch.device)
_ITS_OWN = ("torch._dynamo", "torch._functorch", "torch.jit", "torch.distributed", "torch._C")
_WORDS = (bool, int, float, complex, str, bytes, type(None))


def describe(*roots: Any) -> list[tuple[str, Any]]:
    """(where, what) of everything, in an order that depends on nothing but the objects."""
    lines: list[tuple[str, Any]] = []
    seen: dict[int, Any] = {}
    _describe("", list(roots), lines, seen, first=True)
    return lines


def _describe(
    where: str, one: Any, lines: list[tuple[str, Any]], seen: dict[int, Any], first: bool = False
) -> None:
    if isinstance(one, _WORDS) or type(one) in (np.float64, np.int64):
        lines.append((where, (type(one).__name__, repr(one), None if isinstance(one, bool) else id(one))))
        return
    if not first:
        lines.append((where, (type(one).__name__, id(one))))
    if id(one) in seen or isinstance(one, _STOP):
        return
    seen[id(one)] = one
    lines.extend((f"{where} {name}", value) for name, value in _state(one))
    for name, inner in [] if type(one).__module__.startswith(_ITS_OWN) else _parts(one):
        _describe(f"{where}{name}", inner, lines, seen)


def _state(one: Any) -> list[tuple[str, Any]]:
    if isinstance(one, Tensor):
        return _of_tensor(one)
    if isinstance(one, np.ndarray):
        return [("bytes", one.tobytes()), ("form", (one.shape, one.dtype.str, one.strides))]
    if isinstance(one, torch.Generator):
        return [("state", one.get_state().numpy().tobytes())]
    if isinstance(one, np.random.Generator | np.random.RandomState):
        bits = one.bit_generator if isinstance(one, np.random.Generator) else one._bit_generator
        return [("state", repr(bits.state))]
    if isinstance(one, random.Random):
        return [("state", one.getstate())]
    if isinstance(one, io.IOBase):
        return [("position", None if one.closed or not one.seekable() else one.tell())]
    if isinstance(one, bytearray):
        return [("bytes", bytes(one))]
    return []


def _of_tensor(tensor: Tensor) -> list[tuple[str, Any]]:
    if isinstance(tensor, nn.parameter.UninitializedTensorMixin):
        return []
    told: list[tuple[str, Any]] = [
        ("leaf", tensor.is_leaf),
        ("requires_grad", tensor.requires_grad),
        ("version", tensor._version),
        ("dtype", str(tensor.dtype)),
        ("shape", tuple(tensor.shape)),
    ]
    if tensor.layout is torch.strided and tensor.device.type != "meta":
        data = tensor.detach()
        told += [("stride", data.stride()), ("at", data.data_ptr()), ("offset", data.storage_offset())]
        told += [
            (
                "bytes",
                data.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() if data.numel() else b"",
            )
        ]
    return told


def _parts(one: Any) -> list[tuple[str, Any]]:  # noqa: PLR0912 - a case for each kind
    parts: list[tuple[str, Any]] = []
    if isinstance(one, dict):
        for index, (key, value) in enumerate(one.items()):
            parts += [(f".key{index}", key), (f"[{key if isinstance(key, str) else index}]", value)]
    elif isinstance(one, list | tuple | deque):
        parts += [(f"[{index}]", value) for index, value in enumerate(one)]
    elif isinstance(one, set | frozenset):
        parts += [(f"{{{index}}}", value) for index, value in enumerate(sorted(one, key=repr))]
    elif isinstance(one, types.FunctionType):
        parts += [(".defaults", one.__defaults__), (".kwdefaults", one.__kwdefaults__)]
        if not one.__module__.startswith("torch."):  # torch marks its own functions as it compiles
            parts += [(".dict", vars(one))]
        for name, cell in zip(one.__code__.co_freevars, one.__closure__ or (), strict=True):
            bound = gc.get_referents(cell)
            parts.append((f".{name}", bound[0] if bound else "(unbound)"))
        if one.__module__.startswith("tests."):
            for name in one.__code__.co_names:
                value = one.__globals__.get(name)
                parts.append((f".global {name}", None if isinstance(value, _STOP) else value))
    elif isinstance(one, types.MethodType):
        parts += [(".self", one.__self__), (".func", one.__func__)]
    elif isinstance(one, functools.partial):
        parts += [(".func", one.func), (".args", one.args), (".keywords", one.keywords)]
    elif isinstance(one, weakref.ref):
        parts += [("()", one())]
    elif isinstance(one, type):
        if one.__module__.startswith("tests."):
            parts += [(f"::{name}", value) for name, value in vars(one).items() if not name.startswith("__")]
        return parts
    if isinstance(one, Tensor):
        parts += [(".grad", one.grad)] if one.is_leaf else []
        parts += [(".hooks", one._backward_hooks), (".accumulated", one._post_accumulate_grad_hooks)]
        parts += [(".dict", vars(one))]
    elif not isinstance(one, types.FunctionType | functools.partial) and hasattr(one, "__dict__"):
        parts += [(".class", type(one)), (".dict", vars(one))]
    if type(one).__module__.startswith("tests."):
        for cls in type(one).__mro__[:-1]:
            for name in getattr(cls, "__slots__", ()):
                parts.append((f".{name}", getattr(one, name, "(unset)")))
    return parts


def differences(before: list[tuple[str, Any]], after: list[tuple[str, Any]]) -> list[str]:
    """Where two pictures differ, in words."""
    old, new = dict(before), dict(after)
    return [
        f"{where}: {old.get(where)} -> {new.get(where)}"[:300]
        for where in old | new
        if old.get(where) != new.get(where)
    ]
