"""``python -m asha_core``: what ``asha-run`` does."""

from __future__ import annotations

import sys

from asha_core.cli.run import main

if __name__ == "__main__":
    sys.exit(main())
