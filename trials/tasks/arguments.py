"""What the arguments of our own tasks must be: a mistake in a command is told in one line."""

from __future__ import annotations

from asha_core.errors import SettingError


def whole(name: str, value: int, lowest: int, highest: int | None = None) -> int:
    """The value, if it is a whole number in the range; else ``SettingError``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < lowest or value > (highest or value):
        most = "" if highest is None else f", at most {highest}"
        raise SettingError(f"{name} is {value!r}: it must be a whole number of at least {lowest}{most}")
    return value


def share(name: str, value: float, lowest: float, highest: float) -> float:
    """The value, if it is a number in the range; else ``SettingError``."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not lowest <= value <= highest:
        raise SettingError(f"{name} is {value!r}: it must be a share between {lowest} and {highest}")
    return float(value)


def flag(name: str, value: bool) -> bool:
    """The value, if it is true or false; else ``SettingError``."""
    if not isinstance(value, bool):
        raise SettingError(f"{name} is {value!r}: it must be true or false")
    return value
