"""The journal: strict JSON, nothing lost, damage named, and the scheduler rebuilt from it."""

from __future__ import annotations

import json
import math
import re
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asha_core.errors import JournalError
from asha_core.messages import Failed, Job, Lost, Refined, Rejected, Report
from asha_core.runtime.executor import Notice, Retired, WorkerReady
from asha_core.runtime.loop import Search
from asha_core.runtime.replay import replay
from asha_core.runtime.storage.journal import SCHEMA, JournalWriter, read_journal, read_resumptions
from asha_core.runtime.storage.records import event_record, job_record, read_event, read_number, to_json
from asha_core.space import Configuration
from asha_core.streams import uniforms
from tests.asha_core.runtime.engine_doubles import SPACE, FakeExecutor, ManualClock, asha, eventful

quick = settings(max_examples=100, deadline=None)
FAILURES = ["error", "setup", "invalid", "oom", "timeout"]
LOSSES = ["died", "hung", "stopped", "engine", "disk", "not-begun"]


def strict(line: str):
    """Parse JSON, and refuse what JSON does not have."""

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    return json.loads(line, parse_constant=refuse)


def same(one, other) -> bool:
    """Equality by representation: NaN is like NaN, and 1 is unlike 1.0."""
    return repr(one) == repr(other)


text = st.text(st.characters(blacklist_categories=["Cs"]), max_size=20)
integers = st.integers(0, 10**9)
numbers = st.floats() | st.sampled_from([math.nan, math.inf, -math.inf, -0.0, 5e-324, 0.1])
seconds = st.integers(0, 10**9).map(lambda micro: micro / 1e6)
configurations = st.lists(st.floats(0, 1), min_size=3, max_size=3).map(SPACE.from_unit)
finite = st.floats(allow_nan=False, allow_infinity=False)
diagnostics = st.dictionaries(text, finite | text | st.booleans() | st.lists(finite, max_size=3), max_size=3)

named_numbers = st.dictionaries(text, numbers, max_size=3)

reports = st.builds(
    Report, integers, integers, integers, numbers, seconds, named_numbers, costs=named_numbers
)
events = st.one_of(
    reports,
    st.builds(Refined, integers, configurations, seconds, diagnostics, named_numbers, integers),
    st.builds(Rejected, integers, text, seconds),
    st.builds(Failed, integers, integers, text, st.sampled_from(FAILURES)),
    st.builds(Lost, integers, integers, text, st.sampled_from(LOSSES)),
)


# -- one record ------------------------------------------------------------------------------------


@quick
@given(events)
def test_every_event_survives_the_journal(event):
    line = to_json(event_record(event))
    assert "\n" not in line
    assert same(read_event(strict(line)), event)


@quick
@given(
    integers, configurations, integers, integers, integers, integers, st.booleans(), st.booleans(), integers
)
def test_every_job_survives_the_journal(
    trial, configuration, start, more, attempt, seed, refine, alone, slot
):
    job = Job(trial, configuration, start, start + 1 + more, attempt, seed, refine, alone)
    record = strict(to_json(job_record(job, slot)))
    kept = {
        "type": "job",
        "slot": slot,
        "trial": trial,
        "start": start,
        "until": job.until,
        "attempt": attempt,
        **({"alone": True} if alone else {}),
    }
    if start > 0:
        # the configuration was written where the trial began
        assert record == kept | ({"refine": True} if refine else {})
        return
    values = record.pop("configuration")
    assert record == kept | {"refine": refine}
    assert same(Configuration(tuple(values), tuple(values.values())), configuration)
    assert read_event(record) is None


@quick
@given(integers, integers, text, seconds)
def test_a_worker_survives_the_journal_to_the_millisecond(slot, pid, device, took):
    record = strict(to_json(event_record(WorkerReady(slot, pid, device, took))))
    assert record == {"type": "worker", "slot": slot, "pid": pid, "device": device, "seconds": round(took, 3)}
    assert read_event(record) is None


@quick
@given(text, integers, integers)
def test_what_only_people_read_is_journalled_and_not_replayed(words, slot, trial):
    notice = strict(to_json(event_record(Notice(words, slot, trial))))
    assert notice == {"type": "notice", "slot": slot, "trial": trial, "text": words}
    retired = strict(to_json(event_record(Retired(slot, words))))
    assert retired == {"type": "retired", "slot": slot, "reason": words}
    assert read_event(notice) is read_event(retired) is None


def test_a_loss_of_before_there_were_kinds_is_a_workers():
    assert read_event({"type": "lost", "trial": 3, "attempt": 1, "reason": "x"}) == Lost(3, 1, "x", "died")


def test_costs_that_nobody_counted_leave_no_trace_in_the_journal():
    """So a journal of before there were any is one in which nobody counted."""
    for event in (Report(0, 0, 1, 0.5, 1.0), Refined(0, SPACE.from_unit([0.5] * 3), 1.0)):
        record = strict(to_json(event_record(event)))
        assert "costs" not in record
        assert read_event(record).costs == {}


