"""Strategies by name: the package's own, chains of them, and those that other packages register."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from asha_core import Configuration, Float, SearchSpace
from asha_core.cli.run import main
from asha_core.errors import SettingError, TaskError
from asha_core.launch.resolve import split_variation
from asha_core.plugins import installed
from asha_core.schedulers import SCHEDULERS
from tests.warmstart.small_problems import Small, configuration
from warmstart import Outcome, build, refine, registry, variation
from warmstart.base import accepted
from warmstart.registry import STRATEGIES, VARIATIONS, WARM_START
from warmstart.strategies.chain import Chain

ROOT = Path(__file__).resolve().parents[2]

STRANGER = '''
from warmstart import Outcome


class Halve:
    """Halves lr, or x."""

    name = "halve"
    needs_losses = False
    learns = True

    def __init__(self, times: int = 1) -> None:
        self.times = times

    def refine(self, problem, configuration, seed, earlier=()):
        which = "lr" if "lr" in configuration else "x"
        values = {**configuration, which: configuration[which] / 2**self.times}
        told = {"learned": [self.times, seed], "earlier": list(earlier)}
        return Outcome(problem.space.configuration(values), {"strategy": self.name, "step": {}, **told})


class NoStrategy:
    pass
'''
POINTS = """[asha_core.warm_starts]
halve = stranger:Halve
none = stranger:Halve
baseline = stranger:Halve
trust = stranger:Halve
pasha = stranger:Halve
missing = nowhere_at_all:Halve
misnamed = stranger:Quarter
empty = stranger:NoStrategy
two+words = stranger:Halve
up/../and/away = stranger:Halve
"""


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Another package, installed where Python finds it, worker processes too."""
    folder = tmp_path / "site"
    info = folder / "stranger-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "stranger.py").write_text(STRANGER)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(POINTS)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), str(ROOT)]))
    installed.cache_clear()
    yield folder
    installed.cache_clear()
    sys.modules.pop("stranger", None)


@pytest.mark.usefixtures("stranger")
def test_another_packages_strategy_is_one_like_any_other() -> None:
    outcome = build("halve", {"times": 2}).refine(Small(), configuration(lr=0.04), 0)
    assert outcome.configuration["lr"] == 0.01
    assert variation("halve") == registry.Variation("halve")
    assert variation("halve", {"times": 3}).settings == {"times": 3}
    chained = build("screen+halve").refine(Small(), configuration(lr=0.04), 0)
    assert chained.configuration["lr"] == 0.02
    assert chained.diagnostics["strategy"] == "screen+halve"


@pytest.mark.usefixtures("stranger")
def test_it_shadows_nothing_of_the_packages_own() -> None:
    assert type(build("none")).__module__ == "warmstart.strategies.none"
    assert type(build("trust")).__module__ == "warmstart.strategies.trust"
    assert variation("baseline") == VARIATIONS["baseline"]
    for name in SCHEDULERS:
        assert split_variation(name, None) == (name, "baseline")
        assert split_variation(f"{name}-halve", None) == (name, "halve")
    assert {"two+words", "up/../and/away"}.isdisjoint(registry.strategy_names())


