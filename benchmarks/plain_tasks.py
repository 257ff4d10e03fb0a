"""The same training as the tasks language, tabular and atari do, written plainly with the same libraries.

Each function trains for ever, and yields after each unit, its validation and its checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from asha_core.space import Configuration
from trials.tasks.atari import Atari
from trials.tasks.language import Language
from trials.tasks.tabular import Tabular


def language(task: Language, config: Configuration, units: int, file: Path) -> Iterator[None]:
    """A loop over shuffled windows; warm-up and cosine by torch's LambdaLR."""
    (inputs, targets), (held, answers) = task.data()
    model = task.model(config)
    optimizer = torch.optim.AdamW(
        task.param_groups(model, config),
        lr=config["lr"],
        betas=(config["beta1"], 1 - config["one_minus_beta2"]),
    )
    steps = task.tokens_per_unit // task.context // task.batch_size
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: task.lr_lambda(step, step / (steps * units), config)
    )
    while True:
        model.train()
        order = torch.randperm(len(inputs))[: steps * task.batch_size]
        for rows in order.split(task.batch_size):
            scores = model(inputs[rows].int()).flatten(0, 1)
            wanted = targets[rows].flatten().long()
            loss = cross_entropy(scores, wanted, label_smoothing=config["label_smoothing"])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
        model.eval()
        with torch.inference_mode():
            for some, of in zip(
                held.split(task.eval_batch_size), answers.split(task.eval_batch_size), strict=True
            ):
                cross_entropy(model(some.int()).flatten(0, 1), of.flatten().long()).item()
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, file)
        yield


def network(task: Tabular, config: Configuration, units: int, file: Path) -> Iterator[None]:
    """An epoch a unit: shuffled full mini-batches by indices, AdamW, the cosine by torch's LambdaLR."""
    (numbers, codes, target), (held, held_codes, answers) = task.data()  # type: ignore[attr-defined]
    model = task.model(config)  # type: ignore[attr-defined]
    optimizer = task.optimizer(model.parameters(), config)  # type: ignore[attr-defined]
    batch = task.batch_size  # type: ignore[attr-defined]
    steps = len(target) // batch
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: task.schedule(step / (steps * units)),  # type: ignore[attr-defined]
    )
    while True:
        model.train()
        for rows in torch.randperm(len(target))[: steps * batch].split(batch):
            scores = model(numbers[rows], codes[rows])
            loss = cross_entropy(scores, target[rows], label_smoothing=config["label_smoothing"])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
        model.eval()
        with torch.inference_mode():
            scores = model(held, held_codes)
            cross_entropy(scores, answers).item()
            (scores.argmax(1) == answers).float().mean().item()
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, file)
        yield


def trees(task: Tabular, config: Configuration, units: int, file: Path) -> Iterator[None]:
    """The loop of ``xgboost.train``, in one booster; losses by the library's own evaluation.

    Going on with ``xgb_model`` would predict all rows anew in each unit, and take longer.
    """
    import xgboost

    def matrix(rows: Any) -> Any:
        import numpy as np

        codes = np.where(rows.categories > 0, rows.categories - 1, np.nan).astype(np.float32)
        return xgboost.DMatrix(
            np.hstack([rows.numeric, codes]),
            rows.target,
            feature_types=["q"] * rows.numeric.shape[1] + ["c"] * codes.shape[1],
            enable_categorical=True,
            nthread=torch.get_num_threads(),
        )

    train, held = matrix(task.table.train), matrix(task.table.valid)
    own = {"objective": "binary:logistic", "tree_method": "hist", "nthread": torch.get_num_threads()}
    booster = xgboost.Booster({**dict(config), **own}, [train])  # as xgboost.train does it: see its source
    number = 0
    while True:
        for _ in range(task.rounds_per_unit):  # type: ignore[attr-defined]
            booster.update(train, number)
            number += 1
        booster.eval_set([(train, "train"), (held, "valid")])
        file.write_bytes(booster.save_raw("ubj"))
        yield


def ppo(task: Atari, config: Configuration, units: int, file: Path) -> Iterator[None]:
    """``PPO.learn`` of stable-baselines3."""
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_atari_env, make_vec_env
    from stable_baselines3.common.vec_env import VecFrameStack

    if task.env.startswith("ALE/"):
        game = {"frameskip": 1}
        environments = VecFrameStack(
            make_atari_env(task.env, n_envs=task.n_envs, seed=0, env_kwargs=game), n_stack=4
        )
    else:
        environments = make_vec_env(task.env, n_envs=task.n_envs, seed=0)
    trained = PPO(
        "CnnPolicy" if task.env.startswith("ALE/") else "MlpPolicy",
        environments,
        learning_rate=lambda left: config["lr"] * left,
        n_steps=task.n_steps,
        batch_size=task.batch_size,
        n_epochs=task.n_epochs,
        gamma=1 - config["one_minus_gamma"],
        gae_lambda=1 - config["one_minus_gae_lambda"],
        clip_range=config["clip_range"],
        ent_coef=config["ent_coef"],
        policy_kwargs={"net_arch": list(task.net_arch)},
        device="cpu",
    )
    first = True
    while True:
        trained.learn(task.steps_per_unit, log_interval=None, reset_num_timesteps=first)
        first = False
        trained.save(file)
        yield
