"""The replays of the study of warm starts, on made-up tables whose truth is known."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from asha_core import Curves, Float, RandomSearch, SearchSpace
from benchmarks import warm_start_replays as replays
from benchmarks import warm_start_tables as pages
from benchmarks import warm_start_verdicts as verdicts
from benchmarks.warm_start_replays import Cell, Tables

ROWS, UNITS, STEPS = 80, 9, 33


def made(
    scale: float = 1.0, *, gain: float = 0.0, shift: float = 0.0, mode: str = "max", arms: int = 3
) -> Curves:
    """Arms "baseline", "same" (it is, and is free) and "better" (whose starts take 3 mini-batches)."""
    rng = np.random.default_rng(0)
    space = SearchSpace({"lr": Float(1e-4, 1.0, log=True)})
    height = rng.normal(0.8, 0.05, ROWS)
    value = height[:, None] - 0.3 * np.exp(-np.arange(1, UNITS + 1) / 3)
    sign = 1 if mode == "max" else -1
    warm = np.zeros((3, ROWS))
    warm[2] = 3.0
    return Curves.from_arrays(
        space,
        [{"lr": float(lr)} for lr in np.exp(rng.uniform(-6, -1, ROWS))],
        sign * np.stack([value + shift, value + shift, value + shift + gain])[:arms],
        seconds=np.full((3, ROWS, UNITS), STEPS * scale)[:arms],
        arms=["baseline", "same", "better"][:arms],
        mode=mode,
        warm_seconds=warm[:arms] * scale,
        warm_batches=warm[:arms] * 2 / 3,  # by arithmetic it is less
        source={"mini-batches a unit": STEPS},
    )


def tables(folder: Path, **options: float) -> Tables:
    made(**options).save(folder / "made-wide.npz")
    made(shift=0.05, arms=1).save(folder / "made-narrow.npz")
    return Tables("made", folder)


def test_targets_and_time_are_the_baselines_alone(tmp_path: Path) -> None:
    found = tables(tmp_path, gain=0.05)
    assert found.shares == [0.1, 0.03, 0.01]
    assert found.reach("baseline") == [8 / 80, 2 / 80, 1 / 80]
    assert found.arms == ["baseline", "same", "better", "narrow"]
    before = found.targets, found.budget
    better = tables(tmp_path, gain=0.3)
    assert (better.targets, better.budget) == before
    assert better.reach("better")[2] > found.reach("better")[2] > found.reach("same")[2]
    assert found.budget == pytest.approx(80 * (1 + 2 / 3 + 6 / 9) * STEPS)  # 1, 3, 9 units; a third goes on


def test_smaller_may_be_better(tmp_path: Path) -> None:
    made(mode="min").save(tmp_path / "made-wide.npz")
    found = Tables("made", tmp_path)
    assert found.reach("baseline") == [8 / 80, 2 / 80, 1 / 80]
    assert found.targets == sorted(found.targets, reverse=True)
    one = replays.searched(Cell("made", "asha", 4, "long", "baseline"), found, 0, whole=True)
    assert one["times"] == sorted(one["times"])
    assert math.isfinite(one["times"][0])
    assert one["final"] <= found.targets[0]


@pytest.mark.parametrize("scale", [1.0, 0.004])
def test_a_long_unit_makes_a_warm_start_cheaper_whatever_time_is_counted_in(
    tmp_path: Path, scale: float
) -> None:
    found = tables(tmp_path, scale=scale)
    assert found.warm("better", "measured") == pytest.approx(3 / STEPS)
    assert found.warm("better", "long") == pytest.approx(3 / 352)
    assert found.warm("better", "arithmetic") == pytest.approx(2 / 352)
    long, measured = (
        replays.charged(found, "better", price)[0].warm_seconds[2, 0] for price in ("long", "measured")
    )
    assert measured == pytest.approx(3 * scale)
    assert long / (STEPS * scale) == pytest.approx(3 / 352)


def test_all_arms_meet_the_same_rows_and_have_the_same_time(tmp_path: Path) -> None:
    found = tables(tmp_path)
    for scheduler in ("asha", "hyperband"):
        base, same, better = (
            replays.searched(Cell("made", scheduler, 4, "measured", arm), found, 3, whole=True)
            for arm in ("baseline", "same", "better")
        )
        assert same == base
        assert better["cost"] > 0
        assert better["all"] < base["all"]  # what a warm start spends, the baseline spends on configurations
    assert replays.rows_of(3, ROWS)[:5] != replays.rows_of(4, ROWS)[:5]


def test_from_the_searches_to_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = tables(tmp_path, gain=0.05)
    raw = tmp_path / "raw"
    raw.mkdir()
    for module in (replays, verdicts):
        monkeypatch.setattr(module, "WHOLE", 10)
    for cell in replays.cells(found, ["asha"], [4]):
        if cell.price == "long":
            replays.run(cell, tmp_path, raw, 40)
            assert replays.file_of(cell, found, raw, 40).exists()
    rows = verdicts.figures(("made", "asha", 4, "long"), tmp_path, raw)
    about = verdicts._about
    assert [(row["arm"], row["share"]) for row in rows[:3]] == [
        ("same", 0.1),
        ("better", 0.1),
        ("narrow", 0.1),
    ]
    same, better = rows[:2]
    assert (same["ratio"][0], same["hl"][0], same["p_holm"]) == (1, 1, 1)
    assert same["verdicts"]["time"] in ("fails", "not enough data")
    assert better["hl"][0] < 1
    assert better["reach"][1] > better["reach"][0]
    assert better["could"] < 1
    assert better["added"][0] == pytest.approx(3 / 352 / 2, rel=0.5)
    assert better["bar"]["cheap"]
    assert not better["bar"]["beats narrow"]  # which has the same curves, and pays nothing
    monkeypatch.setattr(verdicts, "_about", lambda tables: {**about(tables), "half": "tuning"})
    together = list(verdicts.pooled(tmp_path, raw))
    settings = {"tables": [verdicts._about(found)], "pooled": together}
    content = {"rows": rows, "settings": settings}
    told = pages.markdown(json.loads(json.dumps(content)))
    assert "| made | asha | 1.00; 1.00" in told["effects 0.1"]
    error = math.log(better["ratio"][2] / better["ratio"][1]) / 3.92
    assert f"| {math.exp(-2.8 * error):.2f} |" in told["power"]
    one = next(e for e in together if (e["arm"], e["share"], e["price"]) == ("better", 0.1, "long"))
    assert one["tasks"] == 1
    assert one["ratio"][0] < one["ratio"][2] < 1
    assert f"| better | tuning | {one['ratio'][0]:.2f} [" in told["pooled long 0.1"]
    assert told["bar 0.1"].splitlines()[2].startswith("| same | tuning | 1 | 0 | 1 | 0 | 0 | 0 |")


def test_curves_that_have_changed_are_replayed_again_and_no_others(tmp_path: Path) -> None:
    def files(**options: float) -> list[Path]:
        found = tables(tmp_path, **options)
        return [
            replays.file_of(Cell("made", "asha", 4, "long", arm), found, tmp_path, 60) for arm in found.arms
        ]

    one, better, other = files(), files(gain=0.1), files(scale=0.5)
    assert [a == b for a, b in zip(one, better, strict=True)] == [True, True, False, True]
    assert not set(one) & set(other)


def test_prices_and_models_are_run_where_they_say_something(tmp_path: Path) -> None:
    found = tables(tmp_path)
    run = list(replays.cells(found, ["asha", "bohb"], [1, 4]))
    assert len(set(run)) == len(run)
    for price in ("measured", "arithmetic"):
        assert {(cell.arm, cell.workers) for cell in run if cell.price == price} == {
            ("same", 4),
            ("better", 4),
        }
    assert {(cell.workers, cell.price) for cell in run if cell.scheduler == "bohb"} == {(4, "long")}
    only = replays.cells(found, ["asha"], [1], ["baseline"])
    assert [cell.arm for cell in only] == ["baseline"]


def test_where_nearly_every_configuration_was_met_there_is_no_interval(tmp_path: Path) -> None:
    found = tables(tmp_path)
    n = 40
    kept = {
        "times": np.full((n, 3), 5.0),
        "met": np.full((n, 3), 2 * ROWS),
        "all": np.full(n, 2 * ROWS),
        "final": np.full(n, 0.9),
        "cost": np.zeros(n),
    }
    other = {**kept, "times": np.linspace(3, 6, 3 * n).reshape(n, 3)}
    assert verdicts.Against(found, 4, kept, other).effect(0)[0].p is None
    few = np.full((n, 3), 20)
    assert verdicts.Against(found, 4, {**kept, "met": few}, {**other, "met": few}).effect(0)[0].p is not None


def test_the_page_has_a_place_for_every_table_and_what_the_results_say() -> None:
    text = pages.PAGE.read_text()
    if not verdicts.FILE.exists():
        assert text.count("<!-- table: ") == text.count("Not measured yet.\n\n<!-- end -->") > 10
        return
    for name, table in pages.markdown(json.loads(verdicts.FILE.read_text())).items():
        assert table in text or f"<!-- table: {name} -->" not in text


def test_a_row_of_the_narrow_space_is_the_same_draw() -> None:
    wide = SearchSpace({"lr": Float(1e-4, 1.0, log=True), "decay": Float(0, 1)})
    narrow = SearchSpace({**wide, "lr": Float(0.01, 0.1, log=True)})
    for i in range(5):
        one, other = (RandomSearch(space, 0).propose(i) for space in (wide, narrow))
        assert one["decay"] == other["decay"]
        assert narrow.to_unit(other)[0] == pytest.approx(wide.to_unit(one)[0])


def test_two_tables_of_the_same_draws_are_no_two_samples(tmp_path: Path) -> None:
    """The same searches under another name add nothing; the interval stays as wide."""
    found = tables(tmp_path, gain=0.05)
    run = [
        [
            replays.searched(Cell("made", "asha", 4, "long", arm), found, seed, whole=False)
            for seed in range(30)
        ]
        for arm in ("baseline", "better")
    ]
    base, other = ({name: np.array([e[name] for e in arm]) for name in arm[0]} for arm in run)
    pair = verdicts.Against(found, 4, base, other), 0
    assert verdicts._together([pair, pair]) == pytest.approx(verdicts._together([pair]))
