"""A ``DataLoader`` that a warm start draws from stays as it was, whatever its parts do."""

from __future__ import annotations

import gc
import os
import random
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    Sampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
    get_worker_info,
)

from asha_core import AshaError
from tests.warmstart.models import PSI, measured, problem
from warmstart.problem.data import forked
from warmstart.problem.data.loader import LoaderDraws, generators_within

linux = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux alone")


def sample(row: int) -> tuple[Tensor, int]:
    return torch.full((6,), float(row), dtype=torch.float64), row % 4


class Plain(Dataset[Any]):
    def __len__(self) -> int:
        return 48

    def __getitem__(self, row: int) -> Any:
        return sample(row)


class Closing:
    file: Any = None

    def __del__(self) -> None:
        if self.file is not None:
            self.file.close()


class Restless(Closing, Plain):
    """Opens its file late, draws from generators of its own, counts and caches."""

    def __init__(self, path: Path, early: bool = False) -> None:
        self.path = path
        path.write_bytes(b"".join(struct.pack("<d", row) for row in range(48)))
        self.torch, self.numpy = torch.Generator().manual_seed(1), np.random.default_rng(2)
        self.old, self.python = np.random.RandomState(3), random.Random(4)
        self.cache: dict[int, float] = {}
        if early:
            self.file = path.open("rb", buffering=0)

    def __getitem__(self, row: int) -> Any:
        if self.file is None:
            self.file = self.path.open("rb", buffering=0)
        if row not in self.cache:
            self.file.seek(8 * row)
            (self.cache[row],) = struct.unpack("<d", self.file.read(8))
        noise = self.numpy.random() + self.old.rand() + self.python.random() + random.random()
        return self.cache[row] + noise + torch.rand(6, generator=self.torch, dtype=torch.float64), row % 4


class Counting(Sampler[int]):
    """Another order at each pass, from a generator and a counter of its own."""

    def __init__(self, count: int) -> None:
        self.count, self.passes, self.generator = count, 0, torch.Generator().manual_seed(7)

    def __iter__(self) -> Iterator[int]:
        self.passes += 1
        order = torch.randperm(self.count, generator=self.generator).tolist()
        return iter(order[self.passes :] + order[: self.passes])

    def __len__(self) -> int:
        return self.count


