"""``asha-report``: ``analysis.cli``, also where a user's own ``analysis`` comes first on the path."""

from __future__ import annotations

import sys

from asha_core.own_packages import claim

claim("analysis")

from analysis.cli import main  # noqa: E402

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
