"""What can be replaced from outside, by name: the package's own, other packages' entry points, any path.

--scheduler asha                       the package's own
--scheduler median                     an entry point that an installed package registers
--scheduler mypackage.rules:Median     a class in a module
--scheduler rules/median.py:Median     a class in a file
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from re import fullmatch
from typing import Any, cast

from asha_core.arguments import parameters, shown
from asha_core.errors import AshaError, SettingError, nearest
from asha_core.import_paths import is_path, load

_NAME = r"\w[\w-]*"  # "+" joins names, "." asks for a setting, "/" would be another directory


@cache
def installed(group: str) -> Mapping[str, EntryPoint]:
    """What other packages have registered in a group, by name; nothing of theirs is imported."""
    return {point.name: point for point in entry_points(group=group) if fullmatch(_NAME, point.name)}


@dataclass(frozen=True, slots=True)
class Plugins:
    """Everything of one kind that can be named.

    Attributes:
        word: the kind, for people: "scheduler".
        group: the entry point under which other packages register theirs.
        example: a name that a class of the kind could have.
        own: the package's own: "module:Name" by name. Nothing else stands in for one of these.
        kind: of the errors.
    """

    word: str
    group: str
    example: str
    own: Mapping[str, str] = field(default_factory=dict)
    kind: type[AshaError] = SettingError

    @property
    def others(self) -> list[str]:
        """The names that other packages have registered."""
        return [name for name in installed(self.group) if name not in self.own]

    @property
    def names(self) -> list[str]:
        """Every name there is."""
        return [*self.own, *self.others]

    def knows(self, name: str) -> bool:
        """Whether it is one of these names, or says itself where to find it."""
        return name in self.own or is_path(name) or name in installed(self.group)

    def check(self, name: str) -> None:
        """Raise an error that says which names there are, if there is none of this name."""
        if name.endswith(".py"):
            raise self.kind(
                f"{self.word} {name!r} is a file: say which of its classes, too, {name}:{self.example}"
            )
        if not self.knows(name):
            raise self.kind(
                f"unknown {self.word} {name!r}{nearest(name, self.names)}; or mypackage.mymodule:"
                f"{self.example}, or path/file.py:{self.example}"
            )

    def target(self, name: str) -> str:
        """Where it is: "module:Name", or a file's path and a name."""
        self.check(name)
        if name in self.own:
            return self.own[name]
        return name if is_path(name) else installed(self.group)[name].value

    def load(self, name: str) -> Any:
        """The class, or whatever has this name; imported, and not called.

        Raises:
            AshaError: there is none, or it cannot be imported; in one line that names it.
        """
        target = self.target(name)
        if name in self.own or is_path(name):
            return load(target, self.word, self.example, self.kind)
        try:
            return installed(self.group)[name].load()
        except (Exception, SystemExit) as error:
            raise self.kind(
                f"{self.word} {name!r} is registered as {target}, which cannot be imported: "
                f"{type(error).__name__}: {error}"
            ) from error

    def make(
        self,
        name: str | Callable[..., Any],
        arguments: Sequence[Any] = (),
        settings: Mapping[str, Any] | None = None,
        *,
        base: type | None = None,
        base_name: str = "",
    ) -> Any:
        """Call the class of this name.

        Args:
            name: or the class itself.
            arguments: that the search gives it.
            settings: that the user gave: keyword arguments.
            base: of its objects.
            base_name: of that base, as it is imported.
        Raises:
            AshaError: there is none, it is something else, takes no such setting, or cannot be made; in one
                line that names it.
        """
        thing = self.load(name) if isinstance(name, str) else name
        called = self.called(name)
        self.check_kind(thing, called, base, base_name)
        self.check_settings(thing, settings or {}, called, given=arguments)
        try:
            made = thing(*arguments, **(settings or {}))
        except AshaError as error:
            if isinstance(name, str) and name in self.own:
                raise
            raise self.kind(f"{called}: {error}") from error
        except Exception as error:
            lacks = isinstance(error, TypeError) and "missing" in str(error)
            hint = f"; give it by --{self.word.replace(' ', '-')}-option KEY=VALUE" if lacks else ""
            raise self.kind(f"{called} cannot be made: {type(error).__name__}: {error}{hint}") from error
        if base is not None and not isinstance(made, base):
            raise self.kind(f"{called} gives {_what(made)}: {_must_be(base, base_name)}")
        return made

    def check_kind(self, thing: object, called: str, base: type | None, base_name: str) -> None:
        """Raise an error for what cannot be called, and for a class of another kind."""
        other = base is not None and isinstance(thing, type) and not issubclass(thing, base)
        if not callable(thing) or other:
            raise self.kind(f"{called} is {_what(thing)}: {_must_be(base, base_name)}")

    def called(self, name: str | Callable[..., Any]) -> str:
        """The kind and the name, for errors: "scheduler 'median'"."""
        known = name if isinstance(name, str) else getattr(name, "__name__", None)
        return f"{self.word} {shown(name) if known is None else repr(known)}"

    def check_settings(
        self,
        thing: Callable[..., Any],
        settings: Mapping[str, Any],
        called: str,
        *,
        given: Sequence[Any] = (),
    ) -> None:
        """Raise an error for a setting that a class does not take; it says which there are.

        Args:
            given: arguments that the search gives it, ahead of all others.
        """
        taken = parameters(thing)
        if taken is None:
            return
        known = [each for each in dict.fromkeys(taken) if each not in _positional(thing)[: len(given)]]
        for setting in settings:
            if setting not in known:
                raise self.kind(f"{called} has no setting {setting!r}{nearest(str(setting), known)}")


def _positional(thing: Callable[..., Any]) -> list[str]:
    """The arguments that are given by their place."""
    function, skip = (cast("Any", thing).__init__, 1) if isinstance(thing, type) else (thing, 0)
    return [
        parameter.name
        for parameter in list(inspect.signature(function).parameters.values())[skip:]
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]


def _must_be(base: type | None, base_name: str) -> str:
    return f"it must be a subclass of {base_name}" if base else "it must be a class, or a function"


def _what(thing: object) -> str:
    return f"the class {thing.__name__}" if isinstance(thing, type) else shown(thing)