@pytest.mark.usefixtures("stranger")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hlave", 'did you mean "halve".* known: .*halve'),
        (
            "missing",
            "'missing' is registered as nowhere_at_all:Halve, which cannot be imported: ModuleNotFound",
        ),
        (
            "misnamed",
            "'misnamed' is registered as stranger:Quarter, which cannot be imported: AttributeError",
        ),
        ("empty", "'empty' is a NoStrategy without 'name': it must have name, needs_losses and refine"),
    ],
)
def test_a_broken_one_is_named_in_one_line(
    name: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SettingError, match=message):
        build(name)
    monkeypatch.chdir(tmp_path)
    assert main(["--task", "digits", "--gpus", "cpu", "--variation", name]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("asha-run: error: ")
    assert printed.count("\n") == 1
    assert not (tmp_path / "results").exists()


@pytest.mark.processes
def test_worker_processes_find_it_too_by_its_name_and_by_its_file(tmp_path: Path, stranger: Path) -> None:
    """A search from the command line, in processes of its own."""
    from analysis import load_run

    command = [
        str(Path(sys.executable).with_name("asha-run")),
        "--task",
        "tests.asha_core.cli.odd_tasks:Paced",
    ]
    command += ["--gpus", "cpu", "--workers-per-gpu", "1", "--max-trials", "2", "--max-resource", "1"]
    command += [
        "--variation",
        "halve+site/stranger.py:Halve",
        "--warm-start-option",
        "halve.times=2",
        "--results-dir",
        str(tmp_path / "run"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    run = load_run(tmp_path / "run")
    assert len(run.trials) == 2
    for trial in run.trials.values():
        assert trial.diagnostics["strategy"] == "halve+halve"
        assert trial.configuration["x"] == trial.proposed["x"] / 4 / 2
    first, second = (trial.diagnostics["parts"] for trial in run.trials.values())
    assert [part["earlier"] for part in first] == [[], []]
    assert [part["earlier"] for part in second] == [[part["learned"]] for part in first]
    assert run.manifest["variation"] == {
        "name": "halve+stranger.py:Halve",
        "strategy": f"halve+{stranger}/stranger.py:Halve",
        "settings": {"halve": {"times": 2}},
    }


# -- chains and options ----------------------------------------------------------------------------


@pytest.mark.usefixtures("unchecked")
def test_a_chain_refines_what_the_part_before_gave_and_tells_of_both() -> None:
    before = configuration(lr=25.0)
    settings: dict[str, Any] = {"screen": {"factor": 1.2, "limit": 20}, "trust": {"batches": 1, "steps": 1}}
    whole = build("screen+trust", settings).refine(Small(), before, 1)
    first = build("screen", settings["screen"]).refine(Small(), before, 1)
    second = build("trust", settings["trust"]).refine(Small(), first.configuration, 1)
    assert whole.configuration == second.configuration
    assert first.diagnostics["rejected"] > 0
    assert whole.diagnostics["parts"] == [first.diagnostics, second.diagnostics]  # each its own counts
    assert whole.diagnostics["rejected"] == first.diagnostics["rejected"]
    assert whole.diagnostics["gradient"] == second.diagnostics["gradient"]
    assert whole.diagnostics["step"] == second.diagnostics["step"]


def test_a_chain_adds_up_steps_counts_and_notes() -> None:
    problem, before = Small(heldout=float("nan")), configuration()
    told = build("hypergradient+trust").refine(problem, before, 1).diagnostics
    counts = [part["non_finite"] for part in told["parts"]]
    assert told["non_finite"] == sum(counts) > counts[0]
    assert told["note"].count("non-finite hyper-gradient") == 2
    steps = build("hypergradient+trust", {"trust": {"batches": 1}}).refine(Small(), before, 1).diagnostics
    for name, change in steps["step"].items():
        assert change == pytest.approx(sum(part["step"][name] for part in steps["parts"]))


def test_a_chain_needs_losses_if_a_part_does() -> None:
    assert build("none+trust").needs_losses
    assert not build("none+random").needs_losses


class Recalls:
    """Says what it was told of earlier trials."""

    name = "recalls"
    needs_losses = False
    learns = True

    def refine(self, problem: Any, configuration: Any, seed: int, earlier: Any = ()) -> Outcome:
        return Outcome(configuration, {"strategy": "recalls", "step": {}, "told": earlier, "learned": seed})


def test_in_a_chain_each_part_is_told_what_it_learned_itself() -> None:
    chain = Chain([Recalls(), build("none"), Recalls()])
    assert chain.learns
    assert not build("none+random").learns
    told = chain.refine(Small(), configuration(), 7, [[1, None, 2], [3, None, None]]).diagnostics
    assert [part.get("told") for part in told["parts"]] == [[1, 3], None, [2]]
    assert told["learned"] == [7, None, 7]
    assert "learned" not in build("none+random").refine(Small(), configuration(), 7).diagnostics


def test_a_strategy_that_learns_and_cannot_be_told_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Recalls, "refine", lambda self, problem, configuration, seed: None)
    monkeypatch.setitem(WARM_START.own, "recalls", f"{__name__}:Recalls")
    with pytest.raises(SettingError, match="that learns, and its refine takes no 'earlier'"):
        build("recalls")


def test_in_a_loop_of_ones_own_one_tells_it_what_was_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WARM_START.own, "recalls", f"{__name__}:Recalls")
    assert refine("recalls", Small(), configuration()).diagnostics["told"] == ()
    assert refine("recalls", Small(), configuration(), earlier=[1]).diagnostics["told"] == [1]
    assert "told" not in refine("random", Small(), configuration(), earlier=[1]).diagnostics


@pytest.mark.parametrize(
    ("strategy", "settings", "message"),
    [
        ("screen+", {}, "unknown warm start ''"),
        ("screen+truss", {}, "unknown warm start 'truss'; did you mean \"trust\""),
        ("trust+trust", {}, "has 'trust' twice"),
        (
            "screen+trust",
            {"delta": 0.1},
            r"'delta' is no part's setting: .* as trust.delta \(parts: screen, trust\)",
        ),
        ("screen+trust", {"trust": 3}, "trust is 3: it is one of the parts"),
        ("screen+trust", {"trust": {"delat": 3}}, "'trust' has no setting 'delat'; did you mean \"delta\""),
    ],
)
def test_a_chain_that_cannot_be_is_refused_in_words(
    strategy: str, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingError, match=message):
        build(strategy, settings)


def test_options_stand_in_the_place_of_the_variations_own_settings() -> None:
    assert variation("ohgw-1step", {"eta_h": 0.5}).settings == {"eta_h": 0.5, "steps": 1}
    assert VARIATIONS["ohgw-1step"].settings == {"eta_h": 1e-3, "steps": 1}
    assert variation("screen+trust", {"trust.delta": 0.05, "trust.steps": 2, "screen.limit": 3}).settings == {
        "trust": {"delta": 0.05, "steps": 2},
        "screen": {"limit": 3},
    }
    assert variation("screen+trust", {"trust": {"delta": 0.05}, "trust.steps": 2}).settings == {
        "trust": {"delta": 0.05, "steps": 2}
    }
    assert variation("ohgw-trust", {"trust.delta": 0.05}).settings == {"delta": 0.05}


@pytest.mark.parametrize("name", ["ohgw-1stp", "screen+truss", "", "+", "baseline+trust"])
def test_an_unknown_variation_names_those_there_are(name: str) -> None:
    with pytest.raises(SettingError, match="unknown variation") as caught:
        variation(name)
    assert all(known in str(caught.value) for known in (*VARIATIONS, *STRATEGIES))


def test_every_variation_can_be_built_and_says_what_it_costs() -> None:
    for chosen in VARIATIONS.values():
        assert build(chosen.strategy, chosen.settings).name == chosen.strategy
        assert chosen.cost
    assert set(STRATEGIES) <= {name for v in VARIATIONS.values() for name in v.strategy.split("+")}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (lambda c: None, "gave a NoneType: refine must return an Outcome"),
        (lambda c: c, "gave a Configuration: refine must return an Outcome"),
        (lambda c: Outcome({**c, "x": 1e9}), "none of the space: x is 1000000000.0"),
        (lambda c: Outcome({**c, "x": float("nan")}), "none of the space: x is nan"),
        (lambda c: Outcome({**c, "y": 1.0}), "none of the space: unknown dimension 'y'"),
        (lambda c: Outcome({}), "none of the space: the configuration lacks x"),
        (lambda c: Outcome(3), "none of the space"),
    ],
)
def test_what_a_strategy_gives_is_checked_before_anything_is_trained_with_it(given: Any, said: str) -> None:
    space = SearchSpace({"x": Float(0.0, 1.0)})
    before = space.configuration({"x": 0.5})
    with pytest.raises(TaskError, match=f"warm start 'mine' .*{said}"):
        accepted("mine", space, before, given(before))
    kept = accepted("mine", space, before, Outcome({"x": 0.25}, {"a": 1}))  # type: ignore[arg-type]
    assert kept == Outcome(space.configuration({"x": 0.25}), {"a": 1})
    assert isinstance(kept.configuration, Configuration)


def test_a_setting_of_a_chain_is_shown_with_the_part_that_has_it() -> None:
    with pytest.raises(SettingError, match=r"such as trust\.delta \(parts: screen, trust\)"):
        build("screen+trust", {"delta": 0.1})
    with pytest.raises(SettingError, match=r"such as screen\.nothing "):
        build("screen+trust", {"nothing": 0.1})
