"""What runs beside a search."""

from __future__ import annotations

import signal
import threading

import pytest

from asha_core.space import Float, SearchSpace
from asha_core.surrogates.background import Beside, take_one_thread

pytest.importorskip("torch")


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="signals go to threads on POSIX alone")
def test_a_fit_that_ctrl_c_left_alone_is_still_waited_for_at_the_end():
    """Python joins it as it ends; else it ends under a thread that computes, and aborts."""
    may_end, waited = threading.Event(), []
    before = set(threading.enumerate())
    fit = Beside(lambda unwanted: may_end.wait(10))
    (thread,) = (each for each in {*threading.enumerate()} - before if each.name == "surrogate-fit")
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


def test_a_thread_that_takes_one_thread_of_torchs_changes_nothing_for_others():
    import torch

    before, found = torch.get_num_threads(), []
    torch.set_num_threads(3)

    def look():
        take_one_thread()
        found.append(torch.get_num_threads())
        later = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
        later.start()
        later.join()

    try:
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        assert [*found, torch.get_num_threads()] == [1, 3, 3]
    finally:
        torch.set_num_threads(before)


def test_the_gaussian_process_computes_in_one_thread_of_torchs(monkeypatch):
    pytest.importorskip("optuna", reason="needs the extra bo")
    import torch

    from asha_core.surrogates.optuna_samplers import GPModel

    space = SearchSpace({"x": Float(0.0, 1.0)})
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    monkeypatch.setattr(GPModel, "_answer", lambda *_: torch.get_num_threads())
    try:
        observed = [(space.from_unit([0.5]), 0.0)]
        assert GPModel(space).ask(observed, [], 0)() == 1
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
