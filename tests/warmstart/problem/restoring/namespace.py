"""A user's module whose names are written."""

from typing import Any

steps = 0
log: list[Any] = [1]
