"""Scheduler, searcher, observers and executor made by name, and checked, whoever wrote them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from asha_core.arguments import parameters, shown, text
from asha_core.errors import AshaError, SettingError, nearest
from asha_core.import_paths import is_ours, label
from asha_core.launch.registries import EXECUTOR, OBSERVER, SCHEDULER, SEARCHER
from asha_core.runtime.executor import Executor
from asha_core.runtime.observers import Observer
from asha_core.runtime.units import counted
from asha_core.schedulers.base import Scheduler
from asha_core.searchers.base import Searcher
from asha_core.space import Configuration, SearchSpace

if TYPE_CHECKING:
    from trials.devices import Slot
    from trials.worker.job_runner import WorkerSettings

Named = str | Callable[..., Any]  # a name, or the class itself
ExecutorFactory = Callable[["WorkerSettings", Sequence["Slot"]], Executor]
_DESCRIBED = ("name", "levels", "reduction_factor", "seed", "max_trials", "max_retries", "searcher")
_METHODS = ("devices", "free", "submit", "wait", "kill", "stop", "close")


def make_scheduler(
    name: Named,
    space: SearchSpace,
    given: Mapping[str, Any],
    usual: Mapping[str, Any],
    own: Mapping[str, Any],
) -> Scheduler:
    """A scheduler for a search.

    Args:
        given: what every scheduler is made with and this user has asked for: ``mode``, ``max_resource``, ...
        usual: likewise, and nobody has asked for it: left out where a scheduler does not take it.
        own: settings of this kind alone.
    Raises:
        AshaError: it cannot be had, or takes no such setting.
    """
    kind = SCHEDULER.load(name) if isinstance(name, str) else name
    called = SCHEDULER.called(name)
    SCHEDULER.check_kind(kind, called, Scheduler, "asha_core.Scheduler")
    taken = parameters(kind) if callable(kind) else None
    for setting in own:
        if setting in {**given, **usual, "space": space}:
            raise SettingError(f"{called}: {setting} is a setting of every scheduler: give it as such")
    settings = {key: value for key, value in usual.items() if taken is None or key in taken}
    for setting, value in given.items():
        if taken is not None and setting not in taken:
            raise SettingError(
                f"{called} takes no {setting.replace('_', '-')}, which is {shown(value)}: leave it out"
            )
        settings[setting] = value
    made: Scheduler = SCHEDULER.make(
        name, (space,), {**settings, **own}, base=Scheduler, base_name="asha_core.Scheduler"
    )
    check_scheduler(made, called)
    for attribute, value in {"space": space, **usual, **given}.items():
        if attribute in ("space", "mode", "seed") and getattr(made, attribute) != value:
            raise SettingError(
                f"{called} has {attribute} {shown(getattr(made, attribute))}, and was given "
                f"{shown(value)}: hand it on to super().__init__"
            )
    return made


def check_scheduler(scheduler: Scheduler, called: str) -> None:
    """Raise ``SettingError`` if somebody's scheduler is not made as the engine needs it.

    Args:
        called: for errors.
    """
    if not hasattr(scheduler, "trials"):
        raise SettingError(f"{called} is not made yet: let its __init__ call super().__init__(space, ...)")
    text(f"the name of {called}", scheduler.name)
    try:
        described = scheduler.describe()
        json.dumps(described)
        missing = [key for key in _DESCRIBED if key not in described]
    except Exception as error:
        raise SettingError(
            f"{called} cannot describe itself: {type(error).__name__}: {error}; describe() must give a "
            "dictionary of what JSON can hold"
        ) from error
    if missing:
        raise SettingError(
            f"{called}: its describe() lacks {', '.join(missing)}: let it give {{**super().describe(), ...}}"
        )
    check_searcher(scheduler.searcher)


def make_searcher(name: Named, space: SearchSpace, seed: int, settings: Mapping[str, Any]) -> Searcher:
    """A searcher for a search, made with the space, the seed and its own settings.

    Raises:
        AshaError: it cannot be had, takes no such setting, or cannot search this space.
    """
    made: Searcher = SEARCHER.make(
        name, (space, seed), settings, base=Searcher, base_name="asha_core.Searcher"
    )
    if getattr(made, "space", None) != space:
        raise SettingError(f"{SEARCHER.called(name)} does not keep the space: set self.space = space")
    check_searcher(made)
    return made


def check_searcher(searcher: Searcher) -> None:
    """Raise an error if it cannot propose a first configuration."""
    called = f"searcher {type(searcher).__name__}"
    text(f"the name of {called}", searcher.name)
    try:
        searcher.check()
        asked = searcher.size != 0
        first = searcher.propose(0) if asked else None
    except AshaError as error:
        if is_ours(type(searcher)):
            raise
        raise type(error)(f"{called}: {error}") from error
    except Exception as error:
        raise SettingError(f"{called} cannot propose: {type(error).__name__}: {error}") from error
    if asked and not isinstance(first, Configuration):
        raise SettingError(
            f"{called} proposes {shown(first)}: it must be a Configuration, such as "
            "self.space.configuration({...})"
        )


def check_observers(
    names: Sequence[str] | None, settings: Mapping[str, Any]
) -> list[tuple[str, dict[str, Any]]]:
    """The observers of these names, each with its own of the settings: found, and not made yet.

    Args:
        names: None: nobody has said, []: nobody is to watch.
        settings: of the one observer, or of the several ones, as NAME.SETTING.
    """
    if not names:
        if names is None and settings:
            raise SettingError("observer-option is given, and there is no observer: give observer, too")
        return []
    own: dict[str, dict[str, Any]] = {name: {} for name in names}
    short = {_short(name): name for name in names}
    for key, value in settings.items():
        which, dot, setting = str(key).rpartition(".")
        if not dot and len(names) == 1:
            own[names[0]][setting] = value
        elif which in own or which in short:
            own[which if which in own else short[which]][setting] = value
        else:
            raise SettingError(
                f"observer-option {key}: write it as NAME.SETTING=VALUE{nearest(which, short)}"
            )
    for name in names:
        OBSERVER.check_settings(OBSERVER.load(name), own[name], OBSERVER.called(name))
    return list(own.items())


def make_observers(names: Sequence[str] | None, settings: Mapping[str, Any]) -> list[Observer]:
    """The observers of these names.

    Raises:
        AshaError: one of them cannot be had, or takes no such setting.
    """
    return [
        OBSERVER.make(name, (), own, base=Observer, base_name="asha_core.Observer")
        for name, own in check_observers(names, settings)
    ]


def check_observer(observer: object) -> None:
    """Raise ``SettingError`` if it is no observer; says what it lacks."""
    if isinstance(observer, Observer):
        return
    if isinstance(observer, type) and issubclass(observer, Observer):
        called = observer.__name__
        raise SettingError(f"an observer is the class {called}: give an object of it, such as {called}()")
    kind = observer if isinstance(observer, type) else type(observer)
    has = [name for name in vars(Observer) if name.startswith("on_") and hasattr(kind, name)]
    which = f", which has {' and '.join(has)}" if has else ""
    raise SettingError(
        f"an observer is {shown(observer)}{which}: it must be of a subclass of Observer, and may leave "
        f"methods as they are: write class {kind.__name__ if has else 'MyObserver'}(asha_core.Observer)"
    )


def executor_factory(name: Named, settings: Mapping[str, Any]) -> ExecutorFactory:
    """What makes an executor of this name, once the search has begun; it is looked at before.

    Raises:
        AshaError: there is none, or it takes no such setting.
    """
    kind = EXECUTOR.load(name) if isinstance(name, str) else name
    if not callable(kind):
        raise SettingError(
            f"executor is {shown(kind)}: give a class, or a function of (settings, slots) that makes one"
        )
    EXECUTOR.check_settings(kind, settings, EXECUTOR.called(name), given=("settings", "slots"))
    return partial(_make_executor, name, dict(settings))


def _make_executor(
    name: Named, own: Mapping[str, Any], settings: WorkerSettings, slots: Sequence[Slot]
) -> Executor:
    made: Executor = EXECUTOR.make(name, (settings, slots), own)
    for needed in _METHODS:
        if not hasattr(made, needed):
            raise SettingError(
                f"{EXECUTOR.called(name)} has no {needed!r}: it must have {', '.join(_METHODS)}, as "
                "asha_core.Executor says"
            )
    if len(made.devices) != len(slots):
        made.close()
        here, asked = counted(len(made.devices), "device"), counted(len(slots), "slot")
        raise SettingError(
            f"{EXECUTOR.called(name)} has {here}, and was given {asked}: it must have one for each (--gpus "
            "and --workers-per-gpu say how many)"
        )
    return made


def _short(name: str) -> str:
    """A path's last part, by which a setting says whose it is."""
    return label(name).rpartition(":")[2]
