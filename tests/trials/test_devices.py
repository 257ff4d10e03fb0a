"""What --gpus means, with an nvidia-smi of our own making."""

from __future__ import annotations

from pathlib import Path

import pytest

from asha_core.errors import DeviceError, SettingError
from asha_core.runtime.storage.manifest import cores
from trials.devices import parse_devices, visible_gpus


@pytest.fixture
def gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with two GPUs."""
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'NVIDIA A100'\necho 'NVIDIA H200'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.fixture
def no_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("os.path.exists", lambda path: False)


@pytest.mark.usefixtures("gpus")
def test_each_slot_sees_its_own_gpu_as_the_first() -> None:
    devices = parse_devices("1,0")
    assert [slot.environment["CUDA_VISIBLE_DEVICES"] for slot in devices.slots] == ["1", "0"]
    assert {slot.device for slot in devices.slots} == {"cuda:0"}
    assert devices.held == 2
    assert devices.names == ("NVIDIA H200", "NVIDIA A100")


@pytest.mark.usefixtures("gpus")
def test_auto_takes_every_gpu_and_workers_share_them() -> None:
    devices = parse_devices("auto", 3)
    pins = [slot.environment["CUDA_VISIBLE_DEVICES"] for slot in devices.slots]
    assert pins == ["0", "0", "0", "1", "1", "1"]
    assert devices.held == 2  # sharing a GPU does not make it two
    assert not devices.note


@pytest.mark.usefixtures("gpus")
def test_numbers_count_among_the_visible_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert [gpu.name for gpu in visible_gpus()] == ["NVIDIA H200"]
    assert parse_devices("0").slots[0].environment["CUDA_VISIBLE_DEVICES"] == "1"
    with pytest.raises(DeviceError, match=r"GPU 1 is not there; visible GPUs: 0 \(NVIDIA H200\)"):
        parse_devices("0,1")
    for nothing in ("", "-1", "none", "NoDevFiles", "7"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", nothing)
        assert visible_gpus() == []
        assert {slot.device for slot in parse_devices("auto").slots} == {"cpu"}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,-1,0")
    assert [gpu.identifier for gpu in visible_gpus()] == ["1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-abc")
    assert parse_devices("0").slots[0].environment["CUDA_VISIBLE_DEVICES"] == "GPU-abc"


@pytest.mark.usefixtures("gpus")
def test_a_gpu_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(DeviceError, match=r"GPU 4 is not there; .*0 \(NVIDIA A100\), 1 \(NVIDIA H200\)"):
        parse_devices("0,4")


@pytest.mark.usefixtures("no_gpus")
def test_without_gpus_auto_is_the_cpu_with_one_line() -> None:
    devices = parse_devices("auto")
    assert {slot.device for slot in devices.slots} == {"cpu"}
    assert len(devices.slots) == devices.held == cores()
    assert "no GPU found" in devices.note
    assert "\n" not in devices.note
    with pytest.raises(DeviceError, match="visible GPUs: none"):
        parse_devices("0")


def test_on_the_cpu_workers_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    devices = parse_devices("cpu", 2 * cores())
    assert len(devices.slots) == 2 * cores()
    assert devices.slots[0].environment["OMP_NUM_THREADS"] == "1"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "3")  # the user's own choice stands
        assert "OMP_NUM_THREADS" not in parse_devices("cpu").slots[0].environment
    assert devices.slots[0].environment["CUDA_VISIBLE_DEVICES"] == ""
    assert parse_devices("cpu", 1).slots[0].environment["OMP_NUM_THREADS"] == str(cores())


@pytest.mark.parametrize("text", ["", "a", "0,,1", "-1", "0 1", "gpu", "²"])
def test_what_is_no_list_of_gpus_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match="give numbers such as 0,1,2,3"):
        parse_devices(text)


def test_a_gpu_named_twice_and_no_workers_are_refused() -> None:
    with pytest.raises(SettingError, match="named twice"):
        parse_devices("0,0")
    with pytest.raises(SettingError, match="workers-per-gpu is 0"):
        parse_devices("cpu", 0)
