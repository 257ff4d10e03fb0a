"""What another value of an option changes is said once, in the table; who acts on it is held to it here."""

from __future__ import annotations

from analysis.study.checks import _PLANNED
from asha_core.launch.option_table import MAPPINGS, OPTIONS, Scope, keys_of
from asha_core.runtime.storage.manifest import PLACE_OPTIONS
from asha_core.simulation.task import CurvesTask
from asha_core.study.definition import _OPTIONS
from trials.spec import takes_option
from trials.tasks.images import ImageTask

NOT_ANOTHER_SEARCH = {
    *("data_dir", "gpus", "target", "observer", "observer_option", "executor", "executor_option"),
    *("no_progress_timeout", "heartbeat_timeout", "start_timeout", "max_retries", "checkpoint_budget"),
}
OF_A_SESSION = {
    *("retry_failed", "check_warm_start"),
    *(
        "resume",
        "results_dir",
        "plan",
        "check_warm_start",
        "json",
        "config",
        "unit_seconds",
        "checkpoint_size",
        "progress",
    ),
}
DECIDED_BY_A_STUDY = {"task", "scheduler", "variation", "seed", "target", "gpus"}


def test_every_option_has_a_scope_and_a_name_of_its_own() -> None:
    assert all(isinstance(option.scope, Scope) for option in OPTIONS)
    assert len({option.key for option in OPTIONS}) == len(OPTIONS)


def test_which_options_make_another_search() -> None:
    assert {*keys_of(Scope.HANDLING, Scope.PLACE)} == NOT_ANOTHER_SEARCH
    assert {*keys_of(Scope.ARM)} == {"variation", "warm_start_option", "seed"}
    assert {*keys_of(Scope.PLACE)} == {"data_dir", "gpus", "executor", "executor_option"}


def test_where_a_search_goes_on_the_options_of_the_place_may_differ_and_no_others() -> None:
    """Those of the table that are short for one of the task, and ``download``, which none is short for."""
    of_task = {option.key: option.scope for option in OPTIONS if option.of_task}
    assert {key for key, scope in of_task.items() if scope is Scope.PLACE} == {*PLACE_OPTIONS} & {*of_task}
    assert {*PLACE_OPTIONS} - {*of_task} == {"download", "curves"}
    assert all(takes_option(ImageTask, name) for name in PLACE_OPTIONS if name != "curves")
    assert takes_option(CurvesTask, "curves")


def test_what_each_session_says_for_itself() -> None:
    assert {*keys_of(Scope.SESSION)} == OF_A_SESSION


def test_what_may_stand_in_the_file_of_a_study() -> None:
    every = {option.key for option in OPTIONS}
    assert {*_OPTIONS} == every - DECIDED_BY_A_STUDY - OF_A_SESSION


def test_which_options_are_mappings_and_which_are_short_for_one_of_the_task() -> None:
    assert set(MAPPINGS) == {
        *("task_option", "warm_start_option", "freeze"),
        *("scheduler_option", "searcher_option", "observer_option", "executor_option", "curves_option"),
    }
    short = {option.key for option in OPTIONS if option.of_task}
    assert short == {"model", "subset", "label_noise", "data_dir"}


def test_analysis_asks_only_for_what_makes_another_search() -> None:
    """It reads what studies wrote, and imports no launching: its list is its own."""
    assert {*_PLANNED} <= {*keys_of(Scope.SEARCH, Scope.ARM)}
