"""What is in a checkpoint's file, what is made of a damaged one, and the way back to a model."""

from __future__ import annotations

import errno
import io
import os
import pickle
import random
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from asha_core import ASHA, AshaError, Configuration, Float, SearchSpace, tune
from asha_core.errors import ReportError, ResultsError
from tests.trials.jobs import work
from trials import TorchTask, load_model
from trials.checkpoints.files import check_state, load_checkpoint, save_checkpoint

# -- files -----------------------------------------------------------------------------------------

STATE = {
    "weights": torch.arange(40.0).reshape(5, 8),
    "integers": torch.arange(7),
    "empty": torch.zeros(0),
    "half": OrderedDict(k=torch.ones(3, dtype=torch.bfloat16)),
    "others": {"a": [1, 2.5, "x", None, True], "b": b"raw"},
}


def same(a: Any, b: Any) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and torch.equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


def same_or_refused(path: Path, content: bytes) -> bool:
    """Whether ``content``, which was damaged, is refused; else it must be what was saved."""
    path.write_bytes(content)
    try:
        loaded = load_checkpoint(path)
    except ResultsError:
        return True
    assert same(loaded, {"format": 1, "resource": 3, "state": STATE})
    return False


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, bytes]:
    path = tmp_path / "c.pt"
    save_checkpoint(path, {"resource": 3, "state": STATE})
    return path, path.read_bytes()


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4))
def test_a_flipped_bit_is_found_or_does_not_matter(seed: int, saved: tuple[Path, bytes]) -> None:
    path, content = saved
    draw = random.Random(seed)
    refused = 0
    for _ in range(400):
        damaged = bytearray(content)
        damaged[draw.randrange(len(damaged))] ^= draw.choice((1, 2, 4, 8, 16, 32, 64, 128, 255))
        refused += same_or_refused(path, damaged)
    assert refused > 200  # the rest fell on the padding between records


def test_every_bit_of_the_weights_matters(saved: tuple[Path, bytes]) -> None:
    path, content = saved
    begin = content.index(STATE["weights"].numpy().tobytes())  # type: ignore[union-attr]
    for offset in range(0, 160, 7):
        damaged = bytearray(content)
        damaged[begin + offset] ^= 1
        assert torch.load(io.BytesIO(damaged), weights_only=True)  # which does not look
        assert same_or_refused(path, damaged)


def test_a_record_marked_as_a_directory_is_refused(saved: tuple[Path, bytes]) -> None:
    """PyTorch gives its tensor uninitialised memory, and every checksum is right."""
    path, content = saved
    entry = content.rindex(b"archive/data/0")
    damaged = bytearray(content)
    damaged[entry - 8] ^= 0x10  # the attributes, in the archive's list of records
    assert same_or_refused(path, damaged)


def test_a_file_that_is_cut_short_is_refused(saved: tuple[Path, bytes]) -> None:
    path, content = saved
    for length in (0, 1, 22, *range(100, len(content), 97), len(content) - 1):
        assert same_or_refused(path, content[:length])
    for noise in (b"\0" * 5000, random.Random(1).randbytes(5000), content[::-1]):
        assert same_or_refused(path, noise)


def test_zeros_in_place_of_a_block_are_found(saved: tuple[Path, bytes]) -> None:
    """As a file system leaves them that lost a write."""
    path, content = saved
    for begin in range(0, len(content), 512):
        damaged = bytearray(content)
        damaged[begin : begin + 512] = bytes(len(damaged[begin : begin + 512]))
        assert damaged == content or same_or_refused(path, damaged)


class Bomb:
    def __init__(self, flag: Path) -> None:
        self.flag = flag

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.flag}",)


def bombs(path: Path, flag: Path, kind: str) -> None:
    if kind == "pickle":
        path.write_bytes(pickle.dumps(Bomb(flag)))
    elif kind == "old torch":
        torch.save({"format": 1, "state": Bomb(flag)}, path, _use_new_zipfile_serialization=False)
    elif kind == "torch":
        torch.save({"format": 1, "state": Bomb(flag)}, path)
    else:  # compressed, so that it could also be a small file that unpacks to a huge one
        torch.save({"format": 1, "state": 1}, path.with_suffix(".plain"))
        with (
            zipfile.ZipFile(path.with_suffix(".plain")) as plain,
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        ):
            for record in plain.infolist():
                packed = zipfile.ZipInfo(record.filename)
                packed.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(packed, plain.read(record))
                packed.external_attr = 0  # as in a file that torch wrote


@pytest.mark.parametrize("kind", ["pickle", "old torch", "torch", "compressed"])
def test_what_could_run_code_is_refused_and_does_not_run(kind: str, tmp_path: Path) -> None:
    flag = tmp_path / "ran"
    bombs(tmp_path / "c.pt", flag, kind)
    with pytest.raises(ResultsError, match="is damaged"):
        load_checkpoint(tmp_path / "c.pt")
    assert not flag.exists()
    if kind == "torch":  # that it would have gone off
        torch.load(tmp_path / "c.pt", weights_only=False)
        assert flag.exists()


