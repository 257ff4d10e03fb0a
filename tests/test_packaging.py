"""The wheel, installed without the repository, runs."""

from __future__ import annotations

import configparser
import json
import os
import re
import subprocess
import sys
import venv
import zipfile
from email.parser import Parser
from importlib import metadata
from pathlib import Path

import pytest

from asha_core.extras import EXTRAS

pytestmark = pytest.mark.processes

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = ROOT / "analysis" / "report" / "templates"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        check=True,
        capture_output=True,
        # build in a copy, so that no build/ folder is left in the checkout
        env={**os.environ, "DIST_EXTRA_CONFIG": str(_build_base(folder))},
    )
    (built,) = folder.glob("*.whl")
    return built


def _build_base(folder: Path) -> Path:
    config = folder / "extra.cfg"
    config.write_text(f"[build]\nbuild_base = {folder / 'build'}\n[egg_info]\negg_base = {folder}\n")
    return config


def test_the_wheel_holds_the_packages_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {"asha_core", "trials", "warmstart", "analysis"}
    for package in tops:
        assert f"{package}/py.typed" in names
    sources = {str(p.relative_to(ROOT)) for package in tops for p in (ROOT / package).rglob("*.py")}
    assert sources == {name for name in names if name.endswith(".py")}
    templates = {f"analysis/report/templates/{path.name}" for path in TEMPLATES.iterdir()}
    assert templates <= set(names)


def test_the_metadata_names_the_dependencies_and_the_licence(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (name,) = (n for n in archive.namelist() if n.endswith("METADATA"))
    fields = Parser().parsestr(archive.read(name).decode())
    required = {line.split(">")[0] for line in fields.get_all("Requires-Dist", []) if "extra" not in line}
    wanted = {
        "torch",
        "torchvision",
        "numpy",
        "scipy",
        "matplotlib",
        "rich",
        "scikit-learn",
        "PyYAML",
        "jinja2",
        "cloudpickle",
    }
    assert {r.lower() for r in required} == {w.lower() for w in wanted}
    assert fields["Requires-Python"] == ">=3.11"
    assert fields["License-File"] == "LICENSE"


def test_what_a_missing_library_asks_to_install_has_that_library() -> None:
    """``asha_core.extras`` names extras by hand; pip would only warn of one that is not there."""
    extras = _extras()
    for library, extra in EXTRAS.items():
        project = {"ale_py": "ale-py", "cv2": "opencv-python-headless"}.get(
            library, library.replace("_", "-")
        )
        assert any(re.match(rf"{project}\b(?!-)", line) for line in extras[extra]), (library, extra)


def test_tests_are_run_with_the_extras_of_every_task() -> None:
    test = _extras()["test"]
    assert {f"asha-core[{extra}]" for extra in ("language", "tabular", "rl", "hugging-face")} <= set(test)


def test_no_extra_takes_just_any_version() -> None:
    """What people install; the test extra's tools may be the newest."""
    for extra, lines in _extras().items():
        if extra != "test":
            assert [line for line in lines if ">=" not in line] == [], extra


def _extras() -> dict[str, list[str]]:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    section = config["options.extras_require"]
    return {
        name: [line for line in lines.split("\n") if line and not line.startswith("#")]
        for name, lines in section.items()
    }


@pytest.mark.slow
def test_a_clean_environment_runs_a_search_and_a_report_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    """The wheel is new; its dependencies, torch among them, are borrowed from this environment."""
    home = tmp_path / "venv"
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    site = next((home / "lib").glob("python*/site-packages"))
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", str(wheel)],
        check=True,
        capture_output=True,
    )
    borrowed = Path(metadata.distribution("torch").locate_file(""))
    # a plain path entry: our own editable install's import hook is a .pth file there, and is not run
    (site / "borrowed.pth").write_text(f"{borrowed}\n")
    # nor are packages that this process was told of found
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    where = subprocess.run(
        [str(python), "-c", "import asha_core; print(asha_core.__file__)"],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=clean,
    ).stdout
    assert str(site) in where
    asha_run = home / "bin" / "asha-run"
    assert (
        "--variation"
        in subprocess.run([asha_run, "--help"], check=True, capture_output=True, text=True, env=clean).stdout
    )
    done = subprocess.run(
        [
            *(asha_run, "--task", "digits", "--task-option", "model=mlp", "--variation", "ohgw-1step"),
            *("--gpus", "cpu", "--workers-per-gpu", "1", "--max-trials", "2", "--max-resource", "1"),
            *("--results-dir", "run", "--json"),
        ],
        env=clean,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["trials"] == 2
    subprocess.run(
        [home / "bin" / "asha-report", "run"], check=True, capture_output=True, cwd=tmp_path, env=clean
    )
    assert (tmp_path / "run" / "report.html").exists()


def test_torch_and_torchvision_match() -> None:
    import torch
    import torchvision

    boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
    assert torchvision.ops.nms(boxes, torch.tensor([1.0]), 0.5).tolist() == [0]
