"""The commands as they are installed. While they load, a Ctrl-C shows no traceback."""

from __future__ import annotations

import sys
from importlib import import_module


def asha_run() -> int:
    """``asha-run``; returns its exit status."""
    return _command("asha-run", "run")


def asha_study() -> int:
    """``asha-study``; returns its exit status."""
    return _command("asha-study", "study")


def asha_report() -> int:
    """``asha-report``; returns its exit status."""
    return _command("asha-report", "report")


def asha_test() -> int:
    """``asha-test``; returns its exit status."""
    return _command("asha-test", "final_test")


def asha_curves() -> int:
    """``asha-curves``; returns its exit status."""
    return _command("asha-curves", "curves")


def _command(name: str, module: str) -> int:
    try:
        main = import_module(f"asha_core.cli.{module}").main
    except KeyboardInterrupt:
        sys.stderr.write(f"{name}: interrupted\n")
        return 130
    status: int = main()
    return status
