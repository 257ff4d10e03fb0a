"""Strategies by name, and the variations of the study: strategies with fixed settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asha_core.arguments import one_of, parameters
from asha_core.errors import SettingError, nearest
from asha_core.import_paths import is_path, label
from asha_core.plugins import Plugins
from asha_core.user_files import absolute_target
from warmstart.base import WHEN, WarmStart, learns
from warmstart.strategies.chain import Chain
from warmstart.strategies.control import Control
from warmstart.strategies.gradient_strategy import GradientStrategy
from warmstart.strategies.pooled import Pooled

STRATEGIES = {
    "none": "warmstart.strategies.none:NoWarmStart",
    "random": "warmstart.strategies.random_step:RandomStep",
    "random-matched": "warmstart.strategies.random_matched:RandomMatched",
    "hypergradient": "warmstart.strategies.hypergradient:HyperGradient",
    "trust": "warmstart.strategies.trust:Trust",
    "brake": "warmstart.strategies.brake:Brake",
    "flipped": "warmstart.strategies.flipped:Flipped",
    "screen": "warmstart.strategies.screen:Screen",
    "place": "warmstart.strategies.place:Place",
    "pooled": "warmstart.strategies.pooled:Pooled",
}
WARM_START = Plugins("warm start", "asha_core.warm_starts", "MyWarmStart", STRATEGIES)


@dataclass(frozen=True, slots=True)
class Variation:
    """A named warm start with fixed settings: one arm of a study.

    Attributes:
        strategy: a name, or several joined by "+", one after the other.
        settings: of the strategy; for several, the settings of each under its name.
        cost: about what it costs, in ordinary mini-batches of arithmetic; L is the number of moved dimensions
            that act through the loss, A of those that act through the inputs (augmentation), D of all.
    """

    strategy: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    cost: str = "its own"


_ONE_STEP = "1 + L/3 + A, and 3/2 + D + 2L/3 + 2A with heavy-ball momentum or Adam's betas in the space"
_THREE_STEPS = "3 + L + 3A, and three times the second figure of ohgw-1step where that holds"

VARIATIONS = {
    "baseline": Variation("none", {}, "0"),
    "random-warm": Variation("random", {"sigma": 0.01}, "0"),
    "random-matched": Variation("random-matched", {"of": "hypergradient"}, _ONE_STEP),
    "ohgw-1step": Variation("hypergradient", {"eta_h": 1e-3, "steps": 1}, _ONE_STEP),
    "ohgw-3step": Variation(
        "hypergradient",
        {"eta_h": 1e-3, "steps": 3},
        "3 + L + 3A, and three times the other figure of ohgw-1step",
    ),
    "ohgw-trust": Variation("trust", {}, "8"),
    "ohgw-brake": Variation("brake", {}, "5/6, and 2/3 for each time that it acts"),
    "ohgw-flipped": Variation("flipped", {"of": "hypergradient"}, _ONE_STEP),
    "ohgw-screen": Variation("screen", {}, "5/6, and as much for each configuration drawn again"),
    "ohgw-screen-trust": Variation("screen+trust", {}, "those of ohgw-screen and ohgw-trust"),
    "ohgw-place": Variation("place", {}, "4"),
    "ohgw-pooled": Variation("pooled", {}, "4, and 0 once 8 trials have paid that"),
    "ohgw-trust-promoted": Variation(
        "trust",
        {"when": "promotion", "mask": ["lr", "momentum", "weight_decay"], "delta": 0.05, "steps": 2},
        "4, at each promotion",
    ),
    "trust-matched": Variation("random-matched", {"of": "trust"}, "8"),
    "trust-flipped": Variation("flipped", {"of": "trust"}, "8"),
}


def strategy_names() -> list[str]:
    """Every strategy there is: the package's own, and those of other packages."""
    return WARM_START.names


def variation_names() -> list[str]:
    """The variations, and the strategies that other packages have registered."""
    return [*VARIATIONS, *(name for name in WARM_START.others if name not in VARIATIONS)]


def is_variation(name: str) -> bool:
    """Whether ``variation`` knows it: a variation, a strategy, or several strategies with "+"."""
    return name in VARIATIONS or all(map(WARM_START.knows, parts(name)))


def parts(strategy: str) -> list[str]:
    """The strategies that "+" joins; a folder may have one in its name."""
    alone = is_path(strategy) and Path(strategy.rpartition(":")[0]).is_file()
    return [strategy] if alone else strategy.split("+")


def absolute_strategy(name: str) -> str:
    """A variation or strategy as every process finds it, whatever folder it works in."""
    return "+".join(map(absolute_target, parts(name)))


def strategy_label(name: str) -> str:
    """A variation or strategy for people: a file without its folder."""
    return "+".join(map(label, parts(name)))


