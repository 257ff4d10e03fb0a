"""The search space: named dimensions, when they exist, what is allowed, and configurations.

A space has dimensions (``dimensions.py``), *conditions* (a dimension exists only where others have
certain values) and *constraints* (predicates that refuse configurations). A configuration holds the
dimensions that exist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from asha_core.arguments import shown
from asha_core.errors import ConfigurationError, SpaceError, nearest
from asha_core.space.conditions import Conditions, checked_conditions, exists, parents_first
from asha_core.space.configuration import Configuration
from asha_core.space.constraints import Constraint, constraint_from_name, constraint_name, holds
from asha_core.space.dimensions import (
    Choice,
    Constant,
    Dimension,
    Value,
    dimension_from_dict,
    dimension_to_dict,
    is_plain_dimension,
)
from asha_core.space.nested import flat_dimensions, flat_values
from asha_core.space.options import kept, listed, same

_DRAWS = 10_000


class SearchSpace(Mapping[str, Dimension]):
    """Named dimensions, in the order in which they were given.

    Args:
        dimensions: name -> Float, Int, Choice or Constant, or a value that is not searched; at least one.
            Or a dictionary of these: {"opt": {"lr": Float(0, 1)}} is {"opt.lr": Float(0, 1)}, and a
            configuration has it as ``config["opt"]["lr"]`` and ``config["opt.lr"]``.
        conditions: name -> {other: its value, or a list of values}: the dimension exists only where every
            other one named exists and has one of the values. Configurations lack dimensions that do not
            exist.
        constraints: predicates of a configuration; where one is not true, the configuration is refused, and
            another is drawn in its place.
    Raises:
        SpaceError: empty, a name that is not a string, a value that is not a dimension, or a condition that
            can never hold.

    >>> from asha_core import Choice, Float, Int, SearchSpace
    >>> space = SearchSpace({"lr": Float(1e-4, 1.0, log=True), "layers": Int(1, 4)})
    >>> space.from_unit([0.5, 0.99])["layers"]
    4
    >>> space = SearchSpace(
    ...     {"optimizer": Choice(["adam", "sgd"]), "momentum": Float(0.0, 0.99)},
    ...     conditions={"momentum": {"optimizer": "sgd"}},
    ... )
    >>> dict(space.from_unit([0.1, 0.5])), sorted(space.from_unit([0.9, 0.5]))
    ({'optimizer': 'adam'}, ['momentum', 'optimizer'])
    """

    __slots__ = ("_all", "_conditions", "_dimensions", "_order", "_rich", "constraints", "names")

    def __init__(
        self,
        dimensions: Mapping[str, Any],
        *,
        conditions: Conditions | None = None,
        constraints: Iterable[Constraint] | None = (),
    ) -> None:
        if not isinstance(dimensions, Mapping) or not dimensions:
            raise SpaceError(
                "a search space needs at least one dimension: SearchSpace({'lr': Float(1e-4, 1.0)})"
            )
        if callable(constraints):
            raise SpaceError("constraints is one function: give a list of them, constraints=[...]")
        if constraints is not None and not isinstance(constraints, Iterable):
            raise SpaceError(f"constraints is {shown(constraints)}: give a list of functions")
        constraints = () if constraints is None else tuple(constraints)
        for constraint in constraints:
            if not callable(constraint):
                raise SpaceError(f"constraint {constraint!r} is not a function of a configuration")
        self._dimensions = flat_dimensions(dimensions)
        self._all = tuple(self._dimensions.values())
        self.names = tuple(self._dimensions)
        self._rich = frozenset(n for n, d in self._dimensions.items() if not is_plain_dimension(d))
        self.constraints = constraints
        self._conditions = checked_conditions({} if conditions is None else conditions, self._dimensions)
        self._order = parents_first(self.names, self._conditions)

    def __getitem__(self, name: str) -> Dimension:
        return self._dimensions[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._dimensions)

    def __len__(self) -> int:
        return len(self._dimensions)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SearchSpace):
            return NotImplemented
        return (self._dimensions, self._conditions, self.constraints) == (
            other._dimensions,
            other._conditions,
            other.constraints,
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        parts = [repr(self._dimensions)]
        if self._conditions:
            parts.append(f"conditions={self._conditions}")
        if self.constraints:
            parts.append(f"constraints={[constraint_name(constraint) for constraint in self.constraints]}")
        return f"SearchSpace({', '.join(parts)})"

    # -- conditions and constraints --------------------------------------------------------------

    @property
    def conditions(self) -> Mapping[str, Mapping[str, Sequence[Value]]]:
        """Name -> {other: values}: where the dimension exists; those that always do are not in it."""
        return self._conditions

    def active(self, values: Mapping[str, Any]) -> Configuration:
        """The configuration of those dimensions that exist, from a value for each; nothing is checked."""
        existing: set[str] = set()
        for name in self._order:
            if exists(name, self._conditions, values, existing):
                existing.add(name)
        return self._made({name: values[name] for name in self.names if name in existing})

    def _made(self, values: Mapping[str, Any]) -> Configuration:
        """The configuration of these values, each of them one of its dimension."""
        names, given = tuple(values), tuple(values.values())
        if not self._rich:
            return Configuration(names, given)
        return Configuration(names, given, tuple(self._kept(name, value) for name, value in values.items()))

    def _kept(self, name: str, value: Any) -> Any:
        """How a value of a dimension is kept."""
        dimension = self._dimensions[name]
        if isinstance(dimension, Choice):
            return dimension.kept[dimension.index(value)]
        if isinstance(dimension, Constant) and same(dimension.value, value):
            return dimension.kept
        return kept(value)

    def restored(self, configuration: Mapping[str, Any]) -> Configuration:
        """A configuration that was kept (``Configuration.stored``), with its options as they were given.

        Nothing is checked: what is none of the space stays as it is.
        """
        found = configuration
        if not isinstance(found, Configuration):
            found = Configuration(tuple(configuration), tuple(configuration.values()))
        if not self._rich.intersection(found):
            return found
        values, stored = dict(found), found.stored()
        for name in self._rich.intersection(found):
            with suppress(ConfigurationError):
                values[name] = self._dimensions[name].check(name, values[name])
                stored[name] = self._kept(name, values[name])
        return Configuration(tuple(values), tuple(values.values()), tuple(stored.values()))

    def allows(self, configuration: Configuration) -> bool:
        """Whether every constraint holds.

        Raises:
            SpaceError: a constraint raised, or returned something else than true or false.
        """
        return all(holds(constraint, configuration) for constraint in self.constraints)

    def first_allowed(self, point: Callable[[int], Sequence[float]]) -> Configuration:
        """The first of the configurations at unit coordinates point(0), point(1), ... that is allowed.

        Raises:
            SpaceError: none of 10,000 is; says which constraints refused them.
        """
        if not self.constraints:
            return self.from_unit(point(0))
        for attempt in range(_DRAWS):
            configuration = self.from_unit(point(attempt))
            if self.allows(configuration):
                return configuration
        raise SpaceError(self._nearly_empty(point))

    def _nearly_empty(self, point: Callable[[int], Sequence[float]]) -> str:
        sample = [self.from_unit(point(attempt)) for attempt in range(200)]
        allowed = {
            constraint_name(constraint): sum(holds(constraint, each) for each in sample) / len(sample)
            for constraint in self.constraints
        }
        shares = ", ".join(f"{name} allows {share:.0%}" for name, share in allowed.items())
        return (
            f"the constraints refused {_DRAWS:,} draws in a row ({shares}): next to nothing of the space is "
            "left; loosen them, or narrow the bounds to where they hold"
        )

    def freeze(self, /, **values: Value) -> SearchSpace:
        """The same space with some dimensions held at one value; what is drawn for the others stays.

        Raises:
            ConfigurationError: an unknown dimension, or a value outside it.

        >>> from asha_core import Float, Int, SearchSpace
        >>> space = SearchSpace({"lr": Float(1e-4, 1.0, log=True), "layers": Int(1, 4)})
        >>> space.freeze(layers=2).from_unit([0.5, 0.99])["layers"]
        2
        """
        frozen = dict(self._dimensions)
        for name, value in flat_values(values, self._dimensions).items():
            if name not in frozen:
                raise ConfigurationError(
                    f"freeze {name}: unknown dimension {name!r}{nearest(name, self.names)}"
                )
            dimension = frozen[name]
            wanted = dimension.as_option(value) if isinstance(dimension, Choice) else value
            try:
                frozen[name] = Constant(dimension.check(name, wanted))
            except ConfigurationError as error:
                raise ConfigurationError(f"freeze {name}: {error}") from None
        return SearchSpace(frozen, conditions=self._conditions, constraints=self.constraints)

    # -- configurations --------------------------------------------------------------------------

    def from_unit(self, unit: Sequence[float]) -> Configuration:
        """The configuration at unit coordinates, shape (D,), in the order of ``names``; constraints aside."""
        if len(unit) != len(self.names):
            raise ConfigurationError(f"{len(unit)} unit coordinates for {len(self.names)} dimensions")
        values = tuple([d.from_unit(u) for d, u in zip(self._all, unit, strict=True)])
        if self._conditions:
            return self.active(dict(zip(self.names, values, strict=True)))
        return (
            self._made(dict(zip(self.names, values, strict=True)))
            if self._rich
            else Configuration(self.names, values)
        )

    def to_unit(self, configuration: Mapping[str, Any]) -> list[float]:
        """Unit coordinates of a configuration, shape (D,); 0.5 for dimensions that do not exist in it."""
        return [
            d.to_unit(configuration[name]) if name in configuration else 0.5
            for name, d in self._dimensions.items()
        ]

    def configuration(self, values: Mapping[str, Any]) -> Configuration:
        """A checked configuration from a plain mapping, flat or nested. Constants may be left out.

        Raises:
            ConfigurationError: a name is missing, unknown, or of a dimension that does not exist there; a
                value lies outside its dimension; or a constraint refuses it.
        """
        values = self._by_name(values)
        checked: dict[str, Value] = {}
        missing, misplaced = [], ""
        for name in self._order:
            dimension = self._dimensions[name]
            if not exists(name, self._conditions, checked, checked):
                if name in values:
                    wanted = " and ".join(
                        f"{parent} in {list(options)}" for parent, options in self._conditions[name].items()
                    )
                    misplaced = misplaced or f"{name} is given, and exists only with {wanted}"
            elif name in values:
                checked[name] = dimension.check(name, values[name])
            elif isinstance(dimension, Constant):
                checked[name] = dimension.value
            else:
                missing.append(name)
        if missing:
            raise ConfigurationError(f"the configuration lacks {', '.join(missing)}")
        if misplaced:
            raise ConfigurationError(misplaced)
        configuration = self._made({name: checked[name] for name in self.names if name in checked})
        for constraint in self.constraints:
            if not holds(constraint, configuration):
                raise ConfigurationError(
                    f"the constraint {constraint_name(constraint)} refuses {dict(configuration)}"
                )
        return configuration

    def _by_name(self, values: object) -> Mapping[str, Any]:
        if not isinstance(values, Mapping):
            raise ConfigurationError(f"the configuration is {shown(values)}: it must map names to values")
        values = flat_values(values, self._dimensions)
        for name in values:
            if name not in self._dimensions:
                raise ConfigurationError(f"unknown dimension {name!r}{nearest(str(name), self.names)}")
        return values

    # -- other libraries' ----------------------------------------------------------------------

    @staticmethod
    def from_optuna(distributions: Mapping[str, Any]) -> SearchSpace:
        """The space of a dictionary of ``optuna.distributions``, such as a trial's ``trial.distributions``.

        Raises:
            SpaceError: something in it is no distribution of Optuna's; says which.
            ImportError: Optuna is not installed.
        """
        from asha_core.space.conversions import optuna

        return SearchSpace(optuna.dimensions_of(distributions))

    @staticmethod
    def from_ray(param_space: Mapping[str, Any]) -> SearchSpace:
        """The space of a ``param_space`` of Ray Tune, nested or not.

        Raises:
            SpaceError: something in it has no counterpart, such as ``tune.sample_from``; says which.
            ImportError: Ray Tune is not installed.
        """
        from asha_core.space.conversions import ray

        return SearchSpace(ray.dimensions_of(param_space))

    @staticmethod
    def from_configspace(space: Any, *, constraints: Iterable[Constraint] | None = None) -> SearchSpace:
        """The space of a ``ConfigSpace.ConfigurationSpace``, with its conditions.

        Args:
            constraints: what stands in the place of its forbidden clauses, which cannot be carried over.
        Raises:
            SpaceError: something in it has no counterpart, such as weights; says which.
            ImportError: ConfigSpace is not installed.
        """
        from asha_core.space.conversions import configspace

        dimensions, conditions = configspace.dimensions_of(space, with_forbidden=constraints is not None)
        return SearchSpace(dimensions, conditions=conditions, constraints=constraints)

    # -- JSON ------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able description; ``from_dict`` reads it back. A constraint is named ``module:function``."""
        dimensions: dict[str, dict[str, Any]] = {}
        for name, dimension in self._dimensions.items():
            dimensions[name] = dimension_to_dict(dimension)
            if name in self._conditions:
                dimensions[name]["when"] = {
                    parent: [listed(self._kept(parent, value)) for value in values]
                    for parent, values in self._conditions[name].items()
                }
        return {
            "dimensions": dimensions,
            "constraints": [constraint_name(constraint) for constraint in self.constraints],
        }

    @staticmethod
    def from_dict(description: Mapping[str, Any]) -> SearchSpace:
        """The inverse of ``to_dict``. Constraints are imported by their names.

        Raises:
            SpaceError: an unknown type or unknown arguments; a constraint that cannot be imported.
        """
        entries = description.get("dimensions") if isinstance(description, Mapping) else None
        if not isinstance(entries, Mapping):
            raise SpaceError(
                f'a search space is described by {{"dimensions": {{...}}}}, not by {description!r}'
            )
        dimensions: dict[str, Dimension] = {}
        conditions: dict[str, Mapping[str, Sequence[Value]]] = {}
        for name, entry in entries.items():
            if not isinstance(entry, Mapping):
                raise SpaceError(f"dimension {name!r} is described by {entry!r}: it must be a mapping")
            arguments = dict(entry)
            when = arguments.pop("when", None)
            if when is not None:
                conditions[name] = when
            dimensions[name] = dimension_from_dict(name, arguments)
        constraints = [constraint_from_name(name) for name in description.get("constraints", ())]
        return SearchSpace(dimensions, conditions=conditions, constraints=constraints)
