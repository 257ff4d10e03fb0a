"""What is said when a search ends: where it lies, how to report on it, and how to go on."""

from __future__ import annotations

import shlex
from pathlib import Path

from asha_core.errors import AshaError, HopelessError
from asha_core.launch.argument_names import with_arguments
from asha_core.launch.result import Result
from asha_core.launch.resume_options import resume_command
from asha_core.launch.types import Launch
from asha_core.runtime.observers import EARLY, short
from asha_core.runtime.terminal.streams import say


def shown(directory: Path) -> Path:
    """A path for people: from where they are, if it lies below."""
    here = Path.cwd()
    return directory.relative_to(here) if directory.is_relative_to(here) else directory


def where(directory: Path | str) -> str:
    """Two lines: where everything lies, and the command that reports on it."""
    return f"results: {directory}\nreport:  asha-report {directory}"


def how_to_go_on(setup: Launch, directory: Path, reason: str = "interrupted") -> str:
    """The command, or in a script the call, that goes on with a search.

    Args:
        reason: why it ended, as in ``Outcome``; what ended it must be taken back.
    """
    if not setup.by_script:
        return resume_command(setup.settings, directory, reason)
    more = {"budget": ", budget=MORE"} | {early: f", {early}=None" for early in EARLY}
    return f"tune(..., results_dir={str(directory)!r}, resume=True{more.get(reason, '')})"


def why_ended(setup: Launch, result: Result) -> str:
    """Why it ended before everything was done."""
    metric, best = setup.built.metric, result.best_value
    return {
        "budget": "the budget is spent",
        "stop_at": f"{metric} {short(best)} is as good as was asked for (stop-at {setup.stop_at})",
        "patience": f"nothing better came in {setup.patience} (patience)",
    }.get(result.outcome.reason, "stopped")


def test_command(setup: Launch, directory: Path) -> str:
    """The command that measures its best checkpoint on test data; a task of one's own has to be named."""
    target = str(setup.settings.get("task", ""))
    return shlex.join(["asha-test", str(directory), *(["--task", target] if ":" in target else [])])


def close(setup: Launch, result: Result) -> None:
    """The end of a search of a script, said on standard error if its progress is.

    Raises:
        KeyboardInterrupt: it was interrupted. Everything is saved and closed; what follows in the script is
            for the result of a whole search.
    """
    if setup.for_people:
        say(where(shown(result.directory)))
    if result.outcome.reason == "interrupted":
        raise _interrupt(setup, result.directory)
    reason = result.outcome.reason
    if setup.for_people and reason != "complete":
        command = how_to_go_on(setup, shown(result.directory), reason)
        say(f"{with_arguments(why_ended(setup, result))}; go on with: {command}")


def _interrupt(setup: Launch, directory: Path) -> KeyboardInterrupt:
    words = (
        f"the search was interrupted, and is saved; go on with {how_to_go_on(setup, directory)}, or look at "
        f"it with Result.load({str(directory)!r})"
    )
    # of exactly this class: a shell's loop ends with a script only if Python itself ends by the signal
    error = KeyboardInterrupt(words)
    # what Jupyter and IPython show of it in the place of a traceback
    error._render_traceback_ = lambda: [f"KeyboardInterrupt: {words}"]  # type: ignore[attr-defined]
    return error


def told_where(error: Exception, setup: Launch) -> None:
    """Let an error that ends a search say where it lies, since its directory stays."""
    directory = setup.directory.path
    if str(directory) in str(error):
        return
    words = f"everything is in {directory}"
    if not isinstance(error, HopelessError):  # which says itself how
        words += f"; go on with {how_to_go_on(setup, directory)}"
    if isinstance(error, AshaError):
        error.args = (f"{error}; {words}",)
    else:
        error.add_note(words)
