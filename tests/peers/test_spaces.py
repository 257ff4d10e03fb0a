"""Spaces of Optuna, Ray Tune and ConfigSpace as ours: the same values, each as likely."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from scipy import stats

from asha_core.arguments import plain
from asha_core.errors import ConfigurationError, SpaceError
from asha_core.searchers.random_search import RandomSearch
from asha_core.space import Choice, Constant, Float, Int, SearchSpace
from tests.asha_core.predicates import anything
from tests.asha_core.space.option_values import Net, Wide
from tests.peers.process_state import leaving_the_process_as_it_was

MANY = 600


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def alike(space: SearchSpace, theirs: Sequence[Mapping[str, Any]], unlike: Sequence[str] = ()) -> None:
    """Each of their samples is one of ours; and values come as often, as far as one can see."""
    searcher = RandomSearch(space, 0)
    ours = [searcher.propose(index) for index in range(MANY)]
    for sample in theirs:
        found = space.configuration(sample)
        for name, value in flat(sample):
            near = pytest.approx(value) if isinstance(value, float) else value
            assert found[name] == near, name
    for name, dimension in space.items():
        here = [each[name] for each in ours if name in each]
        there = [plain(value) for each in theirs for n, value in flat(each) if n == name]
        assert abs(len(here) / len(ours) - len(there) / len(theirs)) < 0.1, name
        if isinstance(dimension, Float) and dimension.step is None:
            assert stats.ks_2samp(here, there).pvalue > 1e-3, name
        elif name not in unlike:
            assert differ(here, there) > 1e-3, name


def differ(here: Sequence[Any], there: Sequence[Any]) -> float:
    """P of a chi-squared test; values are rounded, as sums of floats are."""

    def key(value: Any) -> str:
        return f"{value:.9g}" if isinstance(value, float) else repr(value)

    one, two = Counter(map(key, here)), Counter(map(key, there))
    assert set(one) >= set(two) or len(two) > 20
    if len(one) == 1:
        return float(set(one) == set(two))
    numbers = sorted(set(one) | set(two))
    if len(numbers) > 20:
        return float(stats.ks_2samp(list(map(float, here)), list(map(float, there))).pvalue)
    return float(stats.chi2_contingency([[one[k] for k in numbers], [two[k] for k in numbers]]).pvalue)


# -- Optuna ----------------------------------------------------------------------------------------


def optunas() -> dict[str, Any]:
    optuna = pytest.importorskip("optuna.distributions")
    return {
        "a": optuna.FloatDistribution(-1.0, 2.0),
        "b": optuna.FloatDistribution(1e-4, 1.0, log=True),
        "c": optuna.FloatDistribution(0.1, 0.7, step=0.1),
        "d": optuna.IntDistribution(-2, 5),
        "e": optuna.IntDistribution(1, 64, log=True),
        "f": optuna.IntDistribution(32, 128, step=32),
        "g": optuna.CategoricalDistribution(["sgd", None, 3, 0.5, True]),
        "h": optuna.FloatDistribution(0.5, 0.5),
        "i": optuna.IntDistribution(3, 3),
    }


def test_optunas_samples_are_ours() -> None:
    optuna = pytest.importorskip("optuna")
    space = SearchSpace.from_optuna(optunas())
    sampler = optuna.samplers.RandomSampler(seed=1)
    given = optunas()

    def sample() -> dict[str, Any]:
        return {name: sampler.sample_independent(None, None, name, each) for name, each in given.items()}

    samples = [sample() for _ in range(MANY)]
    alike(space, samples, unlike=["e"])
    for index in range(MANY):  # and ours Optuna's
        mine = RandomSearch(space, 2).propose(index)
        assert all(d._contains(d.to_internal_repr(mine[name])) for name, d in given.items())
    assert space["c"] == Float(0.1, 0.7, step=0.1)
    assert (space["h"], space["i"]) == (Constant(0.5), Constant(3))


@pytest.mark.parametrize("given", [{"a": Float(0, 1)}, {"a": 3}, [("a", 3)], 3])
def test_what_is_not_optunas(given: Any) -> None:
    pytest.importorskip("optuna")
    with pytest.raises(SpaceError, match="from_optuna"):
        SearchSpace.from_optuna(given)


# -- Ray Tune --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tune() -> Any:
    with leaving_the_process_as_it_was():
        return pytest.importorskip("ray.tune", reason="Ray Tune is not installed: pip install -e '.[test]'")


@pytest.mark.long
def test_rays_samples_are_ours(tune: Any) -> None:
    param_space = {
        "a": tune.uniform(-1.0, 2.0),
        "opt": {
            "lr": tune.loguniform(1e-4, 1.0),
            "kind": tune.choice([Net, Wide, "sgd"]),
            "inner": {"beta": 0.9},
        },
        "c": tune.quniform(0.1, 0.7, 0.1),
        "d": tune.randint(-2, 6),
        "e": tune.lograndint(1, 64),
        "f": tune.qrandint(30, 130, 32),
        "g": tune.choice([(64, 64), (128,)]),
        "h": tune.randint(3, 4),
        "i": tune.uniform(0.5, 0.5),
        "j": tune.qrandint(1, 9, 1),
        "k": 5,
        "l": [1, 2],
        "m": tune.qrandint(30, 60, 40),
    }
    space = SearchSpace.from_ray(param_space)
    random = np.random.RandomState(3)

    def sample(given: Any) -> Any:
        if isinstance(given, dict):
            return {name: sample(each) for name, each in given.items()}
        return given.sample(random_state=random) if hasattr(given, "sample") else given

    alike(space, [sample(param_space) for _ in range(MANY)], unlike=["c"])
    assert space["f"] == Int(32, 128, step=32)
    assert (space["h"], space["i"], space["m"]) == (Constant(3), Constant(0.5), Constant(40))
    assert space["e"] == Int(1, 63, log=True)
    assert space["opt.inner.beta"] == Constant(0.9)
    assert RandomSearch(space, 0).propose(0)["opt"]["kind"] in (Net, Wide, "sgd")


@pytest.mark.long
def test_what_ray_has_and_we_have_not_is_named(tune: Any) -> None:
    sample = pytest.importorskip("ray.tune.search.sample")
    odd = tune.uniform(0, 1)
    odd.sampler = sample.BaseSampler()
    for given, said in (
        (tune.sample_from(lambda config: 3), "sample_from"),
        (tune.randn(0, 1), "a normal distribution"),
        (tune.qrandn(0, 1, 0.2), "a normal distribution"),
        (tune.qloguniform(0.1, 1, 0.1), "logarithmic in steps of 0.1"),
        (tune.qlograndint(2, 64, 2), "logarithmic in steps of 2"),
        (sample.Categorical([1, 2]).grid(), "Categorical with the sampler Grid"),
        (tune.grid_search([1, 2]), "grid_search: write tune.choice"),
        (tune.choice([1, 1.0]), "is repeated"),
        (object(), "Constant value <object"),
        (sample.Float(None, 1.0), "a range from -inf to 1.0"),
        (odd, "Float with the sampler BaseSampler"),
    ):
        with pytest.raises(SpaceError) as caught:
            SearchSpace.from_ray({"opt": {"x": given}})
        assert str(caught.value).startswith("dimension 'opt.x'")
        assert said in str(caught.value)
    with pytest.raises(SpaceError, match=r"from_ray is given \[\]"):
        SearchSpace.from_ray([])  # type: ignore[arg-type]


# -- ConfigSpace -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def theirs() -> Any:
    return pytest.importorskip("ConfigSpace", reason="ConfigSpace is not installed: pip install -e '.[test]'")


def big(theirs: Any) -> Any:
    c = theirs
    space = c.ConfigurationSpace(seed=5)
    kind = c.CategoricalHyperparameter("kind", ["sgd", "adam", "lion"])
    size = c.OrdinalHyperparameter("size", ["small", "medium", "large"])
    layers = c.UniformIntegerHyperparameter("layers", 1, 5)
    momentum = c.UniformFloatHyperparameter("momentum", 0.0, 0.99)
    beta = c.UniformFloatHyperparameter("beta", 1e-3, 1.0, log=True)
    width = c.UniformIntegerHyperparameter("width", 8, 512, log=True)
    deep = c.CategoricalHyperparameter("deep", [True, False])
    extra = c.CategoricalHyperparameter("extra", [1, 2])
    fixed = c.Constant("fixed", "x")
    third = c.UniformFloatHyperparameter("third", 0, 1)
    space.add(kind, size, layers, momentum, beta, width, deep, extra, fixed, third)
    space.add(
        c.EqualsCondition(momentum, kind, "sgd"),
        c.AndConjunction(
            c.InCondition(beta, kind, ["adam", "lion"]), c.GreaterThanCondition(beta, size, "small")
        ),
        c.NotEqualsCondition(width, kind, "lion"),
        c.LessThanCondition(deep, layers, 4),
        c.OrConjunction(c.EqualsCondition(extra, layers, 1), c.GreaterThanCondition(extra, layers, 3)),
        c.AndConjunction(c.GreaterThanCondition(third, layers, 1), c.LessThanCondition(third, layers, 5)),
    )
    return space


def test_configspaces_samples_are_ours(theirs: Any) -> None:
    given = big(theirs)
    space = SearchSpace.from_configspace(given)
    samples = [dict(each) for each in given.sample_configuration(MANY)]
    alike(space, samples, unlike=["width"])
    for index in range(MANY):  # and ours theirs
        theirs.Configuration(given, values=dict(RandomSearch(space, 1).propose(index)))
    assert space["size"] == Choice(["small", "medium", "large"])
    assert space["fixed"] == Constant("x")
    assert space.conditions["beta"] == {"kind": ("adam", "lion"), "size": ("medium", "large")}
    assert space.conditions["deep"] == {"layers": (1, 2, 3)}
    assert space.conditions["extra"] == {"layers": (1, 4, 5)}
    assert space.conditions["third"] == {"layers": (2, 3, 4)}


def one(theirs: Any, *hyperparameters: Any, conditions: Any = ()) -> Any:
    space = theirs.ConfigurationSpace()
    space.add(*hyperparameters)
    space.add(*conditions)
    return space


def test_what_configspace_has_and_we_have_not_is_named(theirs: Any) -> None:
    c = theirs
    a, b = c.CategoricalHyperparameter("a", [1, 2, 3]), c.CategoricalHyperparameter("b", [1, 2])
    x, many = c.UniformFloatHyperparameter("x", 0, 1), c.UniformIntegerHyperparameter("many", 0, 5000)
    fixed = c.Constant("fixed", "on")
    forbidden = one(c, c.CategoricalHyperparameter("a", [1, 2]))
    forbidden.add(c.ForbiddenEqualsClause(forbidden["a"], 2))
    weighted = c.CategoricalHyperparameter("a", [1, 2], weights=[0.2, 0.8])
    normal = c.NormalFloatHyperparameter("n", 0, 1, lower=-2, upper=2)
    either = c.OrConjunction(c.EqualsCondition(x, a, 1), c.EqualsCondition(x, b, 1))
    never = c.AndConjunction(c.EqualsCondition(x, a, 1), c.EqualsCondition(x, a, 2))
    for given, said in (
        (one(c, weighted), "'a' is a Categorical with weights"),
        (one(c, normal), "'n' is a NormalFloatHyperparameter"),
        (one(c, c.BetaIntegerHyperparameter("n", 2, 3, lower=0, upper=9)), "'n' is a BetaInteger"),
        (forbidden, "forbidden clause"),
        (one(c, x, b, conditions=[c.GreaterThanCondition(b, x, 0.5)]), "depends on 'x', which has more"),
        (one(c, many, b, conditions=[c.GreaterThanCondition(b, many, 5)]), "depends on 'many'"),
        (one(c, a, b, x, conditions=[either]), "of 'x' is an Or over several others"),
        (one(c, a, x, conditions=[never]), "of 'x' can never hold"),
        (3, "from_configspace is given 3"),
    ):
        with pytest.raises(SpaceError) as caught:
            SearchSpace.from_configspace(given)
        assert said in str(caught.value)
    assert SearchSpace.from_configspace(forbidden, constraints=[anything]).constraints == (anything,)
    held = one(c, fixed, x, conditions=[c.EqualsCondition(x, fixed, "on")])
    assert SearchSpace.from_configspace(held).conditions == {"x": {"fixed": ("on",)}}


def test_a_condition_of_an_unknown_kind_is_named(theirs: Any) -> None:
    from asha_core.space.conversions.configspace import _predicate

    with pytest.raises(SpaceError, match="is a str, which has no counterpart"):
        _predicate("odd", None, theirs)


@pytest.mark.parametrize(
    ("read", "module", "extra"),
    [
        (SearchSpace.from_optuna, "optuna.distributions", "optuna"),
        (SearchSpace.from_ray, "ray.tune.search.sample", "ray"),
        (SearchSpace.from_configspace, "ConfigSpace", "configspace"),
    ],
)
def test_a_library_that_is_not_there(read: Any, module: str, extra: str, monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"pip install 'asha-core\[{extra}\]'"):
        read({})


def test_a_value_outside_is_outside_here_too() -> None:
    pytest.importorskip("optuna")
    space = SearchSpace.from_optuna({"c": optunas()["c"]})
    with pytest.raises(ConfigurationError, match=r"in steps of 0\.1"):
        space.configuration({"c": 0.15})
