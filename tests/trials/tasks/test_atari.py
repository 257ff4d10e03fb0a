"""PPO as a task: what a trial trains is what stable-baselines3 trains, paused or not."""

from __future__ import annotations

import html
import json
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("stable_baselines3", reason="needs the extra rl")
pytest.importorskip("ale_py", reason="needs the extra rl")
pytest.importorskip("cv2", reason="needs the extra rl")

import gymnasium
import torch

from asha_core import ASHA, AshaError, SearchSpace, tune
from asha_core.testing import TaskContract
from trials import load_model
from trials.rl import environments as made_by
from trials.rl.learner import PpoLearner, PpoPlan, new_policy, normalized, normalizer_state
from trials.task import Task
from trials.tasks.atari import SPACE, Atari
from warmstart.problem.randomness import own_randomness

SMALL = {
    "env": "CartPole-v1",
    "n_envs": 2,
    "steps_per_unit": 128,
    "n_steps": 32,
    "batch_size": 32,
    "n_epochs": 2,
}
HERE = {
    "lr": 3e-3,
    "ent_coef": 0.01,
    "clip_range": 0.2,
    "one_minus_gae_lambda": 0.05,
    "one_minus_gamma": 0.02,
}


class TestCartPole(TaskContract):
    def task(self) -> Task:
        return Atari(**SMALL, net_arch="8", test_episodes=3)


@pytest.mark.slow
class TestNormalized(TaskContract):
    """Pendulum: actions are numbers, and a normaliser is part of what is trained."""

    def task(self) -> Task:
        return Atari(
            **{**SMALL, "env": "Pendulum-v1", "steps_per_unit": 512, "n_steps": 256},
            normalize=True,
            test_episodes=2,
        )


@pytest.mark.slow
class TestPong(TaskContract):
    def task(self) -> Task:
        return Atari(n_envs=2, steps_per_unit=2048, n_steps=128, n_epochs=1, test_episodes=1)


@pytest.mark.parametrize(
    ("n_envs", "n_steps", "size"), [(8, 32, 256), (4, 32, 128), (6, 32, 192), (16, 32, 256), (1, 257, 257)]
)
def test_without_a_batch_size_a_rollout_is_cut_into_equal_ones(n_envs: int, n_steps: int, size: int) -> None:
    assert Atari("CartPole-v1", n_envs=n_envs, n_steps=n_steps).batch_size == size


def plan(**changes: Any) -> PpoPlan:
    return PpoPlan(**{"n_steps": 32, "batch_size": 32, "n_epochs": 2, "net_arch": (8,), **changes})


def steady(_: float) -> float:
    return 1.0


@pytest.mark.parametrize("schedule", [steady, lambda share: 1.0 - share])
def test_a_unit_is_what_stable_baselines3_learns(schedule: Any) -> None:
    """Its ``learn`` of as many steps, from the same weights, episodes and random numbers."""
    from stable_baselines3 import PPO

    config, steps = SPACE.configuration(HERE), 256
    weights = []
    for ours in (True, False):
        with own_randomness(5, "cpu"):
            games = made_by.environments("CartPole-v1", 2, 11)
            if ours:
                learner = PpoLearner(games, plan(schedule=schedule), config, steps, "cpu")
                learner.train(games, steps)
                policy, heard = learner.ppo.policy, learner.returns
            else:
                ppo = PPO(
                    "MlpPolicy",
                    games,
                    learning_rate=lambda left: 3e-3 * schedule(1.0 - left),
                    n_steps=32,
                    batch_size=32,
                    n_epochs=2,
                    gamma=0.98,
                    gae_lambda=0.95,
                    clip_range=0.2,
                    ent_coef=0.01,
                    policy_kwargs={"net_arch": [8]},
                    device="cpu",
                )
                ppo.learn(steps)
                policy, theirs = ppo.policy, [each["r"] for each in ppo.ep_info_buffer]
        weights.append(torch.cat([weight.flatten() for weight in policy.parameters()]))
    assert torch.equal(*weights)
    assert heard == pytest.approx(theirs)


