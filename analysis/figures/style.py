"""How a study's figures look: colours, dashes and markers, one set a variation.

Colours are Okabe and Ito's (2008), which people who confuse red with green tell apart; the dashes and the
markers differ as well, for print without colours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
BASELINE = "#333333"
GREY = "#6b6b6b"  # of text that explains; 5:1 against white
FAINT = "#bbbbbb"
SIZE = (6.4, 4.0)  # inches: a page
COLUMN = (3.4, 2.5)  # inches: one column of a two-column paper

_COLOURS = PALETTE[:-1]
_MARKERS = ("s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "*", "d")
_DASHES: tuple[tuple[float, ...], ...] = (
    (),
    (4, 1.5),
    (5, 1.5, 1, 1.5),
    (1, 1.2),
    (8, 2.5),
    (4, 1, 1, 1, 1, 1),
)
Dash = Literal["-"] | tuple[float, tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class Style:
    """How one variation looks in every figure: colour, marker, and linestyle, as matplotlib takes them."""

    colour: str
    marker: str
    dash: Dash


def styles(names: Sequence[str], baseline: str = "baseline") -> dict[str, Style]:
    """A style for each variation: dark grey, solid and round for the baseline, else by place in ``names``.

    Give all of a study's variations once, in one order, and hand the result to every figure: then each looks
    the same in all of them. Colour and dash together are unique for 36 variations beside the baseline.
    """
    found: dict[str, Style] = {}
    place = 0
    for name in dict.fromkeys(names):
        if name == baseline:
            found[name] = Style(BASELINE, "o", "-")
            continue
        dash = _DASHES[(place + place // len(_COLOURS)) % len(_DASHES)]
        colour, marker = _COLOURS[place % len(_COLOURS)], _MARKERS[place % len(_MARKERS)]
        found[name] = Style(colour, marker, (0.0, dash) if dash else "-")
        place += 1
    return found


def looks(names: Sequence[str], look: Mapping[str, Style] | None) -> dict[str, Style]:
    """``look`` for each of ``names``; by default, and for names that it lacks, as ``styles`` has them."""
    given = look or {}
    missing = [name for name in names if name not in given]
    return {**given, **(styles(list(given) + missing) if missing else {}), **given}
