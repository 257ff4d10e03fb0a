"""Messages that name options of ``asha-run``, as a script knows them: by the arguments of ``tune``."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from functools import wraps
from typing import ParamSpec, TypeVar

from asha_core.arguments import parameters
from asha_core.errors import AshaError, closest, nearest
from asha_core.launch.option_kinds import FLAG
from asha_core.launch.option_table import BY_KEY
from asha_core.schedulers.base import Scheduler

# with its dashes, or as "max-trials"; in no path
_OPTION = re.compile(r"(?<![\w/.-])(?:--(?P<name>[a-z]+(?:-[a-z]+)*)|(?P<bare>[a-z]+(?:-[a-z]+)+))(?![\w/-])")
# KEY=VALUE follows
_MAPPINGS = re.compile(r"(?<![\w/.-])--(?:task|warm-start|scheduler|searcher|observer|executor)-option ")


_Parameters = ParamSpec("_Parameters")
_Returned = TypeVar("_Returned")


def errors_name_arguments(function: Callable[_Parameters, _Returned]) -> Callable[_Parameters, _Returned]:
    """Its users' mistakes name its arguments, and have no traceback of this package's inside."""
    taken = inspect.signature(function).parameters

    @wraps(function)
    def called(*arguments: _Parameters.args, **named: _Parameters.kwargs) -> _Returned:
        for name in named:
            if name not in taken:
                raise TypeError(f"{function.__name__}() has no argument {name!r}{_instead(name, taken)}")
        try:
            return function(*arguments, **named)
        except AshaError as error:
            error.args = (with_arguments(str(error)),)
            raise error.with_traceback(None) from error.__cause__

    return called


def _instead(name: str, taken: Iterable[str]) -> str:
    """What to write for an argument that ``tune`` does not take."""
    meant = closest(name, {*taken, *(parameters(Scheduler) or ())})
    if meant is None or meant in taken:
        return nearest(name, taken)
    return f": give {meant} to the scheduler, as in ASHA(space, {meant}=...)"


def with_arguments(text: str) -> str:
    """The text with ``resume=True`` for ``--resume``, and ``results_dir`` for ``--results-dir``."""
    return _OPTION.sub(_argument, _MAPPINGS.sub("", text))


def _argument(match: re.Match[str]) -> str:
    option = BY_KEY.get((match["name"] or match["bare"]).replace("-", "_"))
    if option is None:  # of some other program
        return match[0]
    return f"{option.key}=True" if match["name"] and option.kind is FLAG else option.key
