"""Which scheduler, which warm start, from where configurations come: the options, and what they refuse."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from asha_core.cli.run import main
from asha_core.errors import AshaError, SettingError
from asha_core.launch.option_parsing import parse_arguments
from asha_core.launch.resolve import Parts, resolve, split_variation
from asha_core.launch.start_points import read_start_points
from asha_core.schedulers import SCHEDULERS
from asha_core.searchers import SEARCHERS
from asha_core.space import Constant
from trials.tasks.digits import SPACE
from warmstart.registry import VARIATIONS

DIGITS = ["--task", "digits", "--gpus", "cpu"]
POINT = {"lr": 0.05, "weight_decay": 1e-4, "momentum": 0.9, "magnitude": 0.25, "label_smoothing": 0.1}


def resolved(*arguments: str) -> Parts:
    return resolve(parse_arguments([*DIGITS, *arguments]))


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that a mistake gives."""
    assert main([*DIGITS, *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("asha-run: error: ")
    assert printed.err.count("\n") == 1
    return printed.err


# -- scheduler and variation -----------------------------------------------------------------------


def test_scheduler_and_warm_start_may_be_named_together_or_apart() -> None:
    """Variations, strategies and chains of them."""
    chains = ("screen+trust", "random-matched+trust", "random+screen")
    for scheduler, warm_start in product(SCHEDULERS, (*VARIATIONS, *chains, "hypergradient", "trust")):
        expected = (scheduler, warm_start)
        assert split_variation(f"{scheduler}-{warm_start}", None) == expected
        assert split_variation(f"{scheduler}-{warm_start}", scheduler) == expected
        assert split_variation(warm_start, scheduler) == expected
        assert split_variation(warm_start, None) == ("asha", warm_start)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_a_scheduler_alone_is_its_baseline(scheduler: str) -> None:
    assert (
        split_variation(scheduler, None) == split_variation(scheduler, scheduler) == (scheduler, "baseline")
    )


@pytest.mark.parametrize(
    ("variation", "scheduler", "expected"),
    [
        ("random-warm", None, ("asha", "random-warm")),  # not the scheduler random with a variation "warm"
        ("random-warm", "random", ("random", "random-warm")),
        ("random-random-warm", None, ("random", "random-warm")),
        ("random", None, ("random", "baseline")),
        ("sync-hyperband-ohgw-1step", None, ("sync-hyperband", "ohgw-1step")),
        ("hyperband-ohgw-3step", None, ("hyperband", "ohgw-3step")),
        ("asha-stopping-random-warm", None, ("asha-stopping", "random-warm")),
        ("sh", None, ("sh", "baseline")),
    ],
)
def test_names_that_begin_alike_are_told_apart(
    variation: str, scheduler: str | None, expected: tuple[str, str]
) -> None:
    assert split_variation(variation, scheduler) == expected


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_two_different_schedulers_are_a_contradiction(scheduler: str) -> None:
    for variation in (scheduler, f"{scheduler}-ohgw-1step", f"{scheduler}-random-warm"):
        for other in set(SCHEDULERS) - {scheduler}:
            with pytest.raises(SettingError) as caught:
                split_variation(variation, other)
            assert str(caught.value) == (
                f"--variation {variation} names the scheduler {scheduler}, and --scheduler says {other}"
            )


def test_the_parts_are_what_the_search_is_made_of() -> None:
    for name, kind in SCHEDULERS.items():
        parts = resolved("--variation", f"{name}-random-warm")
        task, scheduler = parts.task, parts.scheduler
        assert (scheduler.name, parts.warm_start.name) == (name, "random-warm")
        assert type(scheduler).__name__ == kind.partition(":")[2]
        assert (scheduler.space, scheduler.mode) == (task.space, task.mode)
    for name in sorted(set(SEARCHERS) - {"grid"}):
        assert resolved("--searcher", name).scheduler.searcher.name == name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scheduler", "hyperbnad"], "unknown scheduler 'hyperbnad'; did you mean \"hyperband\"?"),
        (["--scheduler", "random-warm"], "unknown scheduler 'random-warm'"),
        (["--variation", "pasha-ohgw"], "unknown variation 'pasha-ohgw'"),
        (["--variation", "warm"], "unknown variation 'warm'; did you mean \"random-warm\"?"),
        (["--searcher", "sobel"], "unknown searcher 'sobel'; did you mean \"sobol\"?"),
        (["--searcher", "grid"], "dimension 'lr' is a Float, which has no grid"),
        (["--searcher", "grid", "--freeze", "lr=0.1"], "dimension 'weight_decay' is a Float"),
    ],
)
def test_what_there_is_not_is_refused_in_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refused(capsys, *arguments)


