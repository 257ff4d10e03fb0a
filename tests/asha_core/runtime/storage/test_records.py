"""What the journal's lines hold."""

from __future__ import annotations

import numpy as np
import pytest

from asha_core.runtime.storage.records import to_json


def test_numbers_of_numpy_are_written_as_pythons() -> None:
    values = {"n": np.int64(3), "x": [np.float32("nan"), np.float64(0.5)], "b": np.bool_(True)}
    assert to_json(values) == '{"n": 3, "x": ["nan", 0.5], "b": true}'
    with pytest.raises(TypeError, match="not JSON serializable"):
        to_json({"a": np.zeros(2)})
