"""Kills workers and engines of real searches, damages their files, and checks each time what is left."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from asha_core.errors import JournalError, ResultsError
from asha_core.runtime.replay import replay
from asha_core.runtime.storage.journal import read_journal
from asha_core.runtime.storage.records import Record
from tests.faults import victim
from trials.checkpoints.files import load_checkpoint

PATIENCE = 90.0
ROOT = Path(__file__).resolve().parents[2]
# of faults; the first two of each pair are named places, the others random instants
KINDS = {
    "worker killed at a place": 0.35,
    "worker killed at random": 0.12,
    "worker stopped (SIGSTOP)": 0.06,
    "engine killed at a place": 0.30,
    "engine killed at random": 0.12,
    "engine stopped for a while": 0.05,
}


@dataclass
class Tally:
    """What was done, and what was checked."""

    faults: Counter[str] = field(default_factory=Counter)
    places: Counter[str] = field(default_factory=Counter)
    checks: Counter[str] = field(default_factory=Counter)

    @property
    def kills(self) -> int:
        return sum(count for name, count in self.faults.items() if "killed" in name)

    def lines(self) -> list[str]:
        rows = [*self.faults.items(), *((f"checked: {name}", n) for name, n in self.checks.items())]
        return [f"{count:6d}  {name}" for name, count in rows]


def processes_of(mark: str) -> list[int]:
    """Living processes that carry ``mark`` in their environment."""
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal():
            try:
                environment = Path(f"/proc/{entry.name}/environ").read_bytes()
                state = Path(f"/proc/{entry.name}/stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if mark.encode() in environment and state not in "ZX":
                found.append(int(entry.name))
    return found


class Search:
    """One search, from its first session to its completion."""

    def __init__(self, folder: Path, seed: int, slots: int, tally: Tally) -> None:
        self.directory = folder / "run"
        self.journal = self.directory / "journal.jsonl"
        self.log = folder / "trained"
        self.claims = folder / "claims"
        self.claims.mkdir(parents=True)
        self.seed, self.slots, self.tally = seed, slots, tally
        self.mark = f"FAULTS_MARK={uuid.uuid4().hex}"
        self.damaged = False  # a checkpoint was: units may be trained again
        self.engine: subprocess.Popen[str] | None = None

    def start(self) -> subprocess.Popen[str]:
        name, _, value = self.mark.partition("=")
        environment = {
            **os.environ,
            name: value,
            "FAULTS": str(self.claims),
            "FAULTS_LOG": str(self.log),
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, "-m", "tests.faults.victim", self.directory, self.slots, self.seed]
        self.engine = subprocess.Popen(
            list(map(str, command)),
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        return self.engine

    @property
    def over(self) -> bool:
        return self.engine is None or self.engine.poll() is not None

    def records(self) -> list[Record]:
        """What the journal has; nothing as long as its first line is being written."""
        begun = self.journal.exists() and b"\n" in self.journal.read_bytes()
        return read_journal(self.journal).records if begun else []

    def workers(self) -> list[int]:
        """Processes of the workers that are alive now."""
        assert self.engine is not None
        servers = [pid for pid in _children(self.engine.pid) if b"preloading" in _command_line(pid)]
        return [pid for server in servers for pid in _children(server)]

    def finish(self) -> None:
        """The engine has ended: nothing of it may be left, and what it wrote must be whole."""
        assert self.engine is not None
        out, err = self.engine.communicate(timeout=PATIENCE)
        code = self.engine.returncode
        assert code in (0, -signal.SIGKILL), f"the engine ended with {code}:\n{err}"
        self._nobody_left()
        if code == 0:
            said = json.loads(out.splitlines()[-1])
            assert said["before"] == said["after"], f"leaked: {said}"
            self.tally.checks["open files, threads and children before and after"] += 1

    def _nobody_left(self) -> None:
        deadline = time.monotonic() + 10
        while left := processes_of(self.mark):
            assert time.monotonic() < deadline, f"orphans: {[_command_line(pid) for pid in left]}"
            time.sleep(0.05)
        self.tally.checks["no process left of a dead engine"] += 1

    def check(self) -> None:
        """The laws, on what is on the disk."""
        if not self.journal.exists() or b"\n" not in self.journal.read_bytes():
            return
        contents = read_journal(self.journal)
        replay(self.journal, contents.records, victim.scheduler(self.seed))
        self.tally.checks["every decision replayed from the journal"] += 1
        reached: dict[int, int] = {}
        values: dict[tuple[int, int], float] = {}
        for record in contents.records:
            if record["type"] == "report":
                trial, unit = record["trial"], (record["trial"], record["resource"])
                if self.damaged and unit in values:  # trained again from an older checkpoint; counted once
                    assert record["value"] == values[unit], f"trained otherwise: {record}"
                    self.tally.checks[
                        "units trained again after a damaged checkpoint, to the same value"
                    ] += 1
                    continue
                values[unit] = record["value"]
                assert record["resource"] == reached.get(trial, 0) + 1, f"lost or doubled: {record}"
                reached[trial] = record["resource"]
                self.tally.checks["reports in order, each once"] += 1
        self._check_training(contents.records)

    def _check_training(self, records: list[Record]) -> None:
        """No unit is trained again whose report was journalled, but after a damaged checkpoint."""
        starts = {(r["trial"], r["attempt"], r["until"]): r["start"] for r in records if r["type"] == "job"}
        first: dict[tuple[int, int], list[int]] = {}
        for line in self.log.read_text().splitlines() if self.log.exists() else []:
            trial, attempt, unit = map(int, line.split())
            first.setdefault((trial, attempt), []).append(unit)
        for (trial, attempt), units in first.items():
            allowed = {start for (t, a, _), start in starts.items() if (t, a) == (trial, attempt)}
            if not allowed:  # its job's record was lost with the journal's tail
                continue
            before = None
            for unit in units:
                follows = before is not None and unit == before + 1
                assert self.damaged or follows or unit - 1 in allowed, f"trained again: {trial}, unit {unit}"
                before = unit
            self.tally.checks["jobs that trained from their last report on"] += 1


def _shared_memory() -> set[str]:
    """What torch or multiprocessing left there; what a living process holds is another test's."""
    there = {}
    for path in Path("/dev/shm").iterdir():
        with suppress(OSError):  # it is gone by now
            if path.name.startswith(("torch_", "psm_", "sem.")):
                there[path.stat().st_ino] = path.name
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is somebody else's
            for line in (process / "maps").read_text(errors="replace").splitlines():
                if "/dev/shm/" in line:  # by inode: a semaphore was mapped under another name than it has
                    there.pop(int(line.split()[4]), None)
    return set(there.values())


