"""What stands below the figures of a report on runs: what each shows, and what its marks are."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from analysis.journals.runs import Run
from analysis.number_formats import better, listed

_TRAINED_OTHERWISE = (
    *("smoothing", "magnitude", "augment", "dropout", "drop", "mixup", "cutmix", "noise", "mask"),
    *("temperature", "class_weight", "loss", "batch_size"),
)


def held_out(run: Run) -> str:
    """What its values were measured on."""
    return run.measured_on or "validation data"


def measured(run: Run, what: str) -> str:
    """The label of an axis of values."""
    return f"{what} ({'' if run.measured_on else 'validation; '}{better(run.mode)})"


def best_so_far(runs: Sequence[Run], target: float | None) -> str:
    """Of the best value against time."""
    first = runs[0]
    text = (
        f"The best {first.metric} on {held_out(first)} that any trial had reported by then "
        f"({better(first.mode)}); the mark is the last improvement. Time begins with the search, so "
        "starting the workers is in it."
    )
    if len(runs) > 1:
        text += " A line for each search; it goes on flat to the search's end."
    return text + (f" Dashed: the target, {target:g}." if target is not None else "")


def learning_curves(run: Run) -> str:
    """Of all trials' values against units."""
    return (
        f"A line for each trial: its {run.metric} ({better(run.mode)}) after each {run.unit}; a dot "
        f"where it reported once. The colour is the rung that it reached ({listed(run.levels)} "
        f"{run.unit}s): most trials are left at the first, and the dark ones were promoted to the end."
    )


def losses_title(kinds: Collection[str]) -> str:
    """Which losses are drawn."""
    named = [word for key, word in (("train_loss", "training"), ("valid_loss", "validation")) if key in kinds]
    return listed(named).capitalize()


def losses(run: Run, kinds: Collection[str]) -> str:
    """Of training and validation loss, whichever were reported: when these can be compared, and when not."""
    if "train_loss" not in kinds:
        return "Validation loss of the best trials. It is measured alike for all."
    changed = [name for name in run.searched if any(part in name.lower() for part in _TRAINED_OTHERWISE)]
    both = "valid_loss" in kinds
    begin = (
        "Validation loss (solid) and training loss (dashed) of the best trials. Validation loss is measured "
        "alike for all."
        if both
        else "Training loss (dashed) of the best trials; none reported a validation loss, as valid_loss."
    )
    text = (
        f"{begin} Training loss is as the task reports it: of networks usually what the optimiser saw, on "
        "augmented batches, with dropout and label smoothing if there are any, and averaged while the "
        "weights still moved. Then it may lie above a validation loss, and that says nothing about "
        "overfitting"
    )
    compare = " Compare validation losses." if both else ""
    if changed:
        return (
            f"{text}; and since {listed(changed)} {'changes' if len(changed) == 1 else 'change'} what it "
            f"is measured of, it cannot be compared between trials.{compare}"
        )
    return f"{text}."


def warm_start() -> str:
    """Of the sizes of steps."""
    return (
        "How far the warm start moved each hyper-parameter, over trials: the box holds the middle half, "
        "its line is the median, whiskers reach to one and a half times the box, dots lie outside. In "
        "search coordinates: 0.3 of a log10 dimension is a factor of 2."
    )


def rungs(runs: Sequence[Run]) -> str:
    """Of survival by rung."""
    eta = runs[0].manifest["scheduler"]["reduction_factor"]
    text = f"The share of configurations that were trained for at least so many {runs[0].unit}s"
    text += "; above the bars, how many these are." if len(runs) <= 2 else "."
    return (
        f"{text} A scheduler that lets up one in {eta} would follow the marks; an asynchronous one lets up "
        "more, since it decides before all have arrived."
    )


def time_split() -> str:
    """Of where the workers' time went."""
    return (
        "All workers' time from the search's begin to its end. Training holds validation and saving; "
        "starting is loading Python, torch and the data; waiting is all else, such as a slot without a "
        "job."
    )


def confusion() -> str:
    """Of the confusion matrix."""
    return (
        "How many samples of each true class (rows) were taken for which class (columns), by the chosen "
        "configuration on test data. Off the diagonal are mistakes."
    )
