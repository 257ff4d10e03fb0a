"""Whose code a class or a function is: a library's, or the user's."""

from __future__ import annotations

import dis
import functools
import sys
from pathlib import PurePath
from types import CodeType, FunctionType
from typing import NamedTuple

OUR_OWN = frozenset({"asha_core", "trials", "warmstart", "analysis"})
PACKAGES = frozenset({"site-packages", "dist-packages"})


@functools.cache
def of_a_library(module: str) -> bool:
    """Whether a module of this name is Python's own, an installed package's or one of ours."""
    root = module.partition(".")[0]
    if root == "__main__":
        return False
    if root in sys.stdlib_module_names or root in OUR_OWN:
        return True
    for name in (root, module):
        file = getattr(sys.modules.get(name), "__file__", None)
        if file is not None:
            return not PACKAGES.isdisjoint(PurePath(file).parts)
    return False


def users_class(cls: type) -> bool:
    """Whether this very class is a user's: not counting what it inherits."""
    module = type.__getattribute__(cls, "__module__")
    return isinstance(module, str) and not of_a_library(module)


def users_function(function: FunctionType) -> bool:
    """Whether its text stands in a user's module."""
    name = function.__globals__.get("__name__")
    return not (isinstance(name, str) and of_a_library(name))


class Mentioned(NamedTuple):
    """The names in code, and in the functions inside it: global ones; those of them that it binds or deletes;
    all others, attributes' names among them.
    """

    names: frozenset[str]
    bound: frozenset[str]
    attributes: frozenset[str]


@functools.lru_cache(maxsize=4096)
def mentioned(code: CodeType) -> Mentioned:
    """The names in code."""
    names: set[str] = set()
    bound: set[str] = set()
    attributes = set(code.co_names)
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            names.add(step.argval)
        elif step.opname in ("STORE_GLOBAL", "DELETE_GLOBAL"):
            bound.add(step.argval)
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            more = mentioned(inner)
            names |= more.names
            bound |= more.bound
            attributes |= more.attributes
    return Mentioned(frozenset(names), frozenset(bound), frozenset(attributes))
