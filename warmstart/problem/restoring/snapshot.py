"""All that a model, a loss and an optimiser can reach, recorded, lent and given back.

A warm start runs the caller's own model with the caller's own functions. Whatever those write (weights,
buffers, attributes, counters in closures, globals and classes, hooks, modes, generators) is put back in
place, so that everyone who holds an object still holds the same one, with what was in it.

Not seen, and so not put back: what stands in objects of libraries' classes, values of attributes and
closures that have more than 2**20 elements (unless they are registered, trained, or an optimiser's state),
members of containers of more than 10,000, memory that is shared with numpy arrays and was registered,
iterators, hooks on nodes of a graph, files that are only written.

A graph does not outlive a ``rewind``: torch keeps a leaf in a graph by reference, and would differentiate
with the leaf's new values without a word.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from warmstart.problem.restoring.reach import LARGEST_COPY, Reach
from warmstart.problem.restoring.tensor_records import (
    Copies,
    Memory,
    changed,
    contents,
    forget_gradient,
    put_back_contents,
    put_back_flags,
    put_back_gradient,
    put_back_storage,
    storage,
)


class Snapshot:
    """What is in reach of ``roots``, recorded; its registered tensors on copies of their storages.

    Registered are the parameters and buffers of all modules in reach. Those of them that share memory (tied
    weights, views) share the copy's. Gradients are None from now on; the caller's lie aside.
    Snapshots nest: those taken inside can be dropped.

    Args:
        roots: modules, functions, any objects.
        apart: tensors whose values the caller looks after: they stay where they are, and only ``restore``
            puts their storages back. The same goes for what shares their memory.
    """

    def __init__(self, roots: Iterable[Any], *, apart: Collection[Tensor] = ()) -> None:
        self._roots = list(roots)
        with torch.no_grad(), torch._C.DisableTorchFunction():
            reach = self._reach = Reach(self._roots)
            self.modules: list[nn.Module] = reach.modules
            aside, memory_aside = {id(tensor) for tensor in apart}, Memory(apart)
            registered = {id(tensor) for *_, tensor in reach.registered if tensor is not None}
            kept = [
                one for key, one in reach.tensors.items() if key not in aside and one.data not in memory_aside
            ]
            own = [one for one in kept if id(one.tensor) in registered]
            memory = {storage(one.data) for one in own} - {None}
            # an attribute that looks at a weight's memory goes with it
            own += [one for one in kept if id(one.tensor) not in registered and storage(one.data) in memory]
            moved = {id(one.tensor) for one in own}
            self._copies = Copies(own)
            self._in_place = [one for one in kept if id(one.tensor) not in moved]
            self._contents = contents(
                one
                for one in self._in_place
                if one.data.numel() <= LARGEST_COPY
                or (one.leaf and one.requires_grad)
                or id(one.tensor) in reach.always_copied
            )
            self._compared = {id(one.tensor) for one in own}
            try:
                self._copies.place()
                self._without_gradients()
            except BaseException:
                self.restore()
                raise

    def rewind(self) -> None:
        """Everything as it was recorded, registered tensors on fresh copies, without gradients."""
        with torch.no_grad(), torch._C.DisableTorchFunction():
            self._put_back()
            self._copies.place()
            self._without_gradients()

    def restore(self) -> None:
        """Everything as it was: the very storages, gradients and counts of writes too.

        What interrupts it (Ctrl-C) goes on once all is put back.
        """
        try:
            self._restore()
        except BaseException:
            self._restore()
            raise

    def _restore(self) -> None:
        with torch.no_grad(), torch._C.DisableTorchFunction():
            try:
                self._put_back()
            finally:
                for kept in self._reach.tensors.values():
                    put_back_storage(kept)
                for kept in self._reach.tensors.values():
                    put_back_gradient(kept)

    def written(self) -> list[str]:
        """The registered tensors, by their qualified names, whose values now differ from those recorded, or
        in whose place there is another, or none. Waits for a device once.
        """
        with torch.no_grad(), torch._C.DisableTorchFunction():
            return self._written()

    def _put_back(self) -> None:
        try:
            self._reach.put_back()
        finally:
            for kept in self._reach.tensors.values():
                put_back_flags(kept)
            for kept in self._in_place:
                put_back_storage(kept)
            put_back_contents(self._contents)

    def _without_gradients(self) -> None:
        for kept in self._reach.tensors.values():
            forget_gradient(kept)

    def _written(self) -> list[str]:
        names: list[tuple[nn.Module, str]] = []
        pairs: list[tuple[Tensor, Tensor]] = []
        found: list[tuple[nn.Module, str]] = []
        known: set[tuple[int, str, str]] = set()
        for module, kind, name, tensor in self._reach.registered:
            known.add((id(module), kind, name))
            if _entries(module, kind).get(name) is not tensor:
                found.append((module, name))
            elif tensor is not None and id(tensor) in self._compared:
                names.append((module, name))
                pairs.append((self._reach.tensors[id(tensor)].data, tensor.data))
        found += [name for name, differs in zip(names, changed(pairs), strict=True) if differs]
        found += [
            (module, name)
            for module in self.modules
            for kind in ("_parameters", "_buffers")
            for name in _entries(module, kind)
            if (id(module), kind, name) not in known
        ]
        if not found:
            return []
        paths = self._paths()
        return list(dict.fromkeys(f"{paths[id(module)]}{name}" for module, name in found))

    def _paths(self) -> dict[int, str]:
        """Where each module stands below the first root that is a module; others by their class."""
        paths: dict[int, str] = {}
        for root in [root for root in self._roots if isinstance(root, nn.Module)]:
            waiting = [(root, "" if not paths else f"{type(root).__name__}.")]
            while waiting:
                module, path = waiting.pop()
                if id(module) not in paths:
                    paths[id(module)] = path
                    children = object.__getattribute__(module, "__dict__").get("_modules", {})
                    waiting += [
                        (child, f"{path}{name}.") for name, child in children.items() if child is not None
                    ]
        return {id(module): f"{type(module).__name__}." for module in self.modules} | paths


def _entries(module: nn.Module, kind: str) -> dict[str, Tensor | None]:
    entries = object.__getattribute__(module, "__dict__").get(kind) or {}
    return entries if isinstance(entries, dict) else dict(entries.items())
