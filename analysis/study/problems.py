"""What is to be said of a study's runs before any number."""

from __future__ import annotations

from dataclasses import dataclass

KINDS = {
    "missing": "planned, and not run",
    "failed": "ended with an error",
    "unfinished": "killed or interrupted, or still running",
    "damaged": "cannot be read",
    "mislabelled": "not the run that was planned there",
    "duplicate": "a second run of the same arm and seed",
    "unplanned": "a run that the plan does not have",
    "metric": "another metric than the others of its group",
    "torn": "the journal's last line is torn",
    "no value": "no finite value was reported",
    "short": "ended by itself before its budget, or long before the others",
    "resumed": "stopped and gone on with",
    "settings": "settings that differ within a group",
    "targets": "targets that differ within a group",
    "target": "a target that nobody reached",
    "schema": "journals of different schemas",
    "hardware": "other hardware than its partner",
    "versions": "other versions than its partner",
    "proposals": "other configurations than its partner",
    "no baseline": "nothing to compare with",
    "unpaired": "seeds without a partner",
    "few seeds": "one pair: nothing can be tested",
    "few configurations": "simulated over too few configurations to say anything of others",
}
UNUSED = ("missing", "failed", "unfinished", "damaged", "mislabelled", "duplicate", "unplanned", "metric")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something about a study that cannot be used, or that a reader must know."""

    kind: str  # one of ``KINDS``; with those in ``UNUSED`` the run is left out
    run: str  # its id; "" if it is about several
    sentence: str  # what it is, without the run's id
    group: str = ""  # where; "" if everywhere
    arm: str = ""

    def __str__(self) -> str:
        where = self.run or ", ".join(filter(None, [self.group, self.arm])) or "the study"
        return f"{where}: {self.sentence}"
