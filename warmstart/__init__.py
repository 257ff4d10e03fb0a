"""Warm starts: what may be done to a fresh configuration before its first evaluation.

Usable alone, inside any tuner: nothing here knows of workers, journals or schedulers.
"""

from __future__ import annotations

from warmstart.base import Outcome, Problem, WarmStart, build

__all__ = ["Outcome", "Problem", "WarmStart", "build"]
