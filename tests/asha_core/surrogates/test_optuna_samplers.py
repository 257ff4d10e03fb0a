"""Optuna's samplers as models: any space, any losses, the same answer again, and nothing on the terminal."""

from __future__ import annotations

import math
import os
import random
import subprocess
import sys
import warnings

import numpy as np
import optuna
import pytest
import torch

from asha_core.schedulers.asha import ASHA
from asha_core.schedulers.bohb import BOHB
from asha_core.searchers.model_based import TPESearch
from asha_core.space import Choice, Constant, Float, Int, SearchSpace
from asha_core.surrogates.optuna_samplers import Axis, GPModel, TPEModel
from asha_core.testing import SearcherContract
from asha_core.testing.driving import drive

SPACE = SearchSpace(
    {
        "x": Float(0.0, 1.0),
        "lr": Float(1e-5, 1.0, log=True),
        "step": Float(0.0, 1.0, step=0.1),
        "n": Int(1, 12),
        "width": Int(1, 500, log=True),
        "kind": Choice(["a", ("b", 2), None]),
        "momentum": Float(0.0, 0.99),
        "held": Constant(0.5),
        "one": Choice(["only"]),
    },
    conditions={"momentum": {"kind": "a"}},
)
MODELS = [TPEModel, pytest.param(GPModel, marks=pytest.mark.long)]


def loss(c):
    return (c["x"] - 0.3) ** 2 + abs(c["n"] - 4) / 12 + (c["kind"] != "a") + abs(c.get("momentum", 0) - 0.5)