def test_checksums_are_written_even_where_the_user_writes_none(tmp_path: Path) -> None:
    assert torch.serialization.get_crc32_options()  # PyTorch's default
    torch.serialization.set_crc32_options(False)
    try:
        save_checkpoint(tmp_path / "c.pt", {"state": STATE})
        assert not torch.serialization.get_crc32_options()
    finally:
        torch.serialization.set_crc32_options(True)
    assert same(load_checkpoint(tmp_path / "c.pt")["state"], STATE)


@pytest.mark.parametrize("where", ["write", "sync", "rename", "stop"])
def test_what_was_there_stays_when_a_save_fails(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_checkpoint(tmp_path / "c.pt", {"state": 1})
    full = OSError(errno.ENOSPC, "No space left on device")

    def fail(*_: Any) -> Any:
        raise KeyboardInterrupt if where == "stop" else full

    if where == "write":
        torch_save = torch.save

        def into_a_full_disk(content: Any, file: Any) -> None:
            class Full(io.BytesIO):
                def write(self, data: Any) -> int:
                    return super().write(data) if self.tell() < 1000 else fail()

            torch_save(content, Full())

        monkeypatch.setattr(torch, "save", into_a_full_disk)
    else:
        monkeypatch.setattr(os, "replace" if where == "rename" else "fsync", fail)
    with pytest.raises(KeyboardInterrupt if where == "stop" else OSError) as raised:
        save_checkpoint(tmp_path / "c.pt", {"state": torch.zeros(1000)})
    if where != "stop":
        assert raised.value.errno == errno.ENOSPC  # type: ignore[attr-defined]
    monkeypatch.undo()
    assert load_checkpoint(tmp_path / "c.pt")["state"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["c.pt"]


def test_a_file_that_may_not_be_read_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "c.pt").mkdir()
    with pytest.raises(ResultsError, match=r"c\.pt is damaged \(IsADirectoryError\)"):
        load_checkpoint(tmp_path / "c.pt")


# -- models ----------------------------------------------------------------------------------------


class Sized(TorchTask):
    """A task with an argument, without which its model cannot be rebuilt."""

    space = SearchSpace({"lr": Float(1e-3, 1.0, log=True)})
    batch_size = 8

    def __init__(self, hidden: int = 4, extra: Any = None, **more: int) -> None:
        self.hidden = hidden + more.get("and_more", 0)

    def model(self, config: Configuration) -> nn.Module:
        return nn.Sequential(nn.Linear(2, self.hidden), nn.ReLU(), nn.Linear(self.hidden, 2))

    def data(self) -> Any:
        x = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
        y = (x[:, 0] > 0).long()
        return (x[:32], y[:32]), (x[32:], y[32:])


def search(task: Any, folder: Path) -> Path:
    scheduler = ASHA(Sized.space, max_resource=3, max_trials=3)
    return tune(task, scheduler, gpus="inline", results_dir=folder / "run", progress="none").directory


@pytest.mark.parametrize("task", [Sized(7), Sized(hidden=7), Sized(4, and_more=3)])
def test_a_model_is_rebuilt_with_its_tasks_arguments(task: Sized, tmp_path: Path) -> None:
    directory = search(task, tmp_path)
    model, described = load_model(directory, task=Sized)
    assert model[0].out_features == 7  # type: ignore[index,union-attr]
    assert described["task"]["options"] in ({"hidden": 7}, {"hidden": 4, "and_more": 3})
    again, _ = load_model(directory / "checkpoints" / "best.pt", f"{__name__}:Sized")
    same_again, _ = load_model(directory, task)
    weights = [each.state_dict() for each in (model, again, same_again)]
    assert same(weights[0], weights[1])
    assert same(weights[0], weights[2])


def test_arguments_that_json_cannot_hold_are_told_when_it_matters(tmp_path: Path) -> None:
    task = Sized(7, extra=torch.zeros(2))
    directory = search(task, tmp_path)
    with pytest.raises(AshaError, match=r"with which arguments .* load_model\(path, task=Sized\(\.\.\.\)\)"):
        load_model(directory, task=Sized)
    assert load_model(directory, task=task)[0][0].out_features == 7  # type: ignore[index,union-attr]


def written_by(target: Any, path: Path, **others: Any) -> Path:
    """A checkpoint that says that ``target`` wrote it."""
    origin = {"configuration": {"lr": 0.1}, "task": {"target": target, "options": {}}}
    save_checkpoint(path, {"resource": 1, **origin, "state": {"model": {}}, **others})
    return path


@pytest.mark.parametrize("target", ["tests.trials.goes_off:Task", "trials.tasksy:X", "os:system", "a", ""])
def test_what_a_checkpoint_names_is_not_imported(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str, *_: Any) -> Any:
        raise AssertionError(f"{name} was imported")

    path = written_by(target, tmp_path / "c.pt")
    monkeypatch.setattr("importlib.import_module", refuse)
    module, _, name = target.rpartition(":")
    with pytest.raises(ResultsError, match="does not decide what is imported") as refused:
        load_model(path)
    assert f"write `from {module} import {name}` and load_model(path, task={name})" in str(refused.value)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (
            "/p/mine.py:Mine",
            "write load_model(path, task='/p/mine.py:Mine'); asha-test takes --task /p/mine.py:Mine",
        ),
        ("__main__:Mine", "where Mine is defined, write load_model(path, task=Mine);"),
        ("script:make.<locals>.Mine", "where Mine is defined, write load_model(path, task=Mine);"),
    ],
)
def test_how_a_model_is_loaded_depends_on_where_its_task_was_defined(
    target: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(ResultsError) as refused:
        load_model(written_by(target, tmp_path / "c.pt"))
    assert words in str(refused.value)


def test_a_task_of_the_package_is_found_by_itself(tmp_path: Path) -> None:
    from trials.tasks.digits import SPACE, Digits

    task = Digits("mlp")
    scheduler = ASHA(SPACE, max_resource=1, max_trials=1)
    directory = tune(task, scheduler, gpus="inline", results_dir=tmp_path / "r", progress="none").directory
    model, content = load_model(directory)
    assert sum(parameter.numel() for parameter in model.parameters()) == 8970
    with pytest.raises(ResultsError, match=r"model of trials\.tasks\.digits:Digits is not the one of"):
        load_model(directory, task=Digits("cnn"))
    for state in ({}, {"ema": {}}, None):
        with pytest.raises(ResultsError, match="there are no weights in it"):
            task.trained_model(SPACE.restored(content["configuration"]), state)


@pytest.mark.parametrize("name", ["trials.tasks.digits:Configuration", "trials.tasks.digits:SPACE"])
def test_not_everything_in_the_package_is_a_task(name: str, tmp_path: Path) -> None:
    with pytest.raises(AshaError, match="is no TorchTask"):
        load_model(written_by(name, tmp_path / "c.pt"))


def test_a_checkpoint_that_says_too_little_is_refused_in_words(tmp_path: Path) -> None:
    for odd in (None, 3, ["x"]):
        with pytest.raises(ResultsError, match="does not say which task"):
            load_model(written_by(odd, tmp_path / "c.pt"), task=Sized)
    with pytest.raises(ResultsError, match="does not say which task"):
        load_model(written_by("t:T", tmp_path / "c.pt", task=None))
    for change in ({"state": 3}, {"state": {}}, {"configuration": None}):
        with pytest.raises(ResultsError, match=r"not by TorchTask\.run"):
            load_model(written_by("t:T", tmp_path / "c.pt", **change), task=Sized)
    with pytest.raises(
        ResultsError, match=r"the model of .*:Sized is not the one of .*, which was written by t:T"
    ):
        load_model(written_by("t:T", tmp_path / "c.pt"), task=Sized)
    broken = {"target": "t:T", "options": {"and_more": "x"}}
    with pytest.raises(AshaError, match=r"Sized cannot be built: TypeError"):
        load_model(written_by("t:T", tmp_path / "c.pt", task=broken), Sized)


class Plain:
    space = SearchSpace({"x": Float(0.0, 1.0)})


def test_a_function_has_no_model_to_rebuild(tmp_path: Path) -> None:
    scheduler = ASHA(Plain.space, max_resource=3, max_trials=3)
    result = tune(work, scheduler, gpus="inline", results_dir=tmp_path / "run", progress="none")
    assert result.best is not None
    with pytest.raises(AshaError, match=r"what a plain function saved is in .*load_checkpoint"):
        load_model(result.directory)
    with pytest.raises(AshaError, match=r"has no trained_model: read what was saved with .*load_checkpoint"):
        load_model(result.directory, task="tests.trials.jobs:work")


class OtherWeights(Sized):
    def optimizer(self, parameters: Any, config: Configuration) -> torch.optim.Optimizer:
        return torch.optim.SGD([torch.ones(3, requires_grad=True)], lr=config["lr"])


def test_a_mistake_that_every_trial_would_meet_stops_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    scheduler = ASHA(Sized.space, max_resource=3, max_trials=3)
    with pytest.raises(AshaError, match=r"1 parameters that are not the model's"):
        tune(
            OtherWeights(),
            scheduler,
            gpus="inline",
            variation="ohgw-1step",
            results_dir=tmp_path / "run",
            progress="none",
        )
    assert not (tmp_path / "run").exists()


def test_what_torch_would_save_and_not_load_is_refused() -> None:
    with pytest.raises(ReportError, match="does not load"):
        check_state({"x": b""})
