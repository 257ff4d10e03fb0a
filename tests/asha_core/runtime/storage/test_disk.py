"""A full disk: jobs wait, the journal waits, nobody is to blame, and nothing is lost."""

from __future__ import annotations

from itertools import pairwise

import pytest

from asha_core.messages import Lost, Report
from asha_core.runtime.executor import Notice
from asha_core.runtime.interrupts import StopSignal
from asha_core.runtime.loop import Search
from asha_core.runtime.observers import Observer
from asha_core.runtime.storage.disk import DiskWatch
from asha_core.runtime.storage.journal import DiskFull, JournalWriter, read_journal
from tests.asha_core.runtime.crowd import Heard
from tests.asha_core.runtime.engine_doubles import FakeExecutor, ManualClock, asha, train
from tests.asha_core.runtime.small_disk import small_disk  # noqa: F401  (a fixture)
from tests.asha_core.runtime.test_loop import ClosingJournal

MB = 1 << 20


class Watch(DiskWatch):
    """Of a disk with as much room as a test says."""

    def __init__(self, directory, slots=2, room=10**12):
        super().__init__(directory, slots)
        self.room, self.looks = room, []

    def free(self):
        return self.room

    def pause_ended(self, now):
        self.looks.append(now)
        return super().pause_ended(now)


# -- the watch -------------------------------------------------------------------------------------


def ends(watch, now, step=0.5):
    """When the pause that is on ends."""
    while not watch.pause_ended(now):
        now += step
        assert now < 1000
    assert not watch.paused
    return now


def test_without_a_full_disk_there_is_no_pause(tmp_path):
    watch = Watch(tmp_path, room=0)
    assert not watch.paused
    assert not watch.pause_ended(100.0)


def test_pauses_double_up_to_a_minute_and_a_unit_makes_them_short_again(tmp_path):
    watch, now, pauses = Watch(tmp_path), 0.0, []
    for _ in range(8):
        watch.on_full(now)
        assert watch.paused
        end = ends(watch, now)
        pauses.append(end - now)
        now = end + 1
    assert pauses == [2, 4, 8, 16, 32, 60, 60, 60]
    watch.on_written()
    watch.on_full(now)
    assert ends(watch, now) == now + 2


def test_a_pause_lasts_until_there_is_room_for_a_checkpoint_of_every_slot(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "small.pt").write_bytes(bytes(10))
    (tmp_path / "checkpoints" / "large.pt").write_bytes(bytes(3 * MB))
    watch = Watch(tmp_path, slots=4, room=0)
    watch.on_full(0.0)
    watch.room = MB + 4 * 3 * MB - 1
    assert not watch.pause_ended(100.0)
    watch.room += 1
    assert watch.pause_ended(100.0)


def test_what_is_wanted_is_told(tmp_path):
    watch = Watch(tmp_path, room=5 * 10**6)
    watch.on_full(0.0)
    assert watch.describe() == f"5.0 MB free, 1.0 MB wanted in {tmp_path}"


def test_the_room_is_that_of_the_disk(small_disk):  # noqa: F811
    watch = DiskWatch(small_disk.path, 1)
    watch.on_full(0.0)
    small_disk.fill()
    assert watch.free() < MB
    assert not watch.pause_ended(10.0)
    small_disk.clear()
    assert watch.pause_ended(10.0)


# -- jobs ------------------------------------------------------------------------------------------


def search(work, disk, *, slots=2, observers=(), journal=None, script=None, stop=None, **settings):
    clock, scheduler = ManualClock(), asha(**settings)
    journal = journal or ClosingJournal()

    class Scripted(FakeExecutor):
        def wait(self, timeout):
            events = super().wait(timeout)
            if script is not None:
                script(clock.now())
            return events

    executor = Scripted(clock, slots, work)
    outcome = Search(scheduler, executor, journal, clock, None, observers, disk=disk, stop=stop).run()
    return outcome, executor, journal, scheduler


def test_a_job_that_found_the_disk_full_goes_again_when_there_is_room_and_nobody_failed(tmp_path):
    watch, heard = Watch(tmp_path), Heard()

    def work(job, resource):
        if watch.room == 0:
            return [Lost(job.trial, job.attempt, "no space left on device", "disk")]
        return train(job, resource)

    def script(now):
        watch.room = 0 if 3.0 <= now < 20.0 else 10**12

    outcome, _, journal, scheduler = search(
        work, watch, observers=[heard], script=script, max_retries=0, max_trials=20
    )
    assert (outcome.reason, outcome.trials, outcome.failures) == ("complete", 20, 0)
    assert all(trial.faults == 0 for trial in scheduler.trials)
    lost = [record for record in journal.records if record["type"] == "lost"]
    assert 1 <= len(lost) <= 2  # one a slot: nobody is handed a job while the disk is full
    jobs = [record["t"] for record in journal.records if record["type"] == "job"]
    assert not [t for t in jobs if lost[0]["t"] < t < 20.0]
    texts = [event.text for event in heard.events if isinstance(event, Notice)]
    assert all("the disk is full, no new jobs until there is room: 0 B free" in text for text in texts[:-1])
    assert texts[-1] == "there is room on the disk again: going on"
    assert [r["text"] for r in journal.records if r["type"] == "notice"] == texts


