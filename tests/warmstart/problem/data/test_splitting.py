"""Which parts of a mini-batch go with its samples: every one of them, or a refusal in one line."""

from __future__ import annotations

import collections
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence
from torch.utils.data import DataLoader, Dataset

from asha_core import AshaError
from tests.warmstart.models import PSI, data, expected, loss, measured, net, problem
from tests.warmstart.networks import assert_agrees
from warmstart.problem.data.samples import Draws
from warmstart.problem.data.splitting import count, moved, taken

N = 5
Y = torch.arange(N)
Point = collections.namedtuple("Point", "x, y")


def packed() -> PackedSequence:
    padded = torch.arange(N * 4.0).reshape(N, 4, 1)
    return pack_padded_sequence(padded, torch.tensor([2, 4, 1, 3, 4]), batch_first=True, enforce_sorted=False)


def as_plain(values: Any) -> Any:
    """To be compared by ``==``."""
    if isinstance(values, PackedSequence):
        padded, lengths = pad_packed_sequence(values, batch_first=True)
        return [padded[row, :length].tolist() for row, length in enumerate(lengths.tolist())]
    if isinstance(values, Tensor) and values.is_nested:
        return [row.tolist() for row in values.unbind()]
    if isinstance(values, Tensor):
        return values.to_dense().tolist()
    if isinstance(values, np.ndarray):
        return values.tolist()
    if isinstance(values, collections.UserDict | dict):
        return {name: as_plain(value) for name, value in values.items()}
    return [as_plain(value) for value in values] if isinstance(values, list | tuple) else values


LEAVES: dict[str, Any] = {
    "a tensor": torch.arange(N * 2.0).reshape(N, 2),
    "an array": np.arange(N * 2.0).reshape(N, 2),
    "an array of texts": np.array(["a", "b", "c", "d", "e"]),
    "numbers": [3, 1, 4, 1, 5],
    "a tuple of numbers": (3, 1, 4, 1, 5),
    "texts": ["a", "bc", "d", "ef", "g"],
    "ragged tensors": [torch.arange(float(length)) for length in (1, 7, 5, 3, 2)],
    "ragged lists": [[1], [2, 3], [], [4, 5, 6, 7, 8], [9]],
    "records": [{"boxes": torch.zeros(k, 4) + k, "name": str(k)} for k in range(N)],
    "packed": packed(),
    "sparse": torch.eye(N).to_sparse(),
    "compressed": lambda: torch.eye(N).to_sparse_csr(),
    "nested": lambda: torch.nested.nested_tensor(
        [torch.ones(k) * k for k in (1, 7, 5, 3, 2)], layout=torch.jagged
    ),
}


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.long] * (name == "nested")) for name in LEAVES]
)
def test_every_part_follows_the_samples(name: str) -> None:
    leaf: Any = LEAVES[name]
    leaf = leaf() if callable(leaf) else leaf
    assert count((leaf if isinstance(leaf, Tensor) else {"it": leaf}, Y)) == N
    assert count(((Y, leaf), {"targets": Y, "size": 28, "text": "no", "none": None})) == N
    whole = as_plain(leaf)
    rows = torch.tensor([3, 0, 4])
    assert as_plain(taken(leaf, N, rows)) == [whole[row] for row in rows.tolist()]
    assert as_plain(taken(leaf, N, slice(1, 4))) == whole[1:4]
    assert type(taken(leaf, N, rows)) is type(leaf)
    assert as_plain(moved(leaf, "cpu")) == whole


def test_structures_keep_their_kinds_and_constants_are_shared() -> None:
    class Encoding(collections.UserDict[str, Any]):
        pass

    values = {
        "named": Point(Y, Y + 1),
        "encoding": Encoding(ids=Y, kind="bert", limit=torch.tensor(512)),
        "parts": [Y, (Y.float(), 0.5), ()],
        "none": None,
    }
    found = taken(values, N, slice(2, None))
    assert (type(found["named"]), type(found["encoding"])) == (Point, Encoding)
    assert as_plain(found) == {
        "named": [[2, 3, 4], [3, 4, 5]],
        "encoding": {"ids": [2, 3, 4], "kind": "bert", "limit": 512},
        "parts": [[2, 3, 4], [[2.0, 3.0, 4.0], 0.5], []],
        "none": None,
    }
    assert as_plain(values["encoding"])["ids"] == list(range(N))


