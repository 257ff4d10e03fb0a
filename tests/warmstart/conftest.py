"""Networks here are tiny: two threads that share a busy core cost forty times what one does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def stops_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values that are detached are not seen by themselves: what is under that net is looked at."""
    monkeypatch.setattr("warmstart.estimates.stops.Stops.refuse", lambda self: None)
