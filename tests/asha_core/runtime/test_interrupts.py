"""Ctrl-C and SIGTERM, sent for real to a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from asha_core.runtime.interrupts import INTERRUPTS, StopSignal, stop_signals

pytestmark = pytest.mark.processes

ROOT = Path(__file__).resolve().parents[3]
PREFACE = """
import os, signal, threading
from asha_core.runtime.interrupts import stop_signals
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are started without

def send(number=signal.SIGINT):
    os.kill(os.getpid(), number)

def raised(number=signal.SIGINT):
    try:
        send(number)
    except KeyboardInterrupt:
        return True
    return False
"""


def script(body):
    """What a process that did this printed, and its exit status."""
    done = subprocess.run(
        [sys.executable, "-c", PREFACE + textwrap.dedent(body)],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=30,
    )
    assert "Traceback" not in done.stderr.replace("KeyboardInterrupt", ""), done.stderr
    return done.stdout.split(), done.returncode


@pytest.mark.parametrize("first", INTERRUPTS)
@pytest.mark.parametrize("second", INTERRUPTS)
def test_the_first_asks_the_second_stops_and_the_third_is_not_heard(first, second):
    said, status = script(f"""
        with stop_signals(then_exit=False) as stop:
            stop.polite = True
            print(stop.requested, raised({int(first)}), stop.requested)
            print(raised({int(second)}))
            for number in (signal.SIGINT, signal.SIGTERM) * 2:
                print(raised(number))
        print("out")
    """)
    assert said == ["False", "False", "True", "True", *["False"] * 4, "out"]
    assert status == 0


@pytest.mark.parametrize("number", INTERRUPTS)
def test_while_nobody_looks_the_first_stops(number):
    said, status = script(f"""
        with stop_signals(then_exit=False) as stop:
            print(raised({int(number)}), stop.requested, raised(), raised(signal.SIGTERM))
    """)
    assert said == ["True", "True", "False", "False"]
    assert status == 0


@pytest.mark.parametrize("daemon", [False, True])
def test_a_daemon_that_is_ended_ends_when_its_search_is_over(daemon):
    said, status = script(f"""
        import multiprocessing
        multiprocessing.current_process()._config["daemon"] = {daemon}
        with stop_signals(then_exit=False) as stop:
            stop.polite = True
            send(signal.SIGTERM)
            print("over", flush=True)
        print("on")
    """)
    assert (said, status) == ((["over"], -signal.SIGTERM) if daemon else (["over", "on"], 0))


def test_a_wait_is_interrupted_by_the_second_and_not_by_the_first():
    said, _ = script("""
        import time
        sent = []
        def twice():
            send()
            while not stop.requested:
                time.sleep(0.01)
            time.sleep(0.1)
            sent.append(2)
            send()
        with stop_signals(then_exit=False) as stop:
            stop.polite = True
            threading.Thread(target=twice).start()
            begun = time.monotonic()
            try:
                time.sleep(20)
            except KeyboardInterrupt:
                print(bool(sent) and time.monotonic() - begun < 15)
    """)
    assert said == ["True"]


@pytest.mark.parametrize("sent", [0, 1, 2])
def test_afterwards_signals_are_what_they_were(sent):
    said, _ = script(f"""
        mine = lambda number, frame: print("mine")
        before = signal.signal(signal.SIGTERM, mine)
        handler = signal.getsignal(signal.SIGINT)
        with stop_signals(then_exit=False) as stop:
            stop.polite = True
            print(*[raised() for _ in range({sent})])
        print(signal.getsignal(signal.SIGINT) is handler, signal.getsignal(signal.SIGTERM) is mine)
        send(signal.SIGTERM)
        print(raised())
    """)
    assert said == [*["False", "True"][:sent], "True", "True", "mine", "True"]


def test_afterwards_signals_are_what_they_were_though_an_error_came():
    handlers = [signal.getsignal(number) for number in INTERRUPTS]
    with pytest.raises(ValueError, match="x"), stop_signals(then_exit=False) as stop:
        assert all(signal.getsignal(number) is stop for number in INTERRUPTS)
        raise ValueError("x")
    assert [signal.getsignal(number) for number in INTERRUPTS] == handlers


def test_a_process_that_ends_after_it_was_interrupted_is_not_disturbed_again():
    said, status = script("""
        with stop_signals(then_exit=True) as stop:
            stop.polite = True
            send()
        print(raised(), raised(signal.SIGTERM))
    """)
    assert (said, status) == (["False", "False"], 0)


def test_a_process_that_ends_and_was_not_interrupted_can_be():
    said, status = script("""
        with stop_signals(then_exit=True):
            pass
        print(raised(), flush=True)
        send(signal.SIGTERM)
    """)
    assert (said, status) == (["True"], -signal.SIGTERM)


def test_another_thread_gets_a_stop_that_no_signal_reaches():
    handlers = [signal.getsignal(number) for number in INTERRUPTS]
    found = []

    def work():
        with stop_signals(then_exit=True) as stop:
            found.append((stop.requested, [signal.getsignal(number) for number in INTERRUPTS] == handlers))
            stop.requested = True
        found.append([signal.getsignal(number) for number in INTERRUPTS] == handlers)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [(False, True), True]


def test_searches_inside_of_searches_each_have_their_own():
    with stop_signals(then_exit=False) as outer:
        outer.polite = True
        with stop_signals(then_exit=False) as inner:
            inner.polite = True
            os.kill(os.getpid(), signal.SIGINT)
            assert (inner.requested, outer.requested) == (True, False)
        assert signal.getsignal(signal.SIGINT) is outer


def test_a_stop_is_asked_for_by_nobody_at_first():
    assert (StopSignal().requested, StopSignal().polite) == (False, False)
