"""What an observer of a test asserts is heard: the engine would leave the observer out, and go on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from asha_core.runtime import audience


@pytest.fixture(autouse=True, scope="session")
def what_observers_assert_is_heard() -> Iterator[None]:
    told = audience._told

    def heard(observer, method, error):
        if isinstance(error, AssertionError):
            raise error
        return told(observer, method, error)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audience, "_told", heard)
        yield
