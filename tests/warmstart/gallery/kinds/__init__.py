"""Kinds of models and loops, each by its smallest input; importing this puts them all on show."""

from tests.warmstart.gallery.kinds import (
    absent,
    attention,
    batches,
    closures,
    custom_functions,
    generative,
    hooks,
    multi_task,
    optimisers,
    patched,
    plain,
    recurrent,
    stateful,
    stopped,
    vision,
    wrapped,
)

__all__ = [
    "absent",
    "attention",
    "batches",
    "closures",
    "custom_functions",
    "generative",
    "hooks",
    "multi_task",
    "optimisers",
    "patched",
    "plain",
    "recurrent",
    "stateful",
    "stopped",
    "vision",
    "wrapped",
]
