"""Shared fixtures.

Real data sets are not part of the repository. Tests that need them take the ``data`` fixture: the folder
named by ASHA_TEST_DATA, else one called shared/data beside the checkout; elsewhere they skip.
"""

from __future__ import annotations

import multiprocessing.process
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# the same examples every time, so that what fails failed for what was changed
settings.register_profile("default", deadline=None, derandomize=True)
# other examples every time, for `make test-all`, which gives and prints their seed
settings.register_profile("fresh", deadline=None, print_blob=True)
settings.load_profile("default")  # --hypothesis-profile comes later

if "PYTEST_XDIST_WORKER" in os.environ:
    # tests side by side, with a thread for every core in each, wait for each other's threads: 2 to 10 times
    # as long. Before anything imports torch; what a test starts inherits it.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parent.parent


# -- tests that start processes --------------------------------------------------------------------

# every test here starts some; elsewhere the tests that do carry the marker themselves
WITHOUT_PROCESSES = "not processes"
FOLDERS_OF_PROCESSES = ("faults", "integrations", "peers", "trials/executors", "trials/worker")


def _of_processes(path: Path) -> bool:
    return any(path.is_relative_to(ROOT / "tests" / name) for name in FOLDERS_OF_PROCESSES)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Where they are left out they are not even imported: that takes seconds of Ray and Lightning."""
    return True if WITHOUT_PROCESSES in config.option.markexpr and _of_processes(collection_path) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _of_processes(item.path) or "cifar_dir" in getattr(item, "fixturenames", ()):  # a script writes it
            item.add_marker(pytest.mark.processes)


class ProcessGuard:
    """Where tests of processes are left out, as in `make check`, none can start a Python or a browser."""

    def __init__(self) -> None:
        self.item: pytest.Item | None = None
        really_start = multiprocessing.process.BaseProcess.start

        def start(process: multiprocessing.process.BaseProcess) -> None:
            self.check(type(process).__name__)
            really_start(process)

        multiprocessing.process.BaseProcess.start = start  # type: ignore[method-assign]
        sys.addaudithook(self._heard)

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "subprocess.Popen":
            command = arguments[1]
            name = Path(os.fsdecode(command if isinstance(command, (str, bytes)) else command[0])).name
            if name.startswith(("python", "asha-", "chrom", "ray")):
                self.check(name)

    def check(self, what: str) -> None:
        item = self.item
        if item is not None and item.get_closest_marker("processes") is None:
            raise RuntimeError(f"{item.nodeid} starts {what}: mark it with @pytest.mark.processes")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.item = item
        try:
            return (yield)
        finally:
            self.item = None


def pytest_configure(config: pytest.Config) -> None:
    if WITHOUT_PROCESSES in config.option.markexpr:
        config.pluginmanager.register(ProcessGuard(), "process guard")


# -- data ------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def data() -> Path:
    folder = Path(os.environ.get("ASHA_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("no real data sets here: set ASHA_TEST_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def cifar_dir(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the official cifar-10-batches-py."""
    script = data / "cifar10" / "load_cifar10.py"
    if not script.exists():
        pytest.skip(f"no CIFAR-10 in {data}")
    folder = tmp_path_factory.mktemp("cifar")
    subprocess.run([sys.executable, str(script), str(folder)], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def fashion_dir(data: Path) -> Path:
    """A folder with the four idx files of Fashion-MNIST, gzipped."""
    folder = data / "fashion_mnist"
    if not folder.is_dir():
        pytest.skip(f"no Fashion-MNIST in {data}")
    return folder


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures of a run's report are empty files: for what is not about them."""

    def empty(draw: object, stem: Path, size: object) -> tuple[Path, Path]:
        paths = stem.with_name(f"{stem.name}.pdf"), stem.with_name(f"{stem.name}.png")
        for path in paths:
            path.write_bytes(b"")
        return paths

    monkeypatch.setattr("analysis.report.drawings.save_figure", empty)


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refinements as all after a process's first ones: nothing is compared with the real optimiser."""
    monkeypatch.setattr("warmstart.strategies.first_check.TRIALS", 0)