class Stream(Closing, IterableDataset[Any]):
    """Goes on where it was, from a file that is open."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(bytes(range(48)))
        self.file, self.asked = path.open("rb", buffering=0), 0

    def __iter__(self) -> Iterator[Any]:
        while byte := self.file.read(1):
            self.asked += 1
            yield sample(byte[0])


def collate(samples: list[Any]) -> Any:
    return default_collate(samples)


LOADERS: dict[str, Callable[[Path, int], DataLoader[Any]]] = {
    "a data set of its own": lambda path, n: DataLoader(Restless(path), 8, shuffle=True, num_workers=n),
    "opened before": lambda path, n: DataLoader(Restless(path, early=True), 8, num_workers=n),
    "kept workers": lambda path, n: DataLoader(
        Restless(path), 8, shuffle=True, num_workers=n, persistent_workers=n > 0
    ),
    "a generator": lambda path, n: DataLoader(
        Plain(), 8, shuffle=True, num_workers=n, generator=torch.Generator().manual_seed(5)
    ),
    "a sampler": lambda path, n: DataLoader(Restless(path), 8, sampler=Counting(48), num_workers=n),
    "weights": lambda path, n: DataLoader(
        *(Plain(), 8),
        sampler=WeightedRandomSampler([1.0] * 48, 48, generator=torch.Generator().manual_seed(6)),
        num_workers=n,
    ),
    "a batch sampler": lambda path, n: DataLoader(
        Restless(path), batch_sampler=BatchSampler(Counting(48), 8, drop_last=True), num_workers=n
    ),
    "a collate function": lambda path, n: DataLoader(Restless(path), 8, num_workers=n, collate_fn=collate),
    "a stream": lambda path, n: DataLoader(Stream(path), 8, num_workers=min(n, 1)),
}


def epoch(loader: DataLoader[Any], between: Callable[[], None]) -> list[Any]:
    """All batches of a pass, ``between`` after its first one, and of another."""
    for seed in (torch.manual_seed, np.random.seed, random.seed):
        seed(3)
    iterator = iter(loader)
    seen = [next(iterator)]
    between()
    seen += list(iterator)
    return [*seen, *loader, torch.rand(1), random.random(), np.random.rand()]


def flat(seen: list[Any]) -> list[list[float]]:
    return [torch.as_tensor(part).flatten().tolist() for batch in seen for part in _parts(batch)]


def _parts(batch: Any) -> list[Any]:
    return list(batch) if isinstance(batch, list | tuple) else [batch]


@linux
@pytest.mark.parametrize("name", LOADERS)
def test_the_next_batches_are_those_without_a_warm_start(name: str, tmp_path: Path) -> None:
    without = epoch(LOADERS[name](tmp_path / "data", 0), lambda: None)
    loader = LOADERS[name](tmp_path / "data", 0)
    assert flat(epoch(loader, lambda: _refined(loader))) == flat(without)


@linux
@pytest.mark.processes
@pytest.mark.parametrize("name", ["a data set of its own", "opened before", "a sampler", "a stream"])
def test_so_are_those_of_workers(name: str, tmp_path: Path) -> None:
    workers = 1 if name == "opened before" else 2  # two would share the position that the caller's file has
    without = epoch(LOADERS[name](tmp_path / "data", workers), lambda: None)
    loader = LOADERS[name](tmp_path / "data", workers)
    assert flat(epoch(loader, lambda: _refined(loader))) == flat(without)


def _refined(loader: DataLoader[Any]) -> None:
    assert measured(problem(data=loader), 2).finite


@linux
@pytest.mark.parametrize("name", LOADERS)
def test_a_mini_batch_depends_on_its_number_alone(name: str, tmp_path: Path) -> None:
    def drawn(draws: list[int], seed: int = 0) -> dict[int, list[list[float]]]:
        loader = LOADERS[name](tmp_path / "data", 2)
        given = LoaderDraws(loader, seed, "data")
        return {draw: flat([given(draw)]) for draw in draws}

    found = drawn([0, 1, 2])
    torch.rand(1)
    other = drawn([2, 0, 1])
    if name not in ("a sampler", "a batch sampler"):  # which counts its passes
        assert other == found
    assert drawn([0, 1, 2]) == found
    assert len({str(batch) for batch in found.values()}) == 3
    if name != "a stream":
        assert drawn([0], seed=1)[0] != found[0]


@linux
def test_a_stream_begins_anew_at_its_end(tmp_path: Path) -> None:
    class Numbers(IterableDataset[Any]):
        def __iter__(self) -> Iterator[Any]:
            return iter([0, 1, 2, 3])

    given = LoaderDraws(DataLoader(Numbers(), 3), 0, "data")
    assert [given(draw).tolist() for draw in range(4)] == [[0, 1, 2], [3], [0, 1, 2], [3]]
    assert given(1).tolist() == [3]


class Nothing(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        return iter(())


@linux
def test_rows_of_a_sampler_may_be_a_tensor() -> None:
    rows: Any = torch.tensor([1, 3])
    _, targets = LoaderDraws(DataLoader(Plain(), 4, sampler=SubsetRandomSampler(rows)), 0, "data")(0)
    assert set(targets.tolist()) == {1, 3}


class Always(Sampler[int]):
    def __iter__(self) -> Iterator[int]:
        while True:
            yield from range(4)


@linux
def test_samplers_without_an_end_and_data_without_a_sample() -> None:
    with pytest.raises(AshaError, match="gives no mini-batch: its data set is empty"):
        LoaderDraws(DataLoader(Nothing(), 3), 0, "data")(0)
    with pytest.raises(AshaError, match="sampler gives nothing"):
        LoaderDraws(DataLoader(Plain(), batch_sampler=[]), 0, "data")(0)
    for nobody in ([], SubsetRandomSampler([])):
        with pytest.raises(AshaError, match="has no sample: its data set or its sampler is empty"):
            LoaderDraws(DataLoader(Plain(), 4, sampler=nobody), 0, "data")(0)
    _, targets = LoaderDraws(DataLoader(Plain(), 4, sampler=Always()), 0, "data")(0)
    assert set(targets.tolist()) <= {0, 1, 2, 3}


@linux
def test_where_a_sampler_may_go() -> None:
    """A split by samplers, a process's part of the data, a batch sampler with the loader's own class."""
    half = DistributedSampler(Plain(), num_replicas=2, rank=1, shuffle=False)
    for loader, allowed, size in (
        (DataLoader(Plain(), 8, sampler=half), set(range(1, 48, 2)), 8),
        (DataLoader(Plain(), 8, sampler=SubsetRandomSampler([3, 5, 7])), {3, 5, 7}, 3),
        (DataLoader(Plain(), batch_sampler=BatchSampler(range(4), 2, False)), {0, 1, 2, 3}, 2),
        (DataLoader(Subset(TensorDataset(torch.arange(40.0)), [1, 2]), 2, shuffle=True), {1, 2}, 2),
        (DataLoader(Plain(), batch_size=None, sampler=RandomSampler(Plain())), set(range(48)), 6),
    ):
        given = LoaderDraws(loader, 0, "data")
        inputs = given(0)[0]
        assert len(inputs) == size
        assert set(inputs.flatten().long().tolist()) <= allowed


class Asks(Plain):
    def __getitem__(self, row: int) -> Any:
        info = get_worker_info()
        return torch.tensor([0 if info is None else info.num_workers, getattr(self, "set_up", -1)]), row


def sets_up(worker: int) -> None:
    info = get_worker_info()
    assert info is not None
    info.dataset.set_up = worker


@linux
def test_a_loaders_workers_are_imitated_and_nothing_of_that_is_seen_here() -> None:
    data = Asks()
    assert (
        LoaderDraws(DataLoader(data, 2, num_workers=2, worker_init_fn=sets_up), 0, "data")(0)[0].tolist()
        == [[1, 0]] * 2
    )
    assert LoaderDraws(DataLoader(data, 2), 0, "data")(0)[0].tolist() == [[0, -1]] * 2
    assert get_worker_info() is None
    assert not hasattr(data, "set_up")


class Trouble(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(f"trouble {code}")
        self.code = code

    def __reduce__(self) -> Any:
        return Trouble, (self.code,)


class Fails(Plain):
    def __init__(self, raises: Callable[[], BaseException]) -> None:
        self.raises = raises

    def __getitem__(self, row: int) -> Any:
        raise self.raises()


@linux
def test_what_a_data_set_raises_comes_as_it_is_with_where() -> None:
    with pytest.raises(Trouble, match="trouble 7") as caught:
        measured(problem(data=DataLoader(Fails(lambda: Trouble(7)), 4)))
    assert caught.value.code == 7
    assert "raise self.raises()" in caught.value.__notes__[0]

    class Local(Exception):
        pass

    for raises, text in (
        (lambda: Local("hidden"), "Local: hidden"),
        (lambda: SystemExit(3), "SystemExit: 3"),
    ):
        with pytest.raises(AshaError, match=text) as other:
            measured(problem(data=DataLoader(Fails(raises), 4)))
        assert "raise self.raises()" in other.value.__notes__[0]
    with pytest.raises(RuntimeError, match="StopIteration while it read samples"):
        measured(problem(data=DataLoader(Fails(StopIteration), 4)))


@linux
def test_a_process_that_dies_is_told_of_in_one_line() -> None:
    class Dies(Plain):
        def __getitem__(self, row: int) -> Any:
            os.kill(os.getpid(), 9)

    with pytest.raises(AshaError, match=r"reads the data ended \(killed: out of memory\?\)"):
        measured(problem(data=DataLoader(Dies(), 4)))


def test_where_no_process_can_do_it_a_copy_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    class Counts(Plain):
        reads = 0

        def __init__(self) -> None:
            self.generator = torch.Generator().manual_seed(0)

        def __getitem__(self, row: int) -> Any:
            self.reads += 1
            x, y = sample(row)
            return x + torch.rand(6, generator=self.generator, dtype=torch.float64) + torch.rand(1), y

    def none() -> int:
        raise OSError(11, "Resource temporarily unavailable")

    data = Counts()
    loader = DataLoader(data, 8, shuffle=True)
    expected = [LoaderDraws(loader, 0, "data")(draw)[0].tolist() for draw in (0, 1)]
    monkeypatch.setattr(forked, "_forked", none)
    torch.manual_seed(1)
    before, own = torch.get_rng_state(), data.generator.get_state()
    given = LoaderDraws(loader, 0, "data")
    assert [given(draw)[0].tolist() for draw in (0, 1)] == expected
    assert (data.reads, torch.equal(data.generator.get_state(), own)) == (0, True)
    assert torch.equal(torch.get_rng_state(), before)

    data.file = Path(os.devnull).open()  # type: ignore[attr-defined] # noqa: SIM115
    with pytest.raises(AshaError, match=r"no process can be forked \(Resource.*cannot be copied.*Give data="):
        measured(problem(data=loader))
    data.file.close()  # type: ignore[attr-defined]


@linux
@pytest.mark.parametrize(
    "said",
    [
        "Cannot re-initialize CUDA in forked subprocess. To use CUDA ...",
        "CUDA error: initialization error\nSearch for ...",  # of tensors that are there (pytorch#4377)
    ],
)
def test_what_cannot_be_sent_or_needs_the_gpu_is_read_from_a_copy(said: str) -> None:
    class Unsent:
        def __init__(self, value: Any) -> None:
            self.value = value

    def wraps(samples: list[Any]) -> Any:
        return Unsent(default_collate(samples))

    assert len(LoaderDraws(DataLoader(Plain(), 4, collate_fn=wraps), 0, "data")(0).value[0]) == 4
    here = os.getpid()

    def to_gpu(samples: list[Any]) -> Any:
        if os.getpid() != here:
            raise RuntimeError(said)
        return default_collate(samples)

    assert len(LoaderDraws(DataLoader(Plain(), 4, collate_fn=to_gpu), 0, "data")(0)[0]) == 4


def test_plain_tensors_are_read_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forked, "_forked", lambda: pytest.fail("a process for what changes nothing"))
    x, y = torch.arange(24.0).reshape(12, 2), torch.arange(12)
    for data in (TensorDataset(x, y), Subset(TensorDataset(x, y), range(12)), list(zip(x, y, strict=True))):
        for loader in (
            DataLoader(data, 4, shuffle=True),  # type: ignore[arg-type]
            DataLoader(data, 4, sampler=SubsetRandomSampler(range(12))),  # type: ignore[arg-type]
        ):
            state = torch.get_rng_state()
            inputs, targets = LoaderDraws(loader, 0, "data")(0)
            assert torch.equal(inputs[:, 0], 2.0 * targets)
            assert torch.equal(torch.get_rng_state(), state)


def test_generators_are_found_where_people_keep_them() -> None:
    one, two, three, four = torch.Generator(), np.random.default_rng(), random.Random(), torch.Generator()

    class Holder:
        def __init__(self) -> None:
            self.itself, self.parts = self, {"a": [one], "b": (lambda: two,)}

        def draw(self) -> float:
            return three.random()

        def __getattr__(self, name: str) -> Any:
            raise AssertionError("nothing of the user's runs")

    assert generators_within(Holder().draw, Holder(), four) == [one, two, four]


# what other tests left behind is collected here, too
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@linux
def test_the_process_ends_with_the_losses() -> None:
    before = list(forked._children)
    losses = problem(data=DataLoader(Plain(), 8)).losses(PSI)
    losses.batches(0, "half")
    (child,) = [child for child in forked._children if child not in before]
    assert os.path.exists(f"/proc/{child.pid}")
    del losses
    gc.collect()
    assert not os.path.exists(f"/proc/{child.pid}")
