"""What is wrong with a journal shows: every changed byte, every line that is cut, lost, moved or repeated."""

from __future__ import annotations

import json
import random
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asha_core.errors import JournalError
from asha_core.messages import Failed, Lost, Report
from asha_core.runtime.storage.journal import JournalWriter, read_journal
from asha_core.runtime.storage.records import event_record, read_event, to_json
from tests.asha_core.runtime.storage.test_journal import events, same

SOME = [
    event_record(Report(0, 0, 1, 0.25, 1.0, {"loss": 1e-3})),
    event_record(Failed(1, 0, 'boom\n"ταβ"', "oom")),
    event_record(Lost(12, 0, "killed: ψ", "hung")),
]
MORE = [event_record(Report(3, 2, 7, 0.5, 2.0)), event_record(Lost(4, 0, "gone"))]


def write(path, *groups, past=None):
    with closing(JournalWriter(path, past, sync=False)) as journal:
        for t, records in enumerate(groups):
            journal.append(t, records)
    return path.read_bytes()


def old(path, records=SOME):
    """A journal of schema 1, as version 0.2 wrote it."""
    lines = [{"type": "journal", "schema": 1, "created": "?"}, *({"t": 0.0, **r} for r in records)]
    path.write_text("".join(to_json(line) + "\n" for line in lines), encoding="utf-8")
    return path.read_bytes()


def line_of(content, position):
    return content[:position].count(b"\n") + 1


def goes_on(path, contents, records=MORE):
    """The journal that a writer makes of ``contents`` and ``records``, read back."""
    write(path, records, past=contents)
    again = read_journal(path)
    assert not again.torn
    assert again.ended
    assert again.size == len(path.read_bytes())
    return again


# -- one byte --------------------------------------------------------------------------------------


def changed(path, content, position, byte):
    """What is found of a journal with one byte changed: the error's text, or "torn"."""
    path.write_bytes(content[:position] + bytes([byte]) + content[position + 1 :])
    try:
        contents = read_journal(path)
    except JournalError as error:
        return str(error)
    assert contents.torn, f"byte {position} became {byte} and nobody noticed"
    return "torn"


@pytest.mark.long
def test_every_changed_byte_names_its_line(tmp_path):
    path = tmp_path / "journal.jsonl"
    content = write(path, SOME)
    header = content.index(b"\n") + 1
    for position in range(header, len(content) - 1):
        old_byte = content[position]
        for byte in {old_byte ^ 1, old_byte ^ 32, old_byte ^ 128, 0, *b' "0}\n'} - {old_byte}:
            said = changed(path, content, position, byte)
            assert f", line {line_of(content, position)}, is damaged (" in said, (position, byte)


def test_every_bit_of_the_header_matters(tmp_path):
    path = tmp_path / "journal.jsonl"
    content = write(path, SOME)
    for position in range(content.index(b"\n") + 1):
        for bit in range(8):
            byte = content[position] ^ (1 << bit)
            assert changed(path, content, position, byte) != "torn"


def test_every_digit_of_the_schema_matters(tmp_path):
    path = tmp_path / "journal.jsonl"
    content = write(path, SOME)
    position = content.index(b'"schema": 2') + 10
    for byte in b"013456789":
        assert changed(path, content, position, byte) != "torn"


def test_a_changed_byte_in_a_last_line_without_its_end_is_torn(tmp_path):
    path = tmp_path / "journal.jsonl"
    content = write(path, SOME)
    whole = read_journal(path).records
    last = content[:-1].rindex(b"\n") + 1
    for position in range(last, len(content) - 1):
        assert changed(path, content[:-1], position, content[position] ^ 1) == "torn"
        assert read_journal(path).records == whole[:-1]
    assert changed(path, content, len(content) - 1, 0) == "torn"


@pytest.mark.long
@settings(max_examples=60, deadline=None)
@given(some=st.lists(events, min_size=2, max_size=6), seed=st.integers(0, 10**6))
def test_whatever_is_journalled_a_changed_byte_names_its_line(tmp_path_factory, some, seed):
    path = tmp_path_factory.mktemp("journal") / "journal.jsonl"
    content = write(path, [event_record(event) for event in some])
    generator = random.Random(seed)
    for _ in range(20):
        position = generator.randrange(content.index(b"\n") + 1, len(content) - 1)
        byte = (content[position] + generator.randrange(1, 256)) % 256
        said = changed(path, content, position, byte)
        assert f", line {line_of(content, position)}, is damaged (" in said


# -- a part ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [write, old])
def test_whatever_is_cut_off_whole_lines_stay_and_a_writer_goes_on_from_there(tmp_path, make):
    path = tmp_path / "journal.jsonl"
    content = make(path, SOME)
    whole = read_journal(path)
    header = content.index(b"\n")
    for end in range(len(content) + 1):
        path.write_bytes(content[:end])
        if end < header:
            with pytest.raises(JournalError, match="is not a journal"):
                read_journal(path)
            continue
        contents = read_journal(path)
        on_the_edge = content[end : end + 1] in (b"\n", b"") or content[end - 1 : end] == b"\n"
        kept = (content[:end] + b"\n" * (content[end : end + 1] == b"\n")).count(b"\n") - 1
        assert contents.header == whole.header
        assert contents.records == whole.records[:kept]
        assert contents.torn == (not on_the_edge)
        assert contents.ended == (content[contents.size - 1 : contents.size] == b"\n")
        assert contents.size == (end if on_the_edge else content[:end].rindex(b"\n") + 1)
        again = goes_on(path, contents)
        assert again.header == whole.header
        assert again.records == whole.records[:kept] + [{"t": 0, **record} for record in MORE]


