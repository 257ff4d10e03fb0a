"""The public contract over our own strategies, one of each kind."""

from __future__ import annotations

import pytest

from asha_core.testing import WarmStartContract
from warmstart import WarmStart, build
from warmstart.registry import STRATEGIES


class TestOurStrategies(WarmStartContract):
    @pytest.fixture(autouse=True, params=[*STRATEGIES, "screen+trust"])
    def _of_that_name(self, request: pytest.FixtureRequest) -> None:
        self.name = request.param

    def warm_start(self) -> WarmStart:
        return build(self.name)
