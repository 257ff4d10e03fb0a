"""The figures in benchmarks/README.md are those of the JSON file; the benchmarks themselves are not run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


def test_the_decisions_table_is_what_the_json_file_says() -> None:
    code = "import decisions; print(decisions.BEGIN, decisions.markdown(), decisions.END, sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=BENCHMARKS, capture_output=True, text=True, check=True
    )
    assert done.stdout in (BENCHMARKS / "README.md").read_text()