@dataclass
class Graph:
    x: Tensor
    batch: Tensor


@pytest.mark.parametrize(
    ("inputs", "targets", "message"),
    [
        ((Y, [1, 2, 3]), Y, "a list of 3 entries, which is not one entry for each of 5 samples: give"),
        ((Y, [1, 2, 3, 4, 5, 6]), Y, "a list of 6 entries"),
        ((Y, Graph(Y, Y)), Y, "holds a Graph, which is not.*split="),
        (Graph(Y, Y), Y, r"inputs \(a Graph\) must be a tensor.*give split="),
        ({"x": torch.zeros(9, 2), "edges": torch.zeros(2, 30)}, Y, r"hold \[2, 5, 9\].*split"),
        (torch.zeros(4), Y, r"hold \[4, 5\] samples: they must be of one length"),
        (Y, torch.tensor(3), r"targets \(a Tensor\) must be"),
        (np.zeros(5), Y, r"inputs \(a ndarray\) must be a tensor"),
        (["a", "b"], ["c"], "a list of 2 entries, which is not one entry for each sample"),
        # two samples of five numbers each, or two parts of five samples?
        ([Y, Y], [Y, Y], "may hold 2 or 5 samples.*by name, in a dictionary"),
        ([torch.zeros(3, 8, 8)] * 3, torch.zeros(3), "may be 3 samples, or parts"),
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_refused_in_one_line(inputs: Any, targets: Any, message: str) -> None:
    with pytest.raises(AshaError, match=message) as caught:
        count((inputs, targets))
    assert "\n" not in str(caught.value)


def test_what_can_be_told_by_its_kinds_is_not_refused() -> None:
    assert count(([Y, Y.float()], [Y, Y.float()])) == N  # parts: samples would be of one kind
    assert count(([torch.zeros(3, 8, 8)] * 4, [{"boxes": torch.zeros(3, 4)}] * 4)) == 4  # one a sample
    assert count((Y, None)) == N
    assert count((["a", "b"], ["c", "d"])) == 2


def test_halves_are_memory_of_their_own() -> None:
    x, y = data(8)
    ragged = [torch.ones(k) for k in range(8)]
    sizes = np.arange(8.0)
    before = x.clone()
    for given in ((x, y), lambda draw: ((x, ragged, sizes), y), [(x, y), (x, y)], {"x": x, "labels": y}):
        draws = Draws(given, 0, "data", "cpu")  # type: ignore[arg-type]
        for pair in (*draws.halves(0), draws.whole(0)):
            for leaf in torch.utils._pytree.tree_leaves(pair):
                leaf[...] = 7
    assert torch.equal(x, before)
    assert (ragged[3].tolist(), sizes[3]) == ([1.0] * 3, 3.0)
    needs = torch.ones(4, requires_grad=True)
    half = Draws((needs, y[:4]), 0, "data", "cpu").halves(0)[0][0]
    assert half.requires_grad
    assert half.is_leaf


# -- as a user meets it ----------------------------------------------------------------------------


class Lengths(nn.Module):
    """A mean over as much of each sample as its length says."""

    def __init__(self) -> None:
        super().__init__()
        self.body = net()

    def forward(self, x: Tensor, lengths: Any) -> Tensor:
        mask = torch.arange(6) < torch.as_tensor(lengths)[:, None]
        outputs: Tensor = self.body(x * mask)
        return outputs


@pytest.mark.parametrize("kind", ["list", "array", "ragged"])
def test_lengths_in_a_list_go_with_their_samples(kind: str) -> None:
    x, y = data()
    lengths = torch.arange(12) % 6 + 1
    model: nn.Module = Lengths()
    inputs: Any = (x, lengths.tolist() if kind == "list" else lengths.numpy())
    if kind == "ragged":
        inputs = {"rows": [row[:length] for row, length in zip(x, lengths.tolist(), strict=True)]}

        class Padded(Lengths):
            def forward(self, rows: Any) -> Tensor:  # type: ignore[override]
                padded = torch.stack([nn.functional.pad(row, (0, 6 - len(row))) for row in rows])
                outputs: Tensor = self.body(padded)
                return outputs

        model = Padded()
    right = measured(problem(Lengths(), data=((x, lengths), y))).gradient
    assert_agrees(measured(problem(model, data=(inputs, y))).gradient, right, noise=1e-11)


class Encoded(Dataset[Any]):
    def __len__(self) -> int:
        return 24

    def __getitem__(self, row: int) -> Any:
        x, y = data(24)
        return {"left": x[row], "right": x[row] * 2, "labels": y[row]}


class Named(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = net()

    def forward(self, left: Tensor, right: Tensor) -> Any:
        return {"logits": self.body(left + right)}


def test_dictionaries_are_mini_batches() -> None:
    x, y = data()
    given: dict[str, Any] = {
        "loss": lambda out, t, c: loss(out["logits"], t, c),
        "heldout_loss": lambda out, t: nn.functional.cross_entropy(out["logits"], t),
    }
    right = measured(problem(Named(), data=({"left": x, "right": x * 2}, y), **given)).gradient
    for name in ("labels", "label", "targets", "target"):
        found = measured(problem(Named(), data={"left": x, "right": x * 2, name: y}, **given)).gradient
        assert found == right
    assert measured(problem(Named(), data=DataLoader(Encoded(), 12), **given)).finite
    with pytest.raises(
        AshaError, match="data: a batch has left, of which none may be the targets: give a pair"
    ):
        problem(Named(), data={"left": x}, **given)


class OfGraphs(nn.Module):
    """The sum of a graph's nodes, of which each graph has as many as it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.body = net()

    def forward(self, graph: Graph) -> Tensor:
        count = int(graph.batch.max()) + 1
        nodes = self.body(graph.x)
        return torch.zeros(count, 4, dtype=nodes.dtype).index_add(0, graph.batch, nodes)


def graphs(sizes: list[int], seed: int) -> Graph:
    x, _ = data(sum(sizes), seed=seed)
    return Graph(x, torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes)))


def test_graphs_are_split_by_a_function() -> None:
    first, second, y = graphs([1, 4, 2], 1), graphs([3, 1, 5], 2), torch.arange(6) % 4
    whole = Graph(torch.cat([first.x, second.x]), torch.cat([first.batch, second.batch + 3]))
    with pytest.raises(AshaError, match="split="):
        measured(problem(OfGraphs(), data=(whole, y)))

    def split(batch: Any) -> Any:
        graph, targets = batch
        front = graph.batch < 3
        return (
            (Graph(graph.x[front], graph.batch[front]), targets[:3]),
            (Graph(graph.x[~front], graph.batch[~front] - 3), targets[3:]),
        )

    given = problem(OfGraphs(), data=(whole, y), validation=(whole, y), split=split)
    assert_agrees(measured(given).gradient, expected(given), noise=1e-11)
    train, heldout = given.losses(PSI).batches(0, "half")
    assert (train.inputs.x.tolist(), heldout.inputs.x.tolist()) == (first.x.tolist(), second.x.tolist())
    other, checked = given.losses(PSI).batches(0, "validation")
    assert (other.targets.tolist(), checked.targets.tolist()) == (y[:3].tolist(), y[3:].tolist())
    with pytest.raises(AshaError, match="split gave a Tensor: it must give"):
        measured(problem(OfGraphs(), data=(whole, y), split=lambda batch: batch[1]))
    alone = problem(OfGraphs(), data=whole, split=lambda graph: split((graph, y)))  # type: ignore[arg-type]
    assert measured(alone).gradient == measured(given).gradient


def test_a_list_of_mini_batches_is_never_one_of_them() -> None:
    first, second = data(8, seed=1), data(8, seed=2)
    for given in (
        [first, second],
        [list(first), list(second)],
        [{"x": x, "labels": y} for x, y in (first, second)],
    ):
        draws = Draws(given, 0, "data", "cpu")  # type: ignore[arg-type]
        for number, batch in enumerate((first, second, first)):
            found = draws.whole(number)[1]
            assert sorted(found.tolist()) == sorted(batch[1].tolist())
            assert len(found) == 8
    assert measured(problem(data=[first, second, data(6)]), 3).finite
    with pytest.raises(
        AshaError, match="data is a tuple of two tuples that are alike: one mini-batch, or two"
    ):
        problem(data=(first, second))
    whole = Draws(list(first), 0, "data", "cpu").whole(0)  # as a loader gives it
    assert sorted(whole[1].tolist()) == sorted(first[1].tolist())
