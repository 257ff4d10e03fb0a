"""Whatever a user's code writes while a snapshot is taken is put back, bit for bit and object for object."""

from __future__ import annotations

import functools
import gc
import io
import re
import time
import weakref
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from tests.warmstart.problem.restoring import namespace
from tests.warmstart.problem.restoring.pictures import describe, differences
from tests.warmstart.problem.restoring.writers import WRITERS, Counting, Hostile, MomentumEncoder, ones
from warmstart.problem.restoring.snapshot import Snapshot
from warmstart.problem.restoring.tensor_records import put_back_storage

pytestmark = pytest.mark.filterwarnings("ignore:Lazy modules")
unrelated = nn.Linear(1, 1)
kinds = pytest.mark.parametrize("kind", WRITERS)


def values(roots: list[Any]) -> list[tuple[str, Any]]:
    """The picture without where in memory values lie, their counts of writes and gradients."""
    left_out = re.compile(r"( at| version| offset|\.grad)($|[. ])")
    return [line for line in describe(*roots) if not left_out.search(line[0])]


@kinds
def test_what_is_written_is_undone(kind: str) -> None:
    torch.manual_seed(0)
    roots, act = WRITERS[kind]()
    before, seen = describe(*roots), values(roots)
    snapshot = Snapshot(roots)
    assert differences(seen, values(roots)) == []
    act()
    assert values(roots) != seen or "gradients" in kind
    snapshot.restore()
    assert differences(before, describe(*roots)) == []


@kinds
def test_rewinding_puts_back_as_often_as_it_is_asked(kind: str) -> None:
    torch.manual_seed(0)
    roots, act = WRITERS[kind]()
    before, seen = describe(*roots), values(roots)
    snapshot = Snapshot(roots)
    for _ in range(3):
        act()
        snapshot.rewind()
        assert differences(seen, values(roots)) == []
        assert snapshot.written() == []
    act()
    snapshot.restore()
    assert differences(before, describe(*roots)) == []


@kinds
def test_snapshots_nest_and_those_inside_may_be_dropped(kind: str) -> None:
    torch.manual_seed(0)
    roots, act = WRITERS[kind]()
    before = describe(*roots)
    outer = Snapshot(roots)
    act()
    between = values(roots)
    mark = Snapshot(roots)
    for _ in range(2):
        act()
        mark.rewind()
        assert differences(between, values(roots)) == []
    act()
    Snapshot(roots)
    act()
    outer.restore()
    assert differences(before, describe(*roots)) == []


@kinds
def test_the_second_time_goes_as_the_first(kind: str) -> None:
    """What runs again after ``rewind`` finds the state that it found before: it does the same."""
    torch.manual_seed(0)
    roots, act = WRITERS[kind]()
    snapshot = Snapshot(roots)
    told = []
    for _ in range(2):
        torch.manual_seed(1)
        act()
        told.append([tensor.detach().clone() for tensor in _registered(roots)])
        snapshot.rewind()
    snapshot.restore()
    for first, second in zip(*told, strict=True):
        assert torch.equal(first, second)


def _registered(roots: list[Any]) -> list[Tensor]:
    modules = [root for root in roots if isinstance(root, nn.Module)]
    return [tensor for module in modules for tensor in (*module.parameters(), *module.buffers())]


def test_an_exception_in_the_middle_leaves_nothing_half_done() -> None:
    model = Counting()
    before = describe(model)
    snapshot = Snapshot([model])
    with pytest.raises(RuntimeError, match="shape"):
        model(ones(2, 5))
    assert model.steps == 1
    snapshot.restore()
    assert differences(before, describe(model)) == []


