"""Lightning: the example, resuming, precisions, and what is refused."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from tests.integrations.contract import check_added_lines, check_runs, run_module
from tests.integrations.driver import EXAMPLES

if importlib.util.find_spec("lightning") is None:
    pytest.skip("Lightning is not installed: pip install -e '.[test]'", allow_module_level=True)


def test_the_example_adds_at_most_twenty_lines() -> None:
    check_added_lines("lightning_callback")


def test_the_example_runs_and_only_lr_is_changed(tmp_path: Path) -> None:
    check_runs("lightning_callback", tmp_path)


def test_resuming_precisions_and_mistakes(tmp_path: Path) -> None:
    """One process for all: Lightning takes seconds to import."""
    out = tmp_path / "out.json"
    run_module("-m", "tests.integrations.lightning_cases", str(out), path=EXAMPLES)
    found = json.loads(out.read_text())

    resuming = found["resuming"]
    assert resuming["refined"]["lr"] > 0.001
    for what in ("hparams in the checkpoint", "resumed", "after a second fit"):
        assert resuming[what] == resuming["refined"], what
    assert resuming["resumed rate"] == pytest.approx(resuming["refined"]["lr"])
    assert not resuming["refined again"]

    exact = found["precisions"]["64-true"]
    assert exact != 0
    assert found["precisions"]["32-true"] == pytest.approx(exact, rel=1e-3)
    assert found["precisions"]["bf16-mixed"] == pytest.approx(exact, rel=0.1)

    late, peak = found["late"]
    assert late == peak > 0.001
    assert found["processes"] is True
    assert found["accumulated"] == resuming["refined"]["lr"]
    assert found["pickled"] == "WarmStart"

    mistakes = found["mistakes"]
    assert "configure_optimizers gave 2 optimisers" in mistakes["two optimisers"]
    assert "hparams lack lr, label_smoothing: call self.save_hyperparameters()" in mistakes["no hparams"]
    assert "training data come from a dict: give WarmStart data=" in mistakes["no loader"]
    assert "lr is 30.0: it must be in [0.0001, 3.0]" in mistakes["outside"]
    assert "float16" in mistakes["float16"]


def test_without_the_library_the_error_names_the_command(tmp_path: Path) -> None:
    """In a process where Lightning cannot be imported; the module itself can."""
    script = tmp_path / "absent.py"
    script.write_text(
        "import sys\n"
        "for name in ('lightning', 'lightning.pytorch', 'pytorch_lightning'):\n"
        "    sys.modules[name] = None\n"
        "from warmstart import Float, SearchSpace\n"
        "from warmstart.integrations.lightning import WarmStart\n"
        "try:\n"
        "    WarmStart(SearchSpace({'lr': Float(0.1, 1.0)}), loss=max)\n"
        "except ImportError as error:\n"
        "    print(error)\n"
    )
    assert "pip install 'asha-core[lightning]'" in run_module(str(script))
