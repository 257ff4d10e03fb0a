"""Which GPUs each of the runs has that a study runs at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from asha_core.errors import SettingError
from trials import devices


@dataclass(frozen=True, slots=True)
class DeviceGroup:
    """Where one run at a time is run."""

    gpus: str  # for ``asha-run --gpus``
    count: int  # GPUs in it; 0 on a CPU
    workers: int | None  # for ``asha-run --workers-per-gpu``, if it is to be said
    environment: Mapping[str, str]  # of the run

    @property
    def label(self) -> str:
        """For people."""
        return f"GPU {self.gpus}" if self.count else self.gpus


def device_groups(gpus: str, parallel: int, per_run: int | None) -> list[DeviceGroup]:
    """Split what ``--gpus`` names into ``parallel`` groups of the same size that share no GPU.

    Args:
        gpus: "auto", "cpu", "inline", or numbers such as "0,1,2,3".
        parallel: how many runs at a time.
        per_run: GPUs that each run must have.
    Raises:
        AshaError: they cannot be split so, or a GPU is not there.
    """
    if parallel < 1:
        raise SettingError(f"parallel is {parallel}: it must be at least 1")
    if gpus == "auto":
        gpus = ",".join(map(str, range(len(devices.visible_gpus())))) or "cpu"
    if gpus in ("cpu", "inline"):
        if per_run is not None:
            raise SettingError(
                f"the study asks for {per_run} GPUs a run (gpus_per_run), and --gpus {gpus} has none: take "
                "the key out of the file to run it on a CPU"
            )
        workers = None if gpus == "inline" else devices.cpu_workers(parallel)
        threads = devices.threads_each(parallel * (workers or 1))
        return [DeviceGroup(gpus, 0, workers, threads)] * parallel
    devices.parse_devices(gpus)
    numbers = [part.strip() for part in gpus.split(",")]
    if len(numbers) % parallel:
        raise SettingError(
            f"--parallel {parallel} with {len(numbers)} GPUs: every run must have as many as the "
            f"others, so give a number of GPUs that {parallel} divides"
        )
    each = len(numbers) // parallel
    if per_run is not None and per_run != each:
        raise SettingError(
            f"the study asks for {per_run} GPUs a run (gpus_per_run), and --gpus {gpus} --parallel "
            f"{parallel} gives each {each}: name {per_run * parallel}, or change gpus_per_run in the file"
        )
    shares = [",".join(numbers[first : first + each]) for first in range(0, len(numbers), each)]
    return [DeviceGroup(share, each, None, devices.threads_each(len(numbers))) for share in shares]