@pytest.mark.parametrize(("value", "written"), [(math.nan, "nan"), (math.inf, "inf"), (-math.inf, "-inf")])
def test_numbers_that_json_does_not_have_are_strings(value, written):
    record = strict(to_json(event_record(Report(0, 0, 1, value, 1.0, {"loss": value}))))
    assert record["value"] == written
    assert record["metrics"] == {"loss": written}
    assert same(read_number(written), value)
    costs = strict(to_json(event_record(Report(0, 0, 1, 0.5, 1.0, costs={"flops": value}))))["costs"]
    assert costs == {"flops": written}
    assert strict(to_json({"deep": [{"x": (value, 1)}]})) == {"deep": [{"x": [written, 1]}]}


@pytest.mark.parametrize("odd", [math.nan, math.inf])
def test_a_time_that_is_not_finite_is_read_back_as_a_number(odd):
    for event in (
        Report(0, 0, 1, 0.5, odd),
        Rejected(0, "x", odd),
        Refined(0, SPACE.from_unit([0.5] * 3), odd),
    ):
        back = read_event(strict(to_json(event_record(event))))
        assert same(back.seconds, odd)


@quick
@given(st.floats(allow_nan=False))
def test_a_float_is_written_to_its_last_bit(value):
    assert read_number(strict(to_json([value]))[0]) == value


# -- a file ----------------------------------------------------------------------------------------


def write(path, records, t=1.5):
    with closing(JournalWriter(path)) as journal:
        journal.append(t, records)


SOME = [
    event_record(Report(0, 0, 1, 0.25, 1.0)),
    event_record(Failed(1, 0, 'boom\n"ταβ"\t\u2028 \x85 \x00 \U0001f525')),
    event_record(Lost(2, 0, "killed: ψ")),
]


def test_records_come_back_in_order_with_their_time(tmp_path):
    path = tmp_path / "journal.jsonl"
    journal = JournalWriter(path)
    for number, record in enumerate(SOME):
        journal.append(number + 0.1234567, [record])
        # it is there before the next statement, for whoever reads while the search goes on
        assert read_journal(path).records[-1] == {"t": round(number + 0.1234567, 6), **record}
    journal.append(9.0, SOME)
    journal.close()
    contents = read_journal(path)
    assert contents.header["type"] == "journal"
    assert contents.header["schema"] == SCHEMA
    assert not contents.torn
    assert [{k: v for k, v in record.items() if k != "t"} for record in contents.records] == SOME + SOME
    lines = path.read_text(encoding="utf-8").split("\n")
    assert lines[-1] == ""
    plain = [strict(line) for line in lines[:-1]]
    assert all(re.fullmatch("[0-9a-f]{8}", record.pop("crc")) for record in plain)
    assert plain == [contents.header, *contents.records]


@settings(max_examples=40, deadline=None)
@given(st.lists(events, max_size=10))
def test_a_whole_file_of_events_survives(tmp_path_factory, some):
    path = tmp_path_factory.mktemp("journal") / "journal.jsonl"
    write(path, [event_record(event) for event in some])
    assert same([read_event(record) for record in read_journal(path).records], some)


def test_text_that_utf8_does_not_have_neither_ends_the_search_nor_spoils_the_journal(tmp_path):
    # Python names files that are not valid UTF-8 so, and so they come in the text of an OSError
    path = tmp_path / "journal.jsonl"
    write(path, [event_record(Failed(0, 0, "no such file: 'd\udce4ten'")), SOME[0]])
    contents = read_journal(path)
    assert not contents.torn
    assert [record["type"] for record in contents.records] == ["failed", "report"]
    assert contents.records[0]["error"].startswith("no such file: 'd")


def test_resumptions_are_found_without_reading_the_rest(tmp_path):
    path = tmp_path / "journal.jsonl"
    assert read_resumptions(path) == []
    texts = ("1h", '"type": "resume"')
    resumed = [{"type": "resume", "held": 2, "changes": {"budget": text}} for text in texts]
    others = [
        {"type": "notice", "text": '"type": "resume"'},
        {"type": "job", "trial": 0, "configuration": {"type": "resume"}},
    ]
    write(path, [others[0], resumed[0], others[1], resumed[1]])
    whole = [record for record in read_journal(path).records if record["type"] == "resume"]
    assert [each | {"crc": None} for each in read_resumptions(path)] == [
        each | {"crc": None} for each in whole
    ]
    path.write_bytes(path.read_bytes()[:-20])  # the last line is torn
    assert [each["changes"] for each in read_resumptions(path)] == [{"budget": "1h"}]


def test_a_torn_last_line_is_tolerated_wherever_it_is_torn(tmp_path):
    path = tmp_path / "journal.jsonl"
    write(path, SOME)
    whole = path.read_bytes()
    before = whole[:-1].rfind(b"\n") + 1
    complete = read_journal(path).records
    for end in range(before, len(whole) + 1):
        path.write_bytes(whole[:end])
        contents = read_journal(path)
        has_last = end >= len(whole) - 1  # only the newline may lack
        assert contents.records == (complete if has_last else complete[:-1])
        assert contents.torn == (before < end < len(whole) - 1)


