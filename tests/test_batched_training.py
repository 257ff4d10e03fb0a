"""Many trials trained as one, for the study's tables: each reports what its worker would."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from asha_core import Configuration, Curves, Float, Job, RandomSearch, SearchSpace
from asha_core.errors import SettingError
from asha_core.messages import Report
from asha_core.streams import stream_seed
from benchmarks import study_plans, study_tables
from benchmarks.batched_inputs import _rand_augment, _standardized
from benchmarks.batched_network import Networks
from benchmarks.batched_training import train
from tests.trials.workers import events_of
from trials.tasks.digits import Digits
from trials.tasks.fashion_mnist import FashionMnist
from trials.tasks.language import Language
from trials.tasks.tabular import Tabular
from trials.torch_task.torch_task import TorchTask

R = 27  # of the worker's trials


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """As the tables are made."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def proposed(task: Any, count: int, **held: Any) -> tuple[list[Configuration], list[int]]:
    """The first configurations of a search, some dimensions held at a value, and their trials' seeds."""
    search = RandomSearch(task.space, 0)
    drawn = [task.space.configuration({**search.propose(i), **held}) for i in range(count)]
    return drawn, [stream_seed(0, "trial", i) for i in range(count)]


def by_worker(
    task: Any, configurations: list[Configuration], seeds: list[int], units: int, folder: Path
) -> tuple[Any, Any]:
    """(values, validation losses), each (N, units)."""
    jobs = [
        Job(i, configuration, 0, units, 0, seed)
        for i, (configuration, seed) in enumerate(zip(configurations, seeds, strict=True))
    ]
    reports = [each for each in events_of(task, folder, jobs) if isinstance(each, Report)]
    shape = (len(jobs), units)
    return (
        np.reshape([each.value for each in reports], shape),
        np.reshape([each.metrics["valid_loss"] for each in reports], shape),
    )


def small_language() -> Language:
    return Language(
        layers=1, width=16, heads=2, context=16, batch_size=4, tokens_per_unit=640, validation_tokens=320
    )


@pytest.mark.long
@pytest.mark.parametrize(
    ("make", "held"),
    [
        pytest.param(lambda: Digits("mlp"), {}, id="SGD, augmentation, smoothing"),
        pytest.param(lambda: Digits("cnn"), {"magnitude": 0.0, "lr": 0.02}, id="convolutions, batch norm"),
        pytest.param(small_language, {"dropout": 0.0}, id="AdamW, warm-up, clipping, samples of a unit"),
        pytest.param(lambda: Tabular("mlp"), {"dropout": 0.0}, id="several inputs"),
    ],
)
def test_each_trial_reports_what_its_worker_does(make: Any, held: dict[str, Any], tmp_path: Path) -> None:
    task = make()
    configurations, seeds = proposed(task, 3, **held)
    value, loss = by_worker(task, configurations, seeds, 2, tmp_path)
    found = train(task, configurations, seeds, 2, max_resource=R, chunk=2)
    assert np.ptp(loss) > 0.01  # they differ
    np.testing.assert_allclose(found.loss, loss, rtol=1e-3)
    np.testing.assert_allclose(found.value, value, rtol=1e-3, atol=0.006)  # two of 360


def test_a_trial_that_diverges_gives_what_the_worker_gives_and_harms_no_other(tmp_path: Path) -> None:
    class Wild(Digits):
        space = SearchSpace({**Digits.space, "lr": Float(1e-4, 1e6, log=True)})

    task = Wild("mlp")
    (sane, _), seeds = proposed(task, 2, lr=0.05)
    wild = task.space.configuration({**sane, "lr": 1e6})
    value, loss = by_worker(task, [wild, sane], seeds, 1, tmp_path)
    found = train(task, [wild, sane], seeds, 1, max_resource=R)
    assert np.isnan(loss[0, 0])
    np.testing.assert_array_equal(np.isnan(found.loss), np.isnan(loss))
    np.testing.assert_allclose(found.value, value, atol=0.006)


