"""What ``TorchTask.compile`` and ``.precision`` may be; without torch, so that a mistake is told at once."""

from __future__ import annotations

from asha_core.arguments import one_of

COMPILE_MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")


def check_speed(compile: str, precision: str) -> None:
    """Raise ``SettingError`` for what is no value of ``TorchTask.compile`` or ``.precision``."""
    if compile != "":
        one_of("compile", compile, COMPILE_MODES)
    one_of("precision", precision, PRECISIONS)
