"""The dimensions of a search space, and their maps to and from two coordinate systems.

*Unit coordinates*: every dimension is [0, 1], uniform under the prior. Searchers draw there.
*Search coordinates*: log10 of a log-scaled dimension, the native value otherwise. Warm starts move there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from typing import Any

from asha_core.arguments import PLAIN, plain
from asha_core.errors import ConfigurationError, SpaceError, nearest
from asha_core.space.options import (
    all_kept,
    described,
    from_description,
    kept,
    listed,
    read_option,
    repeated,
    same,
)

Value = float | int | str | bool | None
# the share of a step by which a sum such as 0.1 + 0.2, or a float32, may miss a value
_NOISE = Fraction(1, 10**6)
_MOST_STEPS = 2**53  # beyond, a coordinate in [0, 1] cannot tell them apart


def _set_plain(dimension: Any, *names: str) -> None:
    """Make attributes of a frozen dimension Python's own values."""
    for name in names:
        object.__setattr__(dimension, name, plain(getattr(dimension, name)))


def _check_number(kind: str, side: str, value: object) -> None:
    if isinstance(value, bool | Enum) or not isinstance(value, int | float):
        raise SpaceError(f"{kind} {side} bound is {value!r}: it must be a finite number")
    try:
        finite = math.isfinite(value)
    except OverflowError:  # an integer that no float holds
        finite = False
    if not finite:
        raise SpaceError(f"{kind} {side} bound is {str(value)[:20]}: it must be a finite number")


def _check_bounds(kind: str, lower: float, upper: float, log: bool) -> None:
    _check_number(kind, "lower", lower)
    _check_number(kind, "upper", upper)
    if not isinstance(log, bool):
        raise SpaceError(f"{kind} log is {log!r}: it must be true or false")
    if lower >= upper:
        raise SpaceError(
            f"{kind} bounds are lower={lower!r}, upper={upper!r}: "
            "lower must be smaller than upper (are they swapped?)"
        )
    if not math.isfinite(float(upper) - float(lower)):
        raise SpaceError(f"{kind} bounds are lower={lower!r}, upper={upper!r}: they are too far apart")
    if log and lower <= 0:
        raise SpaceError(
            f"{kind} lower bound is {lower!r} with log=True: a logarithmic dimension needs a lower "
            "bound above 0; use a small positive bound such as 1e-6, or log=False"
        )


def _exact(number: float) -> Fraction:
    """A number as people write it: 0.1 is a tenth."""
    return Fraction(repr(number))


def _steps(kind: str, lower: float, upper: float, log: bool, step: Any) -> int:
    """How many steps there are between bounds that are checked; at least one.

    Raises:
        SpaceError: a step that is no positive number, leaves one value alone, or is logarithmic.
    """
    if type(step) not in (int, float) or not math.isfinite(step) or step <= 0:
        raise SpaceError(f"{kind} step is {step!r}: it must be a finite number above 0")
    if log:
        raise SpaceError(
            f"{kind} has step={step!r} and log=True: equal steps are not logarithmic; leave one of them out, "
            "or give the values themselves, Choice([1e-4, 1e-3, 1e-2])"
        )
    # a bound that was computed, such as 0.1 + 0.2, or is of float32, may miss the grid by its last digit
    count = math.floor((_exact(upper) - _exact(lower)) / _exact(step) + _NOISE)
    if count < 1:
        raise SpaceError(
            f"{kind} bounds are lower={lower!r}, upper={upper!r}: with step={step!r} they leave one value; "
            f"take a smaller step, or Constant({lower!r})"
        )
    if count >= _MOST_STEPS:
        raise SpaceError(f"{kind} step is {step!r}: that is too small to tell the values apart; leave it out")
    return count