def test_marks_within_a_unit_change_nothing_of_its_end() -> None:
    task = Digits("mlp")
    configurations, seeds = proposed(task, 2)
    whole = train(task, configurations, seeds, 1, max_resource=R)
    parts = train(task, configurations, seeds, 1, max_resource=R, at=[11, 22, 33])
    assert parts.batches == (11, 22, 33)
    np.testing.assert_array_equal(parts.value[:, 2:], whole.value)
    assert np.ptp(parts.loss, axis=1).min() > 0


def test_every_network_drops_at_its_own_rate() -> None:
    layers = [nn.Sequential(nn.Linear(1, 1), nn.Dropout(rate)) for rate in (0.1, 0.5)]
    for layer in layers:
        nn.init.ones_(layer[0].weight)
        nn.init.zeros_(layer[0].bias)
    torch.manual_seed(0)
    found = Networks(layers, [0.1, 0.5]).forward(torch.ones(2, 20_000, 1))
    shares = (found == 0).float().mean((1, 2))
    torch.testing.assert_close(shares, torch.tensor([0.1, 0.5]), atol=0.02, rtol=0)
    assert found[0].max().item() == pytest.approx(1 / 0.9)


def test_images_are_augmented_as_the_task_does_it() -> None:
    task = FashionMnist(data_dir=".")
    images = torch.randint(256, (6, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    configurations, seeds = proposed(task, 2)
    configurations.append(task.space.configuration({**configurations[0], "magnitude": 0.0}))

    def noise() -> list[torch.Generator]:
        return [torch.Generator().manual_seed(seed) for seed in [*seeds, 7]]

    own = [
        task.training_inputs(each, configuration, generator)
        for each, configuration, generator in zip(images.chunk(3), configurations, noise(), strict=True)
    ]
    found = _standardized(task, _rand_augment(task, images, configurations, noise()))
    torch.testing.assert_close(found, torch.cat(own), atol=2e-4, rtol=1e-4)


def test_what_it_cannot_do_is_refused() -> None:
    class Averaged(Digits):
        ema_decay = 0.9

    configurations, seeds = proposed(Digits("mlp"), 1)
    with pytest.raises(SettingError, match=r"ema_decay.*asha-curves record"):
        train(Averaged("mlp"), configurations, seeds, 1)


def test_a_task_without_augmentation_of_its_own_is_trained_trial_by_trial() -> None:
    class Shifted(Digits):
        def augment(self, inputs: Any, config: Configuration, generator: torch.Generator) -> Any:
            return super().augment(inputs, config, generator)

    configurations, seeds = proposed(Digits("mlp"), 2)
    known = train(Digits("mlp"), configurations, seeds, 1, max_resource=R)
    found = train(Shifted("mlp"), configurations, seeds, 1, max_resource=R)
    np.testing.assert_allclose(found.loss, known.loss, rtol=1e-5)


@pytest.mark.long
def test_a_table_has_the_configurations_and_refinements_of_the_search(tmp_path: Path) -> None:
    plan = study_plans.planned("digits-mlp", "wide", tmp_path, None)
    plan = study_plans.Plan(plan.name, plan.half, plan.task, 1, plan.parts, plan.seed, plan.told)
    parts = [study_tables.recorded(plan, arm, 2) for arm in ("baseline", "ohgw-trust")]
    study_tables.merged(parts).save(tmp_path / "table.npz")
    table = Curves.load(tmp_path / "table.npz")
    assert table.arms == ("baseline", "ohgw-trust")
    assert list(table.configurations) == plan.proposed(2)
    assert table.seconds is not None
    assert (table.seconds == 33).all()
    trust = table.curve("ohgw-trust", 1)  # the search's first is checked beside a real optimiser
    assert trust.refined is not None
    assert trust.refined["lr"] != table.configurations[1]["lr"]
    assert trust.warm_seconds > 1
    assert trust.warm_batches == pytest.approx(8, abs=1)


def test_the_narrow_space_is_a_decade_about_the_pilots_best_within_the_wide_one() -> None:
    space = study_plans._about(Digits.space, 2.0)
    low, high = Digits.space["lr"].lower, Digits.space["lr"].upper  # type: ignore[union-attr]
    assert low < space["lr"].lower == pytest.approx(2 / 10**0.5, rel=1e-2)  # type: ignore[union-attr]
    assert space["lr"].upper == high  # type: ignore[union-attr]
    assert isinstance(Digits(), TorchTask)