def test_a_warm_starts_policy_is_the_one_that_the_trial_begins_with() -> None:
    task, config = Atari(**SMALL), SPACE.configuration(HERE)
    losses: Any = task.problem(7, "cpu").losses(config)
    games = made_by.environments("CartPole-v1", 2, 0)
    from asha_core.streams import stream_seed

    with own_randomness(stream_seed(7, "weights"), "cpu"):
        learner = PpoLearner(games, task._plan(), config, 10_000, "cpu")
    trial = dict(learner.ppo.policy.named_parameters())
    assert losses.network.parameters
    for name, weight in losses.network.parameters.items():
        assert torch.equal(weight, trial[name.removeprefix("policy.")])


def test_units_begin_with_episodes_of_their_own_seeds() -> None:
    first, again, other = (made_by.environments("CartPole-v1", 2, seed).reset() for seed in (11, 11, 12))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first[0], first[1])


def test_a_search_is_reported_loaded_and_played(tmp_path: Path) -> None:
    task = Atari(**SMALL, test_episodes=3)
    scheduler = ASHA(SPACE, max_resource=1, max_trials=2)
    result = tune(
        task, scheduler, gpus="inline", variation="ohgw-1step", results_dir=tmp_path / "r", progress="none"
    )
    assert result.best_value is not None
    assert result.best_value >= 8  # an episode of CartPole's is no shorter, and each step counts 1
    assert "block" in result.report().read_text()
    player, content = load_model(tmp_path / "r")
    assert content["task"]["options"]["env"] == "CartPole-v1"
    action = player.predict(np.zeros(4, dtype=np.float32))
    assert action in (0, 1)
    journal = (result.directory / "journal.jsonl").read_text()
    assert '"environment_steps"' in journal
    assert '"ignored": ["clip_range"]' in journal
    notes = [each["text"] for each in map(json.loads, journal.splitlines()) if each.get("type") == "notice"]
    assert any("lookahead=2" in note for note in notes)
    page = html.unescape(result.report().read_text())
    assert "on the trial's last 100 episodes" in page
    assert "on validation data" not in page


def test_returns_are_of_the_last_hundred_episodes() -> None:
    games = made_by.environments("CartPole-v1", 2, 3)
    learner = PpoLearner(
        games,
        plan(schedule=steady, batch_size=64, n_epochs=1),
        SPACE.configuration({**HERE, "lr": 1e-5}),
        10_000,
        "cpu",
    )
    ended = learner.train(games, 64 * 80)
    assert ended > 100
    assert len(learner.returns) == 100
    assert learner.value() == pytest.approx(float(np.mean(learner.returns)))
    assert learner.returns == learner.lengths  # CartPole gives 1 a step
    kept = learner.state()
    other = PpoLearner(
        games,
        plan(schedule=steady, batch_size=64, n_epochs=1),
        SPACE.configuration({**HERE, "lr": 1e-5}),
        10_000,
        "cpu",
    )
    other.load(kept)
    assert other.value() == learner.value()
    assert other.state()["steps"] == 64 * 80


def test_a_normaliser_goes_on_where_it_was() -> None:
    games = normalized(made_by.environments("Pendulum-v1", 2, 3), 0.9, None, learns=True)
    games.reset()
    for _ in range(30):
        games.step(np.zeros((2, 1), dtype=np.float32))
    kept = normalizer_state(games)
    same = normalized(made_by.environments("Pendulum-v1", 2, 3), 0.9, kept, learns=True)
    assert str(normalizer_state(same)) == str(kept)
    frozen = normalized(made_by.environments("Pendulum-v1", 2, 4), 0.9, kept, learns=False)
    seen = frozen.reset()
    assert str(normalizer_state(frozen)) == str(kept)
    from trials.rl.player import Player

    policy: Any = type("Policy", (), {"predict": lambda self, seen, deterministic: (seen, None)})()
    assert np.allclose(Player(policy, kept).predict(frozen.get_original_obs()), seen, atol=1e-5)
    assert normalizer_state(None) is None


