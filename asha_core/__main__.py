"""``python -m asha_core``: what ``asha-run`` does."""

from __future__ import annotations

import sys

from asha_core.cli.commands import asha_run

if __name__ == "__main__":
    sys.exit(asha_run())
