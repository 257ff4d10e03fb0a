"""Tables that are wrong: each mistake is one line that says where, and no file runs anything."""

from __future__ import annotations

import math
import random
import sys
from pathlib import Path

import numpy as np
import pytest

from asha_core import ASHA, AshaError, Choice, Curves, CurvesError, Float, SearchSpace, SettingError, simulate
from asha_core.schedulers.full import FullTraining
from asha_core.simulation.curves_file import FORMAT

SPACE = SearchSpace({"x": Float(0, 1)})
ROWS = [{"x": 0.1}, {"x": 0.9}, {"x": 0.1}]


def table(**others) -> Curves:
    rising = np.array([[0.1, 0.2, 0.3, 0.4]] * 3)
    return Curves.from_arrays(SPACE, ROWS, **{"value": rising, "units": (1, 3, 9, 27), **others})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"units": (1, 2.5, 3, 4)}, r"units\[1\] is 2.5"),
        ({"units": (0, 1, 2, 3)}, r"units\[0\] is 0"),
        ({"length": [1.5, 2, 3]}, "how many units each curve has"),
        ({"length": [1, 2]}, r"length is \[1, 2\]: it must be one for each"),
        ({"length": [3, 4, 4], "ended": "complete"}, "configuration 0 is complete, and has 3 of 4"),
        ({"ended": [["complete", "failed"]]}, "one for each arm and configuration"),
        ({"ended": [1.5, 1, 1]}, "it must be 0 to"),
        ({"ended": ["complete", None, "complete"]}, "None: allowed"),
        ({"warm_seconds": [1, 2]}, "warm_seconds is"),
        ({"warm_seconds": math.nan}, "warm_seconds must be finite"),
        ({"refined": {0: ROWS[0]}}, r"it must be \(arm, row\)"),
        ({"why": {(0, "x"): "lost"}}, r"it must be \(arm, row\)"),
        ({"source": {"made": object()}}, "JSON cannot hold"),
        ({"metrics": {"loss": [[1, 2, 3, 4]] * 2}}, "metric loss has shape"),
        ({"value": [["a", "b", "c", "d"]] * 3}, "no array of numbers"),
        ({"mode": "least"}, "mode"),
        ({"arms": ()}, "one or more names"),
    ],
)
def test_every_mistake_is_said(change, words: str) -> None:
    with pytest.raises(AshaError, match=words):
        table(**change)


def test_configurations_that_are_no_list_of_mappings() -> None:
    for rows in (None, 3, {"x": 0.1}, [0.1, 0.2, 0.3]):
        with pytest.raises(AshaError, match="configuration"):
            Curves.from_arrays(SPACE, rows, np.zeros((3, 4)))


def test_what_is_missing_in_the_middle_diverged_and_at_the_end_is_missing() -> None:
    nan = math.nan
    curves = table(value=[[nan, 0.2, nan, 0.4], [0.1, nan, nan, nan], [nan] * 4])
    assert curves.length.tolist() == [[4, 1, 0]]
    found = simulate(FullTraining(SPACE, max_trials=3, max_resource=27, seed=0), curves)
    states = sorted(trial.status.name for trial in found.scheduler.trials)
    assert (found.best.value, found.unknown) == (0.4, 1)
    assert states == ["DONE", "DONE", "FAILED"]  # a row of nothing but NaN has no value to go on with


def test_duplicates_are_rows_of_their_own() -> None:
    curves = table(value=[[0.1] * 4, [0.2] * 4, [0.3] * 4])
    found = simulate(ASHA(SPACE, max_trials=3, max_resource=27, seed=0), curves)
    assert (found.trials, found.best.value) == (3, 0.3)


def test_without_seconds_a_unit_takes_one() -> None:
    found = simulate(ASHA(SPACE, max_trials=1, max_resource=27, seed=0), table())
    assert not table().timed
    assert found.seconds == found.units


def test_another_space_mode_or_rung_than_the_scheduler_s() -> None:
    other = SearchSpace({"x": Float(0, 2)})
    for scheduler, words in (
        (ASHA(other, max_trials=3, max_resource=27, seed=0), "another space"),
        (ASHA(SPACE, max_trials=3, max_resource=27, seed=0, mode="min"), "mode"),
        (ASHA(SPACE, max_trials=3, max_resource=16, seed=0), "16"),
    ):
        with pytest.raises(SettingError, match=words):
            simulate(scheduler, table())


