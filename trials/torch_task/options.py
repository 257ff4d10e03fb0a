"""What a ``TorchTask``'s settings may be; without torch, so that a mistake is told at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from asha_core.arguments import integer, number, one_of
from asha_core.errors import SettingError
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
    samples_per_unit: int | None
    gradient_accumulation_steps: int
    max_grad_norm: float | None
    max_grad_value: float | None
    ema_decay: float


class HasSteps(Protocol):
    """Data, of which an epoch has so many mini-batches."""

    def steps(self, batch_size: int) -> int:
        """Of that size."""
        ...


@dataclass(frozen=True, slots=True)
class StepSettings:
    """How a trial trains: the configuration's dimensions of these names, else the task's attributes.

    Attributes:
        batch_size: samples in a mini-batch.
        samples_per_unit: samples in a unit of resource; None: it is an epoch.
        gradient_accumulation_steps: mini-batches in an optimiser's step.
        clipping: of the gradient.
        ema_decay: of the weights' moving average; 0: there is none.
    """

    batch_size: int
    samples_per_unit: int | None
    gradient_accumulation_steps: int
    clipping: Clipping
    ema_decay: float

    def steps(self, data: HasSteps) -> int:
        """How many mini-batches a unit has: full ones only."""
        if self.samples_per_unit is None:
            return data.steps(self.batch_size)
        return self.samples_per_unit // self.batch_size


def step_settings(task: HasStepSettings, config: Mapping[str, Any]) -> StepSettings:
    """Those of a trial with this configuration.

    Raises:
        SettingError: one of them is out of its range.
    """
    size = batch_size(task, config)
    return StepSettings(
        size,
        _samples_per_unit(task, size),
        integer("gradient_accumulation_steps", _setting(task, config, "gradient_accumulation_steps"), 1),
        clipping(task, config),
        number("ema_decay", _setting(task, config, "ema_decay"), least=0.0, below=1.0),
    )


def _samples_per_unit(task: HasStepSettings, size: int) -> int | None:
    if task.samples_per_unit is None:
        return None
    samples = integer("samples_per_unit", task.samples_per_unit, 1)
    if samples < size:
        raise SettingError(
            f"samples_per_unit is {samples}, and batch_size {size}: a unit must have at least one batch"
        )
    return samples


def batch_size(task: HasStepSettings, config: Mapping[str, Any]) -> int:
    """Samples in a mini-batch under this configuration."""
    return integer("batch_size", _setting(task, config, "batch_size"), 1)


def clipping(task: HasStepSettings, config: Mapping[str, Any]) -> Clipping:
    """How the gradient is clipped under this configuration."""
    return Clipping(_setting(task, config, "max_grad_norm"), value=_setting(task, config, "max_grad_value"))


def _setting(task: HasStepSettings, config: Mapping[str, Any], name: str) -> Any:
    return config[name] if name in config else getattr(task, name)