def test_an_unknown_name_is_told_all_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert all(name in refused(capsys, "--scheduler", "xyzzy") for name in SCHEDULERS)
    assert all(name in refused(capsys, "--searcher", "xyzzy") for name in SEARCHERS)
    assert all(name in refused(capsys, "--variation", "xyzzy") for name in VARIATIONS)


# -- freeze ----------------------------------------------------------------------------------------


def test_a_frozen_dimension_has_its_value_in_every_configuration() -> None:
    parts = resolved("--freeze", "lr=1e-3", "--freeze", "momentum=0.9")
    spec, task, scheduler = parts.spec, parts.task, parts.scheduler
    assert spec.frozen == {"lr": 1e-3, "momentum": 0.9}
    assert (task.space["lr"], task.space["momentum"]) == (Constant(1e-3), Constant(0.9))
    free = resolved().scheduler
    for index in range(5):
        before = dict(free.searcher.propose(index))
        assert dict(scheduler.searcher.propose(index)) == {**before, "lr": 1e-3, "momentum": 0.9}
    assert spec.build().space == task.space  # as a worker builds it
    assert "lr" in SPACE
    assert SPACE["lr"] != Constant(1e-3)  # the task's class is as it was


def test_a_grid_of_frozen_dimensions_is_a_search_of_its_own() -> None:
    frozen = [argument for name, value in POINT.items() for argument in ("--freeze", f"{name}={value}")]
    scheduler = resolved("--searcher", "grid", *frozen).scheduler
    assert (scheduler.searcher.size, scheduler.trial_limit, scheduler.max_trials) == (1, 1, None)
    assert dict(scheduler.searcher.propose(0)) == POINT


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x=1e-3", 1e-3),
        ("x=1E-3", 1e-3),
        ("x=5", 5),
        ("x=0.5", 0.5),
        ("x=true", True),
        ("x=null", None),
        ("x=adam", "adam"),
        ("x='5'", "5"),
        ("x=a=b", "a=b"),
        ("x=", None),
        ("x=resnet1e", "resnet1e"),
        ("x=-2e5", -2e5),
    ],
)
def test_a_frozen_value_has_its_yaml_type_and_1e_3_is_a_number(text: str, value: Any) -> None:
    read = parse_arguments(["--freeze", text])["freeze"]["x"]
    assert (type(read), read) == (type(value), value)


def test_a_date_that_there_is_not_is_text() -> None:
    assert parse_arguments(["--task-option", "day=2026-13-01"])["task_option"] == {"day": "2026-13-01"}


def test_frozen_dimensions_may_stand_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    for text in ("freeze: {lr: 1e-3, momentum: 0.5}", "freeze: [lr=1e-3, momentum=0.5]"):
        file.write_text(text)
        assert parse_arguments(["--config", str(file)])["freeze"] == {"lr": 1e-3, "momentum": 0.5}
    file.write_text("freeze: {weight-decay: 1e-3}")  # a dimension's name is as it is
    assert parse_arguments(["--config", str(file)])["freeze"] == {"weight-decay": 1e-3}
    assert parse_arguments(["--config", str(file), "--freeze", "lr=1"])["freeze"] == {"lr": 1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--freeze", "lrr=0.1"], "unknown dimension 'lrr'; did you mean \"lr\"? known: label_smoothing"),
        (["--freeze", "lr=7"], "lr is 7: it must be in [0.0001, 3.0]"),
        (["--freeze", "lr=fast"], "lr is 'fast': it must be a number"),
        (["--freeze", "lr"], "--freeze is 'lr': write it as KEY=VALUE"),
        (["--freeze", "=3"], "--freeze is '=3': write it as KEY=VALUE"),
        (["--freeze", "lr="], "lr is None: it must be a number"),
    ],
)
def test_what_cannot_be_frozen_is_refused_in_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refused(capsys, *arguments)


