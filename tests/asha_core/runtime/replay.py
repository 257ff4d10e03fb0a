"""Rebuild a search's scheduler from what the search left behind: its manifest and its journal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from asha_core.launch.start_points import read_start_points
from asha_core.runtime import replay as resume
from asha_core.runtime.storage.journal import read_journal
from asha_core.schedulers import scheduler_class
from asha_core.schedulers.base import Scheduler
from asha_core.searchers import make_searcher
from asha_core.searchers.base import Searcher
from asha_core.searchers.listed import Listed
from asha_core.space import SearchSpace


def replay(directory: Path) -> Scheduler:
    """A fresh scheduler, asked and told what the journal says; fails where it would have acted otherwise."""
    manifest = json.loads((directory / "run.json").read_text())
    scheduler = scheduler_of(manifest)
    journal = directory / "journal.jsonl"
    earlier = resume.replay(journal, read_journal(journal).records, scheduler)
    if earlier.reason == "complete":
        assert scheduler.ask() is None
    return scheduler


def scheduler_of(manifest: dict[str, Any]) -> Scheduler:
    """The scheduler of a manifest, as it was before its first trial."""
    said = manifest["scheduler"]
    space = SearchSpace.from_dict(manifest["space"])
    scheduler = scheduler_class(said["name"])(
        space,
        mode=manifest["task"]["mode"],
        min_resource=said["levels"][0],
        max_resource=said["levels"][-1],
        reduction_factor=said["reduction_factor"],
        seed=said["seed"],
        max_trials=said["max_trials"],
        max_retries=said["max_retries"],
        searcher=_searcher(said, space, manifest["settings"]),
    )
    scheduler.go_on_as(said)
    assert scheduler.describe() == said
    return scheduler


def _searcher(said: dict[str, Any], space: SearchSpace, settings: dict[str, Any]) -> Searcher:
    listed, plus, name = said["searcher"].rpartition("+")
    searcher = make_searcher(name, space, said["seed"])
    if not plus:
        return searcher
    assert listed == "listed"
    return Listed(read_start_points(Path(settings["start_points"])), searcher)
