"""A model does what it says it can, and says which models can do what it cannot."""

from collections.abc import Iterable

import numpy as np
import pytest
import tensorflow as tf

import tfgen
from tests.contract import cases
from tfgen.core import random
from tfgen.model.verbs import CAPABILITIES, UnsupportedCapability


def labels(model, num_rows: int) -> list:
    return list(cases.condition(model, num_rows).values())


CALLS = {
    "sample_rows": lambda model, x, z: model.sample(len(x), seed=0),
    "log_prob": lambda model, x, z: model.log_prob(x),
    "log_prob_bound": lambda model, x, z: model.log_prob_bound(x, seed=0),
    "encode": lambda model, x, z: model.encode(x, *labels(model, 3)),
    "decode": lambda model, x, z: model.decode(z, *labels(model, 3)),
    "reconstruct": lambda model, x, z: model.reconstruct(x, *labels(model, 3)),
    "complete": lambda model, x, z: model.complete(x, tf.ones_like(x), seed=0),
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
    assert set(CALLS) == set(CAPABILITIES)


@pytest.mark.parametrize("name", CALLS)
def test_capabilities(models, case, name):
    model = models[case]
    x = tf.fill([3, *model.event_shape], 0.5)
    z = random.normal(random.row_seeds(3, 0), (getattr(model, "latent_dim", 1),))
    if name in model.capabilities():
        results = tf.nest.flatten(CALLS[name](model, x, z))
        assert all(len(result) == 3 and np.isfinite(result).all() for result in results)
        return
    with pytest.raises(UnsupportedCapability) as raised:
        CALLS[name](model, x, z)
    message = str(raised.value)
    verb = "sample" if name == "sample_rows" else name
    assert message.startswith(f"{type(model).__name__} has no {verb} (")
    named = message.partition(f"models with {verb}: ")[2]
    assert able(models.values(), name) <= set(named.split(", "))
    assert type(model).__name__ not in named.split(", ")
    can = {kind.__name__ for kind in model_classes() if name in kind.capabilities()}
    assert set(named.split(", ")) <= (can or {"none yet"})


def model_classes() -> list[type]:
    found = [tfgen.GenerativeModel]
    for kind in found:
        found.extend(kind.__subclasses__())
    return found


def test_a_base_alone_can_do_nothing():
    class Bare(tfgen.GenerativeModel):
        pass

    assert Bare.capabilities() == frozenset()
    with pytest.raises(UnsupportedCapability, match=r"^Bare has no sample \(.*GLANN, GLO, IMLE"):
        Bare().sample(2, seed=0)


def test_latents_can_be_walked(models, case):
    model = models[case]
    if "decode" not in model.capabilities():
        with pytest.raises(UnsupportedCapability, match="has no decode"):
            model.interpolate(tf.zeros([1, 2]), tf.ones([1, 2]))
        return
    z = random.normal(random.row_seeds(3, 0), (model.latent_dim,))
    given = labels(model, 1)
    condition = given[0] if given else None
    path = model.interpolate(z[:1], z[1:2], num_points=5, condition=condition)
    assert path.shape == (1, 5, *model.event_shape)
    np.testing.assert_allclose(path[0, 0], model.decode(z[:1], *given)[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(path[0, -1], model.decode(z[1:2], *given)[0], rtol=1e-5, atol=1e-6)
    analogy = model.latent_arithmetic(z[:1], z[1:2], z[2:], condition)
    decoded = model.decode(z[:1] - z[1:2] + z[2:], *given)
    np.testing.assert_allclose(analogy, decoded, rtol=1e-5, atol=1e-6)
