"""The hyper-gradient of PPO: right, from samples that are apart, without a trace, and its cost told."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
import torch

pytest.importorskip("stable_baselines3", reason="needs the extra rl")

import gymnasium
from stable_baselines3 import PPO
from stable_baselines3.common.policies import ActorCriticCnnPolicy
from stable_baselines3.common.vec_env import DummyVecEnv

from asha_core import ASHA, tune
from asha_core.space.watched import Watched
from tests.trials.rl import plain_ppo, small_ppo
from tests.trials.rl.small_ppo import SPACE, configuration, double_policy, problem
from trials.rl.ppo_settings import PpoSettings
from trials.rl.warm_start_problem import PpoProblem, heldout_loss, training_loss
from trials.task import Task
from warmstart.estimates.estimate import estimate
from warmstart.registry import VARIATIONS, build

STEP = {"lr": 1e-4, "ent_coef": 1e-4, "one_minus_gae_lambda": 1e-4, "one_minus_gamma": 1e-4}


def measured(config, ahead, **options):
    """(estimate, the weights, the samples) of a policy in double precision."""
    losses = problem(make_policy=double_policy).losses(config)
    train, heldout = losses.samples(0, ahead, "half")
    found = estimate(losses, SPACE, config, train, heldout, **options)
    return found, dict(losses.network.parameters), train, heldout


# -- the derivative ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(STEP))
@pytest.mark.parametrize("ahead", [1, 2, 3])
def test_a_hyper_gradient_is_the_slope_of_ppo_written_out_plainly(name, ahead):
    config = configuration()
    found, weights, train, heldout = measured(config, ahead)
    plain = {each: float(config[each]) for each in config}
    assert found.fallback is None
    assert found.final == pytest.approx(plain_ppo.after(weights, train, heldout, plain), rel=1e-6)
    expected = plain_ppo.slope(weights, train, heldout, plain, name, STEP[name])
    assert expected != 0
    assert found.gradient[name] == pytest.approx(expected, rel=2e-4)


def test_the_slope_by_the_rate_is_that_of_adams_first_step():
    config = configuration()
    found, weights, (train,), heldout = measured(config, 1)
    plain = {each: float(config[each]) for each in config}
    g = plain_ppo.gradient(weights, train, plain)
    direction = {name: each / (each.abs() + 1e-5) for name, each in g.items()}
    there = {
        name: (value - plain["lr"] * direction[name]).requires_grad_() for name, value in weights.items()
    }
    g_v = torch.autograd.grad(plain_ppo.heldout_loss(there, heldout), list(there.values()))
    product = sum((one * other).sum() for one, other in zip(g_v, direction.values(), strict=True))
    expected = -plain["lr"] * np.log(10) * product.item()
    assert found.gradient["lr"] == pytest.approx(expected, rel=1e-6)


def test_nothing_depends_on_the_clip_range_before_the_policy_has_moved():
    found, *_ = measured(configuration(), 1)
    assert found.gradient["clip_range"] == 0.0
    assert found.ignored == ("clip_range",)


def test_the_clip_range_acts_from_the_second_step_on_where_the_policy_moves_far():
    """By which samples it clips: a staircase, of which there is a trend over a step, and no more."""
    step, trends = 0.01 * (0.4 - 0.05), []
    for reach in np.linspace(0.08, 0.38, 11):
        config = configuration(lr=0.05, clip_range=reach)
        found, weights, train, heldout = measured(config, 3, only=["clip_range"], route="differences")
        assert found.ignored == ()
        plain = {each: float(config[each]) for each in config}
        low, high = (
            plain_ppo.after(weights, train, heldout, {**plain, "clip_range": reach + move})
            for move in (-step, step)
        )
        assert found.gradient["clip_range"] == pytest.approx((high - low) / (2 * step), rel=1e-4, abs=1e-12)
        trends.append(found.gradient["clip_range"])
    assert any(trends)
    looked_through, *_ = measured(config, 3, only=["clip_range"])
    assert looked_through.fallback is None


@pytest.mark.parametrize("ahead", [1, 3])
def test_differences_say_the_same(ahead):
    config = configuration()
    exact, *_ = measured(config, ahead)
    rough, *_ = measured(config, ahead, route="differences")
    assert rough.gradient["lr"] == pytest.approx(exact.gradient["lr"], rel=0.05)


def test_an_optimiser_that_is_not_looked_through_gets_differences_and_says_so():
    def make(config):
        return small_ppo.policy(optimizer_class=torch.optim.RMSprop)

    config = configuration()
    outcome = build("hypergradient", {}).refine(problem(make_policy=make), config, 1)
    assert "RMSprop" in outcome.diagnostics["fallback"]
    assert outcome.diagnostics["route"] == "differences"
    assert outcome.diagnostics["gradient"]["lr"] != 0


# -- the losses ----------------------------------------------------------------------------------------


def test_a_real_step_is_that_of_stable_baselines3():
    config = configuration()
    losses = problem(batch_size=48).losses(config)
    train, heldout = losses.samples(0, 1, "half")
    env = small_ppo.environments(0, number=2)
    settings = PpoSettings(config)
    model = PPO(
        "MlpPolicy",
        env,
        learning_rate=settings.lr,
        ent_coef=settings.ent_coef,
        clip_range=settings.clip_range,
        gamma=settings.gamma,
        gae_lambda=settings.gae_lambda,
        n_steps=24,
        batch_size=48,
        n_epochs=1,
        device="cpu",
    )
    model._setup_learn(48)
    model.policy = small_ppo.policy()
    buffer, half = model.rollout_buffer, train[0].targets["rollout"]
    buffer.reset()
    starts = np.concatenate([np.ones((1, 2)), half.ends[:-1]])
    for t in range(24):
        buffer.add(
            half.observations[t],
            half.actions[t][:, None],
            half.rewards[t] + settings.gamma * half.cut_values[t],
            starts[t],
            torch.as_tensor(half.values[t]),
            torch.as_tensor(half.log_probs[t]),
        )
    buffer.compute_returns_and_advantage(torch.as_tensor(half.last_values), half.ends[-1])
    model.train()
    with torch.no_grad():
        expected = heldout_loss(model.policy.evaluate_actions(*heldout.inputs), heldout.targets).item()
    assert losses.after(config, train, heldout) == pytest.approx(expected, rel=1e-5)
    assert losses.after(config, [], heldout) != pytest.approx(expected, rel=1e-3)


def test_without_an_entropy_coefficient_there_is_no_bonus():
    samples, _ = problem(make_policy=double_policy).losses(configuration()).batches(0, "half")
    values, log_prob, entropy = double_policy().evaluate_actions(*samples.inputs)

    def loss(ent_coef):
        settings = PpoSettings({**small_ppo.HERE, "ent_coef": ent_coef})
        return training_loss((values, log_prob, entropy), samples.targets, settings).item()

    assert loss(0.0) - loss(0.1) == pytest.approx(0.1 * entropy.mean().item(), rel=1e-6)


def test_the_held_out_loss_reads_no_configuration_and_begins_without_a_surrogate():
    """Where a policy has not moved, its surrogate is 0: what is left is the value function's part."""
    losses = problem(make_policy=double_policy).losses(configuration())
    _, heldout = losses.batches(0, "half")
    values, *_ = double_policy().evaluate_actions(*heldout.inputs)
    _, returns = plain_ppo.advantages(heldout.targets["rollout"], 0.99, 0.95)
    returns = returns.reshape(-1)[heldout.targets["rows"]]
    share = np.mean((values.detach().numpy()[:, 0] - returns) ** 2) / np.mean(returns**2)
    for config in (configuration(), configuration(one_minus_gamma=0.1, ent_coef=0.1)):
        assert losses.after(config, [], heldout) == pytest.approx(0.5 * np.log(1 + share), rel=1e-6)
    watched = Watched(configuration())
    losses.after(watched, [], heldout)
    assert not watched.reads


