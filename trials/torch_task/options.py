"""What ``TorchTask.compile`` and ``.precision`` may be; without torch, so that a mistake is told at once."""

from __future__ import annotations

from asha_core.errors import SettingError, nearest

COMPILE_MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")


def check_speed(compile: str, precision: str) -> None:
    """Raise ``SettingError`` for what is no value of ``TorchTask.compile`` or ``.precision``."""
    for name, value, known in (
        ("compile", compile, COMPILE_MODES),
        ("precision", precision, PRECISIONS),
    ):
        if value not in known and (name, value) != ("compile", ""):
            raise SettingError(f"{name} is {value!r}, which is none{nearest(str(value), known)}")
