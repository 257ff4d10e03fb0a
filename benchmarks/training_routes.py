"""Ways to train one epoch, each in a process of its own that waits until it is told to: `training_speed.py`.

A route waits before each epoch, so that the routes of a comparison can take turns on one machine, epoch by
epoch, with nothing of theirs running in between. Its clock runs from the word to go until the last epoch that
was asked for has been validated, its checkpoint is in its file and its report has left.
"""

from __future__ import annotations

import hashlib
import pickle
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context, set_start_method
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from trials.trial import JobStopped
from trials.worker.processes import stat

VALUES = {"lr": 0.1, "weight_decay": 5e-4, "momentum": 0.9, "magnitude": 0.3, "label_smoothing": 0.1}
EPOCHS = 200  # of a complete trial: what the cosine is over
_TICK = 0.1  # seconds between two looks at the memory of a route's processes

Row = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """What all routes of a comparison have in common.

    root: holds cifar-10-batches-py. images: what the project's task reads: ``root``, or an .npz of the same
    images. rows: which images are trained on and which are held out. threads: of each process that computes.
    """

    root: str
    images: str
    rows: tuple[Sequence[int], Sequence[int]]
    subset: float
    device: str
    threads: int
    batch: int
    random: bool

    @property
    def steps(self) -> int:
        """Mini-batches an epoch."""
        return len(self.rows[0]) // self.batch


@dataclass(frozen=True)
class Route:
    """One way to train.

    plain: `plain_cifar.py`; else our own loop. workers: of a plain route's loaders. precision: "auto"
    is mixed on a GPU alone. channels_last, compile: of the project's task.
    """

    name: str
    plain: bool = False
    workers: int = 0
    precision: str = "auto"
    channels_last: bool = True
    compile: str = ""

    @property
    def full(self) -> bool:
        """float32 on a GPU too."""
        return self.precision == "float32"


# -- the images ------------------------------------------------------------------------------------


def plan_of(
    data_dir: str | None, folder: Path, *, images: int, device: str, threads: int, batch: int
) -> Plan:
    """A plan for some of CIFAR-10's training images; without a ``data_dir`` for random ones in ``folder``."""
    from trials.data.image_files import read
    from trials.data.splits import stratified_split

    if data_dir is None:
        source, count = make_random_images(folder, images), images
        root = str(folder)
    else:
        root, source, count = data_dir, data_dir, 50_000
    labels = read("cifar10", Path(source), "train")[1]
    subset = images / count
    train, valid = stratified_split(labels, 0.1, subset, 0)
    rows = train.tolist(), valid.tolist()
    return Plan(root, source, rows, subset, device, threads, batch, data_dir is None)


