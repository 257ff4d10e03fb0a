"""A table: classification or regression, by boosted trees (``model="xgboost"``) or a network ("mlp").

What reads tables, splits and encodes them is ``trials.data.tables``. Each model is a class of its own, which
``Tabular(...)`` gives by its name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from asha_core.arguments import integer, one_of, text
from asha_core.errors import SettingError, TaskError
from asha_core.import_paths import load
from asha_core.space import Configuration
from trials.task import Task
from trials.tasks.tabular_scores import chosen

if TYPE_CHECKING:
    from trials.data.tables import Prepared

MODELS = {
    "mlp": "trials.tasks.tabular_network:TabularNetwork",
    "xgboost": "trials.tasks.tabular_trees:TabularTrees",
}
_KINDS = ("auto", "classification", "regression")


class Tabular(Task):
    """A table and a model of it.

    Args:
        model: "mlp", a network with embeddings of categories; or "xgboost" (extra ``tabular``).
        data: a set that comes with scikit-learn (breast-cancer, wine, digits, diabetes), a file (CSV, also
            .gz; Parquet), or ``openml:ID``.
        target: the column to predict; needed for a file.
        test: a file with the same columns, for the test; without it, a fifth of the rows of ``data``.
        kind: "classification", "regression", or "auto": text and few different whole numbers are classes.
        metric: "accuracy" (default), "roc-auc" or "log-loss"; of regression "rmse".
        drop: columns to leave out, as in ``a,b``.
        categorical: columns of numbers that are names of categories.
        data_seed: of the split: part of the problem, not of a search's seed.
        optimizer: of the mlp: "adamw" or "sgd" (Nesterov). The space follows it.
        layers, width: of the mlp: hidden layers (2), and the units of each (128).
        embedding: of the mlp: numbers that stand for a category (8).
        batch_size: of the mlp: rows a step (64).
        rounds_per_unit: of xgboost: boosting rounds in a unit of resource (30).
        warm_start_rounds, warm_start_rows: of xgboost: for how many rounds (5), and on how many training
            rows (at most 4,096: half to train on, half to measure), a warm start trains.

    A table is read once in each worker. The rows that are held out, and the test rows, are the same for both
    models. Relative paths are taken from where the task is made, and kept absolute.
    """

    network: ClassVar[str]  # its name in MODELS
    encoding: ClassVar[str]  # of the table
    options: ClassVar[tuple[str, ...]]  # which are of this model alone
    libraries: ClassVar[tuple[str, ...]] = ()  # of the extra

    def __new__(cls, *positional: Any, **named: Any) -> Self:
        """The class that ``model`` names."""
        if cls is not Tabular:
            return super().__new__(cls, *positional, **named)
        name = named.get("model", positional[0] if positional else "mlp")
        kind = load(MODELS[one_of("tabular model", name, MODELS)], "task", "MyTask", TaskError)
        made: Self = super().__new__(kind, *positional, **named)
        return made

    def __init__(
        self,
        model: str = "mlp",
        data: str = "breast-cancer",
        target: str | None = None,
        test: str | None = None,
        kind: str = "auto",
        metric: str | None = None,
        drop: str | Sequence[str] = (),
        categorical: str | Sequence[str] = (),
        data_seed: int = 0,
        optimizer: str | None = None,
        layers: int | None = None,
        width: int | None = None,
        embedding: int | None = None,
        batch_size: int | None = None,
        rounds_per_unit: int | None = None,
        warm_start_rounds: int | None = None,
        warm_start_rows: int | None = None,
    ) -> None:
        from asha_core.extras import needed
        from trials.data.tables.reading import located

        needed(None, *self.libraries, what=f"task tabular with model {self.network}")
        own = {
            "optimizer": optimizer,
            "layers": layers,
            "width": width,
            "embedding": embedding,
            "batch_size": batch_size,
            "rounds_per_unit": rounds_per_unit,
            "warm_start_rounds": warm_start_rounds,
            "warm_start_rows": warm_start_rows,
        }
        given = {name: value for name, value in own.items() if value is not None}
        self._of_this_model(given)
        self._table: Prepared | None = None
        self._arguments_of_the_table: dict[str, Any] = {
            "data": located(text("data", data)),
            "target": target,
            "test": None if test is None else located(text("test", test)),
            "kind": one_of("kind", kind, _KINDS),
            "seed": integer("data_seed", data_seed, 0, 2**32 - 1),
            "drop": drop,
            "categorical": categorical,
        }
        self.kind = self.table.kind if kind == "auto" else kind
        self.metric, self.mode = chosen(metric, self.kind)
        self._configure(given)

    def _of_this_model(self, given: dict[str, Any]) -> None:
        for name, value in given.items():
            if name not in self.options:
                raise SettingError(
                    f"{name} is {value!r}, and model {self.network} has no such option: leave it out; it has "
                    f"{', '.join(self.options)}"
                )

    def _configure(self, given: dict[str, Any]) -> None:
        """Take the options of one model, and make its space."""
        raise NotImplementedError

    @property
    def table(self) -> Prepared:
        """The rows, read when they are first asked for."""
        from trials.data.tables import prepared

        if self._table is None:
            self._table = prepared(**self._arguments_of_the_table, encoding=self.encoding)
        return self._table

    def trained_model(self, config: Configuration, state: Any) -> Any:
        """A network, or an ``xgboost.Booster``: of the class that ``model`` names."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Read the table, and check it."""
        from asha_core.runtime.terminal.streams import say
        from trials.data.tables import check
        from trials.tasks.tabular_scores import check_defined

        if self._table is None:
            tested = check(**self._arguments_of_the_table, encoding=self.encoding)
        else:  # read when the task was made, to know the kind
            tested = self._table.test.target
            for note in self._table.notes:
                say(note)
        check_defined(self.metric, tested, f"the test rows of {self._arguments_of_the_table['test']}")

    def describe(self) -> dict[str, Any]:
        """As ``Task``; with files where they are, and the kind that was found."""
        options = super().describe()["options"]
        if options is not None:
            files = [name for name in ("data", "test") if name in options]
            found = {name: self._arguments_of_the_table[name] for name in files}
            options = {**options, **found, "kind": self.kind}
        return {"target": "trials.tasks.tabular:Tabular", "options": options}

    def __getstate__(self) -> Any:
        """Pickled without the rows: a worker reads them."""
        state: Any = super().__getstate__()
        return {name: None if name == "_table" else value for name, value in state.items()}
