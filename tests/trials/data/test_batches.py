"""Data sets read by loader processes: what they read, in which order, and that the processes end."""

from __future__ import annotations

import gc
import multiprocessing
import os
import random
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset, random_split

from asha_core.errors import ConfigurationError, SettingError, TaskError
from trials.data.batches import Batches
from trials.data.loader_processes import _until_the_end
from trials.data.sample_reader import is_seeded
from trials.worker.processes import stat
from warmstart.problem.randomness import own_randomness

# a machine may have fewer cores than loader processes here
pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")


class Plain(Dataset[Any]):
    """Draws from every global generator, and writes down which rows were read."""

    def __init__(self, size: int = 22, log: Path | None = None) -> None:
        self.size = size
        self.log = log

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        self.note(index)
        return torch.tensor([index, torch.rand(()), random.random(), np.random.rand()]), index

    def note(self, index: int) -> None:
        if self.log is not None:
            with self.log.open("a") as file:
                file.write(f"{index} {os.getpid()}\n")

    def read(self) -> list[int]:
        assert self.log is not None
        return (
            [int(line.split()[0]) for line in self.log.read_text().splitlines()] if self.log.exists() else []
        )

    def readers(self) -> set[int]:
        assert self.log is not None
        return {int(line.split()[1]) for line in self.log.read_text().splitlines()}


class Seeded(Plain):
    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        self.note(index)
        return torch.tensor([index, 0.0]), index

    def sample(self, index: int, seed: int) -> tuple[Tensor, int]:
        self.note(index)
        return torch.tensor([index, seed % 1_000_003]), index


