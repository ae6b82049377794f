"""A model does what it says it can, and says which models can do what it cannot."""

from collections.abc import Iterable

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfgen
from tests.contract import cases
from tfgen.model.rows import VERBS, UnsupportedCapability


def condition(model, num_rows: int) -> dict | None:
    return cases.condition(model, num_rows) or None


CALLS = {
    "sample": lambda model, x, z: model.sample(len(x), seed=0),
    "log_prob": lambda model, x, z: model.log_prob(x, condition(model, 3)),
    "log_prob_bound": lambda model, x, z: model.log_prob_bound(x, 2, 0, condition(model, 3)),
    "encode": lambda model, x, z: model.encode(x, condition(model, 3)),
    "decode": lambda model, x, z: model.decode(z, condition(model, 3)),
    "reconstruct": lambda model, x, z: model.reconstruct(x, condition(model, 3)),
    "complete": lambda model, x, z: model.complete(x, np.ones_like(x), 0, condition(model, 3)),
    "translate": lambda model, x, z: model.translate(x, condition(model, 3)),
    "classify": lambda model, x, z: model.classify(x, condition(model, 3)),
}


@pytest.fixture(scope="module")
def models():
    """The models of all cases, by the name of the case."""
    return {case.name: case.create() for case in cases.MODELS}


@pytest.fixture(params=[case.name for case in cases.MODELS])
def case(request):
    """The name of a case."""
    return request.param


def able(models: Iterable, capability: str) -> set[str]:
    return {type(m).__name__ for m in models if capability in m.capabilities()}


def test_every_capability_is_called_here():
    assert set(CALLS) == set(VERBS)


@pytest.mark.parametrize("name", CALLS)
def test_capabilities(models, case, name):
    model = models[case]
    x, z = cases.rows(model.event_spec, 3), cases.latents(model, 3)
    if name in model.capabilities():
        results = tf.nest.flatten(CALLS[name](model, x, z))
        assert all(len(result) == 3 and np.isfinite(result).all() for result in results)
        return
    with pytest.raises(UnsupportedCapability) as raised:
        CALLS[name](model, x, z)
    message = str(raised.value)
    assert message.startswith(f"{type(model).__name__} has no {name} (")
    named = message.partition(f"models with {name}: ")[2]
    own = {type(model).__name__}
    assert able(models.values(), name) - own <= set(named.split(", "))
    assert own.isdisjoint(named.split(", "))
    can = {kind.__name__ for kind in model_classes() if kind.writes(name)} - own
    assert set(named.split(", ")) <= (can or {"none yet"})


def model_classes() -> list[type]:
    found = [tfgen.GenerativeModel]
    for kind in found:
        found.extend(kind.__subclasses__())
    return found


def test_a_base_alone_can_do_nothing():
    class Bare(tfgen.GenerativeModel):
        pass

    assert Bare().capabilities() == frozenset()
    with pytest.raises(
        UnsupportedCapability,
        match=r"^Bare has no sample \(.*GLANN, GLO, GaussianModel, .*HybridFlow, IMLE",
    ):
        Bare().sample(2, seed=0)


def test_an_instance_without_a_part_lacks_what_its_class_has(models):
    assert "sample" in models["codebook"].capabilities()
    assert "sample" not in models["codebook_alone"].capabilities()
    with pytest.raises(UnsupportedCapability, match="no sample .it was given no prior"):
        models["codebook_alone"].sample(2, seed=0)


def test_a_verb_made_of_another_is_lacked_with_it():
    class NoEncoder(type(cases.named("codebook").create())):
        slow_verbs = frozenset({"decode"})

        def lacks(self):
            return {"encode": "it has lost its encoder"}

    model = NoEncoder()
    assert model.capabilities() == {"sample", "decode"}
    assert model.is_slow("reconstruct") and not model.is_slow("sample")
    with pytest.raises(UnsupportedCapability, match="no reconstruct .it has lost its encoder"):
        model.reconstruct(np.zeros([1, 8, 8, 1]))


WRONG_RESULTS = {
    "sample": lambda self, row_seeds, condition, temperature: tf.zeros([2, 3]),
    "decode": lambda self, z, condition: None,
    "log_prob": lambda self, x, condition: tf.zeros([2, 2]),
}


@pytest.mark.parametrize("verb", WRONG_RESULTS)
def test_a_method_that_returns_something_else_is_named(verb, monkeypatch):
    model = cases.named("flow_on_flow").create()
    monkeypatch.setattr(type(model), f"{verb}_rows", WRONG_RESULTS[verb])
    x, z = cases.rows(model.event_spec, 2), cases.latents(model, 2)
    with pytest.raises((TypeError, ValueError), match=f"Expected .*{verb}_rows.*Received: "):
        {"sample": lambda: model.sample(2), "decode": lambda: model.decode(z)}.get(
            verb, lambda: model.log_prob(x)
        )()


def test_latents_can_be_walked(models, case):
    model = models[case]
    if "decode" not in model.capabilities():
        with pytest.raises(UnsupportedCapability, match="has no decode"):
            model.interpolate(tf.zeros([1, 2]), tf.ones([1, 2]))
        return
    a, b, c = (cases.latents(model, 1, seed) for seed in range(3))
    given = condition(model, 1)
    if any(spec.dtype.is_integer for spec in keras.tree.flatten(model.latent_spec)):
        with pytest.raises(TypeError, match="Expected latents of floats"):
            model.interpolate(a, b)
        with pytest.raises(TypeError, match="Expected latents of floats"):
            model.latent_arithmetic(a, b, c)
        return
    path = model.interpolate(a, b, num_points=5, condition=given)
    assert path.shape == (1, 5, *model.event_shape)
    np.testing.assert_allclose(path[0, 0], model.decode(a, given)[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(path[0, -1], model.decode(b, given)[0], rtol=1e-5, atol=1e-6)
    analogy = model.latent_arithmetic(a, b, c, given)
    decoded = model.decode(keras.tree.map_structure(lambda a, b, c: a - b + c, a, b, c), given)
    np.testing.assert_allclose(analogy, decoded, rtol=1e-5, atol=1e-6)
