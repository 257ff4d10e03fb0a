"""Which of N recorded configurations a search of a simulated study meets."""

from __future__ import annotations

from asha_core.arguments import integer
from asha_core.streams import stream_seed, uniforms


def drawn_rows(seed: int, search: int, rows: int) -> list[int]:
    """As many rows as a table has, drawn with replacement, in the order in which a search meets them.

    They depend on (seed, search) alone, so all arms and schedulers meet the same. The first m of them are m
    independent draws, whatever m is: see decision 0038.

    Args:
        seed: the study's.
        search: the run's seed.
        rows: of the table, at least one.
    Returns:
        ``rows`` numbers of rows, counted from 0.
    Raises:
        SettingError: a table without rows.
    """
    rows = integer("rows", rows, 1)
    return [int(u * rows) for u in uniforms(stream_seed(seed, "table", search), "row", 0, rows)]
