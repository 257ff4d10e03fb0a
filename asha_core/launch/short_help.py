"""``asha-run --help``: what people need; ``--help-all`` has every option. And what the bare command says."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from asha_core.runtime.terminal.command import Parser
from asha_core.runtime.terminal.console import PROGRESS
from asha_core.schedulers import SCHEDULERS
from asha_core.searchers import SEARCHERS
from trials.tasks import TASKS
from warmstart.registry import VARIATIONS

_NEEDED = (
    *("help", "help_all", "task", "variation", "scheduler", "gpus", "max_trials", "budget", "max_resource"),
    *("results_dir", "resume", "plan"),
)
_SUGGESTED = {
    "task": [*TASKS],
    "variation": [*VARIATIONS],
    "scheduler": [*SCHEDULERS],
    "searcher": [*SEARCHERS],
    "gpus": ["auto", "cpu", "inline"],
    "progress": PROGRESS,
}
EXAMPLES = """\
examples:
  asha-run --task digits --gpus cpu --max-trials 27          a first try: no download, half a minute
  asha-run --task mymodule:MyTask --gpus 0,1 --budget 3h     a task of your own
  asha-run --task cifar10 --variation ohgw-1step --gpus 0,1,2,3
                                                             CIFAR-10, with a warm start; downloads 170 MB
"""
BARE = f"""\
asha-run searches for the hyper-parameters of a task: name one with --task, or in a file with --config.

{EXAMPLES}
asha-run --help has the options that people need, --help-all every one."""


class ShortHelp(argparse.Action):
    """``--help``: prints the options that people need, and ends."""

    def __init__(self, option_strings: Sequence[str], dest: str, **others: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, **others)

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: Any = None
    ) -> None:
        """Leave the others out of the parser, which reads nothing more."""
        for group in parser._action_groups:
            group._group_actions = [action for action in group._group_actions if action.dest in _NEEDED]
        parser._actions = [action for action in parser._actions if action.dest in _NEEDED]
        parser.usage, parser.epilog = "%(prog)s --task TASK [options]", None
        print(f"{parser.format_help()}\n{EXAMPLES}", end="")
        parser.exit()


def add_help(parser: Parser) -> None:
    """Give it ``--help`` and ``--help-all``, and what shells suggest."""
    parser.names = _SUGGESTED
    parser.add_argument("-h", "--help", action=ShortHelp, help="show this, and exit")
    parser.add_argument("--help-all", action="help", help="show every option, and exit")
