"""An ONNX surrogate as a source of curves: asked for any configuration, it says what its model says."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asha_core import ASHA, AshaError, Curves, CurvesError, RandomSearch, SettingError, simulate
from asha_core.cli.curves import main
from asha_core.simulation.onnx_source import OnnxCurves
from asha_core.simulation.sources import load_source
from benchmarks.published_curves import lcbench, lcbench_description


@pytest.fixture
def described(data: Path, tmp_path: Path) -> Path:
    """The surrogate behind a published table, of its task helena."""
    pytest.importorskip("onnxruntime")
    if not (data / "lc_lcbench_surrogate" / "model.onnx").exists():
        pytest.skip(f"no model.onnx in {data}")
    path = tmp_path / "helena.json"
    path.write_text(json.dumps(lcbench_description(data, "helena")))
    return path


def changed(path: Path, **others: Any) -> Path:
    told = {**json.loads(path.read_text()), **others}
    other = path.with_name("changed.json")
    other.write_text(json.dumps({key: value for key, value in told.items() if value is not None}))
    return other


def test_it_says_what_the_published_table_has_that_was_made_with_it(described: Path, data: Path) -> None:
    source, table = OnnxCurves(described), lcbench(data, "helena")
    assert (source.space, source.units, source.mode) == (table.space, table.units, "max")
    for row in (0, 7, 1999):
        curve, kept = source.curve(table.configurations[row]), table.curve("baseline", row)
        # the table has hundredths of a per cent, and seconds in float32
        np.testing.assert_allclose(np.array(curve.values) / 100, kept.values, atol=6e-5)
        np.testing.assert_allclose(np.cumsum(curve.seconds), np.cumsum(kept.seconds), rtol=1e-2, atol=0.11)
        assert min(curve.seconds) >= 0


def test_a_search_over_it_meets_what_its_searcher_proposes(described: Path) -> None:
    source = load_source(described)
    found = simulate(ASHA(source.space, max_trials=9, max_resource=9, seed=1), source, workers=2)
    assert (found.trials, found.nearest) == (9, 0)
    for trial in found.scheduler.trials:
        assert trial.configuration == RandomSearch(source.space, 1).propose(trial.id)
    again = OnnxCurves(described)
    assert found.best.value in again.curve(found.best.configuration).values


def test_what_tells_one_from_another(described: Path) -> None:
    source = OnnxCurves(described)
    assert source.digest == OnnxCurves(described).digest
    other = OnnxCurves(changed(described, fixed={"OpenML_task_id": "167190"}))
    assert len({source.digest, other.digest, OnnxCurves(changed(described, units=9)).digest}) == 3


def test_a_table_of_it(described: Path, tmp_path: Path, capsys) -> None:
    path = tmp_path / "c.npz"
    assert main(["from", str(described), "--configurations", "4", "--seed", "2", "--output", str(path)]) == 0
    table, source = Curves.load(path), OnnxCurves(described)
    assert table.configurations == tuple(RandomSearch(source.space, 2).propose(i) for i in range(4))
    assert table.curve("baseline", 3).values == source.curve(table.configurations[3]).values
    assert table.timed
    capsys.readouterr()
    path.unlink()
    for wrong in (["--configurations", "0"], [], ["runs", "--configurations", "3"]):
        assert main(["from", str(described), *wrong, "--output", str(path)]) == 2
        assert capsys.readouterr().err.count("\n") == 1
        assert not path.exists()


def test_without_seconds_a_unit_takes_one_and_given_units_alone_are_asked_for(described: Path) -> None:
    source = OnnxCurves(changed(described, seconds=None, units=[1, 3, 9], metrics=["val_cross_entropy"]))
    whole = OnnxCurves(described)
    configuration = source.searcher(0).propose(0)
    curve = source.curve(configuration)
    assert (curve.seconds, source.timed) == ([1.0, 2.0, 6.0], False)
    np.testing.assert_allclose(
        curve.values, [whole.curve(configuration).values[place] for place in (0, 2, 8)]
    )
    assert len(curve.metrics["val_cross_entropy"]) == 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"metric": "accuracy"}, "no output is called 'accuracy'"),
        ({"metric": None}, "lacks metric"),
        ({"fidelty": "epoch"}, "has fidelty"),
        ({"fidelity": "epochs"}, "'epoch' is no dimension"),
        ({"fixed": {}}, "'OpenML_task_id' is no dimension"),
        ({"units": [3, 1]}, "must grow"),
        ({"units": 0}, "units is 0"),
        ({"inputs": {"x": ["epoch"]}}, "the model has x_cat, x_cont"),
        ({"outputs": {"output": ["time", "val_accuracy"]}}, "has 6 columns, and 2"),
        ({"model": "none.onnx"}, "there is no model"),
        ({"space": {"dimensions": {"x": {"type": "odd"}}}}, "changed.json: dimension 'x' has type 'odd'"),
        ({"inputs": ["x_cat"]}, "changed.json"),
        ({"mode": "least"}, "mode"),
    ],
)
def test_what_does_not_fit_is_said(described: Path, change: dict[str, Any], words: str) -> None:
    with pytest.raises(AshaError, match=words):
        OnnxCurves(changed(described, **change))


def test_values_without_a_code_and_files_that_are_none(described: Path, tmp_path: Path) -> None:
    source = OnnxCurves(changed(described, fixed={"OpenML_task_id": "iris"}))
    with pytest.raises(CurvesError, match="'iris', which has no code"):
        source.curve(source.searcher(0).propose(0))
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    with pytest.raises(CurvesError, match=r"broken.onnx is no ONNX model"):
        OnnxCurves(changed(described, model="broken.onnx"))
    for content in ("[]", "{", "\0"):
        (tmp_path / "odd.json").write_text(content)
        with pytest.raises(CurvesError, match="no description of a surrogate"):
            load_source(tmp_path / "odd.json")
    with pytest.raises(CurvesError, match="cannot be read"):
        load_source(tmp_path / "none.json")


def test_without_onnxruntime_the_error_has_the_command(
    described: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SettingError, match=r"pip install 'asha-core\[onnx\]'"):
        OnnxCurves(described)