# -- start points ----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["yaml", "json", "results"])
def test_start_points_come_first_and_then_the_searchers_own(form: str, tmp_path: Path) -> None:
    other = {**POINT, "lr": 1e-3}
    path = tmp_path / "points"
    if form == "yaml":
        path.write_text(
            "- {lr: 0.05, weight_decay: 1e-4, momentum: 0.9, magnitude: 0.25, label_smoothing: 0.1}\n"
            "- lr: 1e-3\n  weight_decay: 1E-4\n  momentum: 0.9\n  magnitude: 0.25\n  label_smoothing: 0.1\n"
        )
    elif form == "json":
        path.write_text(json.dumps([POINT, other]))
    else:
        path.mkdir()
        top = [{"trial": i, "value": 0.9, "configuration": c} for i, c in enumerate((POINT, other))]
        (path / "results.json").write_text(json.dumps({"schema": 1, "top": top}))
    searcher = resolved("--start-points", str(path), "--seed", "4").scheduler.searcher
    plain = resolved("--seed", "4").scheduler.searcher
    assert [dict(searcher.propose(index)) for index in range(2)] == [POINT, other]
    assert [searcher.propose(index + 2) for index in range(3)] == [plain.propose(i) for i in range(3)]
    assert searcher.name == "listed+random"


def test_start_points_may_stand_in_the_file_with_what_is_frozen(tmp_path: Path) -> None:
    (tmp_path / "points.yaml").write_text(json.dumps([POINT, {k: POINT[k] for k in POINT if k != "lr"}]))
    config = tmp_path / "c.yaml"
    config.write_text(f"start-points: {tmp_path / 'points.yaml'}\nfreeze: {{lr: 5e-2}}\nsearcher: halton\n")
    searcher = resolved("--config", str(config)).scheduler.searcher
    assert searcher.name == "listed+halton"
    assert dict(searcher.propose(0)) == dict(searcher.propose(1)) == POINT  # what is frozen may be left out
    assert searcher.propose(2)["lr"] == 0.05


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "must hold a list of configurations"),
        ("[]", "must hold a list of configurations"),
        ("3", "must hold a list of configurations"),
        ("[1, 2]", "must hold a list of configurations"),
        ("{lr: 0.1}", "must hold a list of configurations"),
        ("{top: []}", "must hold a list of configurations"),
        ("{top: [{}]}", "must hold a list of configurations"),
        ("{top: [3]}", "must hold a list of configurations"),
        ("{top: [{configuration: 3}]}", "must hold a list of configurations"),
        ("a: [", "is not YAML"),
        ("\x00", "is not YAML"),
        (json.dumps([{**POINT, "lr": 7}]), "start point 0: lr is 7"),
        (json.dumps([POINT, {"lr": 0.1}]), "start point 1: the configuration lacks"),
        (json.dumps([POINT, {**POINT, "lrr": 1}]), "start point 1: unknown dimension 'lrr'"),
        (json.dumps([{**POINT, "lr": [1]}]), "start point 0: lr is [1]"),
        ("[{1: 2}]", "start point 0: unknown dimension"),
    ],
)
def test_start_points_that_are_none_are_refused_in_one_line(
    content: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "points.yaml"
    file.write_text(content)
    said = refused(capsys, "--start-points", str(file), "--results-dir", str(tmp_path / "run"))
    assert message in said
    assert not (tmp_path / "run").exists()
    if "start point" not in message:
        assert str(file) in said
        with pytest.raises(AshaError):
            read_start_points(file)


def test_start_points_that_are_not_there_are_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "cannot be read: No such file" in refused(capsys, "--start-points", str(tmp_path / "none.yaml"))
    said = refused(capsys, "--start-points", str(tmp_path))  # a results directory of a search that still runs
    assert "results.json cannot be read" in said
    assert "a results directory has it after its search has ended" in said
    (tmp_path / "binary").write_bytes(b"\xff\xfe\xfa")
    assert "is not YAML" in refused(capsys, "--start-points", str(tmp_path / "binary"))


# -- in Python -------------------------------------------------------------------------------------


def test_the_default_number_of_trials_is_the_grids_if_there_is_one() -> None:
    frozen = [argument for name, value in POINT.items() for argument in ("--freeze", f"{name}={value}")]
    assert resolved().scheduler.trial_limit == 100
    assert resolved("--budget", "1h").scheduler.trial_limit is None
    assert resolved("--searcher", "grid", *frozen, "--max-trials", "5").scheduler.trial_limit == 1
