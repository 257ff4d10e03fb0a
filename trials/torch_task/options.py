"""What a ``TorchTask``'s settings may be; without torch, so that a mistake is told at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from asha_core.arguments import integer, number, one_of
from warmstart.clipping import Clipping

COMPILE_MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")


def check_speed(compile: str, precision: str) -> None:
    """Raise ``SettingError`` for what is no value of ``TorchTask.compile`` or ``.precision``."""
    if compile != "":
        one_of("compile", compile, COMPILE_MODES)
    one_of("precision", precision, PRECISIONS)


class HasStepSettings(Protocol):
    """A task's own settings of a step, for configurations that have none."""

    batch_size: int
    gradient_accumulation_steps: int
    max_grad_norm: float | None
    max_grad_value: float | None
    ema_decay: float


@dataclass(frozen=True, slots=True)
class StepSettings:
    """How a trial trains: the configuration's dimensions of these names, else the task's attributes.

    Attributes:
        batch_size: samples in a mini-batch.
        gradient_accumulation_steps: mini-batches in an optimiser's step.
        clipping: of the gradient.
        ema_decay: of the weights' moving average; 0: there is none.
    """

    batch_size: int
    gradient_accumulation_steps: int
    clipping: Clipping
    ema_decay: float


def step_settings(task: HasStepSettings, config: Mapping[str, Any]) -> StepSettings:
    """Those of a trial with this configuration.

    Raises:
        SettingError: one of them is out of its range.
    """
    return StepSettings(
        batch_size(task, config),
        integer("gradient_accumulation_steps", _setting(task, config, "gradient_accumulation_steps"), 1),
        clipping(task, config),
        number("ema_decay", _setting(task, config, "ema_decay"), least=0.0, below=1.0),
    )


def batch_size(task: HasStepSettings, config: Mapping[str, Any]) -> int:
    """Samples in a mini-batch under this configuration."""
    return integer("batch_size", _setting(task, config, "batch_size"), 1)


def clipping(task: HasStepSettings, config: Mapping[str, Any]) -> Clipping:
    """How the gradient is clipped under this configuration."""
    return Clipping(_setting(task, config, "max_grad_norm"), value=_setting(task, config, "max_grad_value"))


def _setting(task: HasStepSettings, config: Mapping[str, Any], name: str) -> Any:
    return config[name] if name in config else getattr(task, name)