def generator(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def epoch(source: Dataset[Any], workers: int, first: int = 0, seed: int = 3, size: int = 4) -> list[Any]:
    with own_randomness(7, "cpu"):
        return list(Batches(source, "cpu", workers).shuffled(size, generator(seed), first))


def same(a: list[Any], b: list[Any]) -> bool:
    return len(a) == len(b) and all(
        torch.equal(x, other_x) and torch.equal(y, other_y)
        for (x, y), (other_x, other_y) in zip(a, b, strict=True)
    )


def test_without_processes_a_plain_data_set_is_read_as_by_torchs_own_loader() -> None:
    with own_randomness(7, "cpu"):
        order = torch.randperm(22, generator=generator())[:20].tolist()
        expected = list(DataLoader(Subset(Plain(), order), 4, generator=torch.Generator()))
        after = torch.rand(())
    with own_randomness(7, "cpu"):
        found = list(Batches(Plain(), "cpu").shuffled(4, generator()))
        assert torch.rand(()) == after
    assert same(found, expected)
    once, again = generator(), generator()
    next(iter(Batches(Plain(), "cpu").shuffled(4, once)))
    torch.randperm(22, generator=again)
    assert torch.equal(once.get_state(), again.get_state())  # nothing more was drawn


@pytest.mark.processes
def test_samples_do_not_depend_on_the_number_of_processes() -> None:
    seeded = [epoch(Seeded(), workers) for workers in (0, 1, 3)]
    assert same(seeded[0], seeded[1])
    assert same(seeded[0], seeded[2])
    plain = [epoch(Plain(), workers) for workers in (1, 3)]
    assert same(plain[0], plain[1])
    order = [y.tolist() for _, y in epoch(Plain(), 0)]  # whatever else differs, the order does not
    assert [y.tolist() for _, y in plain[0]] == order == [y.tolist() for _, y in seeded[0]]


@pytest.mark.processes
@pytest.mark.parametrize(("kind", "workers"), [(Seeded, 0), (Seeded, 2), (Plain, 2)])
def test_every_sample_and_every_epoch_has_randomness_of_its_own(kind: type[Plain], workers: int) -> None:
    draws = [
        x[1:].tolist() for seed in (3, 4) for inputs, _ in epoch(kind(), workers, seed=seed) for x in inputs
    ]
    assert len(draws) == 40
    assert len({tuple(draw) for draw in draws}) == 40


@pytest.mark.processes
@pytest.mark.parametrize("kind", [Seeded, Plain])
@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_goes_on_where_it_was_left(kind: type[Plain], workers: int, tmp_path: Path) -> None:
    whole = epoch(kind(), workers)
    for first in (0, 2, 5):
        source = kind(log=tmp_path / f"{first}")
        rest = epoch(source, workers, first)
        assert same(rest, whole[first:])
        left = [y for _, labels in whole[first:] for y in labels.tolist()]
        everything = [y for _, labels in whole for y in labels.tolist()]
        # what may have drawn numbers is read again; what cannot have, is not
        assert sorted(source.read()) == sorted(everything if kind is Plain and not workers else left)


def test_what_comes_before_is_read_before_anything_is_asked_for() -> None:
    """So that a caller can set the global generators between the two."""
    whole = epoch(Plain(), 0)
    with own_randomness(7, "cpu"):
        rest = Batches(Plain(), "cpu").shuffled(4, generator(), first=2)
        states = torch.get_rng_state(), random.getstate(), np.random.get_state()
        torch.rand(5)
        torch.set_rng_state(states[0])
        random.setstate(states[1])
        np.random.set_state(states[2])
        assert same(list(rest), whole[2:])


@pytest.mark.processes
@pytest.mark.parametrize("kind", [Seeded, Plain])
def test_processes_leave_the_global_generators_alone(kind: type[Plain]) -> None:
    with own_randomness(7, "cpu"):
        expected = torch.rand(()), random.random(), np.random.rand()
    with own_randomness(7, "cpu"):
        batches = Batches(kind(), "cpu", 2)
        for pairs in (batches.shuffled(8, generator()), batches.ordered(8)):
            assert len(list(pairs)) >= 2
        batches.draw(8, generator())
        assert (torch.rand(()), random.random(), np.random.rand()) == expected


@pytest.mark.processes
@pytest.mark.parametrize("workers", [0, 3])
def test_validation_reads_everything_once_in_order_and_nothing_of_it_is_random(workers: int) -> None:
    for _ in range(2):
        pairs = list(Batches(Seeded(), "cpu", workers).ordered(5))
        assert [len(y) for _, y in pairs] == [5, 5, 5, 5, 2]
        assert torch.cat([y for _, y in pairs]).tolist() == list(range(22))
        assert torch.cat([x for x, _ in pairs])[:, 1].tolist() == [0.0] * 22


@pytest.mark.processes
@pytest.mark.parametrize("count", [7, 100])
def test_processes_share_the_one_batch_that_is_drawn(count: int, tmp_path: Path) -> None:
    source = Seeded(log=tmp_path / "log")
    x, y = Batches(source, "cpu", 2).draw(count, generator())
    assert len(source.readers()) == 2
    alone_x, alone_y = Batches(Seeded(), "cpu").draw(count, generator())
    assert torch.equal(x, alone_x)
    assert torch.equal(y, alone_y)
    assert len(y) == min(count, 22)


class ByBatches(Plain):
    """Has torch's hook for reading many rows at once."""

    def __getitems__(self, rows: list[int]) -> list[tuple[Tensor, int]]:
        noise = torch.rand(())
        return [(torch.stack([torch.tensor(float(row)), noise]), row) for row in rows]


@pytest.mark.processes
def test_a_data_set_that_is_read_by_batches() -> None:
    with own_randomness(7, "cpu"):
        order = torch.randperm(22, generator=generator())[:20].tolist()
        expected = list(DataLoader(Subset(ByBatches(), order), 4, generator=torch.Generator()))
    assert same(epoch(ByBatches(), 0), expected)
    assert same(epoch(ByBatches(), 1), epoch(ByBatches(), 3))


def test_the_protocol_is_told_from_a_plain_data_set() -> None:
    assert is_seeded(Seeded())
    assert not is_seeded(Plain())
    assert not is_seeded(TensorDataset(torch.zeros(2)))


class Unrelated(Plain):
    """Has a thing called ``sample`` that is not the protocol's."""

    def __init__(self, thing: Any) -> None:
        super().__init__()
        self.sample = thing


@pytest.mark.processes
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    "thing", [0.5, lambda: 1, lambda index: 1, lambda *, index, seed: 1, lambda a, b, c: 1]
)
def test_another_thing_called_sample_is_left_alone(thing: Any, workers: int) -> None:
    assert not is_seeded(Unrelated(thing))
    assert same(epoch(Unrelated(thing), workers), epoch(Plain(), workers))


def nested(source: Dataset[Any]) -> Dataset[Any]:
    """All but two of 22, turned round, by way of two subsets."""
    return Subset(Subset(source, torch.arange(21, -1, -1)), list(range(2, 22)))