def test_where_it_stays_full_for_what_tasks_write_elsewhere_trials_are_tried_less_and_less_often(tmp_path):
    watch = Watch(tmp_path)

    def work(job, resource):
        if job.attempt < 6:
            return [Lost(job.trial, job.attempt, "no space left on device", "disk")]
        return train(job, resource)

    outcome, executor, journal, _ = search(work, watch, slots=1, max_trials=1, max_resource=1, max_retries=0)
    assert (outcome.reason, outcome.failures) == ("complete", 0)
    assert [job.attempt for job in executor.submitted] == list(range(7))
    jobs = [record["t"] for record in journal.records if record["type"] == "job"]
    waits = [b - a for a, b in pairwise(jobs)]
    assert all(wait > pause for wait, pause in zip(waits, (2, 4, 8, 16, 32, 60), strict=True))


def test_while_the_disk_is_full_a_search_can_be_stopped(tmp_path):
    watch, stop = Watch(tmp_path, room=0), StopSignal()

    def work(job, resource):
        return [Lost(job.trial, job.attempt, "no space left on device", "disk")]

    def script(now):
        stop.requested = now > 30.0

    outcome, _, _, _ = search(work, watch, script=script, stop=stop)
    assert outcome.reason == "interrupted"
    assert 30.0 < outcome.seconds < 36.0
    assert outcome.failures == 0


# -- the journal -----------------------------------------------------------------------------------


class Full(ClosingJournal):
    """Has no room for the n-th append, so and so often."""

    def __init__(self, at, times):
        super().__init__()
        self.at, self.left, self.appends, self.refused = at, times, 0, []

    def append(self, t, records):
        kept = list(records)
        if self.appends == self.at and self.left:
            self.left -= 1
            self.refused.append((t, kept))
            raise DiskFull("no room on the disk of journal.jsonl")
        self.appends += 1
        super().append(t, kept)


def plain(records):
    return [{key: value for key, value in record.items() if key != "t"} for record in records]


@pytest.mark.parametrize("at", [0, 1, 2, 5, 20])
@pytest.mark.parametrize("times", [1, 7])
def test_a_journal_that_is_full_for_a_while_holds_what_it_would_have_held(tmp_path, at, times):
    _, _, whole, _ = search(train, None, slots=1)
    heard, journal = Heard(), Full(at, times)
    outcome, _, _, _ = search(train, None, slots=1, journal=journal, observers=[heard])
    assert len(journal.refused) == times
    assert all(kept == journal.refused[0][1] for _, kept in journal.refused)  # the same, until it fits
    assert (outcome.reason, outcome.failures) == ("complete", 0)
    assert plain(journal.records) == plain(whole.records)
    assert outcome.units == sum(isinstance(event, Report) for event in heard.events)
    (notice,) = [event for event in heard.events if isinstance(event, Notice)]
    assert notice.text == "no room on the disk of journal.jsonl: everything waits until there is room"


def test_nothing_has_an_effect_before_there_is_room_for_its_record():
    journal, effects = Full(4, 5), []

    class Effects(Observer):
        def on_job(self, view, job, slot):
            effects.append(len(journal.refused))

        def on_event(self, view, event):
            if not isinstance(event, Notice):
                effects.append(len(journal.refused))

    search(train, None, journal=journal, observers=[Effects()])
    assert set(effects) == {0, 5}
    assert effects == sorted(effects)


def test_a_stop_while_the_journal_waits_for_room_is_heard():
    stop = StopSignal()

    class ForEver(Full):
        def append(self, t, records):
            if len(self.refused) == 20:
                stop.requested = True
            super().append(t, records)

    journal = ForEver(6, 10**9)
    outcome, executor, _, _ = search(train, None, journal=journal, stop=stop)
    assert outcome.reason == "interrupted"
    assert len(journal.refused) <= 23
    assert journal.records[-1]["type"] != "end"  # there was no room for it
    assert (executor.closed, journal.closed) == (1, 1)


def test_a_search_on_a_small_real_disk_waits_for_room_and_completes(small_disk):  # noqa: F811
    path = small_disk.path / "journal.jsonl"
    filled = []

    class Housekeeper(Observer):
        """Fills the disk, and makes room when it hears that everything waits."""

        def on_event(self, view, event):
            if isinstance(event, Notice):
                assert "everything waits" in event.text
                filled.append(read_journal(path))
                small_disk.clear()
            elif view.scheduler.units in (5, 20, 35):
                small_disk.fill()

    outcome, _, _, scheduler = search(
        train, None, journal=JournalWriter(path), observers=[Housekeeper()], max_trials=60
    )
    assert (outcome.reason, outcome.failures) == ("complete", 0)
    assert filled
    contents = read_journal(path)
    for before in filled:
        assert not before.torn
        assert contents.records[: len(before.records)] == before.records
    assert sum(record["type"] == "report" for record in contents.records) == scheduler.units
