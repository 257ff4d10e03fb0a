"""Where in a task something is held, in words: "the closure variable 'log' of train", "self.loader.file"."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from functools import partial
from types import CodeType, FunctionType, MethodType
from typing import Any, NamedTuple

from trials.worker.by_value import is_compiled

_DEEPEST = 50


class Held(NamedTuple):
    """Something, and where it is held.

    Attributes:
        thing: what is held.
        base: the name that leads there: "self", a variable's, a function's.
        origin: whose the name is, in words, if it needs them: "the closure variable 'log' of train".
        path: from the name on: ".loader.file".
    """

    thing: Any
    base: str
    origin: str = ""
    path: str = ""

    def __str__(self) -> str:
        path = self.path if len(self.path) < 100 else f"{self.path[:50]}...{self.path[-30:]}"
        if not self.origin:
            return self.base + path
        return f"{self.base}{path} ({self.origin})" if path else self.origin


def innermost(held: Held, fails: Callable[[Any], bool]) -> Held:
    """The smallest part of something that ``fails``; itself if no part of it does."""
    for _ in range(_DEEPEST):
        inner = next((part for part in _parts(held) if fails(part.thing)), None)
        if inner is None:
            break
        held = inner
    return held


def _parts(held: Held) -> Iterator[Held]:
    thing = held.thing
    if isinstance(thing, partial):
        yield from _parts_of_partial(thing)
    elif isinstance(thing, MethodType):
        name = thing.__func__.__qualname__
        yield Held(thing.__self__, "self", f"what the method {name} is bound to")
        yield Held(thing.__func__, name)
    elif is_compiled(thing):
        return  # its parts are torch's
    elif isinstance(thing, FunctionType):
        yield from _parts_of_function(thing)
    elif isinstance(thing, staticmethod | classmethod):
        yield held._replace(thing=thing.__func__)
    elif isinstance(thing, property):
        yield from (held._replace(thing=each) for each in (thing.fget, thing.fset, thing.fdel) if each)
    elif isinstance(thing, type):
        yield from (Held(base, base.__qualname__) for base in thing.__bases__)
        yield from _attributes(Held(thing, thing.__qualname__), vars(thing))
    elif isinstance(thing, Mapping):
        yield from (held._replace(thing=key, path=f"{held.path}'s key {key!r:.50}") for key in thing)
        yield from _items(held, thing.items())
    elif isinstance(thing, Sequence | Set) and not isinstance(thing, str | bytes):
        yield from _items(held, enumerate(thing))
    else:
        yield from _parts_of_object(held)


def _parts_of_partial(thing: partial[Any]) -> Iterator[Held]:
    name = getattr(thing.func, "__qualname__", repr(thing.func))
    yield Held(thing.func, name)
    for key, value in [*enumerate(thing.args), *thing.keywords.items()]:
        yield Held(value, f"argument {key!r}", f"argument {key!r} of the partial of {name}")


def _parts_of_function(thing: FunctionType) -> Iterator[Held]:
    name = thing.__qualname__.replace("<locals>.", "")
    for variable, cell in zip(thing.__code__.co_freevars, thing.__closure__ or (), strict=True):
        try:
            yield Held(cell.cell_contents, variable, f"the closure variable {variable!r} of {name}")
        except ValueError:  # it has no value yet
            continue
    for variable in _names(thing.__code__):
        if variable in thing.__globals__:
            yield Held(thing.__globals__[variable], variable, f"the global variable {variable!r} of {name}")
    for parameter in inspect.signature(thing, follow_wrapped=False).parameters.values():
        if parameter.default is not parameter.empty:
            of = f"the default of {name}'s argument {parameter.name!r}"
            yield Held(parameter.default, parameter.name, of)
    yield from _attributes(Held(thing, name), vars(thing))


def _names(code: CodeType) -> Iterator[str]:
    """Of what a function's code uses by name, with the functions inside it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _parts_of_object(held: Held) -> Iterator[Held]:
    thing = held.thing
    try:
        _, arguments, state, items, pairs = (*thing.__reduce_ex__(4), None, None, None)[:5]
    except Exception:  # it says so itself, or a part of it does
        arguments, state, items, pairs = (), getattr(thing, "__dict__", None), None, None
    states = state if isinstance(state, tuple) and len(state) == 2 else (state,)
    for each in states:
        if isinstance(each, dict):
            yield from _attributes(held, each)
        elif each is not None:
            yield held._replace(thing=each)
    yield from _items(held, enumerate(items or ()))
    yield from _items(held, pairs or ())
    for each in arguments:
        if each is not thing and not isinstance(each, type):
            yield held._replace(thing=each)
    yield Held(type(thing), type(thing).__qualname__)


def _attributes(held: Held, attributes: Mapping[str, Any]) -> Iterator[Held]:
    for name, value in list(attributes.items()):
        yield held._replace(thing=value, path=f"{held.path}.{name}")


def _items(held: Held, items: Any) -> Iterator[Held]:
    for key, value in items:
        yield held._replace(thing=value, path=f"{held.path}[{key!r:.50}]")
