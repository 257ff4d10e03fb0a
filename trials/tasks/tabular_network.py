"""A table, and a multilayer perceptron of its rows: a unit of resource is an epoch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from asha_core.arguments import integer, one_of
from asha_core.space import Configuration, Float, SearchSpace
from trials.task import TestScore
from trials.tasks.tabular import Tabular
from trials.torch_task.torch_task import TorchTask

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from trials.data.batches import Source
    from trials.data.tables import Rows

_OPTIMIZERS = {
    "adamw": {
        "lr": Float(1e-5, 3e-2, log=True),
        "weight_decay": Float(1e-6, 1.0, log=True),
        "beta1": Float(0.8, 0.99),
        "one_minus_beta2": Float(1e-4, 1e-1, log=True),
    },
    "sgd": {
        "lr": Float(1e-4, 1.0, log=True),
        "weight_decay": Float(1e-6, 1e-2, log=True),
        "momentum": Float(0.0, 0.99),
    },
}

# In steps, so that no warm start moves it: with a draw that is held, which units are left out is a staircase
# in the rate, and a difference along it is noise (on Adult 90 nats a unit of the rate in the median)
_DROPOUT = Float(0.0, 0.5, step=0.01)


class TabularNetwork(Tabular, TorchTask):
    """A multilayer perceptron for a table; see ``Tabular``.

    Targets of a regression are standardised by the training rows, and the losses are of those; the metric is
    in the target's own units.
    """

    network = "mlp"
    encoding = "dense"
    options = ("optimizer", "layers", "width", "embedding", "batch_size")
    max_resource = 27
    eval_batch_size_on_cpu = 1024
    trained_model = TorchTask.trained_model
    preload = (*TorchTask.preload, "sklearn.metrics", "sklearn.preprocessing", "sklearn.impute")

    def _configure(self, given: dict[str, Any]) -> None:
        name = one_of("optimizer", given.get("optimizer", "adamw"), _OPTIMIZERS)
        self.optimizer_name = name
        self.layers = integer("layers", given.get("layers", 2), 0)
        self.width = integer("width", given.get("width", 128), 1)
        self.embedding = integer("embedding", given.get("embedding", 8), 1)
        self.batch_size = integer("batch_size", given.get("batch_size", 64), 1)
        smoothing = {"label_smoothing": Float(0.0, 0.3)} if self.kind == "classification" else {}
        self.space = SearchSpace({**_OPTIMIZERS[name], "dropout": _DROPOUT, **smoothing})

    def model(self, config: Configuration) -> nn.Module:
        """The network, freshly initialised."""
        from trials.models.tabular_mlp import TabularMlp

        table = self.table
        return TabularMlp(
            len(table.numeric_names),
            table.cardinalities,
            len(table.classes) or 1,
            self.layers,
            self.width,
            self.embedding,
            config.get("dropout", 0.0),
        )

    def data(self) -> tuple[Source, Source]:
        """(numbers (N, d) float32, codes (N, c) int64, target (N,) int64 or float32) of both parts."""
        return self._tensors(self.table.train), self._tensors(self.table.valid)

    def test_data(self) -> Source:
        """The test rows."""
        return self._tensors(self.table.test)

    def unpack_batch(self, batch: Any) -> tuple[Any, Any]:
        """((numbers, codes), target)."""
        numbers, codes, target = batch
        return (numbers, codes), target

    def optimizer(self, parameters: Iterable[Any], config: Configuration) -> torch.optim.Optimizer:
        """AdamW, or SGD with Nesterov momentum."""
        if self.optimizer_name == "sgd":
            return super().optimizer(parameters, config)
        from torch.optim import AdamW

        betas = config.get("beta1", 0.9), 1.0 - config.get("one_minus_beta2", 0.001)
        decay = config.get("weight_decay", 0.0)
        return AdamW(parameters, lr=config["lr"], betas=betas, weight_decay=decay)

    def criterion(self, outputs: Any, targets: Any) -> Tensor:
        """Cross-entropy; of a regression, the mean squared error."""
        if self.kind == "classification":
            return super().criterion(outputs, targets)
        from torch.nn.functional import mse_loss

        return mse_loss(outputs, targets)

    def loss(self, outputs: Any, targets: Any, config: Configuration) -> Tensor:
        """The criterion, with ``label_smoothing`` for classes."""
        if self.kind == "regression":
            return self.criterion(outputs, targets)
        from torch.nn.functional import cross_entropy

        return cross_entropy(outputs, targets, label_smoothing=config.get("label_smoothing", 0.0))

    def score_from(self, sums: Any, loss: float) -> float:
        """The metric; an RMSE in the target's own units."""
        if self.metric == "rmse":
            return float(loss**0.5 * self.table.target_deviation)
        return super().score_from(sums, loss)

    def score(self, outputs: Any, targets: Any) -> float:
        """ROC AUC, which does not add up over batches."""
        from trials.tasks.tabular_scores import measured

        return measured(self.metric, outputs.cpu().numpy(), targets.cpu().numpy())

    def measure_test(self, model: nn.Module, config: Configuration, device: str) -> TestScore:
        """As in a validation, on the test rows."""
        return replace(super().measure_test(model, config, device), what="row")

    def adds_up(self) -> bool:
        """All but ROC AUC."""
        return self.metric != "roc-auc"

    def _tensors(self, rows: Rows) -> tuple[Tensor, Tensor, Tensor]:
        import torch

        target = torch.from_numpy(rows.target)
        if self.kind == "regression":
            target = (target - self.table.target_mean) / self.table.target_deviation
        return torch.from_numpy(rows.numeric), torch.from_numpy(rows.categories), target