@pytest.mark.processes
@pytest.mark.parametrize("workers", [0, 2])
def test_a_part_of_a_seeded_data_set_is_seeded(workers: int) -> None:
    for part in (*random_split(Seeded(), [16, 6], generator()), nested(Seeded())):
        assert is_seeded(part)
        pairs = epoch(part, workers, size=2)
        drawn = torch.cat([x for x, _ in pairs])
        assert (drawn[:, 1] > 0).all()
        assert len(set(drawn[:, 1].tolist())) == len(drawn)
        assert drawn[:, 0].tolist() == torch.cat([y for _, y in pairs]).tolist()
        assert set(drawn[:, 0].tolist()) == {float(part[row][1]) for row in range(len(part))}  # type: ignore[arg-type]
    measured = list(Batches(nested(Seeded()), "cpu", workers).ordered(5))
    assert torch.cat([x for x, _ in measured]).tolist() == [[float(row), 0.0] for row in range(19, -1, -1)]


def test_a_row_that_a_subset_has_twice_is_drawn_twice() -> None:
    ((x, _),) = epoch(Subset(Seeded(), [7] * 4), 0)
    assert x[:, 0].tolist() == [7.0] * 4
    assert len(set(x[:, 1].tolist())) == 4


class Halved(Subset[Any]):
    """Reads in a way of its own."""

    def __getitem__(self, index: Any) -> Any:
        x, y = super().__getitem__(index)
        return x / 2, y

    def __getitems__(self, indices: list[int]) -> list[Any]:
        return [self[index] for index in indices]


def test_a_subset_with_a_way_of_its_own_is_not_looked_through() -> None:
    assert not is_seeded(Halved(Seeded(), [1, 2, 3]))
    ((x, y),) = epoch(Halved(Seeded(), [8] * 4), 0)
    assert (x.tolist(), y.tolist()) == ([[4.0, 0.0]] * 4, [8] * 4)


@pytest.mark.processes
@pytest.mark.parametrize("part", [Subset, Halved])
def test_a_drawn_batch_does_not_depend_on_the_number_of_processes(part: Any) -> None:
    for source in (Plain(), ByBatches(), part(Plain(), range(20)), part(ByBatches(), range(20))):
        one, *others = (Batches(source, "cpu", workers).draw(7, generator()) for workers in (1, 3))
        for other in others:
            assert same([one], [other])


def test_tensors_go_on_where_they_were_left_too() -> None:
    rows = (torch.arange(22.0)[:, None], torch.arange(22))
    whole = list(Batches(rows, "cpu").shuffled(4, generator()))
    assert same(list(Batches(rows, "cpu", 2).shuffled(4, generator(), first=3)), whole[3:])


def test_a_number_of_processes_below_none_is_refused() -> None:
    with pytest.raises(SettingError, match="loader_workers is -1"):
        Batches(Plain(), "cpu", -1)


# -- the processes themselves ----------------------------------------------------------------------


def alive(pids: set[int]) -> set[int]:
    return {pid for pid in pids if (it := stat(pid)) is not None and it.state not in "ZX"}


class Slow(Seeded):
    def sample(self, index: int, seed: int) -> tuple[Tensor, int]:
        time.sleep(0.01)
        return super().sample(index, seed)


def started(tmp_path: Path) -> tuple[Plain, Any]:
    """A pass that has begun and is not half read, and its processes at work."""
    source = Slow(size=1000, log=tmp_path / "log")
    pairs = Batches(source, "cpu", 2).shuffled(4, generator())
    next(pairs)
    assert len(source.readers() - {os.getpid()}) >= 1
    return source, pairs


@pytest.mark.processes
@pytest.mark.parametrize("way", ["closed", "forgotten", "exhausted"])
def test_processes_are_gone_when_their_pass_is_left(way: str, tmp_path: Path) -> None:
    if way == "exhausted":
        source: Plain = Seeded(log=tmp_path / "log")
        assert len(list(Batches(source, "cpu", 2).shuffled(4, generator()))) == 5
    else:
        source, pairs = started(tmp_path)
        assert alive(source.readers())
        if way == "closed":
            pairs.close()
        del pairs
    pids = source.readers()
    assert os.getpid() not in pids
    assert not alive(pids)
    assert len(source.read()) < 100


@pytest.mark.processes
def test_processes_are_gone_when_training_stops_in_the_middle(tmp_path: Path) -> None:
    found: list[Plain] = []

    def train() -> None:
        source, pairs = started(tmp_path)
        found.append(source)
        for step, _ in enumerate(pairs):
            if step == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        train()
    assert alive(found[0].readers())  # the traceback holds the frame, and the frame the iterator
    caught.value.__traceback__ = None
    del caught
    assert not alive(found[0].readers())


class Damaged(Seeded):
    def __init__(self, error: Exception, log: Path) -> None:
        super().__init__(log=log)
        self.error = error

    def sample(self, index: int, seed: int) -> tuple[Tensor, int]:
        if index == 5:
            raise self.error
        return super().sample(index, seed)


