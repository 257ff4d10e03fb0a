"""Which commit a search was run from."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from asha_core.runtime.storage.manifest import CHECKOUT, commit, repository


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_it_is_told_without_a_trace_in_the_checkout(tmp_path: Path) -> None:
    """Git would write what it found out into its index, under a lock that another git runs into."""

    def git(*arguments: str) -> str:
        name = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
        return subprocess.check_output(["git", "-C", str(tmp_path), *name, *arguments], text=True).strip()

    assert commit(tmp_path) is None
    git("init", "-q")
    assert commit(tmp_path) is None
    (tmp_path / "file").write_text("1")
    git("add", "file")
    git("commit", "-qm", "m")
    os.utime(tmp_path / "file", (1, 1))  # looks changed, and is not
    index = (tmp_path / ".git" / "index").read_bytes()
    assert commit(tmp_path) == git("rev-parse", "HEAD")
    assert (tmp_path / ".git" / "index").read_bytes() == index
    (tmp_path / "below").mkdir()
    for place in (tmp_path, tmp_path / "below", tmp_path / "below" / "task.py"):
        assert repository(place) == {"directory": str(tmp_path), "commit": git("rev-parse", "HEAD")}
    (tmp_path / "file").write_text("2")
    assert commit(tmp_path) == git("rev-parse", "HEAD") + "-dirty"


def test_there_is_none_beside_this_packages_own(tmp_path: Path) -> None:
    assert repository(CHECKOUT / "trials") is None
    assert repository(tmp_path) is None
