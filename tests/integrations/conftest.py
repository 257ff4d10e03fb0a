"""The examples run in this process, and leave it as it was; their networks are too small for two threads."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator

import numpy as np
import pytest
import torch


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    threads, path, environment = torch.get_num_threads(), list(sys.path), dict(os.environ)
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.set_rng_state(states[0])
    np.random.set_state(states[1])
    random.setstate(states[2])
    sys.path[:] = path
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    os.environ.update(environment)
