"""``--start-points``: configurations to try first, from a file or an earlier search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from asha_core.errors import SettingError


def read_start_points(path: Path) -> list[dict[str, Any]]:
    """Configurations from a YAML or JSON list of mappings, or the best ones of a results directory.

    Raises:
        SettingError: it cannot be read, or holds something else.
    """
    import yaml  # reads JSON as well

    file = path / "results.json" if path.is_dir() else path
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        hint = " (a results directory has it after its search has ended)" if path.is_dir() else ""
        raise SettingError(f"--start-points {file} cannot be read: {error.strerror}{hint}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingError(f"--start-points {file} is not YAML: {' '.join(str(error).split())}") from None
    if isinstance(content, dict) and isinstance(content.get("top"), list):
        content = [
            entry.get("configuration") if isinstance(entry, dict) else None for entry in content["top"]
        ]
    if not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content) or not content:
        raise SettingError(
            f"--start-points {file} must hold a list of configurations, each a mapping from names to values, "
            "or be a results directory"
        )
    return [{name: as_number(value) for name, value in entry.items()} for entry in content]


def as_number(value: Any) -> Any:
    """``1e-3`` as the number that it is; YAML 1.1 reads it as text."""
    if isinstance(value, str) and "e" in value.lower() and value[-1:].isdigit():
        try:
            return float(value)
        except ValueError:
            return value
    return value
