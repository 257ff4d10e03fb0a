"""``--start-points``: configurations to try first, from a file or an earlier search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from asha_core.errors import SettingError
from asha_core.launch.yaml_files import read_yaml_file


def read_start_points(path: Path) -> list[dict[str, Any]]:
    """Configurations from a YAML or JSON list of mappings, or the best ones of a results directory.

    Raises:
        SettingError: it cannot be read, or holds something else.
    """
    file = path / "results.json" if path.is_dir() else path
    hint = " (a results directory has it after its search has ended)" if path.is_dir() else ""
    content = read_yaml_file(file, f"--start-points {file}", hint=hint)
    if isinstance(content, dict) and isinstance(content.get("top"), list):
        content = [
            entry.get("configuration") if isinstance(entry, dict) else None for entry in content["top"]
        ]
    if not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content) or not content:
        raise SettingError(
            f"--start-points {file} must hold a list of configurations, each a mapping from names to values, "
            "or be a results directory"
        )
    return content