@pytest.mark.processes
def test_a_mistake_in_a_process_arrives_as_it_is(tmp_path: Path) -> None:
    source = Damaged(TaskError("image 5.jpg cannot be read"), tmp_path / "log")
    with pytest.raises(TaskError) as caught:
        epoch(source, 2, size=2)
    assert str(caught.value) == "image 5.jpg cannot be read"
    assert not alive(source.readers())


@pytest.mark.processes
def test_an_error_in_a_process_arrives_with_its_kind_and_its_place(tmp_path: Path) -> None:
    source = Damaged(ZeroDivisionError("row 5"), tmp_path / "log")
    with pytest.raises(ZeroDivisionError, match=r"(?s)test_batches\.py.*row 5"):
        epoch(source, 2, size=2)


class Arguments(ConfigurationError):
    """Cannot be made again from its text alone."""

    def __init__(self, one: int, other: int) -> None:
        super().__init__(f"{one} and {other}")


@pytest.mark.processes
@pytest.mark.parametrize("workers", [0, 2])
def test_a_mistake_keeps_its_class(workers: int, tmp_path: Path) -> None:
    source = Damaged(ConfigurationError("lr is 0"), tmp_path / "log")
    with pytest.raises(ConfigurationError) as caught:
        epoch(source, workers, size=2)
    assert type(caught.value) is ConfigurationError
    assert str(caught.value) == "lr is 0"


@pytest.mark.processes
def test_a_mistake_that_cannot_travel_keeps_its_text(tmp_path: Path) -> None:
    with pytest.raises(TaskError) as caught:
        epoch(Damaged(Arguments(1, 2), tmp_path / "log"), 2, size=2)
    assert str(caught.value) == "1 and 2"


@pytest.mark.processes
@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_does_not_end_with_a_slip_of_the_data_set(workers: int, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"the data set raised StopIteration"):
        epoch(Damaged(StopIteration(), tmp_path / "log"), workers, size=2)


@pytest.fixture
def no_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.processes
@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize("error", [KeyError(5), UnicodeDecodeError("utf8", b"a", 0, 1, "x")])
def test_a_pass_that_fails_leaves_nothing_behind(error: Exception, tmp_path: Path) -> None:
    source = Damaged(error, tmp_path / "log")
    before = multiprocessing.active_children()
    with suppress(type(error), RuntimeError):  # torch makes one of what it cannot make again
        epoch(source, 2, size=2)
        pytest.fail("nothing was raised")
    assert not alive(source.readers())
    assert multiprocessing.active_children() == before
    # nor torch's iterator, which holds pipes, and the batches that were read ahead
    assert not [it for it in gc.get_objects() if type(it).__name__ == "_MultiProcessingDataLoaderIter"]


@pytest.mark.processes
@pytest.mark.usefixtures("no_collection")
def test_processes_are_gone_while_their_error_is_kept(tmp_path: Path) -> None:
    source = Damaged(KeyError(5), tmp_path / "log")
    with pytest.raises(KeyError) as caught:
        epoch(source, 2, size=2)
    assert not alive(source.readers())
    assert caught.value.__traceback__ is not None


class Ending(Seeded):
    """Its process ends in the middle."""

    def sample(self, index: int, seed: int) -> tuple[Tensor, int]:
        self.note(index)
        if index == 5:
            os._exit(3)
        return super().sample(index, seed)


@pytest.mark.processes
@pytest.mark.usefixtures("no_collection")
def test_the_others_end_with_a_process_that_died(tmp_path: Path) -> None:
    source = Ending(log=tmp_path / "log")
    with pytest.raises(RuntimeError, match="exited unexpectedly"):
        epoch(source, 3, size=2)
    assert not alive(source.readers())


@pytest.mark.parametrize("met", [EOFError(), ConnectionResetError(104, "Connection reset by peer")])
def test_a_process_that_died_while_it_handed_a_batch_over_is_told_as_one_that_died(met: Exception) -> None:
    def read() -> Iterator[int]:
        yield 1
        raise met

    with pytest.raises(RuntimeError, match="exited unexpectedly"):
        list(_until_the_end(read()))


def test_an_end_of_file_in_the_data_itself_is_told_as_it_is() -> None:
    def read() -> Iterator[int]:
        raise EOFError("Caught EOFError in DataLoader worker process 0.")
        yield 1

    with pytest.raises(EOFError, match="worker process 0"):
        list(_until_the_end(read()))
