"""A table, and XGBoost: a unit of resource is so many boosting rounds, and a trial goes on from its trees.

Chen and Guestrin 2016, "XGBoost: a scalable tree boosting system", arXiv:1603.02754; the parameters are those
of xgboost.readthedocs.io/en/stable/parameter.html, under the library's own names.

Going on to the same trees. What a booster's file does not hold is where its random numbers are: those of the
rows (``subsample``) and a second stream, of the columns (``colsample_bytree``), which lives in what grows
trees and is seeded when that is made (dmlc/xgboost#10324, dmlc/xgboost#6711). So each unit has what grows
trees made anew, which the library does when ``tree_method`` becomes another one, and a seed of its own, which
``seed_per_iteration`` mixes with the number of the round. Cached predictions stay, so this takes half a
millisecond, and a trial that was paused has the trees of one that was not, to the last bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from asha_core.arguments import integer
from asha_core.errors import ResultsError
from asha_core.space import Configuration, Float, Int, SearchSpace
from asha_core.streams import stream_seed
from trials.task import TestScore
from trials.tasks.tabular import Tabular
from trials.tasks.tabular_scores import Array, mean_loss, measured

if TYPE_CHECKING:
    from trials.data.tables import Rows
    from trials.trial import Trial

SPACE = SearchSpace(
    {
        "eta": Float(0.01, 0.5, log=True),
        "lambda": Float(1e-2, 100.0, log=True),
        "alpha": Float(1e-4, 10.0, log=True),
        "gamma": Float(0.0, 5.0),
        "subsample": Float(0.5, 1.0),
        "colsample_bytree": Float(0.3, 1.0),
        "max_depth": Int(2, 10),
        "min_child_weight": Float(0.1, 10.0, log=True),
    }
)
_LARGEST_SEED = 2**31 - 1


class TabularTrees(Tabular):
    """XGBoost's trees of a table; see ``Tabular``.

    ``alpha`` and ``gamma`` of a regression are in units of the target's deviation, and of its square: so the
    same space fits targets of any size. The other parameters have no unit.
    """

    network = "xgboost"
    encoding = "trees"
    options = ("rounds_per_unit", "warm_start_rounds", "warm_start_rows")
    libraries = ("xgboost",)
    max_resource = 27
    preload = ("xgboost", "torch", "sklearn.metrics", "sklearn.preprocessing", "sklearn.impute")

    def _configure(self, given: dict[str, Any]) -> None:
        self.rounds_per_unit = integer("rounds_per_unit", given.get("rounds_per_unit", 30), 1)
        self.warm_start_rounds = integer("warm_start_rounds", given.get("warm_start_rounds", 5), 1)
        self.warm_start_rows = integer("warm_start_rows", given.get("warm_start_rows", 4096), 4)
        self.unit = "round" if self.rounds_per_unit == 1 else "block"
        self.space = SPACE
        self._matrices: dict[Any, Any] = {}

    def plan_notes(self) -> list[str]:
        """What a block is."""
        if self.rounds_per_unit == 1:
            return []
        return [f"tabular: a block is {self.rounds_per_unit} rounds of boosting (rounds_per_unit)"]

    def setup(self, device: str) -> None:
        """Load the library and the table."""
        self._matrix("train")
        self._matrix("valid")

    def run(self, trial: Trial) -> None:
        """Rounds of boosting, unit by unit."""
        train, valid = self._matrix("train"), self._matrix("valid")
        state = trial.resume_from()
        booster = self._booster(trial.config, trial.device, train, None if state is None else state["trees"])
        for unit in trial.units():
            _draw_anew(booster, stream_seed(trial.seed, "trees", unit))
            for number in range(self.rounds_per_unit):
                booster.update(train, number)
            with trial.costs.timed("evaluate_seconds"):
                train_loss = self._loss(self._outputs(booster, train), self.table.train)
                outputs = self._outputs(booster, valid)
                loss = self._loss(outputs, self.table.valid)
                value = measured(self.metric, outputs, self.table.valid.target)
            trial.save({"trees": bytes(booster.save_raw("ubj"))}, wait=False)
            trial.report(value, train_loss=train_loss, valid_loss=loss)

    def warm_start_loss(self, config: Configuration, seed: int) -> float:
        """The held-out loss after ``warm_start_rounds`` on a half of some training rows, on the other half.

        In nats; of a regression, the mean squared error over the target's variance.
        """
        train, held, rows = self._halves(seed)
        booster = self._booster(config, "cpu", train)
        _draw_anew(booster, stream_seed(seed, "trees"))
        for number in range(self.warm_start_rounds):
            booster.update(train, number)
        return self._loss(self._outputs(booster, held), rows)

    def trained_model(self, config: Configuration, state: Any) -> Any:
        """An ``xgboost.Booster``, which takes rows that are encoded as those of ``table``; reads no rows."""
        import xgboost

        booster = xgboost.Booster({"nthread": _threads()})
        try:
            booster.load_model(bytearray(state["trees"]))
        except (KeyError, TypeError, xgboost.core.XGBoostError) as error:
            raise ResultsError(f"there are no trees in it ({type(error).__name__})") from None
        return booster

    def measure_test(self, model: Any, config: Configuration, device: str) -> TestScore:
        """The metric on the test rows."""
        import torch

        from trials.torch_task.final import Confusion

        rows = self.table.test
        outputs = self._outputs(model, self._made(rows))
        confusion = Confusion()
        confusion.add(torch.from_numpy(outputs), torch.from_numpy(rows.target))
        return TestScore(
            measured(self.metric, outputs, rows.target),
            len(rows),
            self._loss(outputs, rows),
            confusion.rows(),
            what="row",
        )

    def _booster(self, config: Any, device: str, train: Any, trees: bytes | None = None) -> Any:
        """A booster with a configuration's parameters, and the trees that it has already."""
        import xgboost

        found = {name: config[name] for name in SPACE if name in config}
        scale = self.table.target_deviation
        for name, power in (("alpha", 1), ("gamma", 2)):
            if name in found:
                found[name] *= scale**power
        booster = xgboost.Booster({**found, **self._fixed(device)}, [train])
        if trees is not None:
            booster.load_model(bytearray(trees))
            booster.set_param({**found, **self._fixed(device)})
        return booster

    def _fixed(self, device: str) -> dict[str, Any]:
        """Parameters that no configuration has."""
        classes = len(self.table.classes)
        objective = {0: "reg:squarederror", 2: "binary:logistic"}.get(classes, "multi:softprob")
        several = {"num_class": classes} if classes > 2 else {}
        return {
            "objective": objective,
            **several,
            "tree_method": "hist",
            "device": device,
            "nthread": _threads(),
            "seed_per_iteration": True,
            "verbosity": 1,
        }

    def _outputs(self, booster: Any, rows: Any) -> Array:
        """(N, classes) logits, or (N,) numbers in the target's own units."""
        margins = np.asarray(booster.predict(rows, output_margin=True))
        if len(self.table.classes) == 2:
            return np.stack([np.zeros_like(margins), margins], axis=1)
        return margins

    def _loss(self, outputs: Array, rows: Rows) -> float:
        return mean_loss(outputs, rows.target) / self.table.target_deviation**2

    def _matrix(self, part: str) -> Any:
        """Training or validation rows as the library takes them; made once a worker."""
        if part not in self._matrices:
            self._matrices[part] = self._made(getattr(self.table, part))
        return self._matrices[part]

    def _halves(self, seed: int) -> tuple[Any, Any, Rows]:
        """(training rows, held-out rows, the latter as arrays): some of the training rows, by a draw."""
        kept = self._matrices.get("halves")
        if kept is None or kept[0] != seed:
            rows, generator = self.table.train, np.random.default_rng(seed)
            order = generator.permutation(len(rows))[: self.warm_start_rows]
            first, second = np.array_split(order, 2)
            held = _taken(rows, second)
            kept = seed, self._made(_taken(rows, first)), self._made(held), held
            self._matrices["halves"] = kept
        return kept[1], kept[2], kept[3]

    def _made(self, rows: Rows) -> Any:
        """Numbers, and categories by their codes as XGBoost's own: it splits them by sets of categories.

        What is missing, or was never met in training, is missing to the library, too, which learns at each
        split where such rows go.
        """
        import xgboost

        table = self.table
        codes = np.where(rows.categories > 0, rows.categories - 1, np.nan).astype(np.float32)
        kinds = ["q"] * len(table.numeric_names) + ["c"] * len(table.categorical_names)
        return xgboost.DMatrix(
            np.concatenate([rows.numeric, codes], axis=1),
            rows.target,
            feature_types=kinds,
            enable_categorical=True,
            nthread=_threads(),
        )

    def __getstate__(self) -> Any:
        """Pickled without what a worker has loaded."""
        return {name: {} if name == "_matrices" else value for name, value in super().__getstate__().items()}


def _draw_anew(booster: Any, seed: int) -> None:
    """Let what grows trees be made again, and draw its numbers from a seed."""
    booster.set_param({"tree_method": "approx"})
    booster.save_config()  # which puts parameters into effect
    booster.set_param({"tree_method": "hist", "seed": seed % _LARGEST_SEED})


def _taken(rows: Rows, which: Array) -> Rows:
    return type(rows)(rows.numeric[which], rows.categories[which], rows.target[which])


def _threads() -> int:
    """The worker's share of the cores, as torch was told of it: the library does not heed OMP_NUM_THREADS."""
    import torch

    return torch.get_num_threads()
