"""Integer rung levels.

Levels are built by integer multiplication. ``log(243) / log(3)`` is 4.999... in floating point, and
that is how several libraries lose a rung.
"""

from __future__ import annotations

from asha_core.arguments import integer
from asha_core.errors import SettingError


def check_levels(min_resource: int, max_resource: int, reduction_factor: int) -> tuple[int, int, int]:
    """The three, if they are integers that make at least one rung; else ``SettingError``."""
    least = integer("min_resource", min_resource, 1)
    most = integer("max_resource", max_resource, 1)
    if least > most:
        raise SettingError(
            f"min_resource is {least} and max_resource is {most}: min_resource must not be larger"
        )
    return least, most, integer("reduction_factor", reduction_factor, 2)


def rung_levels(min_resource: int, max_resource: int, reduction_factor: int) -> tuple[int, ...]:
    """The resources at which trials are compared: r, r*eta, r*eta^2, ... and always R itself.

    Args:
        min_resource: r, the resource of the bottom rung (peers: ``grace_period``).
        max_resource: R, the resource of the last rung (peers: ``max_t``).
        reduction_factor: eta.
    Returns:
        Strictly increasing levels; the last is ``max_resource`` even where it is not r*eta^k.
    Raises:
        SettingError: an argument is not an integer in its range.
    Source: Li et al. 2020, arXiv:1810.05934, algorithm 2 (s = 0); there the last level is the largest
    r*eta^k up to R, here R itself is one more.

    >>> rung_levels(1, 243, 3)
    (1, 3, 9, 27, 81, 243)
    >>> rung_levels(1, 200, 3)
    (1, 3, 9, 27, 81, 200)
    """
    min_resource, max_resource, reduction_factor = check_levels(min_resource, max_resource, reduction_factor)
    levels = []
    level = min_resource
    while level < max_resource:
        levels.append(level)
        level *= reduction_factor
    return (*levels, max_resource)


def bracket_levels(min_resource: int, max_resource: int, reduction_factor: int) -> tuple[int, ...]:
    """Hyperband's rungs, built from the top: floor(R/eta^s) for s = s_max ... 0.

    s_max is the largest s with R/eta^s >= r; bracket s begins at floor(R/eta^s). Where R is r*eta^k they are
    those of ``rung_levels``; elsewhere the lower ones differ, and the step to R is a whole factor eta.

    Args:
        min_resource: r.
        max_resource: R.
        reduction_factor: eta.
    Returns:
        Strictly increasing levels; the first is at least ``min_resource``, the last ``max_resource``.
    Raises:
        SettingError: an argument is not an integer in its range.
    Source: Li et al. 2018, JMLR 18(185), algorithm 1.

    >>> bracket_levels(1, 81, 3)
    (1, 3, 9, 27, 81)
    >>> bracket_levels(1, 200, 3)
    (2, 7, 22, 66, 200)
    """
    min_resource, max_resource, reduction_factor = check_levels(min_resource, max_resource, reduction_factor)
    levels = []
    divisor = 1
    while max_resource // divisor >= min_resource:
        levels.append(max_resource // divisor)
        divisor *= reduction_factor
    return tuple(reversed(levels))


def bracket_size(bracket: int, brackets: int, reduction_factor: int) -> int:
    """Configurations of Hyperband's bracket s: ceil((s_max + 1) / (s + 1) * eta^s).

    Args:
        bracket: s, how many rungs lie above the one at which the bracket begins.
        brackets: s_max + 1.
        reduction_factor: eta.
    Source: Li et al. 2018, JMLR 18(185), algorithm 1.

    >>> [bracket_size(s, 5, 3) for s in (4, 3, 2, 1, 0)]
    [81, 34, 15, 8, 5]
    """
    size: int = -(-brackets * reduction_factor**bracket // (bracket + 1))
    return size