@dataclass(frozen=True, slots=True)
class Float:
    """A real dimension, uniform in its value or, with ``log``, in its logarithm.

    Args:
        lower, upper: inclusive bounds, lower < upper; lower > 0 with ``log``.
        log: scale logarithmically.
        step: only lower, lower + step, lower + 2 step, ... up to upper, each equally likely; upper becomes
            the last of them. Warm starts leave such a dimension as it is.
    Raises:
        SpaceError: bounds swapped, not finite, or not positive with ``log``; a step with ``log``, or one that
            leaves one value.

    >>> Float(0.1, 0.5, step=0.1).from_unit(0.5)
    0.3
    """

    lower: float
    upper: float
    log: bool = False
    step: float | None = None

    _origin: float = field(init=False, repr=False, compare=False)  # of value, or of its logarithm
    _span: float = field(init=False, repr=False, compare=False)
    count: int | None = field(init=False, repr=False, compare=False)  # of its values; None: without end

    def __post_init__(self) -> None:
        _set_plain(self, "lower", "upper", "log", "step")
        _check_bounds("Float", self.lower, self.upper, self.log)
        count = None
        if self.step is not None:
            steps = _steps("Float", self.lower, self.upper, self.log, self.step)
            count = steps + 1
            object.__setattr__(self, "step", float(self.step))
            object.__setattr__(self, "upper", self.at(steps))
        object.__setattr__(self, "count", count)
        origin = math.log(self.lower) if self.log else float(self.lower)
        end = math.log(self.upper) if self.log else float(self.upper)
        object.__setattr__(self, "lower", float(self.lower))
        object.__setattr__(self, "upper", float(self.upper))
        object.__setattr__(self, "_origin", origin)
        object.__setattr__(self, "_span", end - origin)

    def at(self, index: int) -> float:
        """Value ``index`` of those that a step leaves, counted from 0."""
        assert self.step is not None
        return float(_exact(self.lower) + index * _exact(self.step))

    def _index(self, value: float) -> int:
        """Which of its values is nearest."""
        assert self.step is not None
        assert self.count is not None
        return min(max(round((value - self.lower) / self.step), 0), self.count - 1)

    def from_unit(self, unit: float) -> float:
        """The value at ``unit`` in [0, 1], or whose share holds ``unit``; outside, the nearest bound."""
        if self.count is not None:
            return self.at(min(max(math.floor(unit * self.count), 0), self.count - 1))
        value = self._origin + unit * self._span
        if self.log:
            value = math.exp(value)
        if value < self.lower:
            return self.lower
        return self.upper if value > self.upper else value

    def to_unit(self, value: Value) -> float:
        """Where in [0, 1] ``value`` lies; with a step, the middle of its share."""
        if self.count is not None:
            return (self._index(self.to_search(value)) + 0.5) / self.count
        low, high = self.search_bounds
        return (self.to_search(value) - low) / (high - low)

    @property
    def search_bounds(self) -> tuple[float, float]:
        """The bounds in search coordinates."""
        return self.to_search(self.lower), self.to_search(self.upper)

    def to_search(self, value: Value) -> float:
        """log10 of the value if logarithmic, the value otherwise."""
        assert isinstance(value, int | float)
        return math.log10(value) if self.log else float(value)

    def from_search(self, coordinate: float) -> float:
        """The value at a search coordinate, clamped to the bounds; with a step, the nearest one."""
        if self.count is not None:
            return self.at(self._index(coordinate))
        low, high = self.search_bounds
        if coordinate <= low:
            return self.lower
        if coordinate >= high:
            return self.upper
        value = 10.0**coordinate if self.log else coordinate
        return min(max(value, self.lower), self.upper)

    def check(self, name: str, value: object) -> float:
        """``value`` as a float, or ``ConfigurationError``."""
        found = plain(value)
        if type(found) not in (int, float):
            raise ConfigurationError(f"{name} is {value!r}: it must be a number")
        noise = 0.0 if self.step is None else _NOISE * self.step
        if not self.lower - noise <= found <= self.upper + noise:
            raise ConfigurationError(f"{name} is {found!r}: it must be in [{self.lower}, {self.upper}]")
        if self.step is None:
            return float(found)
        nearest_value = self.at(self._index(found))
        if abs(found - nearest_value) > noise:
            raise _off_grid(name, found, self.lower, self.upper, self.step, nearest_value)
        return nearest_value


def _off_grid(
    name: str, value: float, lower: float, upper: float, step: float, near: float
) -> ConfigurationError:
    return ConfigurationError(
        f"{name} is {value!r}: it must be in [{lower}, {upper}], in steps of {step}; the nearest is {near}"
    )


