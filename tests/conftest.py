"""Shared fixtures.

Real data sets are not part of the repository. Tests that need them take the ``data`` fixture: the folder
named by ASHA_TEST_DATA, else one called shared/data beside the checkout; elsewhere they skip.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("default", deadline=None, derandomize=True)
settings.load_profile("default")

if "PYTEST_XDIST_WORKER" in os.environ:
    # tests side by side, with a thread for every core in each, wait for each other's threads: 2 to 10 times
    # as long. Before anything imports torch; what a test starts inherits it.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parent.parent


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

    monkeypatch.setattr("analysis.report.run_figures.save_figure", empty)