def test_a_space_need_not_have_the_discount(tmp_path: Path) -> None:
    """PPO's default then, of the normaliser as well."""

    class OnlyTheRate(Atari):
        space = SearchSpace({"lr": SPACE["lr"]})

    class Contract(TaskContract):
        def task(self) -> Task:
            return OnlyTheRate(**SMALL, normalize=True)

    contract = Contract()
    assert len(contract._train(tmp_path, contract._job(0, 0, 1))) == 1


@pytest.mark.long
def test_a_game_of_ataris_is_seen_in_four_small_grey_frames() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        games = made_by.environments("ALE/Pong-v5", 2, 3)
    assert games.observation_space.shape == (4, 84, 84)
    assert games.reset().dtype == np.uint8
    policy = new_policy(games, plan(net_arch=(), schedule=steady), 1e-3, "cpu")
    convolutions = [
        (layer.in_channels, layer.out_channels, layer.kernel_size[0], layer.stride[0])
        for layer in policy.modules()
        if isinstance(layer, torch.nn.Conv2d)
    ]
    # Mnih et al. 2015, Methods: 32 filters of 8x8 with stride 4, 64 of 4x4 with 2, 64 of 3x3 with 1
    assert convolutions == [(4, 32, 8, 4), (32, 64, 4, 2), (64, 64, 3, 1)]
    skip = games.envs[0].unwrapped._frameskip
    assert skip == 1  # the wrapper skips


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"env": "CartPol-v1"}, "env is 'CartPol-v1': .*Did you mean: `CartPole`"),
        ({"env": "ALE/Pung-v5"}, "env is 'ALE/Pung-v5': .*ALE. Did you mean: `Pong`"),
        ({"env": "CartPole-v9"}, r"env is 'CartPole-v9': .*\[ `v0`, `v1` \]"),
        ({"env": "Nobody/Game-v0"}, "Namespace Nobody not found"),
        ({"env": "Blackjack-v1"}, "its observations are a Tuple"),
        ({"env": "Pong-v4"}, "an old id of one of Atari.s games.* such as ALE/Pong-v5"),
    ],
)
def test_an_environment_that_cannot_be_had_is_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(AshaError, match=message) as caught:
        Atari(**options).prepare()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps_per_unit": 1000}, "steps_per_unit is 1000, and a rollout has 256 .* such as 1024"),
        ({"batch_size": 100}, "batch_size is 100: it must divide the 256 steps"),
        ({"net_arch": "64,x"}, "net_arch is '64,x': give hidden units"),
        ({"schedule": "cosine"}, "schedule is 'cosine'"),
        ({"env": "ALE/Pong-v5", "normalize": True}, "normalize is true, and ALE/Pong-v5 is seen in images"),
    ],
)
def test_settings_that_cannot_be_are_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(AshaError, match=message):
        Atari(**{"env": "CartPole-v1", **options})


def test_an_environment_that_needs_more_says_what(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise gymnasium.error.DependencyNotInstalled('run `pip install "gymnasium[mujoco]"`')

    monkeypatch.setattr(gymnasium, "make", fails)
    with pytest.raises(AshaError, match=re.escape('cannot be made: run `pip install "gymnasium[mujoco]"`')):
        Atari(env="HalfCheetah-v5").prepare()


def test_episodes_longer_than_a_unit_are_told(tmp_path: Path) -> None:
    task = Atari(**{**SMALL, "env": "Pendulum-v1"})  # its episodes have 200 steps, and a unit 64 of each
    with pytest.raises(AshaError, match="no episode has ended yet"):
        tune(task, ASHA(SPACE, max_trials=3), gpus="inline", results_dir=tmp_path / "r", progress="none")
