"""Arrays as a study gives them, and every figure drawn from them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis import figures
from analysis.stats.survival import kaplan_meier

FIVE = ["baseline", "random-warm", "ohgw-1step", "ohgw-3step", "ohgw-trust"]
THIRTEEN = [
    *FIVE,
    *("random-matched", "ohgw-brake", "ohgw-flipped", "ohgw-screen", "ohgw-screen-trust"),
    *("trust-matched", "trust-flipped", "a-user's-own-variation-with-a-long-name"),
]
ONE = ["baseline"]
LOOK = figures.styles(THIRTEEN)
SEEDS = 20
Draw = Callable[[Axes], None]


def drawn(draw: Draw) -> Axes:
    axes = Figure().add_subplot()
    draw(axes)
    return axes


def heading(axes: Axes) -> str:
    return " ".join(axes.get_title(place) for place in ("left", "center", "right")).replace("\n", " ")


def legend(axes: Axes) -> list[str]:
    found = axes.get_legend()
    return [] if found is None else [text.get_text() for text in found.get_texts()]


def best_bands(names: list[str], **settings: Any) -> Draw:
    rng = np.random.default_rng(1)
    grid = np.linspace(0, 3 * 3600, 120)
    bands = {}
    for place, name in enumerate(names):
        centre = np.maximum.accumulate(0.93 - 0.8 * np.exp(-grid / 900) + 0.004 * rng.random(len(grid)))
        centre[: place + 1] = np.nan  # nothing reported yet
        bands[name] = (centre, centre - 0.02, centre + 0.01)
    settings = {
        "n": SEEDS,
        "targets": (0.9, 0.91, 0.92, 0.93),
        "look": LOOK,
        "title": "digits, asha",
        **settings,
    }
    return partial(figures.plot_best_bands, grid=grid, bands=bands, **settings)


def times(names: list[str], budget: float = 3 * 3600) -> dict[str, tuple[Any, Any]]:
    rng = np.random.default_rng(2)
    found = {name: np.exp(rng.normal(8.7, 0.4, SEEDS)) for name in names}
    return {name: (np.minimum(t, budget), t > budget) for name, t in found.items()}


def curve_of(t: Any, censored: Any) -> tuple[Any, ...]:
    km = kaplan_meier(t, censored)
    return km.times, km.survival, km.low, km.high, np.asarray(t)[np.asarray(censored)]


def km_curves(names: list[str], **settings: Any) -> Draw:
    told = times(names)
    settings = {"target": "accuracy 0.93", "horizon": 3 * 3600, "look": LOOK, **settings}
    return partial(
        figures.plot_kaplan_meier,
        curves={name: curve_of(*each) for name, each in told.items()},
        durations={name: t for name, (t, _) in told.items()},
        **settings,
    )


def rung_shares(names: list[str], **settings: Any) -> Draw:
    shares = {}
    for place, name in enumerate(names):
        mean = 3.0 ** -np.arange(5) * (1 + 0.02 * place)
        shares[name] = (mean, 0.8 * mean, 1.2 * mean)
    settings = {"n": SEEDS, "eta": 3, "look": LOOK, **settings}
    return partial(figures.plot_survival_by_rung, levels=[1, 3, 9, 27, 81], shares=shares, **settings)


def final_scores(names: list[str], **settings: Any) -> Draw:
    seeds = [0.93 + 0.004 * np.random.default_rng(i).standard_normal(SEEDS) for i in range(len(names))]
    centre = np.array([scores.mean() for scores in seeds])
    settings = {"points": seeds, "xlabel": "best accuracy (validation)", "look": LOOK, **settings}
    return partial(
        figures.plot_final_scores,
        names=names,
        centre=centre,
        low=centre - 0.002,
        high=centre + 0.002,
        **settings,
    )


def forest(names: list[str], groups: tuple[str, ...] = ("digits, asha", "fashion-mnist, pasha")) -> Draw:
    rng = np.random.default_rng(3)
    rows = []
    for group in groups:
        for name in names[1:]:
            ratio = float(np.exp(rng.normal(-0.1, 0.15)))
            rows.append(figures.Effect(group, name, ratio, 0.8 * ratio, 1.25 * ratio, SEEDS))
    if len(rows) > 3:
        rows[1] = rows[1]._replace(ratio=np.nan, low=np.nan, high=np.nan)
        rows[2] = rows[2]._replace(high=np.inf, of="restricted means")
    return partial(figures.plot_effects, rows=rows, look=LOOK)


def overheads(names: list[str], **settings: Any) -> Draw:
    seconds = np.linspace(0, 6, len(names))
    flops = np.where(np.arange(len(names)) % 4 == 2, np.nan, 0.7 * seconds)
    settings = {"n": SEEDS, "look": LOOK, **settings}
    return partial(
        figures.plot_overheads, names=names, warm_share={"seconds": seconds, "FLOPs": flops}, **settings
    )


def split(names: list[str]) -> Draw:
    many = np.ones(len(names))
    parts = {
        "training": 800 * many,
        "warm start": 30 * many,
        "starting workers": 9 * many,
        "waiting": 70 * many,
    }
    return partial(figures.plot_time_split, names=names, parts=parts, n=SEEDS, title="Where the time went")


def benefit(**settings: Any) -> Draw:
    rng = np.random.default_rng(4)
    counts, x, y = np.histogram2d(rng.normal(-3, 1, 900), rng.normal(0, 0.02, 900), bins=(12, 9))
    label = "size of the hyper-gradient (nats per search coordinate)"
    settings = {"log": True, "xlabel": label, "n": 900, "correlation": (0.31, 1e-9), **settings}
    return partial(figures.plot_gradient_benefit, x_edges=10**x, y_edges=y, values=counts, **settings)


DIMENSIONS = ["learning_rate", "momentum", "weight_decay", "batch_size", "label_smoothing", "optimizer"]


def parallel(**settings: Any) -> Draw:
    rng = np.random.default_rng(5)
    cube = rng.random((200, len(DIMENSIONS)))
    cube[::7, 4] = np.nan
    ticks = {"optimizer": ([0, 0.5, 1], ["sgd", "adam", "adamw"])}
    score = 0.9 - (cube[:, 0] - 0.7) ** 2
    return partial(
        figures.plot_parallel_coordinates,
        dimensions=DIMENSIONS,
        values=cube,
        score=score,
        ticks=ticks,
        **settings,
    )


def before_after(**settings: Any) -> Draw:
    rng = np.random.default_rng(6)
    before = 10 ** rng.uniform(-5, -1, 300)
    after = before * 10 ** rng.normal(0, 0.1, 300)
    return partial(
        figures.plot_before_after,
        before=before,
        after=after,
        label="learning_rate",
        log=True,
        kl=0.04,
        **settings,
    )


def sweep(**settings: Any) -> Draw:
    x = np.repeat([1e-4, 3e-4, 1e-3, 3e-3], 8)
    y = 0.93 + 0.003 * np.random.default_rng(7).standard_normal(32)
    at = np.unique(x)
    centre = np.array([y[x == value].mean() for value in at])
    settings = {
        "curve": (at, centre, centre - 0.001, centre + 0.001),
        "of": "mean",
        "interval": "95% t interval",
        "reference": (0.929, "baseline's mean"),
        **settings,
    }
    return partial(figures.plot_sweep, x=x, y=y, **settings)


def confusion(classes: int, **settings: Any) -> Draw:
    rng = np.random.default_rng(8)
    matrix = rng.poisson(1, (classes, classes)) + 50 * np.eye(classes, dtype=int)
    return partial(figures.plot_confusion, matrix=matrix, **settings)


CIFAR = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
BY_NAME = {
    "best": best_bands,
    "km": km_curves,
    "rungs": rung_shares,
    "scores": final_scores,
    "effects": forest,
    "overheads": overheads,
    "split": split,
}


def importance(**settings: Any) -> Draw:
    names = ["opt.lr", "a_hyper_parameter_with_a_long_name", *(f"p{number}" for number in range(10))]
    mean = np.linspace(1.4, -0.05, len(names))
    given = {"dimensions": names, "mean": mean, "sd": 0.2 * np.abs(mean), "note": "n = 60 trials", **settings}
    return partial(figures.plot_importance, title="Which hyper-parameters mattered", **given)


def slices(**settings: Any) -> Draw:
    rng = np.random.default_rng(3)
    after = rng.random(80)
    given = {
        "name": "opt.lr",
        "ticks": ((0.0, 0.25, 0.5, 0.75, 1.0), ("0.0001", "0.001", "0.01", "0.1", "1")),
        "before": after + 0.1 * rng.random(80),
        "after": np.where(np.arange(80) % 9, after, np.nan),
        "values": np.where(np.arange(80) % 7, 1 - (after - 0.6) ** 2, np.nan),
        "rungs": rng.integers(0, 4, 80),
        "levels": 4,
        "ylabel": "best accuracy",
        **settings,
    }
    return partial(figures.plot_slice, **given)


OTHERS = {
    "importance": importance(),
    "slice": slices(),
    "slice-category": slices(ticks=((0.0, 0.5, 1.0), ("64/64", "128/64/32", "adam")), category=True),
    "benefit": benefit(),
    "parallel": parallel(),
    "before": before_after(),
    "sweep": sweep(),
    "confusion-2": confusion(2),
    "confusion-10": confusion(10, names=CIFAR),
    "confusion-20": confusion(20),
    "confusion-100": confusion(100),
}
