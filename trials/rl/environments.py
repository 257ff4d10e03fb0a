"""Environments by their Gymnasium id, as PPO takes them.

Of Atari's games: the preprocessing of Mnih et al. 2015 (frames skipped by 4, the maximum of two frames, 84x84
grey, four frames stacked, up to 30 no-ops at the start, a life is an episode, rewards by their sign), by
stable-baselines3's wrappers. Sticky actions are the environment's own (0.25 with "ALE/...-v5": Machado et al.
2018, arXiv:1709.06009). The returns that are told are of whole games, and of the game's own rewards.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from asha_core.errors import SettingError, TaskError
from asha_core.extras import needed

LIBRARIES = ("stable_baselines3", "gymnasium", "ale_py", "cv2")
_ATARI = "ALE/"
_STACKED = 4  # frames in an observation
_LEAST_PIXELS = 36  # of the sides that the convolutions of the Nature network take


def is_atari(name: str) -> bool:
    """Whether an id is that of a game of Atari's."""
    return name.startswith(_ATARI) or "NoFrameskip" in name


def check_environment(name: str) -> None:
    """Raise an error, in one line, for an environment that cannot be trained on.

    Raises:
        TaskError: a library is missing, of ours or of the environment.
        SettingError: nothing has this id, or PPO does not take its observations or actions.
    """
    import_libraries()
    import gymnasium
    from gymnasium import error, spaces

    try:
        with quiet():
            made = gymnasium.make(name, **_own_settings(name))
            observations, actions = made.observation_space, made.action_space
            game = str(made.spec.entry_point).startswith("ale_py") if made.spec else False
            made.close()
    except ImportError as problem:  # of "module:Id-v0"
        raise TaskError(
            f"environment {name} cannot be made: {_line(problem)}; install what it is in"
        ) from None
    except error.DependencyNotInstalled as problem:
        raise TaskError(f"environment {name} cannot be made: {problem}") from None
    except error.Error as problem:
        raise SettingError(f"env is {name!r}: {_line(problem)}; ids are such as ALE/Pong-v5") from None
    if game and not is_atari(name):  # skipped twice, and seen without the usual preprocessing
        raise SettingError(
            f"env is {name!r}: an old id of one of Atari's games, which skips frames itself; take the game's "
            "ALE/...-v5, such as ALE/Pong-v5"
        )
    kinds = (spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary, spaces.Box)
    if not isinstance(actions, kinds):
        raise SettingError(
            f"env is {name!r}: its actions are a {type(actions).__name__}, and PPO takes "
            f"{', '.join(kind.__name__ for kind in kinds)}"
        )
    if not isinstance(observations, spaces.Box | spaces.Discrete):
        raise SettingError(
            f"env is {name!r}: its observations are a {type(observations).__name__}, and the task takes "
            "arrays and numbers"
        )
    shape = observations.shape or ()
    if not is_atari(name) and len(shape) == 3 and min(shape[:2]) < _LEAST_PIXELS:
        raise SettingError(
            f"env is {name!r}: its images are {shape}, and must have {_LEAST_PIXELS} pixels a side"
        )


def _line(problem: Exception) -> str:
    return " ".join(str(problem).split()).rstrip(".")


def import_libraries() -> None:
    """Load what environments need, and let Gymnasium know Atari's.

    Raises:
        TaskError: one is not installed.
    """
    needed("rl", *LIBRARIES, what="task atari")
    with quiet():
        import ale_py
        import gymnasium

        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)  # a banner for each game that is made
        gymnasium.register_envs(ale_py)


def environments(name: str, number: int, seed: int) -> Any:
    """``number`` copies of an environment side by side, in this process, whose episodes the seed decides.

    One process: a search fills the cores with trials, so that processes for each trial's environments would
    wait for each other.

    Returns:
        stable-baselines3's ``VecEnv``; images have their channels first.
    """
    import_libraries()
    from stable_baselines3.common.env_util import make_atari_env, make_vec_env
    from stable_baselines3.common.preprocessing import is_image_space
    from stable_baselines3.common.vec_env import VecFrameStack, VecTransposeImage

    with quiet():
        if is_atari(name):
            games = make_atari_env(name, n_envs=number, seed=seed, env_kwargs=_own_settings(name))
            return VecTransposeImage(VecFrameStack(games, _STACKED))
        made = make_vec_env(name, n_envs=number, seed=seed)
        return VecTransposeImage(made) if is_image_space(made.observation_space) else made


def _own_settings(name: str) -> dict[str, Any]:
    """Frames are skipped by the wrapper, which takes the maximum of two, and not by the game as well."""
    return {"frameskip": 1} if name.startswith(_ATARI) else {}


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings of libraries: of older versions of environments, of small networks on a GPU."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