def test_a_journal_that_was_gone_on_with_again_and_again_is_checked_throughout(tmp_path):
    path = tmp_path / "journal.jsonl"
    write(path, SOME)
    for number in range(6):
        content = path.read_bytes()
        path.write_bytes(content + b'{"t": 1, "type"'[: 3 * number] if number % 2 else content[:-1])
        goes_on(path, read_journal(path))
    content = path.read_bytes()
    assert len(read_journal(path).records) == len(SOME) + 6 * len(MORE)
    for position in range(content.index(b"\n") + 1, len(content) - 1, 11):
        assert f"line {line_of(content, position)}," in changed(
            path, content, position, content[position] ^ 1
        )


def test_a_writer_that_goes_on_writes_as_one_that_never_stopped(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    write(one, SOME)
    header = one.read_bytes().partition(b"\n")[0] + b"\n"
    other.write_bytes(header)
    write(other, SOME, past=read_journal(other))
    assert other.read_bytes() == one.read_bytes()


@settings(max_examples=60, deadline=None)
@given(before=st.lists(events, max_size=5), after=st.lists(events, max_size=5), cut=st.integers(0, 40))
def test_what_is_read_is_what_was_kept_and_what_came_after(tmp_path_factory, before, after, cut):
    path = tmp_path_factory.mktemp("journal") / "journal.jsonl"
    content = write(path, [event_record(event) for event in before])
    path.write_bytes(content[: max(len(content) - cut, content.index(b"\n") + 1)])
    contents = read_journal(path)
    kept = [read_event(record) for record in contents.records]
    assert same(kept, before[: len(kept)])
    again = goes_on(path, contents, [event_record(event) for event in after])
    assert same([read_event(record) for record in again.records], kept + after)


# -- lines -----------------------------------------------------------------------------------------


def lines_of(path):
    return write(path, SOME, MORE).splitlines(keepends=True)


def damage(path, lines):
    path.write_bytes(b"".join(lines))
    with pytest.raises(JournalError) as caught:
        read_journal(path)
    return str(caught.value)


def test_a_missing_line_is_an_error_where_it_is_missing(tmp_path):
    path = tmp_path / "journal.jsonl"
    lines = lines_of(path)
    for number in range(1, len(lines) - 1):
        said = damage(path, lines[:number] + lines[number + 1 :])
        assert f"line {number + 1}, is damaged" in said
        assert "a line before it is missing" in said
    assert "is not a journal" in damage(path, lines[1:])


def test_a_repeated_line_is_an_error_where_it_is_repeated(tmp_path):
    path = tmp_path / "journal.jsonl"
    lines = lines_of(path)
    for number in range(len(lines)):
        said = damage(path, lines[: number + 1] + lines[number:])
        assert f"line {number + 2}, is damaged" in said


def test_lines_that_changed_places_are_an_error_at_the_first(tmp_path):
    path = tmp_path / "journal.jsonl"
    lines = lines_of(path)
    for one in range(1, len(lines)):
        for other in range(one + 1, len(lines)):
            swapped = list(lines)
            swapped[one], swapped[other] = lines[other], lines[one]
            assert f"line {one + 1}, is damaged" in damage(path, swapped)


def test_a_line_of_another_journal_is_an_error(tmp_path):
    lines = lines_of(tmp_path / "journal.jsonl")
    write(tmp_path / "other", SOME[::-1], MORE)
    others = (tmp_path / "other").read_bytes().splitlines(keepends=True)
    for number in range(1, len(lines)):
        mixed = [*lines[:number], others[number], *lines[number + 1 :]]
        assert f"line {number + 1}, is damaged" in damage(tmp_path / "journal.jsonl", mixed)


# -- other schemas ---------------------------------------------------------------------------------


def test_a_journal_of_schema_1_is_read_and_gone_on_with_as_it_was_begun(tmp_path):
    path = tmp_path / "journal.jsonl"
    content = old(path)
    contents = read_journal(path)
    assert contents.records == [{"t": 0.0, **record} for record in SOME]
    goes_on(path, contents)
    assert path.read_bytes().startswith(content)
    assert b"crc" not in path.read_bytes()


@pytest.mark.parametrize("schema", [0, 3, -1, "2", None, [2], 10**30, True])
def test_an_unknown_schema_is_not_guessed_at(tmp_path, schema):
    path = tmp_path / "journal.jsonl"
    path.write_text(json.dumps({"type": "journal", "schema": schema}) + "\n")
    with pytest.raises(JournalError, match=r"has schema .*: this version reads schemas 1 and 2"):
        read_journal(path)


def test_a_journal_of_schema_2_without_checksums_is_damaged(tmp_path):
    path = tmp_path / "journal.jsonl"
    path.write_text('{"type": "journal", "schema": 2, "created": "?"}\n')
    with pytest.raises(JournalError, match=r"line 1, is damaged \(its checksum"):
        read_journal(path)


# -- names of files --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["trial", "slot"])
@pytest.mark.parametrize("odd", ["../../etc", "0", 1.5, 1.0, True, False, -1, [0], {}])
@pytest.mark.parametrize("make", [write, old])
def test_what_names_a_file_is_a_number(tmp_path, make, name, odd):
    path = tmp_path / "journal.jsonl"
    make(path, [SOME[0], {"type": "notice", "text": "x", name: odd}, SOME[1]])
    with pytest.raises(JournalError, match=rf"line 3, is damaged \(its {name} is not a number\)"):
        read_journal(path)


def test_a_notice_need_not_be_of_a_trial_or_slot(tmp_path):
    path = tmp_path / "journal.jsonl"
    write(path, [{"type": "notice", "slot": None, "trial": None, "text": "x"}])
    assert read_journal(path).records[0]["text"] == "x"
