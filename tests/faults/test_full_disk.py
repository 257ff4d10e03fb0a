"""A real search on a real disk that fills up, and has room again."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.asha_core.runtime.small_disk import SmallDisk, small_disk  # noqa: F401
from tests.faults.harness import Search, Tally


def fill(filler: Path) -> None:
    """Take all room, whoever else writes."""
    with open(filler, "wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass


def wait_for(condition, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.timeout(300)
@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 3])
def test_a_full_disk_is_waited_for_and_nothing_is_damaged(
    times: int,
    small_disk: SmallDisk,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FAULTS_UNIT_SECONDS", "0.1")
    search = Search(small_disk.path, seed=1, slots=2, tally=Tally())
    search.log = tmp_path / "trained"  # what the test itself notes is on another disk
    search.start()
    wait_for(lambda: sum(r["type"] == "report" for r in search.records()) >= 5)
    for _ in range(times):
        fill(small_disk.path / "filler")
        before = search.journal.read_bytes()
        time.sleep(1.5)
        assert not search.over
        assert search.journal.read_bytes().startswith(before)
        held = search.journal.stat().st_size
        time.sleep(1.0)
        assert search.journal.stat().st_size == held, "jobs go on, on a full disk"
        small_disk.clear()
        wait_for(lambda held=held: search.over or search.journal.stat().st_size > held)
    search.finish()
    search.check()
    records = search.records()
    assert records[-1]["reason"] == "complete"
    assert {r["trial"] for r in records if r["type"] == "failed"} == {5}
    assert all(r["kind"] == "disk" for r in records if r["type"] == "lost")