# -- files -----------------------------------------------------------------------------------------


def test_a_file_with_any_byte_changed_or_cut_off_anywhere_is_read_or_refused_in_one_line(
    tmp_path: Path,
) -> None:
    path = tmp_path / "c.npz"
    table(seconds=np.ones((3, 4))).save(path)
    whole = path.read_bytes()
    generator, refused = random.Random(0), list[str]()
    for _ in range(120):
        content = bytearray(whole)
        content[generator.randrange(len(whole))] ^= 1 << generator.randrange(8)
        if generator.random() < 0.3:
            del content[generator.randrange(len(whole)) :]
        path.write_bytes(content)
        try:
            Curves.load(path)
        except CurvesError as error:
            refused.append(str(error))
    assert len(refused) > 40
    assert all(str(path) in told and "\n" not in told for told in refused)


def test_no_pickle_is_read(tmp_path: Path) -> None:
    path = tmp_path / "c.npz"
    np.savez(path, format=FORMAT, arms=np.array(["baseline"], dtype=object))
    with pytest.raises(CurvesError, match=r"c.npz is no table of curves, or is damaged: .*allow_pickle"):
        Curves.load(path)
    np.save(path, np.zeros(3))
    for other in (path, path.with_suffix(".npz.npy")):
        with pytest.raises(CurvesError, match="no table of curves"):
            Curves.load(other)


def test_what_is_no_archive_is_said_without_advice_to_load_pickles(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    for content in (b"", b"lr,accuracy\n0.1,0.9\n"):
        path.write_bytes(content)
        with pytest.raises(CurvesError, match=r"c.csv is no table of curves.*no archive") as error:
            Curves.load(path)
        assert "pickle" not in str(error.value)


def test_wrong_shapes_in_a_file_are_said(tmp_path: Path) -> None:
    path = tmp_path / "c.npz"
    table().save(path)
    with np.load(path) as file:
        arrays = dict(file)
    for name, changed, words in (
        ("value", np.zeros((1, 3, 3)), "units"),
        ("value", np.zeros(4), "shape"),
        ("configurations", arrays["configurations"][:2], "shape"),
        ("configurations", np.array(['{"x": 0.1}', '{"x": 7}', '{"x": 0.1}']), "configuration 1: x"),
        ("space", np.array("[]"), "search space is described by"),
        ("source", np.array("{"), "damaged"),
        ("length", np.array([[1, 2, 9]]), "length"),
    ):
        np.savez(path, **{**arrays, name: changed})
        with pytest.raises(CurvesError, match=words):
            Curves.load(path)
    del arrays["length"]
    np.savez(path, **arrays)
    with pytest.raises(CurvesError, match="length"):
        Curves.load(path)


def refuse_everything(configuration) -> bool:
    return False


class Optimizer:
    """An option that is code."""


def test_a_file_s_space_imports_nothing(tmp_path: Path) -> None:
    space = SearchSpace({"kind": Choice([Optimizer, "sgd"]), "pair": Choice([(1, 2), (3, 4)])})
    path = tmp_path / "c.npz"
    Curves.from_arrays(space, [{"kind": Optimizer, "pair": (1, 2)}], [[0.5, 0.6]]).save(path)
    with np.load(path) as file:
        arrays = dict(file)
    text = (
        str(arrays["space"])
        .replace(__name__, "asha_evil")
        .replace('"constraints": []', '"constraints": ["asha_evil:run"]')
    )
    assert text.count("asha_evil") == 2
    np.savez(path, **{**arrays, "space": text})
    (tmp_path / "asha_evil.py").write_text("raise RuntimeError('it was imported')\n")
    sys.path.insert(0, str(tmp_path))
    try:
        curves = Curves.load(path)
    finally:
        sys.path.remove(str(tmp_path))
    assert "asha_evil" not in sys.modules
    assert dict(curves.configurations[0]) == {"kind": "Optimizer", "pair": (1, 2)}
