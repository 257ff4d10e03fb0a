"""Options and config files: what is taken, and what is refused in one line before anything starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from asha_core import ASHA, Float, SearchSpace, tune
from asha_core.cli.run import main
from asha_core.errors import SettingError
from asha_core.launch.option_kinds import FLAG, KEY_VALUES
from asha_core.launch.option_parsing import parse_arguments
from asha_core.launch.option_table import OPTIONS, Option
from asha_core.launch.resolve import split_variation
from asha_core.launch.simulated_options import ITS_OWN, NOT_WITH

DIGITS = ["--task", "digits", "--gpus", "cpu"]


def test_the_command_line_wins_over_the_file_and_the_file_over_defaults(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("max-trials: 7\nseed: 3\ngpus: [0, 1]\njson: true\ntask_option: {model: mlp}\n")
    options = parse_arguments(["--config", str(file), "--seed", "5"])
    assert (options["max_trials"], options["seed"], options["gpus"]) == (7, 5, "0,1")
    assert options["json"] is True
    assert options["task_option"] == {"model": "mlp"}
    assert options["task"] == "cifar10"


@pytest.mark.parametrize("executor", [None, "simulate"])
def test_every_option_may_stand_in_the_file(tmp_path: Path, executor: str | None) -> None:
    samples = {"task_option": "a=1", "warm_start_option": "c=3", "freeze": "b=2", "budget": "90m"}
    samples |= {} if executor is None else {"executor": executor}
    others, lines = NOT_WITH if executor else ITS_OWN, []
    for option in OPTIONS:
        if option.name == "config" or option.key in others:
            continue
        if option.key in samples:
            value = samples[option.key]
        elif option.kind is FLAG:
            value = "true"
        elif option.kind is KEY_VALUES:
            value = "d=4"
        else:
            value = next(v for v in ("3", "x") if _reads(option, v))
        lines.append(f"{option.name}: {value}")
    file = tmp_path / "c.yaml"
    file.write_text("\n".join(lines))
    options = parse_arguments(["--config", str(file)])
    assert all(options[option.key] is not None for option in OPTIONS if option.key not in others)


def _reads(option: Option, value: str) -> bool:
    try:
        option.kind.read(value)
    except ValueError:
        return False
    return True


def test_task_options_have_their_yaml_types() -> None:
    options = parse_arguments(["--task-option", "subset=0.1", "--task-option", "download=false"])
    assert options["task_option"] == {"subset": 0.1, "download": False}


@pytest.mark.parametrize(
    ("variation", "scheduler", "expected"),
    [
        ("ohgw-1step", None, ("asha", "ohgw-1step")),
        ("asha-ohgw-1step", None, ("asha", "ohgw-1step")),
        ("asha-baseline", "asha", ("asha", "baseline")),
    ],
)
def test_a_variation_may_name_its_scheduler(
    variation: str, scheduler: str | None, expected: tuple[str, str]
) -> None:
    assert split_variation(variation, scheduler) == expected


BAD = [
    (["--max-trails", "3"], 'unknown option --max-trails; did you mean "--max-trials"'),
    (["digits"], "unexpected argument 'digits'"),
    (["--max-trials", "many"], "--max-trials is 'many': it must be an integer of at least 1"),
    (["--max-trials", "0"], "--max-trials is '0'"),
    (["--seed", "1.5"], "--seed is '1.5': it must be an integer"),
    (["--budget", "soon"], "--budget is 'soon': it must be a time above zero"),
    (["--budget", "-3h"], "--budget"),
    (["--gpu-hours", "nan"], "--gpu-hours is 'nan': it must be a number above 0"),
    (["--target", "inf"], "--target is 'inf'"),
    (["--reduction-factor", "1"], "--reduction-factor is '1': it must be an integer of at least 2"),
    (["--min-resource", "50", "--max-resource", "9"], "min_resource is 50 and max_resource is 9"),
    (["--variation", "ohgw-1stp"], "unknown variation 'ohgw-1stp'; did you mean \"ohgw-1step\""),
    (["--scheduler", "ahsa"], "unknown scheduler 'ahsa'; did you mean \"asha\""),
    (["--task", "digit"], "unknown task 'digit'; did you mean \"digits\""),
    (["--task", "nowhere:Task"], "No module named 'nowhere'"),
    (["--task", "tests.trials.broken_space:Broken"], "lower must be smaller than upper (are they swapped?)"),
    (["--task-option", "model"], "KEY=VALUE"),
    (["--task-option", "model=vgg"], "digits model is 'vgg'"),
    (["--task-option", "size=3"], "takes no option 'size'"),
    (["--data-dir", "/tmp"], "task digits takes no data directory"),
    (["--subset", "0.5"], "--subset 0.5: task digits takes no option 'subset'"),
    (["--subset", "half"], "--subset is 'half': it must be a number"),
    (["--label-noise", "0.1"], "--label-noise 0.1: task digits takes no option 'label_noise'"),
    (["--model", "cn"], 'did you mean "cnn"'),
    (["--model", "mlp", "--task-option", "model=cnn"], "--model mlp and --task-option model=cnn: give one"),
    (["--gpus", "0,x"], "give numbers such as 0,1,2,3"),
    (["--gpus", "99"], "GPU 99 is not there"),
    (["--workers-per-gpu", "0"], "--workers-per-gpu is '0'"),
    (["--progress", "fancy"], "--progress is 'fancy'"),
    (["--config", "no-such-file.yaml"], "--config no-such-file.yaml cannot be read"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=lambda value: str(value)[:40])
def test_bad_input_is_one_line_and_status_2_and_leaves_nothing(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3]))
    monkeypatch.chdir(tmp_path)
    assert main([*DIGITS, *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("asha-run: error: ")
    assert printed.err.count("\n") == 1
    assert message in printed.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max-trails: 3", "unknown key 'max-trails'; did you mean \"max-trials\""),
        ("config: other.yaml", "unknown key 'config'"),
        ("seed: 3\nseed: 4", "gives 'seed' twice"),
        ("max-trials: 3\nmax_trials: 4", "max_trials is there twice, with a hyphen and without"),
        ("warm-start-option: {eta_h: 1e-4, eta_h: 1e-3}", "gives 'eta_h' twice"),
        ("warm-start-option: {eta_h: 1e-4, eta-h: 1e-3}", "gives eta_h twice, with a hyphen and without"),
        ("max-trials: lots", "max-trials is 'lots': it must be an integer of at least 1"),
        ("json: 3", "json is 3: it must be true or false"),
        ("seed: true", "seed is True"),
        ("- a\n- b", "holds a list"),
        ("a: [", "is not YAML"),
        ("budget: 2026-13-01", "is not YAML"),  # a date, to YAML, and none
        ("[" * 5000, "is nested too deeply"),
    ],
)
def test_a_bad_file_is_one_line_with_its_name(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(text)
    assert main(["--config", str(file)]) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert str(file) in printed
    assert message in printed


def test_a_used_or_unwritable_results_directory_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "journal.jsonl").write_text("precious")
    assert main([*DIGITS, "--results-dir", str(tmp_path / "used")]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert (tmp_path / "used" / "journal.jsonl").read_text() == "precious"
    (tmp_path / "file").write_text("")
    assert main([*DIGITS, "--results-dir", str(tmp_path / "file" / "run")]) == 2
    assert "is not a directory" in capsys.readouterr().err
    assert main([*DIGITS, "--results-dir", "/proc/asha"]) == 2
    assert "cannot be made" in capsys.readouterr().err


def test_a_budget_that_cannot_finish_a_rung_is_said_before_it_starts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([*DIGITS, "--max-trials", "2", "--plan"]) == 0
    assert "cannot finish the first rung" in capsys.readouterr().out


@pytest.mark.processes
def test_help_and_plan_load_neither_torch_nor_rich() -> None:
    code = (
        "import sys; from asha_core.cli.run import main\n"
        "try: status = main(sys.argv[1:])\n"
        "except SystemExit as stop: status = stop.code\n"
        "loaded = [m for m in ('torch', 'rich', 'numpy', 'matplotlib') if m in sys.modules]\n"
        "sys.exit(f'loaded {loaded}' if loaded else status)"
    )
    plan = ["--task", "digits", "--gpus", "cpu", "--plan"]
    warm = ["--variation", "screen+trust", "--warm-start-option", "trust.delta=0.05"]
    for arguments in (["--help"], plan, [*plan, *warm], [*plan, "--variation", "trust-flipped"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "asha" in done.stdout


def test_a_search_without_an_end_is_refused_in_python_too() -> None:
    endless = ASHA(SearchSpace({"x": Float(0, 1)}))
    with pytest.raises(SettingError, match="would never end"):
        tune(print, endless)  # type: ignore[arg-type]
