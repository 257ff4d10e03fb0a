"""What is learned from a table is learned from its training rows; the parts of a split, and codes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asha_core.errors import SettingError
from tests.trials.data.tables.made import people, prepared_from
from trials.data.tables import Prepared, Rows, check, prepared

few = settings(max_examples=15)
seeds = st.integers(0, 2**32 - 1)
encodings = st.sampled_from(["dense", "trees"])


def parts(found: Prepared) -> list[Rows]:
    return [found.train, found.valid, found.test]


def which(found: Prepared) -> list[list[int]]:
    """The rows of each part: of a table encoded for trees, which has them as a column."""
    at = found.numeric_names.index("row")
    return [part.numeric[:, at].astype(int).tolist() for part in parts(found)]


def equal(one: Rows, other: Rows) -> bool:
    same = (
        np.array_equal(getattr(one, name), getattr(other, name), equal_nan=name == "numeric")
        for name in ("numeric", "categories", "target")
    )
    return all(same)


@few
@given(seed=seeds, count=st.integers(30, 90))
def test_the_parts_of_a_split_are_disjoint_and_together_everything(seed: int, count: int) -> None:
    rows = which(prepared_from(people(count), seed=seed, encoding="trees"))
    assert sorted([*rows[0], *rows[1], *rows[2]]) == list(range(count))
    assert abs(len(rows[1]) - count / 5) <= 1
    assert abs(len(rows[2]) - count / 5) <= 1


@few
@given(seed=seeds, count=st.integers(30, 90))
def test_each_class_keeps_its_share_in_each_part(seed: int, count: int) -> None:
    table = people(count)
    found = prepared_from(table, seed=seed)
    for at, name in enumerate(found.classes):
        whole = np.count_nonzero(table["y"] == name)
        for part, share in zip(parts(found), (0.6, 0.2, 0.2), strict=True):
            assert abs(np.count_nonzero(part.target == at) - whole * share) <= 1.5


def test_the_seed_decides_who_is_where_and_nothing_else() -> None:
    table = people()
    rows = which(prepared_from(table, seed=3, encoding="trees"))
    assert which(prepared_from(table, seed=3, encoding="trees")) == rows
    assert which(prepared_from(table, seed=4, encoding="trees")) != rows
    other = {**table, "size": table["size"][::-1].copy()}
    assert which(prepared_from(other, seed=3, encoding="trees")) == rows


@few
@given(seed=seeds, encoding=encodings, held_out=st.integers(0, 9))
def test_no_held_out_row_changes_how_training_rows_are_encoded(
    seed: int, encoding: str, held_out: int
) -> None:
    table = people(seed=seed % 7)
    before = prepared_from(table, seed=seed, encoding=encoding)
    _, valid, test = which(prepared_from(table, seed=seed, encoding="trees"))
    changed = {name: values.copy() for name, values in table.items()}
    random = np.random.default_rng(held_out)
    for row in valid + test:
        changed["size"][row] = random.choice([np.nan, 1e9, -3.5])
        changed["city"][row] = random.choice(np.array([None, "Paris", "Bern"], dtype=object))
    after = prepared_from(changed, seed=seed, encoding=encoding)
    assert equal(before.train, after.train)
    names = ("numeric_names", "categorical_names", "cardinalities", "target_mean", "target_deviation")
    assert all(getattr(before, name) == getattr(after, name) for name in names)
    assert not equal(before.valid, after.valid)


@few
@given(seed=seeds, encoding=encodings)
def test_a_regression_is_scaled_by_its_training_rows(seed: int, encoding: str) -> None:
    table = {**people(), "y": np.random.default_rng(1).normal(300, 40, 60)}
    found = prepared_from(table, seed=seed, encoding=encoding)
    rows = which(prepared_from(table, seed=seed, encoding="trees"))
    assert (found.kind, found.classes) == ("regression", ())
    assert found.target_mean == pytest.approx(table["y"][rows[0]].mean(), rel=1e-5)
    assert found.target_deviation == pytest.approx(table["y"][rows[0]].std(), rel=1e-5)
    for part, where in zip(parts(found), rows, strict=True):
        np.testing.assert_allclose(part.target, table["y"][where], rtol=1e-6)


def test_a_regression_that_is_constant_where_it_is_trained_on_is_not_divided_by_0() -> None:
    goal = np.ones(60)
    rows = which(prepared_from({**people(), "y": np.linspace(0, 1, 60)}, encoding="trees"))
    goal[rows[2]] = 0.5
    assert prepared_from({**people(), "y": goal}, kind="regression").target_deviation == 1


def test_dense_numbers_are_standardised_and_missing_ones_marked() -> None:
    table = people(share=0.2)
    found = prepared_from(table)
    (rows, _, _) = which(prepared_from(table, encoding="trees"))
    assert found.numeric_names == ("row", "size", "size is missing")
    numbers = found.train.numeric
    np.testing.assert_allclose(numbers[:, :2].mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(numbers[:, :2].std(axis=0), 1, atol=1e-5)
    gone = np.isnan(table["size"][rows])
    assert gone.any()
    np.testing.assert_array_equal(numbers[:, 2], gone)
    sizes = np.where(gone, np.nanmedian(table["size"][rows]), table["size"][rows])
    np.testing.assert_allclose(numbers[:, 1], (sizes - sizes.mean()) / sizes.std(), rtol=1e-4, atol=1e-5)


def test_without_missing_values_in_training_there_is_no_column_that_marks_them() -> None:
    table = people(share=0)
    _, valid, _ = which(prepared_from(table, encoding="trees"))
    table["size"][valid[0]] = np.nan
    found = prepared_from(table)
    assert found.numeric_names == ("row", "size")
    assert np.isfinite(found.valid.numeric).all()


def test_trees_get_numbers_as_they_are() -> None:
    table = people(share=0.2)
    found = prepared_from(table, encoding="trees")
    for part, rows in zip(parts(found), which(found), strict=True):
        np.testing.assert_array_equal(part.numeric[:, 1], table["size"][rows].astype(np.float32))


@few
@given(seed=seeds, share=st.sampled_from([0.0, 0.3]))
def test_codes_tell_categories_apart_and_0_is_for_what_training_has_not_met(seed: int, share: float) -> None:
    table = people(seed=seed % 11, share=share)
    rows = which(prepared_from(table, seed=seed, encoding="trees"))
    table["city"][rows[2][0]] = "Paris"  # nobody in training lives there
    found = prepared_from(table, seed=seed)
    met = {city for city in table["city"][rows[0]] if city is not None}
    assert found.cardinalities == (len(met) + 1,)
    names: dict[int, str] = {}
    for part, where in zip(parts(found), rows, strict=True):
        for code, city in zip(part.categories[:, 0].tolist(), table["city"][where], strict=True):
            assert (code == 0) == (city not in met)
            assert 0 <= code < found.cardinalities[0]
            if code:
                assert names.setdefault(code, city) == city
    assert set(names.values()) == met


@few
@given(order=st.permutations(["row", "size", "city", "y"]), encoding=encodings)
def test_the_order_of_columns_does_not_matter(order: list[str], encoding: str) -> None:
    table = {**people(), "age": np.arange(60.0) % 7}
    one = prepared_from(table, encoding=encoding)
    other = prepared_from({name: table[name] for name in [*order, "age"]}, encoding=encoding)
    for name in one.numeric_names:
        column = one.valid.numeric[:, one.numeric_names.index(name)]
        same = other.valid.numeric[:, other.numeric_names.index(name)]
        np.testing.assert_array_equal(column, same)
    np.testing.assert_array_equal(one.test.categories, other.test.categories)
    np.testing.assert_array_equal(one.test.target, other.test.target)


def test_an_official_test_part_is_the_test_and_the_data_are_split_in_two() -> None:
    table, other = people(), people(24, seed=5)
    shuffled = dict(sorted(other.items(), reverse=True))
    found = prepared_from(table, shuffled, encoding="trees")
    train, valid, test = which(found)
    assert sorted(train + valid) == list(range(60))
    assert (len(valid), test) == (12, list(range(24)))
    assert [found.classes[at] for at in found.test.target] == other["y"].tolist()
    np.testing.assert_array_equal(found.test.numeric[:, 1], other["size"].astype(np.float32))


def test_whole_columns_may_be_missing() -> None:
    gone = {"n": np.full(60, np.nan), "c": np.full(60, None, dtype=object)}
    found = prepared_from({**people(), **gone})
    assert np.isfinite(found.train.numeric).all()
    assert found.cardinalities[1] == 1


@pytest.mark.parametrize(
    ("data", "kind", "classes", "sizes"),
    [
        ("breast-cancer", "classification", 2, (341, 114, 114)),
        ("wine", "classification", 3, (106, 36, 36)),
        ("digits", "classification", 10, (1077, 360, 360)),
        ("diabetes", "regression", 0, (264, 89, 89)),
    ],
)
@pytest.mark.parametrize("encoding", ["dense", "trees"])
def test_the_sets_of_scikit_learn(
    data: str,
    kind: str,
    classes: int,
    sizes: tuple[int, int, int],
    encoding: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name, package=None: None)  # no extra is asked for
    check(data, encoding=encoding)
    found = prepared(data, encoding=encoding)
    assert (found.kind, len(found.classes)) == (kind, classes)
    assert tuple(map(len, parts(found))) == sizes
    assert found.train.numeric.dtype == np.float32
    assert found.train.categories.shape == (sizes[0], 0)
    assert found.train.categories.dtype == np.int64
    assert found.train.target.dtype == (np.int64 if classes else np.float32)


@pytest.mark.parametrize(
    ("option", "value"),
    [("kind", "guess"), ("encoding", "one-hot"), ("seed", -1), ("seed", 2**32), ("drop", 0.5)],
)
def test_what_options_may_be(option: str, value: object) -> None:
    for function in (check, prepared):
        with pytest.raises(SettingError, match=option):
            function(**{option: value})
