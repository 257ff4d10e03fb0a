"""``asha-test``: the chosen configuration of a finished search, on test data, once."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from asha_core.errors import SettingError
from asha_core.runtime.observers import value_text
from asha_core.runtime.storage.paths import user_path
from asha_core.runtime.storage.run_directory import RunDirectory
from asha_core.runtime.terminal.command import Parser, run_command

if TYPE_CHECKING:
    from trials.final_test import Final


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="asha-test",
        description="Measure the best checkpoint of a search on its task's test data. The result is kept in "
        "test.json; asked again, that is shown and the data is left alone.",
    )
    parser.add_argument("results", metavar="RESULTS_DIR", help="results directory of the search")
    parser.add_argument("--task", metavar="TASK", help="mypackage.mymodule:MyTask, for a task of your own")
    parser.add_argument("--data-dir", metavar="DIR", help="where the data lies [where the search found it]")
    parser.add_argument("--device", metavar="NAME", default="auto", help="cpu, cuda:0, or auto [auto]")
    parser.add_argument(
        "--replace", action="store_true", help="measure although another checkpoint of it was measured before"
    )
    parser.add_argument("--json", action="store_true", help="print test.json's content on standard output")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    return run_command("asha-test", lambda: _test(_parser().parse_args(arguments)))


def _test(options: argparse.Namespace) -> int:
    from trials.final_test import measure_on_test_data
    from trials.tasks import task_target

    final = measure_on_test_data(
        options.results,
        task=None if options.task is None else task_target(options.task),
        data_dir=options.data_dir,
        device=_device(options.device),
        replace=options.replace,
    )
    if options.json:
        from asha_core.runtime.storage.records import to_json
        from asha_core.runtime.terminal.encodings import print_json
        from trials.final_test import fields

        print_json(to_json(fields(final)))
    else:
        _print(final, options.results)
    return 0


def _device(name: str) -> str:
    """The name, if torch can use it."""
    import torch

    if name == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=name).item()
    except (RuntimeError, AssertionError, ImportError, AttributeError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise SettingError(
            f"--device {name} cannot be used ({reason}): use cpu, or a GPU such as cuda:0"
        ) from None
    return name


def _print(final: Final, directory: str) -> None:
    from asha_core.runtime.observers import short

    if final.again:
        print(f"measured before, on {final.measured[:10]}; the test data was not read again")
    beside = "" if final.validation is None else f" (validation {value_text(final.validation)})"
    loss = "" if final.loss is None else f", loss {value_text(final.loss)}"
    count = f"{final.count:,} {final.what}{'s' * (final.count != 1)}"
    print(f"test {final.metric} {value_text(final.value)}{beside}{loss}, {count}")
    values = " ".join(f"{name}={short(value)}" for name, value in final.configuration.items())
    trial = "checkpoint" if final.trial is None else f"trial {final.trial}"
    print(f"{trial} at {final.unit} {final.resource}: {values}")
    print(f"kept in {RunDirectory(user_path(directory)).test}")


if __name__ == "__main__":
    sys.exit(main())
