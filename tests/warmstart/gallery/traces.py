"""A picture of everything that a warm start may not change, in reach of some objects and in the process."""

from __future__ import annotations

import functools
import random
import types
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

Picture = dict[str, Any]

# what PyTorch keeps for itself where it compiles and distributes: no state of the model's
_ITS_OWN = ("torch._dynamo", "torch.jit", "torch.distributed", "torch._C")
_ITS_OWN_NAMES = ("_forward_cache", "logger", "reducer", "_compiled_call_impl", "dynamo_ctx")


def picture(roots: Any) -> Picture:
    """Where -> what is there, of all that can be reached from ``roots`` and of the process."""
    found: Picture = {f"process: {name}": value for name, value in _process().items()}
    seen: dict[int, Any] = {}
    waiting: list[tuple[str, Any]] = [("", roots)]
    while waiting:
        where, what = waiting.pop()
        found[where] = _words(what)
        if id(what) not in seen:
            seen[id(what)] = what  # kept alive, or an id would come twice
            waiting += [(f"{where}{name}", each) for name, each in _inside(what)]
    return found


def changes(before: Picture, after: Picture) -> list[str]:
    """What differs, in words."""
    words = [f"{where} is gone" for where in before if where not in after]
    words += [f"{where} is new" for where in after if where not in before]
    return words + [
        f"{where} changed" for where in before if where in after and before[where] != after[where]
    ]


def _process() -> dict[str, Any]:
    name, keys, *rest = np.random.get_state(legacy=True)
    backends = torch.backends.cuda
    return {
        "torch's generator": torch.get_rng_state().numpy().tobytes(),
        "random's generator": random.getstate(),
        "numpy's generator": (name, bytes(keys), *rest),
        "modes": (
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
            torch.is_autocast_enabled("cpu"),
        ),
        "types": (torch.get_default_dtype(), torch.are_deterministic_algorithms_enabled()),
        "kernels": (
            backends.flash_sdp_enabled(),
            backends.math_sdp_enabled(),
            backends.mem_efficient_sdp_enabled(),
        ),
        "threads": torch.get_num_threads(),
    }


def _words(what: Any) -> Any:
    """What it is, bit for bit, without what is inside."""
    if isinstance(what, Tensor):
        return _tensor(what)
    if isinstance(what, torch.Generator):
        return id(what), what.get_state().numpy().tobytes()
    if isinstance(what, np.random.Generator):
        return id(what), repr(what.bit_generator.state)
    if isinstance(what, random.Random):
        return id(what), what.getstate()
    if isinstance(what, np.ndarray):
        return id(what), what.tobytes()
    if isinstance(what, bool | int | float | complex | str | bytes | None | torch.dtype | torch.device):
        return repr(what)
    if isinstance(what, set | frozenset):
        return id(what), len(what)
    return id(what), type(what).__qualname__


def _tensor(tensor: Tensor) -> Any:
    if isinstance(tensor, nn.parameter.UninitializedTensorMixin) or tensor.layout != torch.strided:
        return id(tensor), type(tensor).__name__
    plain = tensor.detach()
    bits = (
        plain.resolve_conj().resolve_neg().contiguous().cpu().flatten().view(torch.uint8)
        if plain.numel()
        else None
    )
    return (
        *(id(tensor), plain.data_ptr(), tuple(tensor.shape), tensor.stride(), str(tensor.dtype)),
        *(tensor.requires_grad, tensor._version if not tensor.is_inference() else None),
        None if bits is None else bits.numpy().tobytes(),
        len(tensor._backward_hooks or {}) if tensor.is_leaf else None,
        len(getattr(tensor, "_post_accumulate_grad_hooks", None) or {}),
    )


def _inside(what: Any) -> list[tuple[str, Any]]:
    """(name, object) of what an object holds."""
    if isinstance(what, Tensor):
        return [(".grad", what.grad)] if what.is_leaf and what.grad is not None else []
    if isinstance(what, Mapping):
        return [
            (f"[{key!r}]" if isinstance(key, str | int) else f"[a {type(key).__name__}]", v)
            for key, v in what.items()
        ]
    if isinstance(what, list | tuple):
        return [(f"[{index}]", each) for index, each in enumerate(what)]
    if isinstance(what, types.FunctionType):
        cells = what.__closure__ or ()
        names = what.__code__.co_freevars
        held = [(f".{name}", _content(cell)) for name, cell in zip(names, cells, strict=True)]
        return held + [(f".default{i}", each) for i, each in enumerate(what.__defaults__ or ())]
    if isinstance(what, types.MethodType):
        return [(".self", what.__self__)]
    if isinstance(what, functools.partial):
        return [(".func", what.func), (".args", what.args), (".keywords", what.keywords)]
    if isinstance(what, type | types.ModuleType) or type(what).__module__.startswith(_ITS_OWN):
        return []
    attributes = vars(what) if hasattr(what, "__dict__") else {}
    return [(f".{name}", each) for name, each in attributes.items() if name not in _ITS_OWN_NAMES]


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # empty
        return None