def _children(pid: int) -> list[int]:
    try:
        return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
    except OSError:
        return []


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


class Campaign:
    """Searches under faults, until so many kills have struck.

    Args:
        folder: for everything that is written. kills: how many. seed: of all that is random here.
    """

    def __init__(self, folder: Path, kills: int, seed: int) -> None:
        self.folder, self.kills = folder, kills
        self.random = random.Random(seed)
        self.tally = Tally()
        self.number = 0
        self._workers, self._engines = self._deal(victim.WORKER_PLACES), self._deal(victim.ENGINE_PLACES)

    def _deal(self, places: tuple[str, ...]) -> Iterator[str]:
        """Every place in turn, shuffled each time round."""
        while True:
            yield from self.random.sample(places, len(places))

    def run(self) -> Tally:
        shared = _shared_memory()
        while self.tally.kills < self.kills:
            self._one_search()
        left = _shared_memory() - shared
        assert not left, f"shared memory left behind: {left}"
        self.tally.checks["no shared memory left"] += 1
        return self.tally

    def _one_search(self) -> None:
        self.number += 1
        slots = self.number % 2 + 1  # 2, 1, 2, ...
        search = Search(self.folder / f"search-{self.number}", self.number, slots, self.tally)
        for _ in range(1000):
            search.start()
            while not search.over and self.tally.kills < self.kills:
                self._fault(search)
            search.finish()
            search.check()
            if search.engine is not None and search.engine.returncode == 0:
                break
            self._damage(search)
        else:
            raise AssertionError("the search never came to its end")
        assert search.records()[-1]["reason"] == "complete"
        if slots == 1 and not search.damaged:
            self._compare(search)
        shutil.rmtree(search.directory)

    def _compare(self, search: Search) -> None:
        """With one worker, the same reports in the same order as in a search that nothing happened to."""
        calm = Search(self.folder / f"calm-{self.number}", search.seed, 0, self.tally)
        calm.start()
        calm.finish()
        ours, theirs = (
            [(r["trial"], r["resource"], r["value"]) for r in each.records() if r["type"] == "report"]
            for each in (search, calm)
        )
        assert ours == theirs, "an interrupted search decided otherwise than a calm one"
        self.tally.checks["searches equal to an uninterrupted one, report by report"] += 1

    # -- faults --------------------------------------------------------------------------------

    def _fault(self, search: Search) -> None:
        kind = self.random.choices(list(KINDS), list(KINDS.values()))[0]
        match kind:
            case "worker killed at a place":
                struck = self._claim(search, next(self._workers))
            case "worker stopped (SIGSTOP)":
                struck = self._claim(search, f"stop-{next(self._workers)}")
            case "engine killed at a place":
                struck = self._claim(search, next(self._engines))
            case "worker killed at random":
                time.sleep(self.random.uniform(0.0, 3.0))
                workers = search.workers()
                struck = bool(workers) and _signal(self.random.choice(workers), signal.SIGKILL)
            case "engine killed at random":
                time.sleep(self.random.uniform(0.0, 6.0))
                struck = not search.over and _signal(search.engine.pid, signal.SIGKILL)
            case _:
                struck = self._pause(search)
        self.tally.faults[kind] += struck

    def _claim(self, search: Search, place: str) -> bool:
        """Wait until somebody is struck there, or the search ends; not for ever: some places are rare."""
        claim = search.claims / place
        claim.touch()
        deadline = time.monotonic() + 12.0
        while claim.exists() and not search.over and time.monotonic() < deadline:
            time.sleep(0.01)
        struck = not claim.exists()
        claim.unlink(missing_ok=True)
        self.tally.places[place] += struck
        return struck

    def _pause(self, search: Search) -> bool:
        """Longer than a worker may be silent: nobody is to be blamed for that."""
        assert search.engine is not None
        if not _signal(search.engine.pid, signal.SIGSTOP):
            return False
        time.sleep(5.0)
        return _signal(search.engine.pid, signal.SIGCONT)

    # -- damage --------------------------------------------------------------------------------

    def _damage(self, search: Search) -> None:
        """Now and then, before a search is resumed: a torn journal, a changed byte in it, in a checkpoint."""
        luck = self.random.random()
        if luck < 0.2:
            self._tear(search)
        elif luck < 0.4:
            self._flip_journal(search)
        elif luck < 0.6:
            self._flip_checkpoint(search)

    def _tear(self, search: Search) -> None:
        if not search.journal.exists():
            return
        data = search.journal.read_bytes()
        if data.count(b"\n") < 2:
            return
        start = data.rstrip(b"\n").rfind(b"\n") + 1  # of the last line
        if json.loads(data[start:] if data.endswith(b"\n") else b'{"type": ""}')["type"] == "report":
            return  # that would lose a report that had an effect: no crash does
        with open(search.journal, "ab") as file:
            file.write(data[start : start + self.random.randrange(1, max(len(data) - start - 1, 2))])
        self.tally.faults["journal's last line torn"] += 1

    def _flip_journal(self, search: Search) -> None:
        """One changed byte anywhere but in a torn tail must be noticed, and named."""
        if not search.journal.exists() or search.journal.read_bytes().count(b"\n") < 3:
            return
        whole = search.journal.read_bytes()
        data = bytearray(whole)
        place = self.random.randrange(whole.rfind(b"\n"))
        data[place] ^= 1 << self.random.randrange(8)
        search.journal.write_bytes(data)
        line = whole[:place].count(b"\n") + 1
        engine = search.start()
        _, err = engine.communicate(timeout=PATIENCE)
        assert engine.returncode == 1, f"a changed byte in line {line} was not noticed"
        assert any(f"line {n}" in err for n in (line, line + 1)) or "journal" in err, err
        search._nobody_left()
        search.journal.write_bytes(whole)
        self.tally.faults["bit of the journal flipped"] += 1

    def _flip_checkpoint(self, search: Search) -> None:
        paths = sorted((search.directory / "checkpoints").glob("trial-*.pt"))
        if not paths:
            return
        path = self.random.choice(paths)
        data = bytearray(path.read_bytes())
        place = self.random.randrange(len(data))
        data[place] ^= 1 << self.random.randrange(8)
        path.write_bytes(data)
        try:
            load_checkpoint(path)
        except ResultsError:
            search.damaged = True
        self.tally.faults["bit of a checkpoint flipped"] += 1


def _signal(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


__all__ = ["Campaign", "JournalError", "Tally"]
