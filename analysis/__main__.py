"""``python -m analysis``: what ``asha-report`` does."""

from __future__ import annotations

import sys

from analysis.cli import main

if __name__ == "__main__":
    sys.exit(main())
