"""How a search of a script ends: it says where it lies and how to go on, in the words of a script."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from asha_core import ASHA, AshaError, Float, SearchSpace, tune
from asha_core.cli.run import main
from asha_core.errors import HopelessError
from asha_core.launch.argument_names import with_arguments
from asha_core.launch.option_table import OPTIONS
from tests.asha_core.launch.test_tune import Impatient, Stumbles
from tests.conftest import ROOT
from tests.trials import jobs

SPACE = SearchSpace({"x": Float(0.0, 1.0)})
PROGRESS = ["plain", "json", "none"]


def search(function: Any = jobs.work, kind: type[ASHA] = ASHA, **settings: Any) -> Any:
    scheduler = kind(SPACE, max_resource=3, max_trials=6)
    return tune(function, scheduler, **{"gpus": "inline", "progress": "none", **settings})


def fails(_: Any) -> None:
    raise OSError("no such thing")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def only_directory(here: Path) -> Path:
    (directory,) = (here / "results").iterdir()
    return directory


def goes_on(text: str, **settings: Any) -> Any:
    """What the words say, done."""
    (named,) = set(re.findall(r"tune\(\.\.\., results_dir='(.+?)', resume=True", text))
    return search(results_dir=named, resume=True, **settings)


@pytest.mark.parametrize("progress", PROGRESS)
def test_an_interrupted_search_ends_its_script_and_says_how_to_go_on(
    progress: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(KeyboardInterrupt) as caught:
        search(progress=progress, observers=[Impatient()])
    assert type(caught.value) is KeyboardInterrupt  # else Python would not end by the signal
    told = str(caught.value)
    directory = only_directory(here)
    assert f"Result.load({str(directory)!r})" in told
    said = capsys.readouterr().err
    assert (f"asha-report {directory.relative_to(here)}" in said) == (progress == "plain")
    assert caught.value._render_traceback_() == [f"KeyboardInterrupt: {told}"]  # type: ignore[attr-defined]
    assert goes_on(told).outcome.reason == "complete"


def test_a_script_is_ended_by_the_signal(here: Path) -> None:
    (here / "script.py").write_text(
        "import signal\n"
        "from asha_core import ASHA, Float, SearchSpace, tune\n"
        "def train(trial):\n"
        "    for unit in trial.units():\n"
        "        trial.report(trial.config['x'])\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "tune(train, ASHA(SearchSpace({'x': Float(0, 1)}), max_trials=3, max_resource=3), gpus='inline')\n"
        "print('as if it were complete')\n"
    )
    command = [sys.executable, "script.py"]
    done = subprocess.run(
        command, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)}, timeout=60, check=False
    )
    assert done.returncode == -signal.SIGINT
    assert not done.stdout
    assert f"results: {only_directory(here).relative_to(here)}" in done.stderr.splitlines()[0]
    assert "resume=True" in done.stderr.splitlines()[-1]


def test_at_the_end_of_its_budget_it_says_which_argument_to_raise(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = search(progress="plain", budget=1e-9)
    assert result.outcome.reason == "budget"
    said = capsys.readouterr().err
    assert "resume=True, budget=MORE)" in said
    assert goes_on(said).outcome.reason == "complete"


@pytest.mark.parametrize("progress", PROGRESS)
def test_who_named_no_directory_is_told_it_at_the_beginning_and_the_end(
    progress: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    search(progress=progress)
    lines = capsys.readouterr().err.splitlines()
    name = only_directory(here).relative_to(here)
    told = [number for number, line in enumerate(lines) if line == f"results: {name}"]
    assert told == ([0, len(lines) - 2] if progress == "plain" else [])


@pytest.mark.parametrize("progress", PROGRESS)
def test_an_error_says_where_the_search_lies(progress: str, here: Path) -> None:
    with pytest.raises(HopelessError, match=r"resume=True with retry_failed=True") as hopeless:
        search(fails, progress=progress)
    assert f"everything is in {only_directory(here)}" in str(hopeless.value)
    assert len(hopeless.traceback) == 3  # this test's, and how an error leaves ``tune``


def test_somebody_elses_error_says_it_in_a_note(here: Path) -> None:
    with pytest.raises(RuntimeError, match="own defect") as caught:
        search(kind=Stumbles)
    (note,) = caught.value.__notes__
    assert str(only_directory(here)) in note
    assert goes_on(note).outcome.reason == "complete"


class Refuses(ASHA):
    def ask(self) -> Any:
        raise AshaError("not today")


def test_an_error_that_leaves_nothing_names_no_directory(here: Path) -> None:
    with pytest.raises(AshaError) as caught:
        search(kind=Refuses)
    assert str(caught.value) == "not today"
    assert not list((here / "results").iterdir())


# -- asha-run --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("dummy", "asha-test run"),
        ("trials.tasks.dummy:Dummy", "asha-test run --task trials.tasks.dummy:Dummy"),
    ],
)
def test_the_look_at_the_test_data_names_a_task_of_ones_own(
    task: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    limits = ["--max-trials", "1", "--max-resource", "1"]
    assert main(["--task", task, *limits, "--gpus", "inline", "--results-dir", "run"]) == 0
    *_, test = capsys.readouterr().out.splitlines()
    assert test == f"test:    {said}"


# -- the words of a script -------------------------------------------------------------------------


def test_errors_of_tune_name_its_arguments(here: Path) -> None:
    search(results_dir="run")
    (here / "full").mkdir()
    (here / "full" / "file").touch()
    begun = str(here / "run")
    for settings, words in [
        (
            {"results_dir": "run"},
            "go on with it by tune(..., resume=True), or name a new one with results_dir",
        ),
        ({"results_dir": "full"}, "name a new one with results_dir, or remove it"),
        ({"variation": "ohgw-1step"}, "or use variation baseline or random-warm"),
        ({"gpus": "0,0"}, "use workers_per_gpu to share one"),
        ({"heartbeat_timeout": 1}, "heartbeat_timeout is 1 s"),
    ]:
        with pytest.raises(AshaError) as caught:
            search(**settings)
        assert words in str(caught.value)
        assert "--" not in str(caught.value)
    scheduler = ASHA(SPACE, max_resource=3, max_trials=6, seed=1)
    with pytest.raises(AshaError, match="give what it was begun with, or another results_dir") as caught:
        tune(jobs.work, scheduler, gpus="inline", results_dir=begun, resume=True, progress="none")
    with pytest.raises(AshaError, match=r"max_trials can be raised, and not lowered to 2"):
        tune(
            jobs.work,
            ASHA(SPACE, max_resource=3, max_trials=2),
            gpus="inline",
            results_dir=begun,
            resume=True,
            progress="none",
        )


def test_what_is_no_option_stays_as_it_is() -> None:
    kept = "give --loops to x/--resume or a path /data/max-trials/x, max-trialist, trial--seed and --seedy"
    assert with_arguments(kept) == kept
    told = with_arguments("--task-option size=3 with --resume, --results-dir DIR and max-trials, --json")
    assert told == "size=3 with resume=True, results_dir DIR and max_trials, json=True"
    for option in OPTIONS:
        assert "-" not in with_arguments(f"--{option.name}")
