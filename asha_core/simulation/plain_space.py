"""A search space as a file has it, without running anything that the file names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asha_core.space import SearchSpace


def plain_space(described: Mapping[str, Any]) -> SearchSpace:
    """The space of ``SearchSpace.to_dict``, in which classes and functions are their names.

    Constraints, which are functions too, are left out: what a file says is not to decide what is imported.

    Raises:
        SpaceError: it describes none.
    """
    dimensions = described.get("dimensions") if isinstance(described, Mapping) else None
    if not isinstance(dimensions, Mapping):
        return SearchSpace.from_dict(described)  # says what is wrong
    plain = {name: _plain(told) if isinstance(told, Mapping) else told for name, told in dimensions.items()}
    return SearchSpace.from_dict({"dimensions": plain, "constraints": []})


def _plain(dimension: Mapping[str, Any]) -> dict[str, Any]:
    """A dimension by how its options are kept, where one of them would have to be imported."""
    imports = _has_imports(dimension.get("given"))
    return {key: value for key, value in dimension.items() if not (imports and key == "given")}


def _has_imports(given: Any) -> bool:
    if isinstance(given, Mapping):
        return "import" in given or any(map(_has_imports, given.values()))
    return isinstance(given, list) and any(map(_has_imports, given))