def test_settings_that_are_not_searched_are_stable_baselines3s():
    import inspect

    theirs = {name: each.default for name, each in inspect.signature(PPO).parameters.items()}
    own = PpoSettings({})
    names = {"lr": "learning_rate"}
    for name in ("lr", "ent_coef", "clip_range", "gae_lambda", "gamma", "vf_coef", "max_grad_norm"):
        assert getattr(own, name) == pytest.approx(theirs[names.get(name, name)])


# -- the samples ---------------------------------------------------------------------------------------


def rows(samples):
    return samples.targets["rows"].tolist()


def test_the_halves_are_of_different_environments():
    losses = problem().losses(configuration())
    train, heldout = losses.batches(0, "half")
    one, other = (each.targets["rollout"] for each in (train, heldout))
    assert one.rewards.shape == other.rewards.shape == (24, 2)
    seen = {row.tobytes() for row in one.observations.reshape(-1, 4)}
    assert not seen & {row.tobytes() for row in other.observations.reshape(-1, 4)}


def test_mini_batches_repeat_no_sample_before_all_were_drawn():
    losses = problem(batch_size=16).losses(configuration())
    drawn = [rows(losses.batches(draw, "half")[0]) for draw in range(6)]
    assert sorted([*drawn[0], *drawn[1], *drawn[2]]) == list(range(48))
    assert sorted([*drawn[3], *drawn[4], *drawn[5]]) == list(range(48))
    assert drawn[:3] != drawn[3:]
    assert all(len(each) == 16 for each in drawn)


def test_a_draw_depends_on_the_seed_and_its_number_alone():
    one, other = problem(5).losses(configuration()), problem(5).losses(configuration(lr=1e-2))
    later, first = other.batches(4, "half"), one.batches(0, "half")  # in another order
    for draw, given in ((4, later), (0, first)):
        again = (one if draw else other).batches(draw, "half")
        for left, right in zip(given, again, strict=True):
            assert rows(left) == rows(right)
            assert all(torch.equal(a, b) for a, b in zip(left.inputs, right.inputs, strict=True))
    assert not torch.equal(
        problem(6).losses(configuration()).batches(0, "half")[0].inputs[0], first[0].inputs[0]
    )


