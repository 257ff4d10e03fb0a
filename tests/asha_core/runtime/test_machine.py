"""How much of the machine a process may use, by control groups of our own making and by real ones."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from asha_core.runtime.machine import control_groups, cores, memory_bytes
from asha_core.study.device_groups import device_groups
from tests.trials import jobs
from tests.trials.executors.pools import Make, finish, maker
from trials.devices import WORKER_BYTES, parse_devices, threads_each
from trials.own_threads import threads_within_limits
from trials.worker import memory

MIB = 2**20
Groups = Callable[..., None]


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Groups:
    """Makes the groups that this process is in, on a machine of 8 cores and plenty of memory."""
    monkeypatch.setattr("asha_core.runtime.machine._CGROUPS", tmp_path / "fs")
    monkeypatch.setattr("asha_core.runtime.machine._OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(8)))
    monkeypatch.setattr("os.sysconf", lambda name: 2**26 if name == "SC_PHYS_PAGES" else 4096)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)

    def make(own: str, **files: str) -> None:
        (tmp_path / "own").write_text(own)
        for name, text in files.items():
            path = tmp_path / "fs" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    return make


@pytest.mark.parametrize(
    ("own", "files", "allowed"),
    [
        ("0::/", {"cpu.max": "50000 100000\n"}, 1),
        ("0::/", {"cpu.max": "max 100000\n"}, 8),
        ("0::/", {"cpu.max": "250000 100000"}, 3),  # a part of a core counts as one
        ("0::/", {"cpu.max": "9900000 100000"}, 8),  # more than there are
        ("0::/pod/box", {"pod/box/cpu.max": "max 100000", "pod/cpu.max": "200000 100000"}, 2),
        ("0::/pod/box", {"pod/box/cpu.max": "100000 100000", "pod/cpu.max": "400000 100000"}, 1),
        ("0::/host/path", {"cpu.max": "300000 100000"}, 3),  # a container that sees its group as the root
        ("0::/../other", {"cpu.max": "300000 100000"}, 3),
        ("0::/", {"unified/cpu.max": "200000 100000"}, 2),
        ("4:cpu,cpuacct:/a/b", {"cpu/a/cpu.cfs_quota_us": "-1", "cpu/a/cpu.cfs_period_us": "100000"}, 8),
        ("4:cpu,cpuacct:/a", {"cpu/a/cpu.cfs_quota_us": "50000", "cpu/a/cpu.cfs_period_us": "100000"}, 1),
        (
            "5:cpuacct,cpu:/a/b\n0::/",
            {"cpuacct,cpu/a/cpu.cfs_quota_us": "50000", "cpuacct,cpu/a/cpu.cfs_period_us": "25000"},
            2,
        ),
        ("4:memory:/a", {"cpu/a/cpu.cfs_quota_us": "50000", "cpu/a/cpu.cfs_period_us": "100000"}, 8),
        ("0::/", {"cpu.max": "nonsense"}, 8),
        ("0::/", {"cpu.max": ""}, 8),
        ("", {}, 8),
    ],
)
def test_cores_are_the_least_of_affinity_and_groups(
    groups: Groups, own: str, files: dict[str, str], allowed: int
) -> None:
    groups(own, **files)
    assert cores() == allowed
    devices = parse_devices("cpu")
    assert len(devices.slots) == allowed
    assert devices.slots[0].environment["OMP_NUM_THREADS"] == "1"
    assert parse_devices("cpu", 1).slots[0].environment["OMP_NUM_THREADS"] == str(allowed)
    assert device_groups("cpu", 2, None)[0].workers == max(allowed // 2, 1)


@pytest.mark.parametrize(
    ("own", "files", "mib"),
    [
        ("0::/", {"memory.max": "1073741824\n"}, 1024),
        ("0::/", {"memory.max": "max"}, math.inf),
        ("0::/a/b", {"a/b/memory.max": "max", "a/memory.max": "536870912"}, 512),
        ("3:memory:/a/b", {"memory/a/memory.limit_in_bytes": str(700 * MIB)}, 700),
        ("3:memory:/a", {"memory/a/memory.limit_in_bytes": "9223372036854771712"}, math.inf),
        ("3:memory:/host/path", {"memory/memory.limit_in_bytes": str(64 * MIB)}, 64),
    ],
)
def test_there_are_no_more_workers_by_default_than_the_memory_is_enough_for(
    groups: Groups, own: str, files: dict[str, str], mib: float
) -> None:
    groups(own, **files)
    assert memory_bytes() == min(mib * MIB, 2**38)
    expected = 8 if mib == math.inf else max(int(mib * MIB / WORKER_BYTES), 1)
    devices = parse_devices("cpu")
    assert len(devices.slots) == expected
    assert ("of memory are allowed" in devices.note) == (expected < 8)
    assert len(parse_devices("cpu", 5).slots) == 5  # who says a number gets it
    assert not parse_devices("cpu", 5).note
    assert device_groups("cpu", 2, None)[0].workers == max(expected // 2, 1)


def test_kills_for_memory_are_counted_in_the_same_groups(groups: Groups) -> None:
    groups(
        "3:memory:/a\n0::/b", **{"memory/a/memory.oom_control": "oom_kill 3", "b/memory.events": "oom_kill 4"}
    )
    assert {3, 4} <= set(memory.oom_kills().values())
    assert control_groups("cpu")[0][0].name == "b"


def test_where_nobody_tells_there_is_what_the_system_has(tmp_path: Path, groups: Groups) -> None:
    assert control_groups("cpu") == []
    assert (cores(), memory_bytes()) == (8, 2.0**38)


@pytest.fixture
def inline(tmp_path: Path) -> Iterator[Make]:
    yield from maker("inline", tmp_path)


def test_torch_in_this_process_takes_no_more_threads_than_cores(
    groups: Groups, inline: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    taken = [6]
    monkeypatch.setattr(torch, "get_num_threads", lambda: taken[-1])
    monkeypatch.setattr(torch, "set_num_threads", taken.append)
    groups("0::/", **{"cpu.max": "150000 100000"})
    with pytest.raises(ValueError, match="a job that fails"), threads_within_limits():
        assert taken == [6, 2]
        raise ValueError("a job that fails")
    assert taken == [6, 2, 6]
    finish(inline(jobs.work), jobs.job())
    assert taken[3] == 2  # while the job ran
    assert taken[-1] == 6
    monkeypatch.setenv("OMP_NUM_THREADS", "6")  # the user has said so
    with threads_within_limits():
        assert taken[-1] == 6


@pytest.mark.parametrize(
    ("said", "given"),
    [
        ({}, {"OMP_NUM_THREADS", "MKL_NUM_THREADS"}),
        ({"OMP_NUM_THREADS": "1"}, set()),  # MKL heeds it, too, unless there is one for it alone
        ({"MKL_NUM_THREADS": "1"}, {"OMP_NUM_THREADS"}),
    ],
)
def test_how_many_threads_the_user_has_said_is_so(
    said: dict[str, str], given: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    assert threads_each(2).keys() == given


@pytest.fixture
def half_a_core() -> Iterator[Path]:
    """A group that has half a core."""
    v1 = Path("/sys/fs/cgroup/cpu")
    group = (v1 if v1.exists() else v1.parent) / f"asha_test_{os.getpid()}"
    try:
        group.mkdir()
        if v1.exists():
            (group / "cpu.cfs_quota_us").write_text("50000")
        else:
            (group / "cpu.max").write_text("50000 100000")
    except OSError as error:
        if group.exists():
            group.rmdir()
        pytest.skip(f"no group with half a core can be made here: {error}")
    yield group
    group.rmdir()


@pytest.mark.processes
def test_in_a_real_group_with_half_a_core_there_is_one_worker(half_a_core: Path) -> None:
    code = (
        f"import os; open({str(half_a_core / 'cgroup.procs')!r}, 'w').write(str(os.getpid()))\n"
        "from trials.devices import parse_devices; print(len(parse_devices('cpu').slots))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert answer.stdout == "1\n"
