"""The figures in documents are those of the JSON files; what can be run in seconds works."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import configuration_intervals, pasha_epsilon, task_speed, training_speed
from benchmarks.training_parts import Roofline
from benchmarks.training_routes import Plan, Route
from benchmarks.warm_start_cost import BAR_ROW, LiveBytes, markdown, peak_bytes

ROOT = Path(__file__).resolve().parent.parent
BENCHMARKS = ROOT / "benchmarks"


@pytest.mark.processes
def test_the_decisions_table_is_what_the_json_file_says() -> None:
    code = "import decisions; print(decisions.BEGIN, decisions.markdown(), decisions.END, sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=BENCHMARKS, capture_output=True, text=True, check=True
    )
    assert done.stdout in (BENCHMARKS / "README.md").read_text()


def test_the_table_of_pasha_s_epsilon_is_what_the_json_file_says() -> None:
    content = json.loads((BENCHMARKS / "results" / "pasha_epsilon.json").read_text())
    assert pasha_epsilon.markdown(content) in (ROOT / "docs" / "results" / "pasha-epsilon.md").read_text()


def test_the_table_of_intervals_over_configurations_is_what_the_json_file_says() -> None:
    content = json.loads((BENCHMARKS / "results" / "configuration_intervals.json").read_text())
    page = ROOT / "docs" / "decisions" / "0038-intervals-over-configurations.md"
    assert configuration_intervals.markdown(content) in page.read_text()


def test_intervals_over_configurations_hold_the_truth_more_often_than_those_over_seeds() -> None:
    scenario = configuration_intervals.Scenario("random", 0.2, 0.0, 60, 200, 20)
    shares = configuration_intervals.measured(scenario, tables=15, configurations=5_000)["shares"]
    assert shares["median"][0] >= 0.8 > shares["median"][1]
    assert shares["p"][0] <= 0.2 < shares["p"][1]


def test_curves_on_their_way_make_a_difference_with_several_workers_alone() -> None:
    generator = np.random.default_rng(0)
    losses = generator.random((60, 1)) + generator.normal(0, 0.005, (60, 27)) + 1 / np.arange(1, 28)
    seconds = np.repeat(generator.random((60, 1)) + 0.1, 27, axis=1)
    for slots in (1, 16):
        arrived, on_their_way, _ = pasha_epsilon.measured("noise", losses, seconds, slots, 4, 60)
        assert arrived["differ"] == 0
        assert (on_their_way["differ"] > 0) == (slots > 1)
        assert (on_their_way["units"] < arrived["units"]) == (slots > 1)


@pytest.mark.parametrize("name", ["resnet20", "digits_cnn", "mlp", "mlp_adamw"])
def test_the_tables_of_the_warm_start_s_cost_are_what_the_json_files_say(name: str) -> None:
    content = json.loads((BENCHMARKS / "results" / f"warm_start_cost_{name}.json").read_text())
    assert markdown(content) in (ROOT / "docs" / "results" / "warm-start-cost.md").read_text()


@pytest.mark.processes
@pytest.mark.slow
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


SPEEDS = sorted((BENCHMARKS / "results").glob("training_speed*.json"))


@pytest.mark.parametrize("path", SPEEDS, ids=[path.stem for path in SPEEDS])
def test_the_tables_of_training_s_speed_are_what_the_json_files_say(path: Path) -> None:
    content = json.loads(path.read_text())
    kind = content["settings"]["device"].partition(":")[0]
    table = f"<!-- {kind} -->\n{training_speed.markdown(content)}\n<!-- end -->"
    assert table in (ROOT / "docs" / "results" / "training-speed.md").read_text()


def test_the_table_of_the_tasks_speed_is_what_the_json_file_says() -> None:
    content = json.loads((BENCHMARKS / "results" / "task_speed.json").read_text())
    assert task_speed.markdown(content) in (ROOT / "docs" / "results" / "task-speed.md").read_text()


@pytest.mark.processes
@pytest.mark.slow  # three processes that load torch
def test_training_s_speed_is_measured(tmp_path: Path) -> None:
    file = tmp_path / "speed.json"
    command = [sys.executable, "-m", "benchmarks.training_speed", "--quick", "--threads", "1"]
    subprocess.run([*command, "--json", str(file)], cwd=ROOT, capture_output=True, text=True, check=True)
    content = json.loads(file.read_text())
    rows = {row["name"]: row for row in content["rows"]}
    assert set(rows) == {"plain, no workers", "ours"}
    assert rows["plain, no workers"]["ratio"] == 1.0
    ours = rows["ours"]
    assert ours["images"] * ours["seconds"] == pytest.approx(90)  # 3 mini-batches of 30 of the 90 images
    assert ours["peak"] > 50 * 2**20
    times = [content["bound"][name] for name in ("arithmetic", "traffic", "operations")]
    assert max(times[:2]) <= times[2] <= sum(times[:2])
    for of in ("ours", "plain"):
        assert sum(row["share"].get(of, 0.0) for row in content["parts"]) == pytest.approx(1.0)
    assert "of its speed (bar 1.00)" in training_speed.markdown(content)


def test_a_route_that_fails_is_told_and_others_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    class Running:
        """In the place of processes: one fails in the second round."""

        def __init__(self, route: Route, plan: Plan) -> None:
            self.route, self.error, self.turns = route, "", 0

        def epochs(self, count: int, *, watched: bool = False) -> dict[str, Any]:
            self.turns += 1
            if self.route.compile and self.turns > 2:
                self.error = "RuntimeError: no compiler"
                return {}
            seconds = self.turns * (3.0 if self.route.workers else 4.0 if self.route.plain else 2.0)
            return {"seconds": seconds, "cpu": seconds, "peak": self.turns, "began": 0.0, "ended": 1.0}

        def close(self) -> None:
            pass

    monkeypatch.setattr(training_speed, "Running", Running)
    plan = Plan("", "", (range(100), range(10)), 1.0, "cpu", 1, 32, True)
    rows = training_speed.compare(training_speed.routes([0, 2], ["default"]), plan, 3)
    assert [row.get("ratio") for row in rows] == [3 / 4, 1.0, 3 / 2, None]
    assert rows[2]["images"] == 96 / 6.0  # the median of 4, 6 and 8 seconds
    assert (rows[2]["first"], rows[2]["peak"]) == (2.0, 4)
    assert rows[3]["status"] == "RuntimeError: no compiler"


def test_the_roofline_of_a_product_and_a_sum_is_what_paper_and_pencil_give() -> None:
    left, right = torch.zeros(20, 30), torch.zeros(30, 50)
    with Roofline() as counted:
        product = left @ right
        product.t().add_(1.0)  # a view moves nothing
    moved = 4 * (20 * 30 + 30 * 50 + 20 * 50)
    assert counted.operations == [(2 * 20 * 30 * 50, moved), (0, 2 * 4 * 20 * 50)]


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
