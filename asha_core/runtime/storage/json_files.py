"""JSON files with one object in them: written whole or not at all; errors in reading name the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from asha_core.errors import ResultsError
from asha_core.runtime.storage.atomic import whole
from asha_core.runtime.storage.records import json_values


def write_json(path: Path, content: Any) -> None:
    """Write an indented JSON file: whole or not at all, also if the machine stops."""
    text = json.dumps(json_values(content), indent=2, ensure_ascii=False)
    with whole(path, "x", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        ResultsError: there is none, or it is damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ResultsError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ResultsError(f"{path} is damaged: {error}") from None
    if not isinstance(content, dict):
        raise ResultsError(f"{path} is damaged: it holds a {type(content).__name__}")
    return content


def read_optional_json(path: Path) -> dict[str, Any]:
    """Read a JSON object that nothing relies on: empty if there is none, or it is damaged."""
    try:
        return read_json(path)
    except ResultsError:
        return {}