@pytest.mark.parametrize(
    "damage", ["", "{", "null", "[1]", '{"t": 1}', '{"type": "report"', "\x00\x00", "x" * 500, "[" * 5000]
)
@pytest.mark.parametrize("number", [2, 3])
def test_damage_before_the_last_line_names_the_line(tmp_path, damage, number):
    path = tmp_path / "journal.jsonl"
    write(path, SOME)
    lines = path.read_text(encoding="utf-8").split("\n")
    lines[number - 1] = damage
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(JournalError) as caught:
        read_journal(path)
    assert f"line {number}," in str(caught.value)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < len(str(path)) + 180


def test_an_unknown_schema_says_which_one_is_known(tmp_path):
    path = tmp_path / "journal.jsonl"
    path.write_text('{"type": "journal", "schema": 99, "created": "?"}\n', encoding="utf-8")
    with pytest.raises(JournalError, match=rf"schema 99: this version reads schemas 1 and {SCHEMA};"):
        read_journal(path)


@pytest.mark.parametrize(
    "content",
    ["", '{"type": "journal", "sch', to_json({"t": 1, **SOME[0]}) + "\n", '{"type": "x"}\n', "hello"],
)
def test_a_file_without_a_header_is_not_a_journal(tmp_path, content):
    path = tmp_path / "notes.txt"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(JournalError, match="is not a journal"):
        read_journal(path)


def test_a_file_that_is_no_json_is_an_error_that_names_it(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("dear diary\nall is well\n", encoding="utf-8")
    with pytest.raises(JournalError, match=r"notes.txt, line 1, is damaged \(.*record\): 'dear diary'"):
        read_journal(path)


def test_what_cannot_be_read_is_an_error_that_says_why(tmp_path):
    with pytest.raises(JournalError, match=r"cannot read .*absent.jsonl: No such file"):
        read_journal(tmp_path / "absent.jsonl")
    with pytest.raises(JournalError, match=r"cannot read .*: Is a directory"):
        read_journal(tmp_path)


def test_a_writer_refuses_a_file_that_exists_and_leaves_it_alone(tmp_path):
    path = tmp_path / "journal.jsonl"
    write(path, SOME)
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        JournalWriter(path)
    assert path.read_bytes() == before


# -- the replay law --------------------------------------------------------------------------------


def search(path, *, slots, **options):
    """A search with failures, losses, refinements and rejections, and its journal in a file."""

    def before(job):
        if not job.refine:
            return []
        luck = uniforms(8, "warm", 100 * job.trial + job.attempt, 3)
        if luck[0] < 0.1:
            return [Rejected(job.trial, "diverges at once", 0.1)]
        return [Refined(job.trial, SPACE.from_unit(luck), 0.2, {"step": luck})] if luck[0] < 0.6 else []

    scheduler = asha(**options)
    clock = ManualClock()
    executor = FakeExecutor(clock, slots, eventful, before=before)
    outcome = Search(scheduler, executor, JournalWriter(path), clock).run()
    assert outcome.reason == "complete"
    return scheduler


def rebuilt(records, **options):
    """A scheduler rebuilt from a journal's records."""
    scheduler = asha(**options)
    replay(Path("journal.jsonl"), records, scheduler)
    return scheduler


def state(scheduler):
    slots = (
        "id",
        "configuration",
        "seed",
        "status",
        "rung",
        "start",
        "until",
        "attempt",
        "faults",
        "alone",
        "resource",
        "refined",
    )
    return (
        list(scheduler.counts()),
        scheduler.best,
        scheduler.units,
        scheduler.rejected,
        [tuple(getattr(trial, slot) for slot in slots) for trial in scheduler.trials],
    )


@pytest.mark.parametrize("slots", [1, 3, 8])
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("mode", ["min", "max"])
def test_a_scheduler_is_rebuilt_from_its_journal(tmp_path, slots, seed, mode):
    options = {"seed": seed, "mode": mode, "max_trials": 60, "max_retries": 1}
    path = tmp_path / "journal.jsonl"
    scheduler = search(path, slots=slots, **options)
    records = read_journal(path).records
    kinds = {record["type"] for record in records}
    assert kinds == {"worker", "job", "report", "refined", "rejected", "failed", "lost", "end"}
    again = rebuilt(records, **options)
    assert state(again) == state(scheduler)
    assert again.ask() is None


def test_a_scheduler_rebuilt_from_a_part_goes_on_as_the_whole(tmp_path):
    options = {"max_trials": 25}
    path = tmp_path / "journal.jsonl"
    scheduler = search(path, slots=3, **options)
    records = read_journal(path).records
    for cut in range(0, len(records), 7):
        part = rebuilt(records[:cut], **options)
        replay(path, records[cut:], part)
        assert state(part) == state(scheduler)


def test_times_in_a_journal_never_decrease(tmp_path):
    path = tmp_path / "journal.jsonl"
    search(path, slots=3)
    times = [record["t"] for record in read_journal(path).records]
    assert all(a <= b for a, b in pairwise(times))
    assert times[-1] > times[0]