PLANE = SearchSpace({"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)})


def valley(c):
    return (c["x"] - 0.3) ** 2 + (c["y"] - 0.8) ** 2


def observed(count, of=loss, space=SPACE, seed=0):
    luck = random.Random(seed)
    drawn = [space.from_unit([luck.random() for _ in space]) for _ in range(count)]
    return [(configuration, of(configuration)) for configuration in drawn]


@pytest.mark.parametrize("name", SPACE)
@pytest.mark.parametrize("whole", [0, 50])
def test_every_value_of_a_dimension_comes_back(name, whole):
    dimension = SPACE[name]
    axis = Axis(dimension, whole)
    for unit in np.linspace(0.001, 0.999, 97):
        value = dimension.from_unit(float(unit))
        there = axis.to_optuna(value)
        assert axis.distribution._contains(axis.distribution.to_internal_repr(there))
        back = axis.from_optuna(there)
        assert back == pytest.approx(value) if isinstance(value, float) else back == value


@pytest.mark.parametrize("model", MODELS)
def test_what_it_answers_is_of_the_space_and_the_same_again(model):
    told = observed(12)
    pending = [configuration for configuration, _ in observed(3, seed=1)]
    asked = model(SPACE)
    found = asked.ask(told, pending, 7)()
    assert SPACE.configuration(dict(found)) == found
    assert asked.ask(told, pending, 7)() == found
    if model is TPEModel:
        assert asked.ask(told, pending, 8)() != found


def test_it_looks_where_losses_are_low_and_not_where_they_are_high():
    model, told = TPEModel(SPACE), observed(150)
    found = [model.ask(told, [], seed)() for seed in range(20)]
    assert np.mean([loss(c) for c in found]) < np.mean([value for _, value in told]) - 0.4


@pytest.mark.long
def test_the_gaussian_process_does_so_too():
    told = [pair for pair in observed(12, valley, PLANE) if pair[1] > 0.05]
    known = len(told)
    for seed in range(5):
        found = GPModel(PLANE).ask(told, [], seed)()
        told.append((found, valley(found)))
    assert min(value for _, value in told[known:]) < 0.02


@pytest.mark.parametrize("model", MODELS)
def test_slots_that_are_free_together_are_not_given_the_same_point(model):
    told = observed(15, valley, PLANE)
    asked, pending = model(PLANE), []
    for seed in range(3):
        pending.append(asked.ask(told, pending, seed)())
    points = np.array([[c["x"], c["y"]] for c in pending])
    apart = np.linalg.norm(points[:, None] - points[None], axis=-1)[np.triu_indices(3, 1)]
    assert apart.min() > 1e-3


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "losses",
    [[1.0], [1e300, -1e300, 0.0], [0.5, 0.5, 0.5], [0.1, 0.2, 1e9]],
    ids=["one", "huge", "tied", "diverged"],
)
def test_any_finite_losses_will_do(model, losses):
    told = [
        (configuration, value)
        for (configuration, _), value in zip(observed(len(losses)), losses, strict=True)
    ]
    assert model(SPACE).ask(told, [], 0)() is not None


def test_a_diverged_loss_is_drawn_in_and_the_others_stay():
    drawn = GPModel(SPACE).losses([0.1, 0.2, 0.3, 0.4, 1e9])
    assert drawn[:4] == [0.1, 0.2, 0.3, 0.4]
    assert drawn[4] == pytest.approx(0.3 + 3 * 0.2)
    assert GPModel(SPACE).losses([0.5, 0.5, 2.0]) == [0.5, 0.5, 2.0]


@pytest.mark.parametrize("model", MODELS)
def test_it_says_nothing_and_touches_no_global_generator_nor_settings_of_optuna(model, capfd):
    random.seed(3)
    np.random.seed(3)
    torch.manual_seed(3)
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    level = optuna.logging.get_verbosity()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model(SPACE).ask(observed(12), [], 0)()
    assert before == (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
    assert optuna.logging.get_verbosity() == level
    assert capfd.readouterr() == ("", "")


def test_a_model_that_cannot_be_fitted_has_no_answer(monkeypatch):
    def breaks(*_, **__):
        raise np.linalg.LinAlgError("not positive definite")

    monkeypatch.setattr(optuna.samplers.TPESampler, "sample_relative", breaks)
    assert TPEModel(SPACE).ask(observed(12), [], 0)() is None


@pytest.mark.processes
@pytest.mark.long
def test_another_process_whose_hashes_differ_answers_the_same():
    script = (
        "import sys\n"
        "from asha_core.space import *\n"
        "from asha_core.surrogates.optuna_samplers import TPEModel\n"
        "space = SearchSpace.from_dict(eval(sys.argv[1]))\n"
        "told = [(space.configuration(values), loss) for values, loss in eval(sys.argv[2])]\n"
        "print(dict(TPEModel(space).ask(told, [], 3)()))"
    )
    told = observed(40)
    given = [str(SPACE.to_dict()), str([(dict(configuration), value) for configuration, value in told])]
    said = subprocess.run(
        [sys.executable, "-c", script, *given],
        env={**os.environ, "PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert said.strip() == str(dict(TPEModel(SPACE).ask(told, [], 3)()))


class TestTPE(SearcherContract):
    def searcher(self, space, seed):
        return TPESearch(space, seed)


def test_thousands_of_observations_cost_no_more_than_a_few_hundred():
    asked, searcher = [], TPESearch(SPACE, 0)
    ask = searcher._model.ask
    searcher._model.ask = lambda told, pending, seed: asked.append(len(told)) or ask(told, pending, seed)

    class Trial:
        def __init__(self, number, configuration):
            self.id, self.configuration = number, configuration

    for number, (configuration, value) in enumerate(observed(2_000)):
        searcher.observe(Trial(number, configuration), 1, value if number % 50 else math.nan)
    for index in range(2_000, 2_006):
        searcher.propose(index)
    assert asked
    assert max(asked) == TPEModel.most


@pytest.mark.parametrize("mode", ["min", "max"])
def test_a_search_with_it_finds_more_than_at_random(mode):
    sign = 1.0 if mode == "min" else -1.0

    def best(searcher):
        scheduler = ASHA(SPACE, mode=mode, max_resource=3, max_trials=50, searcher=searcher)
        drive(scheduler, lambda trial, _: sign * loss(scheduler.trials[trial].configuration), 2)
        return sign * scheduler.best.value

    found = [(best("random"), best(TPESearch(SPACE, seed))) for seed in range(1)]
    assert np.mean([tpe for _, tpe in found]) < np.mean([rnd for rnd, _ in found])


def test_bohb_is_synchronous_hyperband_with_tpe_unless_another_searcher_is_given():
    described = BOHB(SPACE, max_resource=9).describe()
    assert (described["name"], described["searcher"], described["searcher_learns"]) == ("bohb", "tpe", True)
    assert BOHB(SPACE, max_resource=9, searcher="random").describe()["searcher"] == "random"