def test_ctrl_c_while_things_are_put_back_comes_after_that(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Counting()
    before = describe(model)
    once = iter([True])

    def interrupted(kept: Any) -> None:
        if next(once, False):
            raise KeyboardInterrupt
        put_back_storage(kept)

    snapshot = Snapshot([model])
    model(ones(2, 3))
    monkeypatch.setattr("warmstart.problem.restoring.snapshot.put_back_storage", interrupted)
    with pytest.raises(KeyboardInterrupt):
        snapshot.restore()
    assert differences(before, describe(model)) == []


def test_an_array_that_was_locked_meanwhile_is_not_so_after() -> None:
    model = nn.Linear(1, 1)
    model.entries = np.zeros(3)  # type: ignore[assignment]
    snapshot = Snapshot([model])
    model.entries[0] = 1.0  # type: ignore[operator]
    model.entries.flags.writeable = False  # type: ignore[union-attr]
    snapshot.restore()
    assert model.entries.flags.writeable  # type: ignore[union-attr]
    assert model.entries.tolist() == [0.0] * 3  # type: ignore[operator]


def test_users_code_is_not_run_by_looking() -> None:
    one = Hostile()
    model = nn.Linear(2, 2)
    model.one, model.ones, model.by = one, [one], {one: 1}  # type: ignore[assignment]
    asked = object.__getattribute__(one, "asked")
    asked.clear()
    snapshot = Snapshot([model])
    snapshot.written()
    snapshot.rewind()
    snapshot.restore()
    assert asked == []


def test_a_property_is_not_asked() -> None:
    class Net(nn.Module):
        @property
        def device(self) -> str:
            raise AssertionError("asked")

        def __getattr__(self, name: str) -> Any:
            raise AssertionError(f"asked for {name}")

    model = Net.__new__(Net)
    nn.Module.__init__(model)
    Snapshot([model]).restore()


def test_written_names_what_differs() -> None:
    model = MomentumEncoder()
    with torch.no_grad():
        for p in model.online.parameters():
            p.add_(1)
    snapshot = Snapshot([model])
    assert snapshot.written() == []
    model(ones(5, 3))
    assert set(snapshot.written()) == {"queue", "target.weight", "target.bias"}
    snapshot.rewind()
    model.target.weight.data.copy_(model.target.weight + 1)  # no version tells
    model.online.bias = nn.Parameter(ones(2))
    model.register_buffer("late", ones(1))
    assert set(snapshot.written()) == {"target.weight", "online.bias", "late"}
    snapshot.restore()


def test_written_tells_a_zero_from_a_negative_zero_and_a_nan_from_none() -> None:
    layer = nn.BatchNorm1d(3)
    layer.running_mean[1] = torch.nan
    snapshot = Snapshot([layer])
    assert snapshot.written() == []
    layer.running_mean[0] = -0.0
    assert snapshot.written() == ["running_mean"]


def test_tensors_apart_stay_where_they_are_until_the_end() -> None:
    model = nn.Linear(3, 2)
    model(ones(2, 3)).sum().backward()
    before = describe(model)
    snapshot = Snapshot([model], apart=[model.weight])
    assert (model.weight.data_ptr(), model.weight.grad) == (
        dict(before)["[0].dict[_parameters][weight] at"],
        None,
    )
    other = model.weight.data = ones(2, 3)
    snapshot.rewind()
    assert model.weight.data_ptr() == other.data_ptr()
    assert snapshot.written() == []
    snapshot.restore()
    assert differences(before, describe(model)) == []


def test_what_shares_the_memory_of_tensors_apart_is_apart_too() -> None:
    model = nn.Linear(3, 2)
    model.register_buffer("row", model.weight.detach()[1])
    model.flat = model.weight.detach().view(-1)  # type: ignore[assignment]
    before = describe(model)
    outer = Snapshot([model])
    mark = Snapshot([model], apart=[model.weight, model.bias])
    model.weight.data.fill_(7)
    for _ in range(2):
        assert (model.row.tolist(), model.flat.tolist()) == ([7] * 3, [7] * 6)
        assert mark.written() == []
        mark.rewind()
    outer.restore()
    assert differences(before, describe(model)) == []


def test_a_graph_of_the_callers_is_still_good_afterwards() -> None:
    model = nn.Linear(3, 1)
    loss = model(ones(2, 3)).square().sum()
    loss.backward(retain_graph=True)
    right = model.weight.grad.clone()
    model.zero_grad()
    snapshot = Snapshot([model])
    torch.optim.SGD(model.parameters(), lr=1).step(lambda: model(ones(2, 3)).sum().backward())
    snapshot.restore()
    loss.backward()
    assert torch.equal(model.weight.grad, right)


def test_originals_are_not_touched_not_even_for_a_moment() -> None:
    model = nn.Linear(3, 2)
    alias = model.weight.data
    kept = alias.clone()
    snapshot = Snapshot([model])
    model.weight.data.fill_(9)
    assert torch.equal(alias, kept)
    snapshot.restore()


def test_shared_memory_stays_shared() -> None:
    model = nn.Linear(3, 2)
    model.register_buffer("row", model.weight.detach()[1])
    snapshot = Snapshot([model])
    for _ in range(2):
        with torch.no_grad():
            model.weight.fill_(7)
        row: Tensor = model.row
        assert row.tolist() == [7, 7, 7]
        snapshot.rewind()
        assert row.tolist() == model.weight[1].tolist() != [7, 7, 7]
    snapshot.restore()


def test_a_part_of_a_large_storage_is_copied_alone() -> None:
    data = torch.zeros(1_000_000)
    layer = nn.Module()
    layer.register_buffer("few", data[10:40:3])
    snapshot = Snapshot([layer])
    assert layer.few.untyped_storage().nbytes() < 1000
    assert layer.few.stride() == (3,)
    snapshot.restore()
    assert layer.few.data_ptr() == data[10:].data_ptr()


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_odd_tensors_are_no_error() -> None:
    class Named(Tensor):
        @classmethod
        def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if looked:
                raise AssertionError("asked")
            return super().__torch_function__(func, types, args, kwargs or {})

    looked: list[bool] = []
    model = nn.Module()
    model.register_buffer("sparse", torch.eye(3).to_sparse())
    model.register_buffer("rows", torch.eye(3).to_sparse_csr())
    model.register_buffer("meta", torch.zeros(3, device="meta"))
    model.register_buffer("quantized", torch.quantize_per_tensor(ones(3), 0.1, 0, torch.quint8))
    model.register_buffer("nested", torch.nested.nested_tensor([ones(2), ones(3)]))
    model.register_parameter("mine", nn.Parameter(torch.zeros(2).as_subclass(Named)))
    with torch.inference_mode():
        model.register_buffer("inference", ones(3))
    model.graph = ones(3, 3).requires_grad_() * 2  # type: ignore[assignment]
    model.view = model.graph[0]
    looked.append(True)
    snapshot = Snapshot([model])
    model.sparse.values().mul_(2)
    snapshot.rewind()
    snapshot.written()
    snapshot.restore()
    assert torch.equal(model.sparse.to_dense(), torch.eye(3))


def test_scripted_modules_are_copied_too() -> None:
    with pytest.warns(FutureWarning, match="jit"):
        model = torch.jit.script(nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    places = [value.data_ptr() for value in model.state_dict().values()]
    snapshot = Snapshot([model])
    model(ones(4, 3)).sum().backward()
    model.eval()
    assert snapshot.written() != []
    snapshot.restore()
    assert [value.data_ptr() for value in model.state_dict().values()] == places
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert model.training
    assert all(p.grad is None for p in model.parameters())


def test_a_module_of_the_users_that_serves_as_a_namespace() -> None:
    def loss(x: Tensor) -> Tensor:
        namespace.steps += 1
        namespace.log.append(x)
        return x.sum()

    snapshot = Snapshot([loss])
    loss(ones(2))
    assert (namespace.steps, len(namespace.log)) == (1, 2)
    snapshot.restore()
    assert (namespace.steps, namespace.log) == (0, [1])


def test_results_that_were_cached_meanwhile_are_forgotten() -> None:
    layer = nn.Linear(2, 2)

    @functools.lru_cache
    def norm(n: int) -> Tensor:
        return layer.weight.norm() * n

    norm(1)
    snapshot = Snapshot([norm])
    norm(1)
    snapshot.rewind()
    assert norm.cache_info().currsize == 1
    layer.weight.data.mul_(3)
    norm(2)
    snapshot.restore()
    assert torch.equal(norm(2), 2 * layer.weight.norm())


def test_what_shares_no_more_than_a_name_with_an_attribute_is_left_alone() -> None:
    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return self.unrelated(x)

    snapshot = Snapshot([Net()])
    assert unrelated not in snapshot.modules
    snapshot.restore()


def test_a_snapshot_that_is_dropped_gives_its_memory_back_at_once() -> None:
    model = Counting()
    snapshot = Snapshot([model, torch.optim.SGD(model.parameters())])
    kept = weakref.ref(snapshot._copies)
    copy = weakref.ref(model.layer.weight.untyped_storage())
    snapshot.restore()
    gc.disable()
    try:
        del snapshot
        assert kept() is None
        assert copy() is None
    finally:
        gc.enable()


def test_data_is_not_walked() -> None:
    touched: list[int] = []

    class Data(TensorDataset):
        def __getitem__(self, index: int) -> Any:
            touched.append(index)
            return super().__getitem__(index)

    loader = DataLoader(Data(ones(5, 3)), batch_size=2)
    words = [str(n) for n in range(50_000)]
    texts = [(word, ones(1)) for word in words[:11_000]]

    def loss(x: Tensor) -> Tensor:
        return x.sum() * len(loader) * len(words) * len(texts)

    start = time.process_time()
    snapshot = Snapshot([loss])
    words.append("one more")
    snapshot.restore()
    assert (len(words), touched) == (50_000, [])
    assert time.process_time() - start < 0.5


class Unwilling(io.BytesIO):
    """A user's file that cannot go back."""

    def seek(self, offset: int, whence: int = 0) -> int:
        raise RuntimeError("it is a stream")


def test_what_cannot_be_put_back_keeps_nothing_else_from_it() -> None:
    model = nn.Linear(2, 2)
    model.files = [Unwilling(b"abc"), [1]]
    storage, values = model.weight.data_ptr(), model.weight.tolist()
    snapshot = Snapshot([model])
    model.files[0].read()
    model.files[1].append(2)
    model.weight.data.zero_()
    with pytest.raises(RuntimeError, match="stream"):
        snapshot.restore()
    assert model.weight.data_ptr() == storage
    assert model.weight.tolist() == values
    assert model.files[1] == [1]


def test_a_file_that_says_nothing_of_itself_is_left_alone() -> None:
    class Silent(io.BytesIO):
        def tell(self) -> int:
            raise RuntimeError("who knows")

    model = nn.Linear(2, 2)
    model.file = Silent(b"abc")
    Snapshot([model]).restore()


def test_an_array_can_be_written_to_again() -> None:
    model = nn.Linear(2, 2)
    model.array = np.zeros(3)
    snapshot = Snapshot([model])
    model.array[0] = 1
    model.array.flags.writeable = False
    snapshot.restore()
    assert model.array.tolist() == [0, 0, 0]
    assert model.array.flags.writeable
