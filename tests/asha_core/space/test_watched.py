"""What is read of a configuration is seen."""

from __future__ import annotations

import copy
import pickle

import pytest

from asha_core import Configuration
from asha_core.space.watched import Used, Watched

VALUES = Configuration(("lr", "momentum"), (0.1, 0.9))


WHOLE = [dict, pickle.dumps, hash, lambda c: c == VALUES, Used.copy, lambda c: c | {}, lambda c: {} | c]


@pytest.mark.parametrize("read", WHOLE)
def test_who_takes_it_whole_has_read_all_of_it(read):
    used = Used(VALUES)
    assert used.unread == ("lr", "momentum")
    read(used)
    assert used.unread == ()


def test_who_looks_for_a_name_has_read_it_and_who_prints_it_has_not():
    used = Used(VALUES)
    assert repr(used) == f"{used}" == repr(VALUES)
    assert (used.get("dropout", 0.5), "lr" in used) == (0.5, True)
    assert used.unread == ("momentum",)


def test_a_warm_start_takes_a_text_for_use():
    """It may be the key of a cache: what acts through it would have derivative 0."""
    watched = Watched(VALUES)
    assert repr(watched) == repr(VALUES)
    assert watched.reads == {"lr", "momentum"}


def test_what_lies_in_a_dictionary_is_read_by_its_own_name():
    nested = Configuration(("opt.lr", "opt.momentum", "width"), (0.1, 0.9, 3))
    used = Used(nested)
    assert used["opt"]["lr"] == 0.1
    assert used.unread == ("opt.momentum", "width")
    dict(**used["opt"])
    assert used.unread == ("width",)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda c: copy.deepcopy({"held": c})["held"]])
def test_who_copies_it_has_read_nothing_and_what_is_read_of_the_copy_is_read(copied):
    used = Used(VALUES)
    again = copied(used)
    assert used.unread == ("lr", "momentum")
    assert again["lr"] == 0.1
    assert used.unread == ("momentum",)
    assert dict(again) == dict(VALUES)


def test_an_attribute_for_a_name_says_what_to_write():
    with pytest.raises(AttributeError, match=r'no attribute lr: write config\["lr"\]'):
        Used(VALUES).lr  # noqa: B018


def test_copies_and_unions_are_dictionaries_that_can_be_changed():
    changed = VALUES.copy()
    changed["lr"] *= 2
    assert changed == {"lr": 0.2, "momentum": 0.9} == VALUES | {"lr": 0.2}
    assert {"lr": 0.2, "width": 3} | VALUES == {"lr": 0.1, "width": 3, "momentum": 0.9}
    changed |= VALUES
    assert changed == VALUES == dict(**VALUES)
    for wrong in (lambda: VALUES | 3, lambda: 3 | VALUES):
        with pytest.raises(TypeError, match="unsupported operand"):
            wrong()
    nested = Configuration(("opt.lr", "width"), (0.1, 3))["opt"]
    assert nested.copy() == nested | {} == {"lr": 0.1}
