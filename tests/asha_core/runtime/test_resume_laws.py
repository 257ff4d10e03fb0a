"""What a journal says has happened, worked out by hand."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from asha_core.errors import JournalError, ResultsError
from asha_core.messages import Failed, Finished, Job, Lost, Refined, Rejected, Report, closes
from asha_core.runtime.replay import (
    EarlierSessions,
    changed_settings,
    check_max_trials,
    check_same_search,
    devices_of,
    replay,
)
from asha_core.runtime.storage.records import event_record, job_record
from asha_core.space import Configuration
from tests.asha_core.runtime.engine_doubles import asha

PATH = Path("journal.jsonl")
NOBODY = Configuration((), ())


class Story:
    """A journal that a scheduler writes as it is asked and told."""

    def __init__(self, **settings):
        self.settings = {"max_resource": 3, "max_trials": 4, **settings}
        self.scheduler = asha(**self.settings)
        self.records, self.t = [], 0.0

    def note(self, kind, **fields):
        self.records.append({"t": self.t, "type": kind, **fields})

    def ask(self, slot=0):
        job = self.scheduler.ask()
        self.records.append({"t": self.t, **job_record(job, slot)})
        return job

    def tell(self, event):
        self.records.append({"t": self.t, **event_record(event)})
        self.scheduler.tell(event)

    def report(self, job, resource=None):
        self.tell(Report(job.trial, job.attempt, resource or job.until, 0.1 * job.trial, 1.0))

    def replayed(self, held=1, **changes):
        scheduler = asha(**self.settings | changes)
        return replay(PATH, self.records, scheduler, held), scheduler


# -- what has happened -----------------------------------------------------------------------------


def test_an_empty_journal_has_nothing_to_tell():
    earlier, scheduler = Story().replayed()
    assert earlier == EarlierSessions(0.0, 0.0, 1, [], {}, None, {})
    assert scheduler.trials == []


def test_time_and_devices_are_added_up_over_sessions():
    story = Story()
    story.t = 4.0
    story.note("alive")
    story.t = 10.0
    story.note("end", reason="budget")
    story.note("resume", held=3, changes={}, devices=["a"])
    story.t = 12.0
    story.note("alive")
    story.note("resume", held=1, changes={}, devices=["a"])
    story.t = 17.0
    story.note("alive")
    earlier, _ = story.replayed(held=2)
    assert (earlier.t, earlier.sessions) == (17.0, 3)
    assert earlier.device_seconds == 10 * 2 + 2 * 3 + 5 * 1


def test_time_that_went_back_is_not_counted_twice():
    story = Story()
    for story.t in (5.0, 3.0, 6.0):
        story.note("alive")
    earlier, _ = story.replayed(held=2)
    assert (earlier.t, earlier.device_seconds) == (6.0, 12.0)


def test_it_ended_for_the_reason_of_the_last_session_or_was_killed():
    story = Story()
    assert story.replayed()[0].reason is None
    story.note("end", reason="budget")
    assert story.replayed()[0].reason == "budget"
    story.note("resume", held=1, changes={}, devices=["a"])
    assert story.replayed()[0].reason is None
    story.note("alive")
    story.note("end", reason="interrupted")
    assert story.replayed()[0].reason == "interrupted"


def test_what_ran_is_what_was_handed_out_and_has_not_closed():
    story = Story()
    jobs = [story.ask(slot) for slot in range(4)]
    running = [0, 1, 2, 3]
    for trial, event in (
        (1, Report(1, 0, 1, 0.5, 1.0)),
        (3, Lost(3, 0, "gone", "hung")),
        (0, Rejected(0, "no")),
        (2, Failed(2, 0, "no")),
    ):
        assert sorted(story.replayed()[0].running) == running
        story.tell(event)
        running.remove(trial)
    earlier, _ = story.replayed()
    assert earlier.running == {}
    again = story.ask()
    assert (again.trial, again.attempt) == (3, 1)
    assert story.replayed()[0].running == {3: again}
    assert [what for _, what in earlier.history[:4]] == jobs


def test_a_trial_that_finished_early_runs_no_more_and_one_that_will_runs_on():
    story = Story(min_resource=2)
    story.ask()
    story.report(job := story.ask(), 1)
    story.tell(Finished(1, 0, 2))
    assert sorted(story.replayed()[0].running) == [0, 1]
    story.report(job, 2)
    story.report(job := story.ask(), 1)
    story.tell(Finished(job.trial, 0, 1))
    earlier, again = story.replayed()
    assert sorted(earlier.running) == [0]
    assert [trial.finished for trial in again.trials] == [False, True, True]


def test_a_late_event_closes_nothing():
    story = Story(min_resource=2)
    story.ask()
    story.tell(Lost(0, 0, "gone"))
    again = story.ask()
    for late in (
        *(Report(0, 0, 2, 0.5, 1.0), Lost(0, 0, "late"), Failed(0, 0, "late")),
        Finished(0, 0, 1),
    ):
        story.tell(late)
    assert story.replayed()[0].running == {0: again}


def test_a_warm_start_is_told_of_the_same_earlier_ones_wherever_the_search_was_killed():
    """Which they are is said by where its job stands in the journal, and kept nowhere else."""
    story, whole = Story(max_trials=9), []
    for number in range(5):
        job = story.ask()
        whole.append(job)
        if number != 2:
            story.tell(Refined(job.trial, job.configuration, 0.1, {"learned": {"x": [number]}}))
        story.tell(Lost(job.trial, 0, "gone") if number == 2 else Report(job.trial, 0, 1, 0.0, 1.0))
    assert [len(job.earlier) for job in whole] == [0, 1, 2, 2, 3]
    assert "earlier" not in story.records[0]
    records = json.loads(json.dumps(story.records))
    for end in range(len(records) + 1):
        scheduler = asha(**story.settings)
        history = replay(PATH, records[:end], scheduler).history
        told = [what.earlier for _, what in history if isinstance(what, Job)]
        assert told == [job.earlier for job in whole][: len(told)]
    assert scheduler.ask() == story.scheduler.ask()


def test_a_search_whose_trials_are_refined_where_they_are_promoted_is_the_same_wherever_it_was_killed():
    """A ``refined`` of a promoted trial says after how many units; its job says that it may be refined."""

    def fresh():
        scheduler = asha(max_resource=9, max_trials=9)
        scheduler.refines_promoted = True
        return scheduler

    story = Story()
    story.scheduler, jobs = fresh(), []
    for _ in range(9):
        job = story.ask()
        jobs.append(job)
        unit = (1 + job.trial + job.start) / 20
        if job.refine and job.trial != 1:
            refined = job.configuration | {"lr": unit}
            story.tell(
                Refined(job.trial, story.scheduler.space.configuration(refined), 0.1, resource=job.start)
            )
        if job.trial == 4:
            story.tell(Lost(4, job.attempt, "gone"))
        else:
            story.report(job)
    promoted = [record for record in story.records if record["type"] == "job" and record["start"]]
    assert promoted
    assert all(record["refine"] is True for record in promoted)
    refined = [record for record in story.records if record["type"] == "refined"]
    assert {record.get("resource") for record in refined} == {None, 1}
    records = json.loads(json.dumps(story.records))
    for end in range(len(records) + 1):
        scheduler = fresh()
        history = replay(PATH, records[:end], scheduler).history
        again = [what for _, what in history if isinstance(what, Job)]
        assert again == jobs[: len(again)]
    assert scheduler.ask() == story.scheduler.ask()


def test_history_is_jobs_and_events_with_their_times():
    story = Story()
    story.note("worker", slot=0, pid=1, device="a", seconds=1.0)
    job = story.ask()
    story.t = 2.0
    story.note("notice", text="x", slot=None, trial=None)
    report = Report(0, 0, 1, 0.25, 1.0)
    story.tell(report)
    story.note("retired", slot=1, reason="x")
    assert story.replayed()[0].history == [(0.0, job), (2.0, report)]


@pytest.mark.parametrize(
    ("event", "ends"),
    [
        (Report(0, 2, 9, 0.5, 1.0), True),
        (Report(0, 2, 8, 0.5, 1.0), False),
        (Report(0, 1, 9, 0.5, 1.0), False),
        (Failed(0, 2, "x"), True),
        (Failed(0, 1, "x"), False),
        (Lost(0, 2, "x", "disk"), True),
        (Lost(0, 3, "x"), False),
        (Rejected(0, "x"), True),
        (Refined(0, NOBODY, 1.0), False),
    ],
)
def test_an_events_kind_attempt_and_unit_say_whether_it_closes_a_job(event, ends):
    assert closes(event, Job(0, NOBODY, 3, 9, 2, 1)) is ends


def test_in_one_line():
    story = Story()
    jobs = [story.ask() for _ in range(3)]
    story.t = 125.0
    story.report(jobs[0])
    earlier, scheduler = story.replayed()
    assert earlier.describe(scheduler, "epoch") == (
        "going on with a search that was killed after 3 trials, 1 epoch and 2m 05s; "
        "2 jobs that ran then go again"
    )
    story.report(jobs[1])
    earlier, scheduler = story.replayed()
    assert earlier.describe(scheduler, "epoch").endswith("; 1 job that ran then goes again")
    story.report(jobs[2])
    story.note("end", reason="budget")
    earlier, scheduler = story.replayed()
    assert earlier.describe(scheduler, "epoch") == (
        "going on with a search that ended (budget) after 3 trials, 3 epochs and 2m 05s"
    )
    job = story.ask()
    story.tell(Failed(job.trial, job.attempt, "error", "OSError: no such share"))
    earlier, scheduler = story.replayed()
    assert earlier.describe(scheduler, "epoch").endswith(
        "; 1 trial that failed, not tried again without --retry-failed"
    )
    earlier.retried = [job.trial]
    assert earlier.describe(scheduler, "epoch").endswith("; 1 trial that failed, tried again")


# -- another search --------------------------------------------------------------------------------


def alone():
    """A story in which trial 0 ran out of memory."""
    story = Story()
    story.ask()
    story.tell(Failed(0, 0, "no memory", "oom"))
    assert story.ask().alone
    return story


@pytest.mark.parametrize(
    ("name", "value"),
    [("trial", 1), ("start", 1), ("until", 3), ("attempt", 1), ("refine", False), ("alone", True)],
)
def test_a_job_that_differs_in_anything_is_refused_with_both(name, value):
    story = Story()
    story.ask()
    story.records[0][name] = value
    with pytest.raises(JournalError, match=r"journal\.jsonl, line 2: the journal has the job .*would give"):
        story.replayed()


def test_a_job_that_is_not_alone_though_it_should_be_is_refused():
    story = alone()
    assert story.replayed()[0].running[0].alone
    del story.records[-1]["alone"]
    with pytest.raises(JournalError, match=r"line 4: the journal has the job"):
        story.replayed()


def test_a_configuration_that_differs_in_the_last_bit_is_refused():
    story = Story()
    story.ask()
    story.records = copy.deepcopy(story.records)
    story.records[0]["configuration"]["lr"] *= 1 + 1e-15
    with pytest.raises(JournalError, match=r"line 2: .*configuration"):
        story.replayed()


def test_where_a_job_ran_and_when_does_not_matter():
    story = Story()
    story.ask(slot=0)
    story.records[0] |= {"slot": 7, "t": 99.0}
    assert story.replayed()[0].running[0].trial == 0


def test_a_job_where_there_is_none_is_refused():
    story = Story(max_trials=1)
    story.ask()
    story.records.append(story.records[0])
    with pytest.raises(JournalError, match=r"line 3: .* the scheduler has none to give"):
        story.replayed()


@pytest.mark.parametrize(
    "record",
    [
        {"type": "report", "trial": 0},
        {"type": "report", "trial": 5, "attempt": 0, "resource": 1, "value": 0.5, "seconds": 1.0},
        {"type": "report", "trial": 0, "attempt": 0, "resource": 1, "value": "much", "seconds": 1.0},
        {"type": "report", "trial": None, "attempt": 0, "resource": 1, "value": 0.5, "seconds": 1.0},
        {"type": "report", "attempt": 0, "resource": 1, "value": 0.5, "seconds": 1.0},
        {"type": "report", "trial": 0, "attempt": 0, "resource": 1, "value": 1, "seconds": 1, "metrics": []},
        {"type": "refined", "trial": 0, "configuration": None, "seconds": 1.0, "diagnostics": {}},
        {"type": "failed", "trial": 0, "attempt": 0, "error": "x"},
        {"type": "lost", "trial": 0},
        {"type": "end"},
        {"type": "resume", "changes": {}},
        {"type": "alive", "t": "soon"},
        {"type": "alive", "t": None},
    ],
    ids=lambda record: " ".join(map(str, record.values()))[:30],
)
def test_a_record_that_lacks_something_is_an_error_with_its_line(record):
    story = Story()
    story.ask()
    story.records.append({"t": 1.0, **record})
    with pytest.raises(JournalError, match=r"journal\.jsonl, line 3"):
        story.replayed()


def test_what_a_later_version_adds_is_passed_over():
    story = Story()
    story.ask()
    story.note("weather", text="fine")
    assert list(story.replayed()[0].running) == [0]


# -- settings --------------------------------------------------------------------------------------


def test_the_last_session_that_changed_a_setting_decides():
    records = [
        {"type": "resume", "changes": {"budget": "1h", "gpus": "0"}},
        {"type": "alive"},
        {"type": "resume", "changes": {}},
        {"type": "resume", "changes": {"budget": "2h"}},
    ]
    assert changed_settings(records) == {"budget": "2h", "gpus": "0"}
    assert changed_settings([]) == {}


MANIFEST = {
    "task": {"name": "digits", "target": "t:T", "options": {"width": 3, "data_dir": "here"}, "mode": "max"},
    "space": {"dimensions": {"lr": {"type": "float"}, "wd": {"type": "float"}}, "constraints": ["a < b"]},
    "scheduler": {"name": "asha", "seed": 0, "max_trials": 10, "max_retries": 2},
    "variation": {"name": "baseline"},
    "budget": {"seconds": 60},
    "hardware": {"devices": ["cpu"]},
}


def changed(*keys, value):
    manifest = copy.deepcopy(MANIFEST)
    *path, last = keys
    part = manifest
    for key in path:
        part = part[key]
    part[last] = value
    return manifest


def test_the_same_search_is_the_same():
    check_same_search(MANIFEST, copy.deepcopy(MANIFEST), Path("run"))
    as_made = changed("task", "options", "sizes", value=(1, 2))
    as_read = changed("task", "options", "sizes", value=[1, 2])
    check_same_search(as_read, as_made, Path("run"))


def test_a_task_s_file_may_lie_elsewhere():
    here = changed("task", "target", value="/here/mine.py:Mine")
    check_same_search(here, changed("task", "target", value="/there/mine.py:Mine"), Path("run"))
    for other in ("/here/other.py:Mine", "/here/mine.py:Other", "mine:Mine"):
        with pytest.raises(ResultsError, match="its task has target"):
            check_same_search(here, changed("task", "target", value=other), Path("run"))


def test_where_it_is_not_allowed_the_number_of_trials_may_not_differ():
    more = changed("scheduler", "max_trials", value=20)
    with pytest.raises(ResultsError, match="its scheduler has max_trials 10, and this one 20"):
        check_same_search(MANIFEST, more, Path("run"), more_trials=False)
    check_same_search(MANIFEST, changed("task", "name", value="x"), Path("run"), more_trials=False)


@pytest.mark.parametrize("limit", [None, 5, 100])
def test_as_many_trials_as_were_begun_may_be_and_more(limit):
    check_max_trials(five_begun().records, limit, Path("run"))
    five_begun().replayed(max_trials=limit)


@pytest.mark.parametrize("limit", [1, 3])
def test_fewer_trials_than_were_begun_may_not_be(limit):
    with pytest.raises(ResultsError, match=rf"can be raised, and not lowered to {limit}"):
        check_max_trials(five_begun().records, limit, Path("run"))
    with pytest.raises(JournalError, match="none to give"):
        five_begun().replayed(max_trials=limit)


def five_begun(*, late=False):
    """Five trials begun, then one of them rejected; with ``late``, one more proved invalid after a unit."""
    story = Story(max_trials=5, min_resource=3)
    for _ in range(5):
        story.ask()
    story.tell(Rejected(1, "no"))
    if late:
        story.tell(Report(2, 0, 1, 0.5, 1.0))
        story.tell(Failed(2, 0, "odd width", "invalid"))
    return story


def test_a_rejected_one_that_was_replaced_uses_up_no_trial():
    story = Story(max_trials=4)
    for _ in range(4):
        story.ask()
    story.tell(Rejected(1, "no"))
    assert story.ask().trial == 4
    check_max_trials(story.records, 4, Path("run"))
    story.replayed(max_trials=4)


def test_the_first_session_says_how_many_devices_it_held():
    assert devices_of({"budget": {"devices": 3}}, Path("run.json")) == 3


@pytest.mark.parametrize(
    "budget",
    [None, 3, [], {}, {"devices": 0}, {"devices": -1}, {"devices": 1.0}, {"devices": True}, {"devices": "2"}],
)
def test_a_manifest_that_does_not_say_it_is_damaged(budget):
    with pytest.raises(ResultsError, match=r"run\.json is damaged: it does not say how many devices"):
        devices_of({"budget": budget}, Path("run.json"))


@pytest.mark.parametrize(
    "keys",
    [
        ("task", "name"),
        ("task", "options", "data_dir"),
        ("task", "options", "download"),
        ("scheduler", "max_trials"),
        ("budget", "seconds"),
        ("hardware", "devices"),
    ],
)
def test_budget_workers_trials_and_where_the_data_lies_may_differ(keys):
    check_same_search(MANIFEST, changed(*keys, value="other"), Path("run"))
    check_same_search(changed(*keys, value="other"), MANIFEST, Path("run"))


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (("task", "target"), "its task has target 't:T', and this one 'other'"),
        (("task", "mode"), "its task has mode 'max', and this one 'other'"),
        (("task", "options", "width"), "its task has options "),
        (("task", "new"), "its task has new None, and this one 'other'"),
        (("space", "dimensions", "lr"), "its space has dimension lr {'type': 'float'}, and this one 'other'"),
        (("space", "dimensions", "new"), "its space has dimension new None, and this one 'other'"),
        (("space", "constraints"), "its space has constraints ['a < b'], and this one 'other'"),
        (("scheduler", "name"), "its scheduler has name 'asha', and this one 'other'"),
        (("scheduler", "seed"), "its scheduler has seed 0, and this one 'other'"),
        (("scheduler", "max_retries"), "its scheduler has max_retries 2, and this one 'other'"),
        (("variation", "name"), "its variation has name 'baseline', and this one 'other'"),
    ],
)
def test_another_search_is_named_by_what_differs(keys, said):
    for before, now in (
        (MANIFEST, changed(*keys, value="other")),
        (changed(*keys, value="other"), MANIFEST),
    ):
        with pytest.raises(ResultsError) as caught:
            check_same_search(before, now, Path("run"))
        assert str(caught.value).startswith("run holds another search: its ")
        if before is MANIFEST:
            assert said in str(caught.value)


@pytest.mark.parametrize("section", ["task", "space", "scheduler", "variation"])
@pytest.mark.parametrize("damaged", [None, [], "x", 3])
def test_a_damaged_manifest_is_another_search_and_no_defect(section, damaged):
    with pytest.raises(ResultsError, match="holds another search"):
        check_same_search({**MANIFEST, section: damaged}, MANIFEST, Path("run"))
