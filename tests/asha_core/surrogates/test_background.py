"""What runs beside a search."""

from __future__ import annotations

import signal
import threading

import pytest

from asha_core.surrogates.background import Beside

pytest.importorskip("torch")


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="signals go to threads on POSIX alone")
def test_a_fit_that_ctrl_c_left_alone_is_still_waited_for_at_the_end():
    """Python joins it as it ends; else it ends under a thread that computes, and aborts."""
    may_end, waited = threading.Event(), []
    before = set(threading.enumerate())
    fit = Beside(lambda unwanted: may_end.wait(10))
    (thread,) = (each for each in threading.enumerate() if each.name == "surrogate-fit" and each not in before)
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    interrupt = threading.Timer(0.05, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT))
    interrupt.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            waited.append(fit.result())
        assert thread.is_alive()
        assert not fit.ready
    finally:
        signal.signal(signal.SIGINT, handler)
        may_end.set()
    assert fit.result() is True
    thread.join(10)