def build(strategy: str, settings: Mapping[str, Any] | None = None) -> WarmStart:
    """A strategy by its name in the registry.

    Args:
        strategy: a name, or several joined by "+": each refines what the one before it gave.
        settings: keyword arguments of the strategy; for several, a mapping of them for each, by name.
    Raises:
        SettingError: an unknown strategy or setting, or a value out of its range.
    """
    if not isinstance(strategy, str):
        raise SettingError(f"warm start {strategy!r}: give the name of a strategy{nearest('', STRATEGIES)}")
    settings = dict(settings or {})
    if len(parts(strategy)) > 1:
        return _chain(strategy, parts(strategy), settings)
    kind = WARM_START.load(strategy)
    if _is_control(kind):
        control: WarmStart = kind(_controlled(**settings))
        return control
    if kind is Pooled:
        return Pooled(**_pooled(**settings))
    built: WarmStart = WARM_START.make(strategy, (), settings)
    for needed in ("name", "needs_losses", "refine"):
        if not hasattr(built, needed):
            raise SettingError(
                f"warm start {strategy!r} is a {type(built).__name__} without {needed!r}: it must have name, "
                "needs_losses and refine(problem, configuration, seed)"
            )
    one_of("when", getattr(built, "when", "begin"), WHEN)
    if learns(built) and "earlier" not in (parameters(built.refine) or ("earlier",)):
        raise SettingError(
            f"warm start {strategy!r} is a {type(built).__name__} that learns, and its refine takes no "
            "'earlier': it must be refine(problem, configuration, seed, earlier=())"
        )
    return built


def _controlled(of: Any = "hypergradient", **settings: Any) -> GradientStrategy:
    """The strategy that a control is a control of."""
    one_of("of", of, strategy_names())
    inner = build(of, settings)
    if not isinstance(inner, GradientStrategy):
        raise SettingError(f"of is {of!r}: it must follow a gradient, as hypergradient and trust do")
    return inner


def _pooled(of: Any = "place", after: Any = 8, **settings: Any) -> dict[str, Any]:
    """What ``Pooled`` is made of."""
    one_of("of", of, strategy_names())
    inner: Any = build(of, settings)
    if not callable(getattr(inner, "at", None)):
        raise SettingError(f"of is {of!r}: it must find a place, as 'place' does")
    return {"inner": inner, "after": after}


def _whole_part(name: str, strategy: str) -> str:
    """A part as the strategy has it, of one in a file whatever of its path is given."""
    for part in parts(strategy):
        if name in (part, label(part), part.rpartition(":")[2]):
            return part
    return name


def _chain(strategy: str, names: Sequence[str], settings: Mapping[str, Any]) -> WarmStart:
    for name in names:
        if names.count(name) > 1:  # it would meet the same samples and random numbers again
            raise SettingError(f"warm start {strategy!r} has {name!r} twice: give each once")
    for name, own in settings.items():
        if name not in names:
            raise SettingError(
                f"warm start {strategy!r}: {name!r} is no part's setting: write it as PART.SETTING, such as "
                f"{_part_with(name, names)}.{name} (parts: {', '.join(names)})"
            )
        if not isinstance(own, Mapping):
            raise SettingError(
                f"warm start {strategy!r}: {name} is {own!r}: it is one of the parts, so it must map "
                f"settings to values, as {name}.SETTING=VALUE does"
            )
    return Chain([build(name, settings.get(name)) for name in names])


def _part_with(setting: str, names: Sequence[str]) -> str:
    """The first part that has such a setting; or the first one."""
    return next((part for part in names if setting in (parameters(WARM_START.load(part)) or ())), names[0])


def _is_control(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Control)


def variation(name: str, options: Mapping[str, Any] | None = None) -> Variation:
    """A variation by name; a strategy's name (or several with "+") is one too, with its default settings.

    Args:
        options: settings in the place of the variation's own; "trust.delta" is the setting ``delta`` of the
            part ``trust``.
    Raises:
        SettingError: there is none of that name.
    """
    if name in VARIATIONS:
        chosen = VARIATIONS[name]
    elif is_variation(name):
        chosen = Variation(name)
    else:
        known = {*variation_names(), *strategy_names()}
        raise SettingError(f"unknown variation {name!r}{nearest(name, known)}")
    settings: dict[str, Any] = dict(chosen.settings)
    for key, value in (options or {}).items():
        part, dot, setting = str(key).rpartition(".")
        part = _whole_part(part, chosen.strategy)
        if not dot or part == chosen.strategy:
            merged = isinstance(value, Mapping) and isinstance(settings.get(setting), Mapping)
            settings[setting] = {**settings[setting], **value} if merged else value
        else:
            own = settings.get(part, {})
            settings[part] = {**own, setting: value} if isinstance(own, Mapping) else {setting: value}
    return Variation(chosen.strategy, settings, chosen.cost)
