"""Given configurations first: start points, or the best of earlier searches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from asha_core.arguments import instance, shown, true_or_false
from asha_core.errors import ConfigurationError
from asha_core.searchers.base import Searcher, TrialView
from asha_core.space import Configuration


class Listed(Searcher):
    """The listed configurations in their order, then those of another searcher from its first on.

    Args:
        configurations: mappings from names to values; each must belong to the space.
        then: where the others come from. Its space is the space.
        only: nothing after the list; the search ends with it.
    Raises:
        ConfigurationError: one does not belong to the space; says which.
    """

    def __init__(
        self, configurations: Sequence[Mapping[str, Any]], then: Searcher, *, only: bool = False
    ) -> None:
        if isinstance(configurations, str | bytes | Mapping) or not isinstance(configurations, Iterable):
            raise ConfigurationError(f"start points are {shown(configurations)}: give a list of mappings")
        self.space = instance("then", then, Searcher, "a searcher, such as RandomSearch(space, 0)").space
        only = true_or_false("only", only)
        self.name = f"listed+{then.name}" if not only else "listed"
        self._listed: list[Configuration] = []
        for number, values in enumerate(configurations):
            if not isinstance(values, Mapping):
                raise ConfigurationError(
                    f"start point {number} is {shown(values)}: it must be a mapping from names to values"
                )
            try:
                self._listed.append(self.space.configuration(values))
            except ConfigurationError as error:
                raise ConfigurationError(f"start point {number}: {error}") from None
        self._then = then
        count = len(self._listed)
        self.size = count if only else None if then.size is None else count + then.size

    def propose(self, index: int) -> Configuration:
        """The configuration of trial ``index``."""
        if index < len(self._listed):
            return self._listed[index]
        return self._then.propose(index - len(self._listed))

    @property
    def given(self) -> int:
        """How many configurations are listed."""
        return len(self._listed)

    def observe(self, trial: TrialView, resource: int, loss: float) -> None:
        """The other searcher hears of all trials, those of the list, too."""
        self._then.observe(trial, resource, loss)

    def recall(self, index: int, configuration: Configuration) -> None:
        """The other one is told of its own."""
        if index >= len(self._listed):
            self._then.recall(index - len(self._listed), configuration)

    @property
    def learns(self) -> bool:
        """Whether the other one does."""
        return self._then.learns

    def take(self) -> None:
        """The other one is taken, too."""
        self._then.trials_before = self.trials_before + len(self._listed)
        self._then.take()
