"""A warm start leaves its process as it was: flags, modes, functions, generators, threads, files."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


@pytest.mark.long
@pytest.mark.processes
def test_nothing_of_the_process_is_changed() -> None:
    """Whether it ends well or by an error, alone or beside another thread, whatever somebody has set."""
    code = "from tests.warmstart.problem import process_pictures; process_pictures.main()"
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    changed = json.loads(ran.stdout.splitlines()[-1])
    assert len(changed) == 18
    assert not {what: words for what, words in changed.items() if words}
