"""What ``--gpus 0,1,2,3`` means: slots, and the environment that pins each worker to its GPU.

A worker sees one GPU, as cuda:0: ``CUDA_VISIBLE_DEVICES`` is in its environment before its Python
starts, so before anything can import torch.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from asha_core.arguments import integer, shown
from asha_core.errors import DeviceError, SettingError
from asha_core.runtime.machine import cores, memory_bytes
from asha_core.runtime.units import counted, format_bytes
from trials.gpu_detection import Gpu, detect_gpus, visible_gpus

__all__ = ["INLINE", "Devices", "Gpu", "Slot", "detect_gpus", "parse_devices", "threads_each", "visible_gpus"]

_MOST_WORKERS = 10_000  # a slip of the keyboard, beyond


@dataclass(frozen=True, slots=True)
class Slot:
    """Where one worker runs.

    Attributes:
        label: for people ("gpu 2", "cpu").
        device: for torch, inside the worker ("cuda:0", "cpu").
        environment: set before the worker starts.
    """

    label: str
    device: str
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Devices:
    """What a search runs on.

    Attributes:
        slots: one worker each.
        held: devices that are billed (GPUs, or worker processes on a CPU).
        names: the GPUs' product names.
        note: one line for the user, if the choice needs one.
    """

    slots: tuple[Slot, ...]
    held: int
    names: tuple[str, ...] = ()
    note: str = ""


WORKER_BYTES = 2**29  # what a process takes that has loaded torch, before its data

INLINE = Devices((Slot("inline", "cpu"),), held=1)


def parse_devices(gpus: str | Sequence[int], workers_per_gpu: int | None = None) -> Devices:
    """The slots that ``--gpus`` and ``--workers-per-gpu`` ask for.

    Args:
        gpus: "auto", "cpu", "inline" (``INLINE``: this very process), or GPU numbers such as "0,1,2,3" or
            [0, 1, 2, 3], counted among the visible ones.
        workers_per_gpu: slots on each GPU, 1 by default; on the CPU the number of worker processes, by
            default ``cpu_workers()``.
    Raises:
        DeviceError: a GPU that is not there, or there and broken.
        SettingError: not a list of GPUs.
    """
    if workers_per_gpu is not None:
        workers_per_gpu = integer("workers-per-gpu", workers_per_gpu, 1, _MOST_WORKERS)
    if isinstance(gpus, Iterable) and not isinstance(gpus, str | bytes):
        gpus = ",".join(map(str, gpus))
    if gpus == "inline":
        return INLINE
    if gpus == "cpu":
        return _on_cpu(workers_per_gpu)
    if gpus == "auto":
        detected = detect_gpus()
        if detected.gpus:
            return _on_gpus(detected.gpus, workers_per_gpu or 1, detected.remark)
        devices = _on_cpu(workers_per_gpu)
        why = f" ({detected.remark})" if detected.remark else ""
        note = f"no GPU found{why}: training on the CPU with {counted(len(devices.slots), 'worker')}"
        return replace(devices, note="; ".join(filter(None, (note, devices.note))))
    numbers = _numbers(gpus)
    found = visible_gpus()
    for number in numbers:
        if number >= len(found):
            there = ", ".join(f"{i} ({gpu.name})" for i, gpu in enumerate(found)) or "none"
            raise DeviceError(f"GPU {number} is not there; visible GPUs: {there} (--gpus cpu needs none)")
    return _on_gpus([found[number] for number in numbers], workers_per_gpu or 1)


def _numbers(text: Any) -> list[int]:
    parts = [part.strip() for part in text.split(",")] if isinstance(text, str) else [""]
    if not all(part.isdecimal() and len(part) < 10 for part in parts):
        raise SettingError(
            f'gpus is {shown(text)}: give numbers such as 0,1,2,3, or "auto", "cpu" or "inline"'
        )
    numbers = [int(part) for part in parts]
    if len(set(numbers)) < len(numbers):
        raise SettingError(f"gpus is {text!r}: a GPU is named twice (use --workers-per-gpu to share one)")
    return numbers


def cpu_workers(searches: int = 1) -> int:
    """Worker processes for each of so many searches on the CPU: one a core, if the memory is enough."""
    return max(int(min(cores(), memory_bytes() / WORKER_BYTES)) // searches, 1)


def _on_cpu(workers: int | None) -> Devices:
    count = workers or cpu_workers()
    environment = {"CUDA_VISIBLE_DEVICES": "", **threads_each(count)}
    note = ""
    if workers is None and count < cores():
        memory = format_bytes(memory_bytes())
        note = f"{counted(count, 'worker')} for {cores()} cores: {memory} of memory are allowed"
    return Devices((Slot("cpu", "cpu", environment),) * count, held=count, note=note)


def _on_gpus(gpus: list[Gpu], workers_per_gpu: int, note: str = "") -> Devices:
    threads = threads_each(len(gpus) * workers_per_gpu)
    masks = [
        "CUDA_VISIBLE_DEVICES",
        *(["HIP_VISIBLE_DEVICES"] if "HIP_VISIBLE_DEVICES" in os.environ else []),
    ]
    slots = [
        Slot(
            f"gpu {gpu.identifier}",
            "cuda:0",
            # numbered as nvidia-smi numbers them; CUDA's own default is the fastest first
            {**dict.fromkeys(masks, gpu.identifier), "CUDA_DEVICE_ORDER": "PCI_BUS_ID", **threads},
        )
        for gpu in gpus
        for _ in range(workers_per_gpu)
    ]
    return Devices(tuple(slots), held=len(gpus), names=tuple(gpu.name for gpu in gpus), note=note)


def threads_each(workers: int) -> dict[str, str]:
    """A fair share of the cores for each worker, unless the user has set it."""
    if "OMP_NUM_THREADS" in os.environ:  # which MKL heeds, too, if it has none of its own
        return {}
    share = str(max(cores() // workers, 1))
    return {name: share for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS") if name not in os.environ}
