"""The metrics of predictions for a table's rows, whichever model made them.

ROC AUC of more than two classes is the unweighted mean over the classes of each against all others: macro,
one-vs-rest, as scikit-learn's ``roc_auc_score(..., multi_class="ovr")``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from asha_core.arguments import one_of
from asha_core.errors import SettingError, TaskError

# metric -> (kind of target, mode)
METRICS = {
    "accuracy": ("classification", "max"),
    "roc-auc": ("classification", "max"),
    "log-loss": ("classification", "min"),
    "rmse": ("regression", "min"),
}
DEFAULTS = {"classification": "accuracy", "regression": "rmse"}
Array = NDArray[Any]


def chosen(metric: str | None, kind: str) -> tuple[str, str]:
    """(metric, mode) for a kind of target.

    Raises:
        SettingError: no such metric, or it is of the other kind.
    """
    fitting = [name for name, (of, _) in METRICS.items() if of == kind]
    if metric in METRICS and metric not in fitting:
        raise SettingError(
            f"metric is {metric}, which is of {METRICS[metric][0]}, and this is {kind}: take "
            f"{' or '.join(fitting)}"
        )
    name = DEFAULTS[kind] if metric is None else one_of("metric", metric, fitting)
    return name, METRICS[name][1]


def mean_loss(outputs: Array, target: Array) -> float:
    """Log-loss in nats of (N, classes) logits, or the mean squared error of (N,) numbers."""
    if outputs.ndim == 1:
        return float(np.mean((outputs.astype(np.float64) - target) ** 2))
    logits = outputs.astype(np.float64)
    if logits.shape[1] == 2:  # a third of the time
        margin = logits[:, 1] - logits[:, 0]
        return float(np.mean(np.logaddexp(0.0, np.where(target == 1, -margin, margin))))
    logits -= logits.max(1, keepdims=True)
    right = np.take_along_axis(logits, target[:, None], 1)[:, 0]
    return float(np.mean(np.log(np.exp(logits).sum(1)) - right))


def measured(metric: str, outputs: Array, target: Array) -> float:
    """A metric of METRICS.

    Args:
        outputs: (N, classes) logits, or (N,) numbers in the target's own units.
        target: (N,) int64 classes, or (N,) numbers.
    """
    if metric == "accuracy":
        return float(np.mean(outputs.argmax(1) == target))
    if metric == "roc-auc":
        return roc_auc(outputs, target)
    loss = mean_loss(outputs, target)
    return loss**0.5 if metric == "rmse" else loss


def check_defined(metric: str, target: Array, rows: str) -> None:
    """Raise if a metric of rows with such a target is not defined.

    Args:
        target: (N,) int64 classes, or (N,) numbers.
        rows: which, in words.
    """
    if metric == "roc-auc" and len(np.unique(target)) == 1:
        raise TaskError(
            f"metric is roc-auc, and {rows} are all of one class ({len(target)}): it is not defined; take "
            "other rows, or another metric"
        )


def roc_auc(logits: Array, target: Array) -> float:
    """Of two classes, of the second; of more, the mean of each against the others.

    Classes that none of the rows has, or all have, are left out.

    Raises:
        TaskError: all rows are of one class.
    """
    from sklearn.metrics import roc_auc_score

    logits = logits.astype(np.float64)
    if logits.shape[1] == 2:
        scores = {1: logits[:, 1] - logits[:, 0]}
    else:
        shares = np.exp(logits - logits.max(1, keepdims=True))
        shares /= shares.sum(1, keepdims=True)
        scores = dict(enumerate(shares.T))
    found = [
        roc_auc_score(target == number, score)
        for number, score in scores.items()
        if 0 < np.count_nonzero(target == number) < len(target)
    ]
    if not found:
        raise TaskError(f"roc-auc of {len(target)} rows that are all of one class is not defined")
    return float(np.mean(found))
