"""``--variation`` and ``--warm-start-option``: what is run, kept, gone on with, and refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from asha_core import ASHA, tune
from asha_core.cli.run import main
from asha_core.errors import AshaError, SettingError
from asha_core.launch.option_parsing import parse_arguments
from asha_core.launch.resolve import resolve, split_variation
from tests.asha_core.cli.odd_tasks import Opaque
from tests.asha_core.cli.searches import records
from tests.warmstart.wrong_derivatives import Reversed
from trials.tasks.digits import Digits
from warmstart.registry import STRATEGIES, VARIATIONS

ROOT = Path(__file__).resolve().parents[3]
DIGITS = ["--task", "digits", "--task-option", "model=mlp", "--gpus", "inline", "--progress", "none"]
FEW = ["--max-trials", "3", "--max-resource", "1"]


def options(*given: str) -> list[str]:
    return [word for each in given for word in ("--warm-start-option", each)]


@pytest.mark.long
@pytest.mark.parametrize(
    "variation",
    [
        *(
            pytest.param(name, marks=pytest.mark.slow) if name.endswith(("-matched", "-flipped")) else name
            for name in VARIATIONS
            if "when" not in VARIATIONS[name].settings
        ),
        *("screen+trust", "pasha-ohgw-trust"),
    ],
)
def test_every_variation_runs_from_the_command_line(variation: str, tmp_path: Path) -> None:
    from analysis import load_run

    folder = tmp_path / "run"
    assert main([*DIGITS, *FEW, "--variation", variation, "--results-dir", str(folder)]) == 0
    run = load_run(folder)
    name = split_variation(variation, None)[1]
    chosen = VARIATIONS.get(name)
    strategy = name if chosen is None else chosen.strategy
    assert run.manifest["variation"]["strategy"] == strategy
    assert [len(trial.values) for trial in run.trials.values()] == [1, 1, 1]
    told = {trial.diagnostics.get("strategy") for trial in run.trials.values()}
    assert told == ({None} if strategy == "none" else {strategy})


@pytest.mark.long
def test_one_that_acts_at_promotions_runs_from_the_command_line(tmp_path: Path) -> None:
    from analysis import load_run

    command = [*DIGITS, *FEW, "--max-resource", "3", "--variation", "ohgw-trust-promoted"]
    assert main([*command, "--results-dir", str(tmp_path / "run")]) == 0
    trials = load_run(tmp_path / "run").trials.values()
    assert sorted(len(trial.values) for trial in trials) == [1, 1, 3]
    assert [trial.diagnostics.get("strategy") for trial in trials if len(trial.values) == 3] == ["trust"]
    assert [unit for trial in trials for unit, _ in trial.before] == [1]


def test_options_are_in_the_manifest_and_reach_the_strategy(tmp_path: Path) -> None:
    from analysis import load_run

    folder = tmp_path / "run"
    given = options("eta_h=3e-4", "mask=lr,momentum")
    assert main([*DIGITS, *FEW, "--variation", "ohgw-1step", *given, "--results-dir", str(folder)]) == 0
    run = load_run(folder)
    assert run.manifest["variation"] == {
        "name": "ohgw-1step",
        "strategy": "hypergradient",
        "settings": {"eta_h": 3e-4, "steps": 1, "mask": "lr,momentum"},
    }
    assert run.manifest["settings"]["warm_start_option"] == {"eta_h": 3e-4, "mask": "lr,momentum"}
    for trial in run.trials.values():
        assert set(trial.diagnostics["gradient"]) == {"lr", "momentum"}
        for name, slope in trial.diagnostics["gradient"].items():
            assert trial.diagnostics["step"][name] == pytest.approx(-3e-4 * slope, rel=1e-5, abs=1e-12)


@pytest.mark.long
def test_resuming_takes_the_options_from_the_manifest_and_refuses_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    given = options("trust.delta=0.05", "trust.mask=[lr]", "screen.limit=2")
    begun = ["--variation", "screen+trust", *given, "--results-dir", str(folder)]
    assert main([*DIGITS, *FEW, *begun]) == 0
    more = ["--resume", "--results-dir", str(folder), "--progress", "none"]
    assert main([*more, "--max-trials", "5"]) == 0
    refined = records(folder, "refined")
    assert len(refined) == 5
    manifest = json.loads((folder / "run.json").read_text())
    assert manifest["variation"]["settings"] == {
        "trust": {"delta": 0.05, "mask": ["lr"]},
        "screen": {"limit": 2},
    }
    capsys.readouterr()
    assert main([*more, *options("trust.delta=0.1")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "holds another search: its variation has settings" in said
    assert main([*more, "--variation", "ohgw-trust"]) == 2
    assert len(records(folder, "refined")) == 5


BAD = [
    (["ohgw-1step", "eta=1"], "'hypergradient' has no setting 'eta'; did you mean \"eta_h\"? known: bounds"),
    (["ohgw-1step", "eta_h=-1"], "eta_h is -1: it must be a finite number of at least 0"),
    (["ohgw-1step", "eta_h=fast"], "eta_h is 'fast': it must be a finite number"),
    (["ohgw-1step", "eta_h"], "--warm-start-option is 'eta_h': write it as KEY=VALUE, such as eta_h=3e-4"),
    (["ohgw-trust", "delta=2"], "delta is 2: it must be a finite number of at least 0 and at most 1"),
    (["screen+trust", "delta=0.05"], "'delta' is no part's setting: write it as PART.SETTING"),
    (["screen+trust", "trust=1"], "trust is 1: it is one of the parts"),
    (["screen+trust", "brake.delta=1"], "'brake' is no part's setting"),
    (["screen+trust", "trust.detla=1"], "'trust' has no setting 'detla'; did you mean \"delta\""),
    (["trust-flipped", "of=random"], "of is 'random': it must follow a gradient"),
    (["baseline", "eta_h=1"], "'none' has no setting 'eta_h'; known: (none)"),
    (["screen+truste", "a=1"], "unknown variation 'screen+truste'"),
]


@pytest.mark.parametrize(("words", "message"), BAD, ids=lambda value: str(value)[:40])
@pytest.mark.parametrize("how", [[], ["--plan"]])
def test_an_option_that_cannot_be_is_one_line_before_anything_starts(
    words: list[str],
    message: str,
    how: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*DIGITS, *how, "--variation", words[0], *options(words[1])]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("asha-run: error: ")
    assert printed.err.count("\n") == 1
    assert message in printed.err
    assert list(tmp_path.iterdir()) == []


def test_names_of_settings_may_have_hyphens_and_names_of_parts_keep_theirs(tmp_path: Path) -> None:
    given = parse_arguments(options("random-matched.eta-h=1e-3", "eta-h=2"))["warm_start_option"]
    assert given == {"random-matched.eta_h": 1e-3, "eta_h": 2}
    file = tmp_path / "c.yaml"
    file.write_text("variation: screen+random-matched\nwarm-start-option: {random-matched.of: trust}\n")
    resolve(parse_arguments(["--task", "digits", "--gpus", "cpu", "--config", str(file)]))
    file.write_text("variation: screen+trust\nwarm-start-option: {trust: {delta: 0.1}, trust.steps: 2}\n")
    resolve(parse_arguments(["--task", "digits", "--gpus", "cpu", "--config", str(file)]))


def test_every_strategy_is_told_to_who_asks_for_one_that_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*DIGITS, "--variation", "xyzzy"]) == 2
    said = capsys.readouterr().err
    assert all(name in said for name in (*VARIATIONS, *STRATEGIES))


# -- from a script -----------------------------------------------------------------------------------


def search(folder: Path, **settings: Any) -> Any:
    scheduler = ASHA(Digits.space, max_resource=1, max_trials=settings.pop("trials", 2))
    task = Digits("mlp")
    return tune(task, scheduler, gpus="inline", results_dir=folder, progress="none", **settings)


@pytest.mark.long
def test_a_script_gives_options_and_goes_on_with_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    own = {"variation": "ohgw-trust", "warm_start_options": {"mask": ("lr", "momentum"), "batches": 1}}
    search(folder, **own)
    search(folder, **own, trials=3, resume=True)  # a tuple is a list in JSON
    assert len(records(folder, "refined")) == 3
    with pytest.raises(AshaError, match="holds another search: its variation has settings"):
        search(folder, variation="ohgw-trust", trials=3, resume=True)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"etah": 1}, "no setting 'etah'"),
        ({"mask": {"lr"}}, "the setting mask is {'lr'}, which JSON cannot hold"),
    ],
)
def test_a_script_is_refused_before_anything_is_written(given: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=message):
        search(tmp_path / "run", variation="ohgw-1step", warm_start_options=given)
    assert not (tmp_path / "run").exists()


# -- hints -------------------------------------------------------------------------------------------


def test_a_hint_is_told_once_for_a_search(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever the workers: see test_a_notice_that_is_told_once_is_told_once_and_others_each_time."""
    scheduler = ASHA(Opaque.space, max_resource=1, max_trials=4)
    folder = tmp_path / "run"
    told = {"variation": "hypergradient", "progress": "plain"}
    tune(Opaque(), scheduler, gpus="inline", results_dir=folder, **told)
    refined = records(folder, "refined")
    assert len(refined) == 4
    assert all(record["diagnostics"]["fallback"] == "nothing to differentiate" for record in refined)
    hints = [record["text"] for record in records(folder, "notice")]
    assert hints == [
        "warm start: finite differences in the place of differentiation (nothing to differentiate)"
    ]
    printed = capsys.readouterr()
    assert (printed.out + printed.err).count("finite differences in the place of") == 1