def test_of_one_environment_two_are_made():
    made = []

    def single(seed):
        made.append(seed)
        return small_ppo.environments(seed, number=1)

    one = PpoProblem(SPACE, single, small_ppo.policy, n_steps=24, batch_size=8)
    train, heldout = one.losses(configuration()).batches(0, "half")
    assert len(set(made)) == 2
    assert not np.array_equal(train.targets["rollout"].observations, heldout.targets["rollout"].observations)


def test_a_rollout_is_collected_once_and_again_only_for_another_policy():
    space = {**SPACE, "width": SPACE["lr"]}
    own = PpoProblem(
        space,
        small_ppo.environments,
        lambda config: small_ppo.policy(ortho_init=config["width"] < 1e-3),
        n_steps=8,
        batch_size=8,
    )
    for width, lr, steps in ((1e-4, 1e-3, 32), (1e-4, 1e-2, 32), (1e-2, 1e-3, 64), (1e-4, 1e-4, 64)):
        config = own.space.configuration({**small_ppo.HERE, "width": width, "lr": lr})
        own.losses(config).batches(0, "half")
        assert own.spent()["environment_steps"] == steps


# -- the strategies, the trace and the cost ------------------------------------------------------------


@pytest.mark.parametrize("variation", [name for name in VARIATIONS if name.startswith("ohgw")])
def test_every_variation_works_and_leaves_no_trace(variation):
    def states():
        return torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()

    made = VARIATIONS[variation]
    before, config = states(), configuration()
    outcome = build(made.strategy, made.settings).refine(problem(), config, 1)
    assert states() == before
    assert set(outcome.configuration) == set(config)
    assert "fallback" not in json.dumps(outcome.diagnostics)
    assert "disagrees" not in json.dumps(outcome.diagnostics)


def test_a_rate_that_explodes_is_seen():
    own = problem(make_policy=lambda config: small_ppo.policy(net_arch=[64, 64]))
    outcome = build("screen", {}).refine(own, configuration(lr=1.0), 1)
    assert outcome.diagnostics["rejected"] > 0


def test_values_that_go_far_past_the_returns_cost_nats_and_not_thousands():
    """Ten times as far is ln 10 more. A square would throw a rate that does so to its bound."""
    _, heldout = problem(make_policy=double_policy).losses(configuration()).batches(0, "half")
    values, log_prob, entropy = double_policy().evaluate_actions(*heldout.inputs)
    far = [
        heldout_loss((torch.full_like(values, size), log_prob, entropy), heldout.targets).item()
        for size in (1e4, 1e5, 1e6)
    ]
    assert np.diff(far) == pytest.approx(np.log(10), rel=1e-2)


def test_environments_are_closed_whatever_happens():
    closed = []

    def failing(seed):
        made = small_ppo.environments(seed)
        made.close = lambda: closed.append(seed)
        made.step_wait = lambda: 1 / 0
        return made

    own = PpoProblem(SPACE, failing, small_ppo.policy, n_steps=8, batch_size=8)
    with pytest.raises(ZeroDivisionError):
        own.losses(configuration()).batches(0, "half")
    assert len(closed) == 1


class Playing(Task):
    space = SPACE
    max_resource = 1

    def run(self, trial):
        for _ in trial.units():
            trial.report(0.5)

    def problem(self, seed, device):
        return problem(seed)


def test_the_journal_has_what_the_refinement_cost(tmp_path):
    scheduler = ASHA(SPACE, max_resource=1, max_trials=1)
    folder = tmp_path / "run"
    tune(Playing(), scheduler, variation="ohgw-1step", gpus="inline", results_dir=folder, progress="none")
    records = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    (refined,) = [each for each in records if "diagnostics" in each]
    assert refined["costs"]["environment_steps"] == 96
    assert refined["costs"]["mini_batches"] >= 2


class Pixels(gymnasium.Env):
    """Noise, of the size that a network of convolutions takes."""

    observation_space = gymnasium.spaces.Box(0, 255, (1, 36, 36), np.uint8)
    action_space = gymnasium.spaces.Discrete(6)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._seen(), {}

    def step(self, action):
        return self._seen(), float(action == 0), bool(self.np_random.random() < 0.2), False, {}

    def _seen(self):
        return self.np_random.integers(0, 256, (1, 36, 36), np.uint8)


@pytest.mark.long
def test_a_policy_that_sees_pixels_is_looked_through():
    def make_environments(seed):
        return DummyVecEnv([Pixels] * 2)

    def make_policy(config):
        torch.manual_seed(0)
        return ActorCriticCnnPolicy(Pixels.observation_space, Pixels.action_space, lambda _: 1e-3)

    own = PpoProblem(SPACE, make_environments, make_policy, n_steps=8, batch_size=8)
    outcome = build("hypergradient", {"lookahead": 2}).refine(own, configuration(lr=1e-3), 1)
    assert outcome.diagnostics["route"] == "tangents"
    assert outcome.diagnostics["gradient"]["lr"] != 0
    assert outcome.diagnostics["check"]["verdict"] != "disagrees"