def make_random_images(folder: Path, count: int) -> str:
    """Random images as CIFAR's own six files, for torchvision, and as an .npz, whose path is returned."""
    random = np.random.default_rng(0)
    inner = folder / "cifar-10-batches-py"
    inner.mkdir()
    batches = []
    for name, some in [*((f"data_batch_{i}", count // 5) for i in range(1, 6)), ("test_batch", 10)]:
        pixels = random.integers(256, size=(some, 3072), dtype=np.uint8)
        labels = random.permutation(np.arange(some) % 10).tolist()
        (inner / name).write_bytes(pickle.dumps({"data": pixels, "labels": labels}))
        batches.append((pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), labels))
    (inner / "batches.meta").write_bytes(pickle.dumps({"label_names": [str(i) for i in range(10)]}))
    path = folder / "images.npz"
    np.savez(
        path,
        train_images=np.concatenate([images for images, _ in batches[:5]]),
        train_labels=np.concatenate([labels for _, labels in batches[:5]]),
        test_images=batches[5][0],
        test_labels=np.array(batches[5][1]),
    )
    return str(path)


def torchvision_data(plan: Plan) -> Any:
    """The class CIFAR10; for random images with the checksums of their files."""
    from torchvision.datasets import CIFAR10

    if not plan.random:
        return CIFAR10
    inner = Path(plan.root) / CIFAR10.base_folder

    def checked(name: str) -> str:
        return hashlib.md5((inner / name).read_bytes(), usedforsecurity=False).hexdigest()

    class RandomCifar10(CIFAR10):
        train_list = [[name, checked(name)] for name, _ in CIFAR10.train_list]  # noqa: RUF012 - torchvision's
        test_list = [[name, checked(name)] for name, _ in CIFAR10.test_list]  # noqa: RUF012
        meta = CIFAR10.meta | {"md5": checked("batches.meta")}

    return RandomCifar10


def task_of(plan: Plan, route: Route) -> Any:
    """The project's CIFAR-10 task for a plan, as anybody gets it."""
    from trials.tasks.cifar import Cifar10

    task = Cifar10(
        data_dir=plan.images,
        subset=plan.subset,
        download=False,
        batch_size=plan.batch,
        compile=route.compile,
        precision=route.precision,
    )
    task.channels_last = route.channels_last
    return task


# -- the process of a route ------------------------------------------------------------------------


class Closed(JobStopped):
    """There is nothing more to train."""


class Gate:
    """Where a route waits before each epoch.

    Calling it returns when the next epoch may begin, and raises ``Closed`` when there is none to come.

    Attributes:
        settled: is given the number of epochs so far, and returns when all that they began is done.
        stamps: when each mini-batch was done, for a count within a window.
    """

    def __init__(self, connection: Connection, device: str) -> None:
        self._connection = connection
        self._device = device
        self._wanted, self._deadline = 0, 0.0
        self._began = time.monotonic()
        self._epochs = self._before = -1  # there is none before the first call
        self.settled: Callable[[int], None] = lambda epochs: None
        self.stamps: list[float] = []

    def __call__(self) -> None:
        self._epochs += 1
        if self._epochs - self._before < self._wanted or time.monotonic() < self._deadline:
            return
        self.settled(self._epochs)
        self._tell()
        self._wanted, self._deadline = self._connection.recv()
        if self._wanted == 0:
            raise Closed
        self.stamps.clear()
        self._before, self._began = self._epochs, time.monotonic()

    def _tell(self) -> None:
        told: Row = {"epochs": self._epochs - self._before}
        if self._device.startswith("cuda"):
            import torch

            torch.cuda.synchronize(self._device)
            told["peak"] = torch.cuda.max_memory_allocated(self._device)
        ended = time.monotonic()
        self._connection.send(told | {"began": self._began, "ended": ended, "stamps": list(self.stamps)})


def child(route: Route, plan: Plan, connection: Connection) -> None:
    """The process: get ready, then train epochs as they are asked for."""
    try:
        import torch

        set_start_method(None, force=True)  # the platform's own, for the processes of a loader
        torch.set_num_threads(plan.threads)
        gate = Gate(connection, plan.device)
        with tempfile.TemporaryDirectory() as folder, suppress(Closed, EOFError):
            (_plain if route.plain else _ours)(route, plan, gate, Path(folder))
    except Exception as error:
        traceback.print_exc()
        with suppress(OSError):
            connection.send({"error": f"{type(error).__name__}: {error}".splitlines()[0]})


def _plain(route: Route, plan: Plan, gate: Gate, folder: Path) -> None:
    from benchmarks import plain_cifar

    options = plain_cifar.Options(
        plan.root,
        str(folder),
        device=plan.device,
        workers=route.workers,
        batch_size=plan.batch,
        epochs=EPOCHS,
        mixed=not route.full,
    )
    epochs = plain_cifar.train(options, plan.rows, torchvision_data(plan))
    while True:
        gate()
        next(epochs)


def _ours(route: Route, plan: Plan, gate: Gate, folder: Path) -> None:
    """The project's loop as a worker runs it, with checkpoints beside the training, and reports."""
    from asha_core import Job, Report
    from asha_core.messages import Failed
    from asha_core.runtime.storage.run_directory import RunDirectory
    from trials.data.batches import Batches
    from trials.worker.job_runner import JobRunner, WorkerSettings

    class Gated(Batches):
        def shuffled(self, *arguments: Any) -> Iterator[Any]:
            gate()
            return super().shuffled(*arguments)

    events: list[Any] = []
    heard = threading.Condition()

    def send(event: Any) -> None:  # from the thread that writes checkpoints
        with heard:
            events.append(event)
            heard.notify()

    def settled(epochs: int) -> None:
        with heard:
            heard.wait_for(lambda: sum(isinstance(event, Report) for event in events) >= epochs)

    def asked() -> bool:  # whether to stop: before each epoch, and between its mini-batches
        gate.stamps.append(time.monotonic())
        return False

    gate.settled = settled
    task = task_of(plan, route)
    train, valid = task.data()
    task._batches = {plan.device: (Gated(train, plan.device), Batches(valid, plan.device))}
    RunDirectory(folder / "results").create()
    runner = JobRunner(
        WorkerSettings(task, str(folder / "results"), EPOCHS), plan.device, slot=0, stopping=asked
    )
    runner.run(Job(0, task.space.configuration(VALUES), 0, EPOCHS, 0, 1), send)
    if isinstance(events[-1], Failed):
        raise RuntimeError(events[-1].error)


# -- its other end ---------------------------------------------------------------------------------


class Running:
    """A route in its process.

    Attributes:
        error: why there is no such process any more; "" while there is.
    """

    def __init__(self, route: Route, plan: Plan) -> None:
        self.route = route
        self.error = ""
        context = get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=child, args=(route, plan, theirs), daemon=False)
        self._process.start()
        theirs.close()
        self._ready = False

    def epochs(self, count: int, *, watched: bool = False) -> Row:
        """Train them: the answer of ``wait``."""
        self.begin(count)
        return self.wait(watched=watched)

    def begin(self, count: int, deadline: float = 0.0) -> None:
        """Train ``count`` epochs, and more until the deadline, of ``time.monotonic()``."""
        if not self._ready:  # it says so, by an answer about no epochs
            self._answer()
            self._ready = True
        self._cpu = self._spent()
        if not self.error:
            self._connection.send((count, deadline))

    def wait(self, *, watched: bool = False) -> Row:
        """What came of them.

        Args:
            watched: look at the memory of the route's processes meanwhile, which disturbs them.
        Returns:
            epochs, began, ended, stamps; seconds and cpu of one epoch; peak: bytes of a GPU so far, or, if
            watched, of the processes, files left out. Empty if the route has failed.
        """
        told = self._answer(watched)
        if not told:
            return {}
        told["seconds"] = (told["ended"] - told["began"]) / told["epochs"]
        told["cpu"] = (self._spent() - self._cpu) / told["epochs"]
        return told

    def close(self) -> None:
        with suppress(OSError):
            self._connection.send((0, 0.0))
        self._process.join(20)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _answer(self, watched: bool = False) -> Row:
        if self.error:
            return {}
        peak = 0
        try:
            while watched and not self._connection.poll(_TICK):
                peak = max(peak, sum(_private(pid) for pid in self._family()))
            told: Row = self._connection.recv()
        except EOFError:
            self._process.join()
            told = {"error": f"the process ended with status {self._process.exitcode}"}
        self.error = told.get("error", "")
        return {} if self.error else {"peak": peak} | told

    def _family(self) -> list[int]:
        assert self._process.pid is not None
        parents = {}
        for pid in (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()):
            if (found := stat(pid)) is not None:
                parents[pid] = found.parent
        family = [self._process.pid]
        for pid in family:  # which grows
            family += [child for child, parent in parents.items() if parent == pid]
        return family

    def _spent(self) -> float:
        """Processor seconds of the living ones."""
        return sum(found.cpu for pid in self._family() if (found := stat(pid)) is not None)


def _private(pid: int) -> int:
    """Bytes that a process has for itself, and its share of what it shares; files in memory left out."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    fields = {name: rest for name, _, rest in (line.partition(":") for line in lines)}
    return sum(1024 * int(fields[name].split()[0]) for name in ("Pss_Anon", "Pss_Shmem") if name in fields)
