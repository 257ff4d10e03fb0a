"""Reinforcement learning: PPO in an environment of Gymnasium's, Atari's games among them.

stable-baselines3's PPO (Schulman et al. 2017, arXiv:1707.06347; Raffin et al. 2021, JMLR 22(268)), which is
what trains; here is what makes trials of it. A unit of resource is a block of environment steps.

Every unit begins with new episodes, whose seeds are the trial's and the unit's: what a policy meets in a unit
does not depend on the units before it having been trained by the same process, so a trial that was paused
goes on to the same policy, to the last bit on a CPU. Episodes under way at the end of a unit are cut off:
their last value is estimated, as at any end of a rollout, and they count for no return. Where episodes are
about as long as a unit, this favours short ones in the mean; see ``steps_per_unit``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from asha_core.arguments import integer, one_of, text, true_or_false
from asha_core.errors import SettingError
from asha_core.space import Configuration, Float, SearchSpace
from asha_core.streams import stream_seed
from trials.rl.environments import LIBRARIES, check_environment, is_atari
from trials.task import Task, TestScore

if TYPE_CHECKING:
    from trials.rl.learner import PpoPlan
    from trials.rl.player import Player
    from trials.trial import Trial
    from warmstart.base import Problem

SPACE = SearchSpace(
    {
        "lr": Float(1e-5, 1e-2, log=True),
        "ent_coef": Float(1e-5, 0.1, log=True),
        "clip_range": Float(0.05, 0.4),
        "one_minus_gae_lambda": Float(0.01, 0.3, log=True),
        "one_minus_gamma": Float(1e-3, 0.1, log=True),
    }
)
SCHEDULES = ("linear", "constant")
_LARGEST_SEED = 2**31
# by whether it is a game of Atari's: those of rl-baselines3-zoo (hyperparams/ppo.yml, "atari" and
# "CartPole-v1"), and blocks of steps in which some episodes end
_USUAL: dict[bool, dict[str, Any]] = {
    True: {"steps_per_unit": 32_768, "n_steps": 128, "batch_size": 256, "n_epochs": 4, "net_arch": ()},
    False: {"steps_per_unit": 16_384, "n_steps": 32, "batch_size": 256, "n_epochs": 20, "net_arch": (64, 64)},
}
_MAX_RESOURCE = {True: 81, False: 9}


class Atari(Task):
    """PPO in an environment; the metric is the mean return of the last 100 episodes.

    Args:
        env: an id of Gymnasium's, such as ALE/Pong-v5 or CartPole-v1.
        n_envs: environments side by side.
        steps_per_unit: environment steps in a unit of resource, over all ``n_envs``; a multiple of n_steps *
            n_envs. Many times as long as an episode, or those that end are the short ones. 32,768 of Atari's
            games, else 16,384.
        n_steps: of each environment in a rollout: 128 of Atari's games, else 32.
        batch_size: steps in a mini-batch; must divide n_steps * n_envs; the largest such up to 256.
        n_epochs: passes over a rollout: 4 of Atari's games, else 20.
        net_arch: hidden units by layer, as in ``64,64``; of images, after the convolutions. None of Atari's
            games, else 64, 64.
        schedule: the learning rate falls to 0 over ``max_resource`` ("linear"), or not ("constant").
        normalize: observations and rewards have mean 0 and deviation 1, as those up to now had: for
            observations that are no images.
        test_episodes: that ``asha-test`` plays.
    """

    space = SPACE
    metric = "return"
    mode = "max"
    unit = "block"
    measured_on = "the trial's last 100 episodes"
    preload: Sequence[str] = ("torch", "torch._dynamo", "stable_baselines3", "gymnasium", "ale_py", "cv2")

    def __init__(
        self,
        env: str = "ALE/Pong-v5",
        n_envs: int = 8,
        steps_per_unit: int | None = None,
        n_steps: int | None = None,
        batch_size: int | None = None,
        n_epochs: int | None = None,
        net_arch: str | int | Sequence[int] | None = None,
        schedule: str = "linear",
        normalize: bool = False,
        test_episodes: int = 100,
    ) -> None:
        from asha_core.extras import needed

        needed("rl", *LIBRARIES, what="task atari")
        self.env = text("env", env)
        atari = is_atari(self.env)
        usual = _USUAL[atari]
        self.max_resource = _MAX_RESOURCE[atari]

        def chosen(name: str, value: int | None, least: int = 1) -> int:
            return integer(name, usual[name] if value is None else value, least)

        self.n_envs = integer("n_envs", n_envs, 1)
        self.n_steps = chosen("n_steps", n_steps, 2)
        if batch_size is None:  # the usual number, or what a rollout can be cut into
            batch_size = _largest_part(self.n_steps * self.n_envs, usual["batch_size"])
        self.batch_size = integer("batch_size", batch_size, 2)
        self.n_epochs = chosen("n_epochs", n_epochs)
        self.net_arch = _layers(usual["net_arch"] if net_arch is None else net_arch)
        self.steps_per_unit = chosen("steps_per_unit", steps_per_unit)
        self.schedule = one_of("schedule", schedule, SCHEDULES)
        self.normalize = true_or_false("normalize", normalize)
        self.test_episodes = integer("test_episodes", test_episodes, 1)
        self._check_blocks(given=steps_per_unit is not None)
        if self.normalize and atari:
            raise SettingError(f"normalize is true, and {self.env} is seen in images: leave it out")

    def _check_blocks(self, *, given: bool) -> None:
        rollout = self.n_steps * self.n_envs
        if not given:  # the usual number, in whole rollouts
            self.steps_per_unit = max(self.steps_per_unit // rollout, 1) * rollout
        if self.steps_per_unit % rollout:
            near = max(round(self.steps_per_unit / rollout), 1) * rollout
            raise SettingError(
                f"steps_per_unit is {self.steps_per_unit}, and a rollout has {rollout} steps (n_steps * "
                f"n_envs): it must be a multiple of that, such as {near}"
            )
        if rollout % self.batch_size:
            raise SettingError(
                f"batch_size is {self.batch_size}: it must divide the {rollout} steps of a rollout "
                "(n_steps * n_envs)"
            )

    def prepare(self) -> None:
        """Check that the environment can be made."""
        check_environment(self.env)

    def setup(self, device: str) -> None:
        """Load what trains."""
        from trials.rl.environments import import_libraries

        import_libraries()
        import stable_baselines3  # noqa: F401

    def run(self, trial: Trial) -> None:
        """Blocks of environment steps, unit by unit."""
        from trials.rl.learner import PpoLearner
        from trials.rl.ppo_settings import PpoSettings
        from warmstart.problem.randomness import own_randomness, seeded_generators

        kept = trial.resume_from()
        total = trial.max_resource * self.steps_per_unit
        gamma = PpoSettings(trial.config).gamma if self.normalize else 1.0
        normalizer = None if kept is None else kept["normalizer"]
        learner: PpoLearner | None = None
        for unit in trial.units():
            environments = self._environments(
                stream_seed(trial.seed, "episodes", unit), gamma, normalizer, learns=True
            )
            try:
                if learner is None:
                    with own_randomness(stream_seed(trial.seed, "weights"), trial.device):
                        learner = PpoLearner(environments, self._plan(), trial.config, total, trial.device)
                    if kept is not None:
                        learner.load(kept)
                with (
                    seeded_generators(stream_seed(trial.seed, "unit", unit), trial.device),
                    trial.costs.timed("train_seconds"),
                ):
                    ended = learner.train(environments, self.steps_per_unit)
            finally:
                environments.close()
            trial.costs.add("environment_steps", self.steps_per_unit)
            value, state = learner.value(), learner.state()
            normalizer = state["normalizer"]
            trial.save(state, wait=False)
            trial.report(value, episodes=ended, episode_length=sum(learner.lengths) / len(learner.lengths))

    def problem(self, seed: int, device: str) -> Problem:
        """PPO's own loss, on two halves of a rollout of the trial's initial policy."""
        from trials.rl.learner import new_policy
        from trials.rl.ppo_settings import PpoSettings
        from trials.rl.warm_start_problem import PpoProblem
        from warmstart.problem.randomness import own_randomness

        seen = self._seen()

        def make_policy(config: Configuration) -> Any:
            with own_randomness(stream_seed(seed, "weights"), device):
                return new_policy(seen, self._plan(), 3e-4, device)

        return PpoProblem(
            self.space,
            lambda number: self._environments(number, 0.99, None, learns=True),
            make_policy,
            n_steps=self.n_steps,
            batch_size=self.batch_size,
            settings=PpoSettings,
            device=device,
            seed=seed,
        )

    def trained_model(self, config: Configuration, state: Any) -> Player:
        """The policy, with what it takes to show it an environment: see ``trials.rl.player.Player``."""
        from trials.rl.learner import load_policy, new_policy
        from trials.rl.player import Player

        policy = new_policy(self._seen(), self._plan(), 3e-4, "cpu")
        load_policy(policy, state)
        return Player(policy, state.get("normalizer"))

    def measure_test(self, model: Player, config: Configuration, device: str) -> TestScore:
        """The mean return of fresh episodes, in which actions are drawn, as in training."""
        from warmstart.problem.randomness import own_randomness

        seed = stream_seed(0, "test-episodes")  # no trial's: theirs are named otherwise
        environments = self._environments(seed, 1.0, model.normalizer, learns=False)
        try:
            with own_randomness(seed, device):
                value = model.mean_return(environments, self.test_episodes, device)
        finally:
            environments.close()
        return TestScore(value, self.test_episodes, what="episode")

    def _plan(self) -> PpoPlan:
        from trials.rl.learner import PpoPlan

        schedule = (lambda share: 1.0 - share) if self.schedule == "linear" else (lambda share: 1.0)
        return PpoPlan(self.n_steps, self.batch_size, self.n_epochs, self.net_arch, schedule)

    def _seen(self) -> Any:
        """An environment that is closed: what its observations and actions are."""
        from trials.rl.environments import environments

        made = environments(self.env, 1, 0)
        made.close()
        return made

    def _environments(self, seed: int, gamma: float, normalizer: Any, *, learns: bool) -> Any:
        from trials.rl.environments import environments
        from trials.rl.learner import normalized

        made = environments(self.env, self.n_envs, seed % _LARGEST_SEED)
        return normalized(made, gamma, normalizer, learns=learns) if self.normalize else made


def _largest_part(whole: int, most: int) -> int:
    """The largest number up to ``most`` that divides ``whole``; ``whole`` where only 1 does."""
    part = next(size for size in range(min(whole, most), 0, -1) if whole % size == 0)
    return part if part > 1 else whole


def _layers(given: str | int | Sequence[int]) -> tuple[int, ...]:
    """Hidden units by layer."""
    parts: Any = given
    if isinstance(given, str):
        parts = given.split(",") if given else []
    elif isinstance(given, int):
        parts = [given]
    try:
        return tuple(integer("net_arch", int(part), 1) for part in parts)
    except (TypeError, ValueError):
        raise SettingError(f"net_arch is {given!r}: give hidden units by layer, as in 64,64") from None
