"""What --gpus means, with an nvidia-smi of our own making."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from asha_core.errors import DeviceError, SettingError
from asha_core.runtime.machine import cores
from asha_core.study.device_groups import device_groups
from trials.devices import Gpu, parse_devices, visible_gpus

A100 = "0, GPU-a1b2-c3, NVIDIA A100"
H200 = "1, GPU-d4e5-f6, NVIDIA H200"
LOST = "Unable to determine the device handle for GPU0000:3B:00.0: GPU is lost.  Reboot the system"
Driver = Callable[..., None]


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    """Puts an nvidia-smi on the path that says these lines and ends with this status."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def says(*lines: str, status: int = 0, then: str = "") -> None:
        program = tmp_path / "nvidia-smi"
        told = "\n".join(f"echo {shlex.quote(line)}" for line in lines)
        program.write_text(f"#!/bin/sh\n{told}\n{then}\nexit {status}\n")
        program.chmod(0o755)

    return says


@pytest.fixture
def gpus(driver: Driver) -> None:
    """A machine with two GPUs."""
    driver(A100, H200)


@pytest.fixture
def no_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for file in ("_NVIDIA", "_WINDOWS", "_AMD"):
        monkeypatch.setattr(f"trials.gpu_detection.{file}", tmp_path / "none")


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


@pytest.mark.parametrize("asked", ["auto", "0"])
@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([LOST], 15),
        ([A100, LOST], 15),  # one of two: nobody knows which numbers the others have
        (["Failed to initialize NVML: Driver/library version mismatch", "NVML library version: 535.161"], 18),
        (["NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."], 9),
    ],
)
def test_a_gpu_that_is_there_and_broken_stops_in_the_drivers_words(
    driver: Driver, lines: list[str], status: int, asked: str
) -> None:
    driver(*lines, status=status)
    said = " ".join(" ".join(line for line in lines if line != A100).split())
    with pytest.raises(DeviceError) as caught:
        parse_devices(asked)
    assert " ".join(str(caught.value).split()).startswith(
        f"nvidia-smi fails (status {status}): {said}; --gpus cpu"
    )
    with pytest.raises(DeviceError, match="nvidia-smi fails"):
        device_groups(asked, 1, None)
    assert not parse_devices("cpu").names  # nobody asks


def test_a_driver_that_does_not_answer_is_not_waited_for(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trials.gpu_detection._ANSWER_SECONDS", 0.1)
    driver(A100, then="exec sleep 60")
    begun = time.monotonic()
    with pytest.raises(DeviceError, match=r"nvidia-smi gives no answer within 0\.1 s; --gpus cpu"):
        parse_devices("auto")
    assert time.monotonic() - begun < 10


def test_an_nvidia_smi_that_cannot_be_run_is_said(driver: Driver, tmp_path: Path) -> None:
    driver()
    (tmp_path / "nvidia-smi").write_bytes(b"\x7fELF of another machine")
    with pytest.raises(DeviceError, match="nvidia-smi cannot be run: Exec format error"):
        parse_devices("auto")


def test_what_the_driver_says_beside_its_gpus_is_none_of_them(driver: Driver) -> None:
    warning = "WARNING: infoROM is corrupted at gpu 0000:3B:00.0"
    driver(A100, "2, GPU-77, [Unknown Error]", warning, "3, GPU-88, NVIDIA H200, 141GB")
    devices = parse_devices("auto")
    assert devices.names == ("NVIDIA A100", "NVIDIA H200, 141GB")
    assert [slot.environment["CUDA_VISIBLE_DEVICES"] for slot in devices.slots] == ["0", "3"]
    assert devices.note == f"nvidia-smi says: 2, GPU-77, [Unknown Error] {warning}"
    driver(warning)
    devices = parse_devices("auto")
    assert (devices.names, devices.slots[0].device) == ((), "cpu")
    assert f"no GPU found (nvidia-smi says: {warning}): training on the CPU with" in devices.note


@pytest.mark.parametrize("row", ["0, GPU-77, [Unknown Error]", "0, [GPU is lost], [GPU is lost]"])
def test_a_row_of_a_broken_gpu_without_one_that_works_stops_too(driver: Driver, row: str) -> None:
    driver(row)  # with status 0
    for asked in ("auto", "0"):
        with pytest.raises(DeviceError) as caught:
            parse_devices(asked)
        assert str(caught.value).startswith(f"nvidia-smi finds no GPU that works: {row}; --gpus cpu")


@pytest.mark.parametrize("status", [0, 6])
def test_a_driver_without_a_gpu_is_no_gpu(driver: Driver, status: int) -> None:
    driver("No devices were found", status=status)
    devices = parse_devices("auto")
    assert {slot.device for slot in devices.slots} == {"cpu"}
    assert devices.note.startswith("no GPU found: training on the CPU")


def test_beside_a_broken_gpu_those_that_are_named_can_be_used(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scheduler of a shared machine has given us these; the broken one is not ours."""
    driver(A100, LOST, H200, status=15)
    for mask in ("1", "0,1", "GPU-d4e5"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", mask)
        devices = parse_devices("auto")
        assert [slot.environment["CUDA_VISIBLE_DEVICES"] for slot in devices.slots] == mask.split(",")
        assert "GPU is lost" in devices.note
    for mask in ("2", "1,2", "MIG-7", "GPU-f"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", mask)
        with pytest.raises(DeviceError, match="name those that work in CUDA_VISIBLE_DEVICES"):
            parse_devices("auto")
    for nothing in ("", "-1"):  # then nobody asks
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", nothing)
        assert f'CUDA_VISIBLE_DEVICES is "{nothing}", which hides every GPU' in parse_devices("auto").note


class Cuda:
    """torch.cuda, with as many GPUs as are said."""

    def __init__(self, count: int) -> None:
        self.count = count

    def device_count(self) -> int:
        return self.count

    def get_device_name(self, index: int) -> str:
        return f"GPU number {index}"

    def init(self) -> None:
        raise RuntimeError("CUDA unknown error - this may be due to an\nincorrectly set up environment")


@pytest.mark.parametrize(
    ("file", "cuda", "hip", "identifiers"),
    [("_NVIDIA", "13.0", None, ["4", "5"]), ("_AMD", None, "6.4", ["6", "7"])],
)
@pytest.mark.usefixtures("no_gpus")
def test_without_nvidia_smi_torch_tells_where_there_is_a_driver(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    file: str,
    cuda: str | None,
    hip: str | None,
    identifiers: list[str],
) -> None:
    monkeypatch.setattr(f"trials.gpu_detection.{file}", tmp_path)
    monkeypatch.setattr("torch.version.cuda", cuda)
    monkeypatch.setattr("torch.version.hip", hip)
    monkeypatch.setattr("torch.cuda", Cuda(2))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert visible_gpus() == [Gpu("0", "GPU number 0"), Gpu("1", "GPU number 1")]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    monkeypatch.setenv("HIP_VISIBLE_DEVICES", "6,7")
    assert [gpu.identifier for gpu in visible_gpus()] == identifiers
    assert parse_devices("1").slots[0].environment["HIP_VISIBLE_DEVICES"] == identifiers[1]
    monkeypatch.setattr("torch.cuda", Cuda(0))
    if cuda:
        with pytest.raises(
            DeviceError, match="cannot be used: CUDA unknown error - this may be due to an inc"
        ):
            parse_devices("auto")
    else:
        assert f"no GPU found (there is a driver ({tmp_path}), but this torch" in parse_devices("auto").note


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