def test_a_task_without_losses_is_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    folder = tmp_path / "run"
    arguments = [
        "--task",
        "tests.asha_core.cli.odd_tasks:Paced",
        "--gpus",
        "cpu",
        "--results-dir",
        str(folder),
    ]
    assert main([*arguments, "--variation", "ohgw-trust"]) == 2
    said = capsys.readouterr().err
    assert "subclass trials.TorchTask, give the task a warm_start_loss(config, seed), or use" in said
    assert not folder.exists()


class Detached(Digits):
    """A network through which the derivative is not that of what it computes."""

    def model(self, config: Any) -> Any:
        return nn.Sequential(super().model(config), Reversed(-1.0))


def test_a_warm_start_is_checked_without_a_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("warmstart.doctor._TIMED", 0.0)
    monkeypatch.chdir(tmp_path)
    checked = ["--check-warm-start", "--gpus", "inline", "--variation"]
    assert main(["--task", "digits", "--task-option", "model=mlp", *checked, "asha-ohgw-1step"]) == 0
    assert "the slopes agree with differences through the real optimiser" in capsys.readouterr().out
    monkeypatch.setattr("warmstart.estimates.stops.Stops.refuse", lambda self: None)
    wrong = f"{Detached.__module__}:Detached"
    assert main(["--task", wrong, *checked, "ohgw-trust", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["verdict"] == "disagrees"
    refused = options("route=closed", "lookahead=2")
    assert main(["--task", "digits", *checked, "ohgw-trust", *refused]) == 1
    assert "ohgw-trust is refused: " in capsys.readouterr().out
    assert main(["--task", "digits", *checked, "ohgw-trust", "--resume"]) == 2
    assert not list(tmp_path.iterdir())
