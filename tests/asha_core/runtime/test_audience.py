"""No observer can end a search: what one raises is told once, and it is left out from then on."""

from __future__ import annotations

import pytest

from asha_core.messages import Report
from asha_core.runtime.executor import Notice
from asha_core.runtime.loop import Search
from asha_core.runtime.observers import Observer
from asha_core.runtime.replay import EarlierSessions
from asha_core.runtime.storage.journal import NullJournal
from tests.asha_core.runtime.crowd import Heard
from tests.asha_core.runtime.engine_doubles import FakeExecutor, ManualClock, asha

METHODS = ["on_start", "on_job", "on_event", "on_tick", "on_end", "close"]


class Angry(Observer):
    """Raises in one method, each time that it is called."""

    replays = True

    def __init__(self, where: str, error: BaseException | None = None) -> None:
        self.calls: list[str] = []
        self._where, self._error = where, error or RuntimeError("no more\nof this")

    def __getattribute__(self, name: str):
        if name not in METHODS:
            return super().__getattribute__(name)

        def called(*arguments):
            self.calls.append(name)
            if name == self._where:
                raise self._error

        return called


class Journal(NullJournal):
    def __init__(self) -> None:
        self.records, self.closed = [], 0

    def append(self, t, records):
        self.records += records

    def close(self):
        self.closed += 1


def search(*observers: Observer, earlier: EarlierSessions | None = None, scheduler=None):
    clock, journal = ManualClock(), Journal()
    executor = FakeExecutor(clock)
    found = Search(scheduler or asha(), executor, journal, clock, None, observers, earlier=earlier)
    outcome = found.run()
    assert (executor.closed, journal.closed) == (1, 1)
    return outcome, journal.records


def texts(records) -> list[str]:
    return [record["text"] for record in records if record["type"] == "notice"]


@pytest.mark.parametrize("where", METHODS)
def test_an_observer_that_raises_is_told_once_and_left_out(where, capsys):
    calm, _ = search(Observer())
    before, angry, after = Heard(), Angry(where), Heard()
    outcome, records = search(before, angry, after)
    assert outcome == calm
    assert [event for event in before.events if not isinstance(event, Notice)] == [
        event for event in after.events if not isinstance(event, Notice)
    ]
    said = f"observer Angry is left out from now on, its {where} raised RuntimeError: no more"
    late = where in ("close", "on_end")  # the journal is closed
    told = capsys.readouterr().err.splitlines()
    assert len(told if late else texts(records)) == 1
    (text,) = told if late else texts(records)
    assert text.startswith(said)
    assert "(test_audience.py, line " in text
    assert [event.text for event in after.events if isinstance(event, Notice)] == texts(records)
    rest = angry.calls[angry.calls.index(where) + 1 :]
    assert rest == ([] if late else ["close"])
    assert angry.calls.count("on_end") == (where == "on_end")


def test_two_that_raise_are_two():
    _, records = search(Angry("on_job"), Angry("on_event"))
    assert sorted(text.split(" raised")[0][-8:] for text in texts(records)) == ["on_event", "s on_job"]


def test_one_that_raises_at_what_happened_before_hears_nothing_more():
    scheduler, earlier = asha(), EarlierSessions()
    job = scheduler.ask()
    report = Report(job.trial, job.attempt, 1, 0.5, 1.0)
    scheduler.tell(report)
    earlier.history = [(0.0, job), (1.0, report)]
    angry = Angry("on_job")
    outcome, records = search(angry, earlier=earlier, scheduler=scheduler)
    assert outcome.reason == "complete"
    assert angry.calls == ["on_job", "close"]
    assert len(texts(records)) == 1


def test_who_wants_to_stop_is_heard():
    outcome, records = search(Angry("on_job", KeyboardInterrupt()))
    assert outcome.reason == "interrupted"
    assert texts(records) == []
