"""The journal and the disk below it: full, slow, broken."""

from __future__ import annotations

import errno
import os
import threading
import time
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from asha_core.errors import JournalError
from asha_core.runtime.storage.journal import DiskFull, JournalWriter, read_journal
from tests.asha_core.runtime.small_disk import PAGE, small_disk  # noqa: F401  (a fixture)

NOTE = {"type": "notice", "text": "x" * 100, "slot": None, "trial": None}


# -- a full disk -----------------------------------------------------------------------------------


def test_on_a_full_disk_nothing_is_half_written_and_with_room_again_it_goes_on(small_disk):  # noqa: F811
    path = small_disk.path / "journal.jsonl"
    with closing(JournalWriter(path)) as journal:
        written = 0
        for _ in range(3):
            small_disk.fill()
            with pytest.raises(DiskFull, match=r"no room on the disk of .*journal\.jsonl"):
                while True:  # what is left of the last page
                    journal.append(written, [NOTE] * 7)
                    written += 1
            before = path.read_bytes()
            assert before.endswith(b"}\n")
            assert len(read_journal(path).records) == 7 * written
            with pytest.raises(DiskFull):
                journal.append(written, [NOTE] * 40)
            assert path.read_bytes() == before
            small_disk.clear()
            journal.append(written, [NOTE] * 7)
            written += 1
            assert path.read_bytes().startswith(before)
    contents = read_journal(path)
    assert not contents.torn
    assert [record["t"] for record in contents.records] == [n // 7 for n in range(7 * written)]


def test_a_record_larger_than_what_is_left_is_refused_and_a_small_one_taken(small_disk):  # noqa: F811
    path = small_disk.path / "journal.jsonl"
    with closing(JournalWriter(path)) as journal:
        small_disk.fill(leave=2 * PAGE)
        before = path.read_bytes()
        with pytest.raises(DiskFull):
            journal.append(1.0, [{**NOTE, "text": "x" * 20 * PAGE}])
        assert path.read_bytes() == before
        journal.append(2.0, [NOTE])
    assert [record["t"] for record in read_journal(path).records] == [2.0]


def test_a_journal_on_a_full_disk_can_be_read_and_is_not_gone_on_with_by_halves(small_disk):  # noqa: F811
    path = small_disk.path / "journal.jsonl"
    with closing(JournalWriter(path)) as journal:
        journal.append(0.0, [NOTE])
    filler = PAGE - len(path.read_bytes())
    with closing(JournalWriter(path, read_journal(path))) as journal:
        journal.append(0.0, [{**NOTE, "text": "x" * (filler - 100)}])
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    small_disk.fill()
    contents = read_journal(path)
    assert not contents.ended
    with closing(JournalWriter(path, contents)) as journal, pytest.raises(DiskFull):
        journal.append(1.0, [NOTE] * 100)
    assert read_journal(path).records == contents.records


class Disk:
    """``os.pwrite`` and ``os.fsync`` as a test wants them."""

    def __init__(self, monkeypatch):
        self.at_once, self.error, self.syncs = 10**9, None, []
        self.sync_error, self.sync_seconds = None, 0.0
        self._pwrite, self._fsync = os.pwrite, os.fsync
        monkeypatch.setattr(os, "pwrite", self.pwrite)
        monkeypatch.setattr(os, "fsync", self.fsync)

    def pwrite(self, file, data, offset):
        if self.error is not None and len(data) <= self.error[0]:
            raise OSError(self.error[1], os.strerror(self.error[1]))
        return self._pwrite(file, data[: self.at_once], offset)

    def fsync(self, file):
        self.syncs.append((time.monotonic(), threading.current_thread()))
        time.sleep(self.sync_seconds)
        if self.sync_error is not None:
            raise OSError(self.sync_error, os.strerror(self.sync_error))
        self._fsync(file)

    def of_the_thread(self):
        return [t for t, thread in self.syncs if thread is not threading.main_thread()]


@pytest.fixture
def disk(monkeypatch):
    return Disk(monkeypatch)


@pytest.mark.parametrize("at_once", [1, 7, 100])
def test_what_the_system_takes_in_parts_is_whole_in_the_end(tmp_path, disk, at_once):
    disk.at_once = at_once
    with closing(JournalWriter(tmp_path / "journal.jsonl")) as journal:
        journal.append(1.0, [NOTE] * 3)
    assert len(read_journal(tmp_path / "journal.jsonl").records) == 3


@pytest.mark.parametrize(
    ("number", "kind", "said"),
    [
        (errno.ENOSPC, DiskFull, "no room"),
        (errno.EDQUOT, DiskFull, "no room"),
        (errno.EIO, JournalError, "cannot be written: Input/output error"),
    ],
)
@pytest.mark.parametrize("part", [0, 50])
def test_a_part_that_was_written_before_an_error_is_taken_back(tmp_path, disk, number, kind, said, part):
    path = tmp_path / "journal.jsonl"
    with closing(JournalWriter(path)) as journal:
        journal.append(0.0, [NOTE])
        before = path.read_bytes()
        disk.at_once = 50
        disk.error = (10**9 if part == 0 else 100), number
        with pytest.raises(kind, match=said):
            journal.append(1.0, [NOTE] * 3)
        assert path.read_bytes() == before
        disk.error = None
        journal.append(2.0, [NOTE])
    assert [record["t"] for record in read_journal(path).records] == [0.0, 2.0]


def until(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


# -- waiting for the disk --------------------------------------------------------------------------


@pytest.mark.long
def test_the_disk_is_waited_for_four_times_a_second_at_most_and_once_at_the_end(tmp_path, disk):
    journal = JournalWriter(tmp_path / "journal.jsonl")
    begun = time.monotonic()
    while time.monotonic() < begun + 0.9:
        journal.append(0.0, [NOTE])
        time.sleep(0.002)
    during = disk.of_the_thread()
    journal.close()
    assert 2 <= len(during) <= 5
    assert all(b - a >= 0.24 for a, b in pairwise(during))
    assert len(disk.of_the_thread()) == len(during) + 1


def test_nothing_is_waited_for_while_nothing_is_written(tmp_path, disk):
    journal = JournalWriter(tmp_path / "journal.jsonl")
    time.sleep(0.4)
    assert len(disk.of_the_thread()) == 1  # of the header
    journal.close()
    assert len(disk.of_the_thread()) == 2


def test_a_new_journals_name_outlives_the_machine(tmp_path, disk):
    JournalWriter(tmp_path / "journal.jsonl", sync=False).close()
    assert [thread for _, thread in disk.syncs] == [threading.main_thread()]  # the directory


def test_a_slow_disk_does_not_hold_up_the_search(tmp_path, disk):
    journal = JournalWriter(tmp_path / "journal.jsonl")
    until(disk.of_the_thread)
    disk.sync_seconds = 0.5
    begun = time.monotonic()
    for number in range(200):
        journal.append(number, [NOTE])
    assert time.monotonic() - begun < 0.4
    journal.close()
    assert len(read_journal(tmp_path / "journal.jsonl").records) == 200


def test_what_the_disk_refused_later_is_said_by_an_append(tmp_path, disk):
    path = tmp_path / "journal.jsonl"
    journal = JournalWriter(path)
    until(disk.of_the_thread)
    disk.sync_error = errno.EIO
    journal.append(0.0, [NOTE])
    until(lambda: len(disk.of_the_thread()) == 2)
    time.sleep(0.05)
    before = path.read_bytes()
    for _ in range(2):  # what was lost does not come back
        with pytest.raises(JournalError, match="cannot be written: Input/output error"):
            journal.append(1.0, [NOTE])
    assert path.read_bytes() == before
    journal.close()


def test_a_disk_that_was_full_when_it_was_waited_for_does_not_stop_a_search_for_ever(tmp_path, disk):
    """As on a network file system, which says so only then."""
    journal = JournalWriter(tmp_path / "journal.jsonl")
    until(disk.of_the_thread)
    disk.sync_error = errno.ENOSPC
    journal.append(0.0, [NOTE])
    until(lambda: len(disk.of_the_thread()) == 2)
    time.sleep(0.05)
    disk.sync_error = None  # there is room again
    try:
        with pytest.raises((DiskFull, JournalError)):
            journal.append(1.0, [NOTE])
        until(lambda: appends_or_says_that_it_never_will(journal), 0.5)
    finally:
        journal.close()


def appends_or_says_that_it_never_will(journal):
    try:
        journal.append(2.0, [NOTE])
    except DiskFull:
        return False  # on which the engine waits, and tries again
    except JournalError:
        pass
    return True


def test_appends_beside_a_busy_disk_thread_do_not_interleave(tmp_path, disk, monkeypatch):
    monkeypatch.setattr("asha_core.runtime.storage.journal._SYNC_SECONDS", 0.0)
    disk.at_once = 30
    path = tmp_path / "journal.jsonl"
    with closing(JournalWriter(path)) as journal:
        number = 0
        while number < 300 or len(disk.of_the_thread()) < 5:
            journal.append(number, [NOTE, {**NOTE, "text": str(number)}])
            number += 1
    records = read_journal(path).records
    assert [record["text"] for record in records[1::2]] == [str(n) for n in range(number)]


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_closing_twice_is_closing_once_and_nothing_is_left(tmp_path, disk):
    threads, files = threading.active_count(), open_files()
    for number in range(3):
        journal = JournalWriter(tmp_path / f"{number}.jsonl")
        journal.close()
        journal.close()
    with pytest.raises(FileExistsError):
        JournalWriter(tmp_path / "0.jsonl")
    assert threading.active_count() == threads
    assert open_files() == files


def test_a_writer_that_cannot_begin_leaves_nothing_open(tmp_path, disk):
    threads, files = threading.active_count(), open_files()
    disk.error = 10**9, errno.ENOSPC
    with pytest.raises(DiskFull):
        JournalWriter(tmp_path / "journal.jsonl")
    assert threading.active_count() == threads
    assert open_files() == files
