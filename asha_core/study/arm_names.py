"""What the arms of a study are called, and their directories."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from asha_core.launch.option_table import Scope, keys_of
from asha_core.study.planned_runs import PlannedRun
from warmstart.registry import strategy_label

_LONGEST = 120  # bytes of a directory's name; file systems take 255
_NOT_IN_NAMES = ("name", "targets", "target", "seeds", *keys_of(Scope.PLACE))


def arm_name(variation: str, options: Mapping[str, Any]) -> str:
    """A warm start with its options, for people."""
    told = ", ".join(f"{key}={value}" for key, value in options.items())
    return f"{variation} ({told})" if told else variation


def stems(run_id: str, combinations: Sequence[Sequence[Mapping[str, Any]]], *, alone: bool) -> list[str]:
    """A directory's name for each arm: what is run, with options where names alone are alike."""
    if alone and run_id:
        return [directory_name([run_id])]
    words = [[run_id, *(strategy_label(str(entry["name"])) for entry in entries)] for entries in combinations]
    return [
        directory_name(own if words.count(own) == 1 else [*own, *_option_words(entries)])
        for own, entries in zip(words, combinations, strict=True)
    ]


def _option_words(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for entry in entries:
        for key, value in entry.items():
            if key not in _NOT_IN_NAMES:
                inner = value.items() if isinstance(value, Mapping) else [(key, value)]
                yield from (f"{name}={item}" for name, item in inner)


def directory_name(words: Iterable[str]) -> str:
    """Words as one name of a directory; "" if there is no letter or digit in them."""
    joined = unicodedata.normalize("NFC", "-".join(filter(None, words)))
    stem = re.sub(r"[^\w.=+-]+", "-", joined).strip("-.")
    return stem if len(stem.encode()) <= _LONGEST else _marked(stem, joined)


def _marked(stem: str, what: str) -> str:
    """A name, shortened if need be, with what tells it from others."""
    mark = hashlib.sha256(what.encode(errors="backslashreplace")).hexdigest()[:8]
    cut = stem.encode()[: _LONGEST - 9].decode(errors="ignore")
    return f"{cut}-{mark}"


def with_unique_names(runs: Sequence[PlannedRun]) -> list[PlannedRun]:
    """The runs, arms of one name (or of one but for its case, as some file systems see it) renamed."""
    owners: dict[str, str] = {}
    renamed = []
    for run in runs:
        owner = f"{run.experiment} {run.kind}"
        stem = run.stem
        if owners.setdefault(stem.casefold(), owner) != owner:
            stem = _marked(stem, owner)
            owners.setdefault(stem.casefold(), owner)
        renamed.append(replace(run, id=f"{stem}/seed-{run.seed}"))
    return renamed


def with_names_kept(runs: Sequence[PlannedRun], before: Sequence[PlannedRun]) -> list[PlannedRun]:
    """The runs, with the names that they have in a study's directory already.

    What an arm is called depends on the arms beside it, so one more of them in the file may change its name;
    and what is done under the name before is not to be run again.

    Args:
        before: the runs of the directory.
    """
    ids = {run.identity: run.id for run in before}
    stems_before = {(run.experiment, run.kind): run.stem for run in before}
    kinds = {run.kind for run in runs}
    owners = {run.stem: run.kind for run in before if run.kind in kinds}
    named = []
    for run in runs:
        stem = stems_before.get((run.experiment, run.kind), run.stem)
        if owners.get(stem, run.kind) != run.kind:  # the directory of another arm of the same file
            stem = _marked(stem, run.kind)
        named.append(replace(run, id=ids.get(run.identity, f"{stem}/seed-{run.seed}")))
    return named
