"""The figures in documents are those of the JSON files; what can be run in seconds works."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.warm_start_cost import BAR_ROW, LiveBytes, markdown, peak_bytes

ROOT = Path(__file__).resolve().parent.parent
BENCHMARKS = ROOT / "benchmarks"


def test_the_decisions_table_is_what_the_json_file_says() -> None:
    code = "import decisions; print(decisions.BEGIN, decisions.markdown(), decisions.END, sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=BENCHMARKS, capture_output=True, text=True, check=True
    )
    assert done.stdout in (BENCHMARKS / "README.md").read_text()


@pytest.mark.parametrize("name", ["resnet20", "digits_cnn", "mlp", "mlp_adamw"])
def test_the_tables_of_the_warm_start_s_cost_are_what_the_json_files_say(name: str) -> None:
    content = json.loads((BENCHMARKS / "results" / f"warm_start_cost_{name}.json").read_text())
    assert markdown(content) in (ROOT / "docs" / "results" / "warm-start-cost.md").read_text()


def test_the_cost_of_warm_starts_is_measured(tmp_path: Path) -> None:
    file = tmp_path / "cost.json"
    command = [sys.executable, "-m", "benchmarks.warm_start_cost", "--quick", "--json", str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    rows = {row["name"]: row for row in json.loads(file.read_text())["rows"]}
    assert rows[BAR_ROW]["flops"] == pytest.approx(1.0, rel=0.01)  # two halves of a mini-batch
    assert rows["closed, + label smoothing"]["flops"] == pytest.approx(4 / 3, rel=0.02)
    assert rows["reverse H=1, all"]["memory"] > rows["closed, all: + magnitude"]["memory"]
    assert rows["baseline"]["ratio"] < rows["ohgw-1step"]["ratio"]
    assert "bar 1.20" in done.stdout


def test_live_bytes_are_those_of_tensors_and_not_of_views() -> None:
    with LiveBytes() as counter:
        made = torch.zeros(1000)
        view = made.view(10, 100)[2:]
        assert counter.live == 4000
        del made
        assert counter.live == 4000
        del view
        assert counter.live == 0
        other = torch.zeros(500)
        other.add_(1.0)
    assert (counter.live, counter.peak) == (2000, 4000)


def test_live_bytes_count_what_a_graph_keeps_and_what_a_backward_pass_frees() -> None:
    weight = torch.zeros(1000, requires_grad=True)
    with LiveBytes() as counter:
        loss = (weight * 2).exp().sum()  # exp keeps its result; the product is gone
        assert counter.live == 4000 + 4
        loss.backward()
        assert counter.live == 4000 + 4  # the gradient, in the place of what was kept
        weight.grad = None
        del loss
    assert counter.live == 0


def test_the_peak_of_a_training_step_is_what_paper_and_pencil_give() -> None:
    weight, inputs = torch.zeros(400, 300, requires_grad=True), torch.zeros(200, 400)

    def step() -> None:
        hidden = inputs @ weight
        hidden.exp().sum().backward()

    # at the end of the backward pass: hidden, which has a name, its gradient, and the weight's
    expected = 4 * (200 * 300 + 200 * 300 + 400 * 300)
    assert expected <= peak_bytes(step, "cpu") <= expected + 16  # and scalars