@dataclass(frozen=True, slots=True)
class Int:
    """An integer dimension; every integer has the same prior probability, or, with ``log``, one
    proportional to log((i+1)/i).

    Args:
        lower, upper: inclusive integer bounds, lower < upper; lower >= 1 with ``log``.
        log: scale logarithmically.
        step: only lower, lower + step, lower + 2 step, ... up to upper; upper becomes the last of them.
    Raises:
        SpaceError: bounds swapped, not integers, or not positive with ``log``; a step with ``log``, or one
            that leaves one value.

    >>> Int(32, 128, step=32).from_unit(0.5)
    96
    """

    lower: int
    upper: int
    log: bool = False
    step: int = 1

    def __post_init__(self) -> None:
        _set_plain(self, "lower", "upper", "log", "step")
        _check_bounds("Int", self.lower, self.upper, self.log)
        if not (isinstance(self.lower, int) and isinstance(self.upper, int)):
            raise SpaceError(
                f"Int bounds are lower={self.lower!r}, upper={self.upper!r}: both must be integers "
                "(use Float for a real dimension)"
            )
        if type(self.step) is not int or self.step != 1:
            _steps("Int", self.lower, self.upper, self.log, self.step)
            if type(self.step) is not int:
                raise SpaceError(f"Int step is {self.step!r}: it must be an integer of at least 1")
            object.__setattr__(self, "upper", self.at(self.count - 1))

    @property
    def count(self) -> int:
        """How many values there are."""
        return (self.upper - self.lower) // self.step + 1

    def at(self, index: int) -> int:
        """Value ``index``, counted from 0."""
        return self.lower + index * self.step

    def from_unit(self, unit: float) -> int:
        """The integer whose share of [0, 1] holds ``unit``."""
        if self.log:
            low = math.log(self.lower)
            value = math.floor(math.exp(low + unit * (math.log(self.upper + 1) - low)))
        else:
            value = self.at(math.floor(unit * self.count))
        return min(max(value, self.lower), self.upper)

    def to_unit(self, value: Value) -> float:
        """The middle of the share of [0, 1] that maps to ``value``."""
        assert isinstance(value, int | float)
        if self.log:
            low, high = math.log(self.lower), math.log(self.upper + 1)
            return (0.5 * (math.log(value) + math.log(value + 1)) - low) / (high - low)
        return ((value - self.lower) // self.step + 0.5) / self.count

    def check(self, name: str, value: object) -> int:
        """``value`` as an int, or ``ConfigurationError``."""
        found = plain(value)
        if type(found) is not int:
            raise ConfigurationError(f"{name} is {found!r}: it must be an integer")
        if not self.lower <= found <= self.upper:
            raise ConfigurationError(f"{name} is {found!r}: it must be in [{self.lower}, {self.upper}]")
        if (found - self.lower) % self.step:
            near = self.at(round((found - self.lower) / self.step))
            raise _off_grid(name, found, self.lower, self.upper, self.step, near)
        return found


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several options, each equally likely.

    Args:
        options: strings, numbers, booleans or None; tuples or lists of these; classes or functions that can
            be imported by their names. A one-dimensional array of numbers will do.
    Attributes:
        kept: how each is kept and shown: arrays for tuples and lists, names for classes and functions.
    Raises:
        SpaceError: no options, a repeated one (1, 1.0 and True are equal), or one that nothing can keep; an
            Enum among them, because what comes back from JSON is another object, or plain text.
    """

    options: tuple[Any, ...]
    kept: tuple[Any, ...] = field(init=False, repr=False, compare=False)

    def __init__(self, options: Sequence[Any]) -> None:
        if getattr(options, "ndim", None) == 1 and hasattr(options, "tolist"):
            options = options.tolist()
        if isinstance(options, str | bytes) or not isinstance(options, Sequence) or not options:
            raise SpaceError(f"Choice options are {options!r}: give a list of at least one option")
        options = [read_option("Choice option", option) for option in options]
        names = all_kept(options)
        if twice := repeated(options, names):
            raise SpaceError(f"Choice options are {options!r}: {twice}; leave one out")
        object.__setattr__(self, "options", tuple(options))
        object.__setattr__(self, "kept", names)

    def from_unit(self, unit: float) -> Any:
        """The option whose share of [0, 1] holds ``unit``."""
        last = len(self.options) - 1
        return self.options[min(max(math.floor(unit * len(self.options)), 0), last)]

    def to_unit(self, value: Any) -> float:
        """The middle of the option's share of [0, 1]."""
        return (self.index(value) + 0.5) / len(self.options)

    def index(self, value: Any) -> int:
        """The place of an option, as it was given or as it is kept.

        Raises:
            ValueError: it is none.
        """
        for options in (self.options, self.kept):
            for index, option in enumerate(options):
                if same(option, value):
                    return index
        raise ValueError(value)

    def as_option(self, value: Any) -> Any:
        """The option that is the same number (0 for 0.0), if there is one; else ``value`` as it is."""
        found = plain(value)
        numbers = [option for option in self.options if type(option) in (int, float) and option == found]
        return numbers[0] if numbers and type(found) in (int, float) else found

    def check(self, name: str, value: object) -> Any:
        """The option that ``value`` is, or is kept as, or ``ConfigurationError``."""
        try:
            return self.options[self.index(read_option(name, value))]
        except (ValueError, SpaceError):
            known = list(map(listed, self.kept))
            raise ConfigurationError(f"{name} is {value!r}: it must be one of {known}") from None


@dataclass(frozen=True, slots=True)
class Constant:
    """A frozen dimension: one value, part of every configuration, searched by nobody.

    It keeps its place among the unit coordinates, so that freezing one dimension leaves what is drawn for the
    others as it was.

    Args:
        value: whatever may be an option of a ``Choice``.
    Attributes:
        kept: how it is kept and shown, as of a ``Choice``.
    Raises:
        SpaceError: a value that nothing can keep.
    """

    value: Any
    kept: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", read_option("Constant value", self.value))
        object.__setattr__(self, "kept", kept(self.value))

    def from_unit(self, unit: float) -> Any:
        """The value, wherever ``unit`` lies."""
        return self.value

    def to_unit(self, value: Any) -> float:
        """The middle."""
        return 0.5

    def check(self, name: str, value: object) -> Any:
        """The value, if ``value`` is it, or is kept as it; or ``ConfigurationError``."""
        found = plain(value)
        if not (same(self.value, found) or same(self.kept, found)):
            raise ConfigurationError(f"{name} is {found!r}: it is frozen at {listed(self.kept)!r}")
        return self.value


Dimension = Float | Int | Choice | Constant
_KINDS: dict[str, type[Dimension]] = {"float": Float, "int": Int, "choice": Choice, "constant": Constant}


def is_plain_dimension(dimension: Dimension) -> bool:
    """Whether its values are kept as they are given."""
    options = getattr(dimension, "options", (getattr(dimension, "value", None),))
    return all(type(option) in PLAIN for option in options)


def dimension_to_dict(dimension: Dimension) -> dict[str, Any]:
    """A JSON-able description; ``dimension_from_dict`` reads it back."""
    if isinstance(dimension, Choice):
        told = {"type": "choice", "options": listed(dimension.kept)}
        given = list(map(described, dimension.options))
        return told if is_plain_dimension(dimension) else {**told, "given": given}
    if isinstance(dimension, Constant):
        told = {"type": "constant", "value": listed(dimension.kept)}
        return told if is_plain_dimension(dimension) else {**told, "given": described(dimension.value)}
    kind = "float" if isinstance(dimension, Float) else "int"
    told = {"type": kind, "lower": dimension.lower, "upper": dimension.upper, "log": dimension.log}
    stepped = dimension.step not in (None, 1) if kind == "int" else dimension.step is not None
    return {**told, "step": dimension.step} if stepped else told


def dimension_from_dict(name: str, description: Mapping[str, Any]) -> Dimension:
    """The inverse of ``dimension_to_dict``.

    Raises:
        SpaceError: an unknown type or unknown arguments; says that it was dimension ``name``.
    """
    arguments = dict(description)
    kind = arguments.pop("type", None)
    if kind not in _KINDS:
        raise SpaceError(f"dimension {name!r} has type {kind!r}{nearest(str(kind), _KINDS)}")
    try:
        if kind == "choice" and "given" in arguments:
            arguments["options"] = [from_description(each) for each in arguments.pop("given")]
        elif kind == "constant" and "given" in arguments:
            arguments["value"] = from_description(arguments.pop("given"))
        return _KINDS[kind](**arguments)
    except (TypeError, SpaceError) as error:
        raise SpaceError(f"dimension {name!r}: {error}") from None
