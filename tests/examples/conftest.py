"""As for the tests of warm starts: networks are tiny, and threads would wait for each other."""

from tests.warmstart.conftest import one_thread  # noqa: F401
