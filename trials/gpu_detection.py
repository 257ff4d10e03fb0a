"""Which GPUs this process may use, found with ``nvidia-smi``, so that the engine need not load torch.

A GPU that is there and broken is an error: who has one does not want to train on the CPU without a word.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asha_core.errors import DeviceError

_QUERY = ("--query-gpu=index,uuid,name", "--format=csv,noheader")
_ROW = re.compile(r"(\d+), ([^,]+), ([^\[].*)")
_BROKEN = re.compile(r"\d+, .*\[.*")  # a GPU that is lost has [Unknown Error] or [GPU is lost] for its name
_NONE = "No devices were found"
_ANSWER_SECONDS = 30.0
_LONGEST = 300
_NVIDIA, _WINDOWS, _AMD = (
    Path("/dev/nvidiactl"),
    Path("/dev/dxg"),
    Path("/dev/kfd"),
)  # where there is a driver
_CPU = "--gpus cpu trains without a GPU"


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU: its identifier for ``CUDA_VISIBLE_DEVICES``, and its product name."""

    identifier: str
    name: str


@dataclass(frozen=True, slots=True)
class Detected:
    """The GPUs that this process may use, in CUDA's order, and what is to be said of them, if anything."""

    gpus: list[Gpu]
    remark: str = ""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What ``nvidia-smi`` said.

    Attributes:
        rows: (index, UUID, product name) of each GPU.
        other: what it said beside them, on one line.
        failure: how it failed, for an error message; empty if it did not.
    """

    rows: Sequence[tuple[str, str, str]] = ()
    other: str = ""
    failure: str = ""


def visible_gpus() -> list[Gpu]:
    """The GPUs that this process may use, in CUDA's order.

    Raises:
        DeviceError: there may be some, but the driver does not answer as it should.
    """
    return detect_gpus().gpus


def detect_gpus() -> Detected:
    """As ``visible_gpus``, with what is to be said of them."""
    mask = os.environ.get("CUDA_VISIBLE_DEVICES")
    if mask is not None and not _named(mask):
        return Detected([], f'CUDA_VISIBLE_DEVICES is "{mask}", which hides every GPU')
    program = shutil.which("nvidia-smi")
    answer = _ask(program) if program is not None else _Answer()
    if program is None or (_AMD.exists() and not answer.rows and not answer.failure):
        return _as_torch_sees_them()
    gpus = _unmasked(answer, mask) if answer.rows else []
    if answer.failure and (mask is None or len(gpus) < len(_named(mask)) or not _all_listed(gpus, answer)):
        go_on = ", or name those that work in CUDA_VISIBLE_DEVICES" if answer.rows else ""
        raise DeviceError(f"{answer.failure}; {_CPU}{go_on}")
    return Detected(gpus, f"nvidia-smi says: {answer.other}" if answer.other else "")


def _named(mask: str) -> list[str]:
    """The identifiers in ``CUDA_VISIBLE_DEVICES``, up to the first that can be none, as CUDA reads it."""
    found = []
    for part in filter(None, (piece.strip() for piece in mask.split(","))):
        if not (part.isdecimal() or part.startswith(("GPU-", "MIG-"))):
            break
        found.append(part)
    return found


def _unmasked(answer: _Answer, mask: str | None) -> list[Gpu]:
    """The GPUs of an answer that ``CUDA_VISIBLE_DEVICES`` leaves, in its order."""
    if mask is None:
        return [Gpu(index, name) for index, _, name in answer.rows]
    by_index = {index: name for index, _, name in answer.rows}
    gpus = []
    for part in _named(mask):
        if part.isdecimal():
            if str(int(part)) not in by_index:
                break  # CUDA stops at the first that is not there
            gpus.append(Gpu(part, by_index[str(int(part))]))
        else:
            names = [name for _, uuid, name in answer.rows if uuid.startswith(part)]
            gpus.append(Gpu(part, names[0] if len(names) == 1 else part))
    return gpus


def _all_listed(gpus: Sequence[Gpu], answer: _Answer) -> bool:
    names = {name for _, _, name in answer.rows}
    return all(gpu.name in names for gpu in gpus)


def _ask(program: str) -> _Answer:
    try:
        query = subprocess.Popen(
            [program, *_QUERY],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        return _Answer(failure=f"nvidia-smi cannot be run: {error.strerror} ({program})")
    try:
        text, _ = query.communicate(timeout=_ANSWER_SECONDS)
    except subprocess.TimeoutExpired:
        _leave(query)
        return _Answer(failure=f"nvidia-smi gives no answer within {_ANSWER_SECONDS:g} s")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    found = [(line, _ROW.fullmatch(line)) for line in lines]
    rows = [(row[1], row[2], row[3]) for _, row in found if row is not None]
    other = " ".join(line for line, row in found if row is None and _NONE not in line)[:_LONGEST]
    if query.returncode == 0 and not rows and any(map(_BROKEN.fullmatch, lines)):
        return _Answer(failure=f"nvidia-smi finds no GPU that works: {other}")
    if query.returncode == 0 or (not other and not rows and _NONE in text):
        return _Answer(rows, other)
    return _Answer(rows, other, f"nvidia-smi fails (status {query.returncode}): {other or 'without a word'}")


def _leave(query: subprocess.Popen[str]) -> None:
    """End it, without waiting for one that a driver holds: it cannot be killed."""
    query.kill()
    with suppress(subprocess.TimeoutExpired):
        query.wait(timeout=1)
    if query.stdout is not None:
        query.stdout.close()


def _as_torch_sees_them() -> Detected:
    """Without an ``nvidia-smi`` that tells: where there is a driver, only torch knows, which loads it."""
    driver = next((each for each in (_NVIDIA, _WINDOWS, _AMD) if each.exists()), None)
    if driver is None:
        return Detected([])
    import torch

    count = torch.cuda.device_count()
    if count:
        mask = os.environ.get("CUDA_VISIBLE_DEVICES")
        if torch.version.hip:  # there, AMD's own variable goes before
            mask = os.environ.get("HIP_VISIBLE_DEVICES", mask)
        names = _named(mask) if mask is not None else [str(index) for index in range(count)]
        return Detected([Gpu(name, torch.cuda.get_device_name(i)) for i, name in enumerate(names[:count])])
    if driver == _NVIDIA and torch.version.cuda is not None:
        _refuse_what_cuda_says(torch)
    return Detected([], f"there is a driver ({driver}), but this torch, {torch.__version__}, sees no GPU")


def _refuse_what_cuda_says(torch: Any) -> None:
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:
        reason = " ".join(str(error).split())[:_LONGEST]
        raise DeviceError(
            f"there is a driver of NVIDIA's, but CUDA cannot be used: {reason}; {_CPU}"
        ) from None
