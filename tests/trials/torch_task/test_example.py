"""The example of a recurrent network and a transformer runs, and learns."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from trials.checkpoints.files import load_checkpoint

EXAMPLE = Path(__file__).parents[3] / "examples" / "tasks" / "language_model.py"


@pytest.fixture(scope="module")
def example() -> Any:
    spec = importlib.util.spec_from_file_location("language_model", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["language_model"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.long
@pytest.mark.parametrize(("network", "most"), [("lstm", 110.0), ("transformer", 150.0)])
def test_a_language_model_is_tuned(
    network: str, most: float, example: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    arguments = ["--network", network, "--trials", "1", "--results-dir", str(tmp_path / "r")]
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE), *arguments])
    made_up = example.made_up
    monkeypatch.setattr(example, "made_up", lambda words: made_up(words // 4))
    example.main()
    words = capsys.readouterr().out.split()
    # after an epoch; who knows nothing chooses from 128 letters, and may be sure of the wrong ones
    assert float(words[words.index("perplexity") + 1]) < most
    journal = (tmp_path / "r" / "journal.jsonl").read_text()
    assert '"route": "closed"' in journal  # the warm start looked through clipped steps
    assert "nothing reads" not in journal
    state = load_checkpoint(tmp_path / "r" / "checkpoints" / "best.pt")["state"]
    assert ("ema" in state) == (network == "transformer")
    groups = state["optimizer"]["param_groups"]
    assert [group["weight_decay"] for group in groups] == [0.01, 0.0][: len(groups)]


def test_the_made_up_text_is_the_same_every_time(example: Any) -> None:
    torch.manual_seed(3)
    assert example.made_up(50) == example.made_up(50)
