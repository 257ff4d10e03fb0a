"""Whose code a class or a function is: a library's, or the user's."""

from __future__ import annotations

import builtins
import dis
import functools
import sys
from pathlib import PurePath
from types import CodeType, FunctionType

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


@functools.lru_cache(maxsize=4096)
def mentioned(code: CodeType) -> tuple[frozenset[str], frozenset[str]]:
    """The global names that code and the functions inside it mention; those of them that it binds or
    deletes. Names of attributes are among the first: nothing is lost by looking at too many.
    """
    names = set(code.co_names)
    bound: set[str] = set()
    if not {dis.opmap["STORE_GLOBAL"], dis.opmap["DELETE_GLOBAL"]}.isdisjoint(code.co_code[::2]):
        bound.update(
            step.argval
            for step in dis.get_instructions(code)
            if step.opname in ("STORE_GLOBAL", "DELETE_GLOBAL")
        )
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            more, changed = mentioned(inner)
            names |= more
            bound |= changed
    return frozenset(names), frozenset(bound - vars(builtins).keys())
