"""The contract of warm starts: reproducible, inside the space, and without a trace."""

from __future__ import annotations

import json
import math
import random
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from asha_core.errors import AshaError
from asha_core.searchers.random_search import RandomSearch
from asha_core.space import Choice, Configuration, Constant, Float, Int, SearchSpace
from trials.task import PlainProblem
from warmstart.base import BlackBox, Outcome, Problem, WarmStart, learns, refined_by
from warmstart.problem.model_problem import ModelProblem


def _optimizer(model: nn.Module, config: Configuration) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), config["lr"], config["momentum"])


def _loss(outputs: Tensor, targets: Tensor, config: Configuration) -> Tensor:
    pull: float = config.get("pull", 0.0)
    return (outputs - targets).square().mean() + outputs.abs().mean().mul(pull)


@contextmanager
def _no_trace(model: nn.Module) -> Iterator[None]:
    """Global generators, weights and mode are afterwards as they were before."""
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    yield
    assert torch.equal(torch.get_rng_state(), states[0]), "torch's global generator was used"
    assert all(np.array_equal(a, b) for a, b in zip(np.random.get_state(), states[1], strict=True))
    assert random.getstate() == states[2], "the generator of `random` was used"
    assert all(torch.equal(weights[n], w) for n, w in model.state_dict().items()), "weights were changed"
    assert model.training


class WarmStartContract:
    """Subclass it, and say how your warm start is made.

    class TestMine(WarmStartContract):
        def warm_start(self):
            return Mine()

    Attributes:
        space: of the problems in these tests; give another if yours needs dimensions of certain names.
    """

    space: SearchSpace = SearchSpace(
        {
            "lr": Float(1e-4, 30.0, log=True),
            "momentum": Float(0.0, 0.99),
            "kind": Choice(["plain", "fancy"]),
            "layers": Int(1, 8),
            "pull": Float(0.0, 1.0),
            "held": Constant(0.3),
        },
        conditions={"pull": {"kind": "fancy"}},
    )

    @abstractmethod
    def warm_start(self) -> WarmStart:
        """A new one."""
        raise NotImplementedError("say how your warm start is made: def warm_start(self)")

    def problem(self) -> tuple[Problem, nn.Module]:
        """(a small regression, trained by SGD with ``lr`` and ``momentum``; its network)."""
        generator = torch.Generator().manual_seed(0)
        inputs = torch.randn(64, 3, generator=generator)
        targets = inputs.sum(1, keepdim=True) + 0.1 * torch.randn(64, 1, generator=generator)
        model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Dropout(0.1), nn.Linear(4, 1))
        with torch.no_grad():
            for weight in model.parameters():
                weight.copy_(torch.randn(weight.shape, generator=generator) / 2)
        problem = ModelProblem(
            self.space,
            model=model,
            optimizer=_optimizer,
            data=(inputs, targets),
            validation=(inputs[:32], targets[:32]),
            loss=_loss,
        )
        return problem, model

    def _proposed(self, count: int = 3) -> list[Configuration]:
        return [RandomSearch(self.space, 0).propose(index) for index in range(count)]

    def _checked(self, outcome: Outcome) -> Outcome:
        """An outcome inside the space whose diagnostics a journal can hold."""
        assert isinstance(outcome, Outcome), "refine returns Outcome(configuration, diagnostics)"
        self.space.configuration(dict(outcome.configuration))  # raises, and says what is wrong
        told = json.loads(json.dumps(outcome.diagnostics))
        assert told.get("strategy") == self.warm_start().name, 'say {"strategy": self.name, ...}'
        assert all(name in self.space for name in told.get("step", {}))
        return outcome

    def test_it_has_what_is_asked_of_it(self) -> None:
        """``name``, ``needs_losses`` and ``refine(problem, configuration, seed)``."""
        warm_start = self.warm_start()
        assert isinstance(warm_start.name, str)
        assert isinstance(warm_start.needs_losses, bool)
        assert callable(warm_start.refine)

    def test_a_refinement_is_inside_the_space_and_leaves_no_trace(self) -> None:
        """The configuration that it is given stays as it is; so do weights and global generators."""
        warm_start = self.warm_start()
        for seed, before in enumerate(self._proposed()):
            given = dict(before)
            problem, model = self.problem()
            with _no_trace(model):
                outcome = warm_start.refine(problem, before, seed)
            self._checked(outcome)
            assert dict(before) == given
            assert outcome.configuration.get("held", 0.3) == 0.3

    def test_the_same_seed_gives_the_same_and_nothing_is_kept_between_configurations(self) -> None:
        """All randomness comes from streams of the seed."""
        used = self.warm_start()
        for seed, before in enumerate(self._proposed()):
            outcome = used.refine(self.problem()[0], before, seed)
            torch.manual_seed(99)
            again = self.warm_start().refine(self.problem()[0], before, seed)
            assert again.configuration == outcome.configuration
            assert repr(again.diagnostics) == repr(outcome.diagnostics)

    def test_if_it_learns_it_takes_what_it_has_learned_itself(self) -> None:
        """``learns = True``: small, as JSON gives it, and in the first trials of a search nothing."""
        if not learns(self.warm_start()):
            return
        earlier: list[object] = []
        for seed in range(20):
            [before] = self._proposed(1)
            outcome = refined_by(self.warm_start(), self.problem()[0], before, seed, tuple(earlier))
            learned = self._checked(outcome).diagnostics.get("learned")
            assert len(json.dumps(learned)) <= 4096, "leave later trials a few numbers, not more"
            if learned is not None:
                earlier.append(json.loads(json.dumps(learned)))

    def test_it_stays_inside_from_every_corner(self) -> None:
        """Clamp, or reflect: ``space.configuration`` refuses what lies outside."""
        for corners in ((0.0,), (1.0,), (0.0, 1.0)):
            before = self.space.from_unit([corners[i % len(corners)] for i in range(len(self.space))])
            self._checked(self.warm_start().refine(self.problem()[0], before, 1))

    def test_a_problem_without_losses_will_do_unless_it_says_otherwise(self) -> None:
        """With ``needs_losses`` a search without them is refused before it begins."""
        warm_start, before = self.warm_start(), self._proposed(1)[0]
        if warm_start.needs_losses:
            with pytest.raises(AshaError):
                warm_start.refine(PlainProblem(self.space), before, 0)
        else:
            self._checked(warm_start.refine(PlainProblem(self.space), before, 0))

    def test_a_problem_without_a_network_will_do(self) -> None:
        """``losses.network`` is None there: measure ``losses.after``, or change nothing."""
        problem = BlackBox(self.space, lambda config, draw: math.log10(config["lr"]) ** 2 + draw % 3)
        for seed, before in enumerate(self._proposed(2)):
            self._checked(self.warm_start().refine(problem, before, seed))

    @pytest.mark.parametrize("value", [math.nan, math.inf])
    def test_a_loss_that_is_not_finite_is_no_error(self, value: float) -> None:
        """A step that diverges: leave the configuration as it is, or draw another."""
        before = self._proposed(1)[0]
        problem = BlackBox(self.space, lambda config, draw: value)
        self._checked(self.warm_start().refine(problem, before, 0))
