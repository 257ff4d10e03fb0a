"""The content of run.json: what a search was, and by what and on what it was run."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from asha_core.runtime.machine import cores

CHECKOUT = Path(__file__).resolve().parents[3]
# of a task: with other values the problem is the same, elsewhere
PLACE_OPTIONS = ("data_dir", "download", "curves")
_PACKAGES = ("asha-core", "torch", "torchvision", "numpy", "scipy", "scikit-learn", "xgboost")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def hardware(devices: list[str], names: list[str]) -> dict[str, Any]:
    """What the search runs on. ``names``: the GPUs' product names, if any."""
    return {
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "cores": cores(),
        "devices": devices,
        "gpus": names,
    }


def commit(checkout: Path = CHECKOUT) -> str | None:
    """The commit of the checkout that this package runs from; None if it is installed, or git cannot tell."""
    if not (checkout / ".git").exists():
        return None
    # without the lock of its index, which somebody who works there would run into
    command = ["git", "--no-optional-locks", "-C", str(checkout)]
    command += ["status", "--porcelain=v2", "--branch", "--untracked-files=no"]
    try:
        answer = subprocess.run(command, capture_output=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    said = answer.decode("utf-8", "replace")  # a branch may have any name
    number = re.search(r"^# branch\.oid ([0-9a-f]+)$", said, re.MULTILINE)
    if number is None:  # there is none yet
        return None
    return number[1] + "-dirty" * any(not line.startswith("#") for line in said.splitlines())


def repository(place: Path) -> dict[str, str] | None:
    """The repository that a user's own code is in, and its commit; None: there is none beside this package's.

    Args:
        place: a file or folder of that code.
    """
    top = next((folder for folder in (place, *place.parents) if (folder / ".git").exists()), None)
    number = None if top is None or top == CHECKOUT else commit(top)
    return None if top is None or number is None else {"directory": str(top), "commit": number}


def manifest(**sections: Any) -> dict[str, Any]:
    """The content of run.json: schema, time, command, versions, commit, then ``sections``."""
    created = datetime.now(UTC).isoformat()
    return {
        "schema": 1,
        "created": created,
        "command": sys.argv,
        "versions": versions(),
        "commit": commit(),
        **sections,
    }
