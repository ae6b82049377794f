"""Flows: known densities, bounds that add up to at most one, temperatures, and conditions."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.contract.models.affine_bijector import AffineBijector
from tfgen import UnsupportedCapability, bijectors, distributions, flows
from tfgen.core import random


def moved(model, scale: float = 0.4):
    """Returns a model whose weights are not those that it begins with."""
    rng = np.random.default_rng(0)
    for weight in model.trainable_variables:
        weight.assign(weight + scale * rng.normal(size=weight.shape))
    return model


def points(count: int = 16) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(count, 2)).astype(np.float32)


def test_the_density_is_that_of_tfp():
    from tensorflow_probability import distributions as tfd

    model = moved(flows.Flow(AffineBijector(), (2,)))
    x = points()
    base = tfd.MultivariateNormalDiag(tf.zeros(2))
    expected = tfd.TransformedDistribution(base, _inverted(model.bijector.bijector())).log_prob(x)
    np.testing.assert_allclose(model.log_prob(x), expected, rtol=1e-5)


def test_verbs_are_traced_once_for_any_number_of_rows():
    class Counted(AffineBijector):
        calls = 0

        def inverse(self, z, condition=None):
            Counted.calls += 1
            return super().inverse(z, condition)

    model = flows.Flow(Counted(), (2,))
    for count in (3, 5, 7):
        model.sample(count, seed=0, batch_size=2)
    assert Counted.calls == 1
    before = model.sample(3, seed=0)
    model.bijector.shift.assign(model.bijector.shift + 1.0)
    np.testing.assert_allclose(before - model.sample(3, seed=0), 1.0, rtol=1e-5)


def _inverted(bijector):
    from tensorflow_probability import bijectors as tfb

    return tfb.Invert(bijector)


@pytest.mark.parametrize("kind", ["uniform", "variational"])
def test_bounds_of_all_images_of_two_by_two_add_up_to_at_most_one(kind):
    """With three levels there are 81; many draws come near to the probability of the cells."""
    dequantization = distributions.UniformDequantization(3)
    if kind == "variational":
        network = keras.layers.Conv2D(2, 1, activation="tanh")
        dequantization = distributions.VariationalDequantization(network, num_levels=3)
    model = flows.Flow(AffineBijector(), (2, 2, 1), dequantization=dequantization)
    moved(model, 0.2)
    model.bijector.shift.assign(tf.fill([2, 2, 1], -0.5))
    model.bijector.log_scale.assign(tf.fill([2, 2, 1], 1.0))
    every = np.array(list(itertools.product(range(3), repeat=4)), np.float32) / 2
    x = every.reshape(-1, 2, 2, 1)
    once = model.log_prob_bound(np.repeat(x, 64, axis=0), seed=0, batch_size=6000)
    bound = np.exp(once.numpy().reshape(-1, 64).mean(axis=1).astype(np.float64)).sum()
    often = np.exp(model.log_prob_bound(x, 512, seed=0).numpy().astype(np.float64)).sum()
    # A normal of deviation 1 / e has this much within 1/2 of its mean, in each of 4 directions.
    inside = tf.math.erf(0.5 * np.e / np.sqrt(2.0)).numpy() ** 4
    assert often == pytest.approx(inside, rel=0.05)
    assert 0.3 * inside < bound < inside < 1


def test_log_prob_beside_a_dequantisation_is_of_continuous_examples():
    model = flows.Flow(
        AffineBijector(), (1,), dequantization=distributions.UniformDequantization(2)
    )
    x = np.linspace(-12, 12, 4001, dtype=np.float32)[:, np.newaxis]
    log_prob = model.log_prob(x).numpy()
    assert np.exp(log_prob).sum() * (x[1, 0] - x[0, 0]) == pytest.approx(1, abs=1e-3)


def test_additive_couplings_are_exact_at_a_temperature():
    """Samples at 1/2 are of p^2, normalised: by their mean log density."""
    model = moved(flows.recipes.nice((2,), 2, (8,), base=distributions.DiagonalGaussian(2)))
    assert model.bijector.log_det_is_constant
    axis = np.linspace(-12, 12, 401, dtype=np.float32)
    grid = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    log_prob = model.log_prob(grid, batch_size=len(grid)).numpy().astype(np.float64)
    cell = (axis[1] - axis[0]) ** 2
    assert np.exp(log_prob).sum() * cell == pytest.approx(1, abs=1e-3)
    weights = np.exp(2 * log_prob)
    expected = np.sum(weights * log_prob) / weights.sum()
    samples = model.sample(4000, 0, temperature=0.5, batch_size=4000)
    found = model.log_prob(samples, batch_size=4000).numpy()
    assert found.mean() == pytest.approx(expected, abs=4 * float(found.std()) / 4000**0.5)


def test_a_flow_as_base_is_the_chain_of_both():
    inner, outer = moved(flows.Flow(AffineBijector(), (2,))), AffineBijector()
    base = flows.Transformed(inner.bijector, inner.base, trainable=False)
    model = flows.Flow(outer, (2,), base)
    assert len(model.trainable_variables) == 2
    chain = flows.Flow(bijectors.Chain([outer, inner.bijector]), (2,))
    np.testing.assert_allclose(model.log_prob(points()), chain.log_prob(points()), rtol=1e-5)
    np.testing.assert_allclose(model.sample(4, 0), chain.sample(4, 0), rtol=1e-5)


def test_conditions_are_one_vector_in_their_order():
    model = flows.Flow(AffineBijector(), (2,), num_classes=3, condition_shapes={"place": (2, 2)})
    assert model.bijector.condition_dim == 3 + 4
    place = np.arange(4, dtype=np.float32).reshape(1, 2, 2)
    found = model._features({"label": tf.constant([1]), "place": tf.constant(place)})
    np.testing.assert_array_equal(found, [[0, 1, 0, 0, 1, 2, 3]])
    model.compile()
    given = {"label": np.arange(16) % 3, "place": np.repeat(place, 16, axis=0)}
    model.fit(points(), given, batch_size=8, verbose=0)
    with pytest.raises(ValueError, match="place"):
        model.sample(2, 0, {"label": [0, 1]})
    again = flows.Flow.from_config(model.get_config())
    assert again.condition_specs == model.condition_specs


def test_labels_are_learned():
    """Two classes at -2 and 2: their samples are there."""
    labels = np.arange(64) % 2
    x = 0.1 * points(64) + np.where(labels, 2.0, -2.0)[:, np.newaxis].astype(np.float32)
    model = flows.Flow(AffineBijector(), (2,), num_classes=2)
    model.compile(keras.optimizers.Adam(0.1))
    model.fit(x, labels, batch_size=32, epochs=40, verbose=0)
    for label, place in ((0, -2.0), (1, 2.0)):
        samples = model.sample(200, 0, np.full(200, label)).numpy()
        np.testing.assert_allclose(samples.mean(axis=0), place, atol=0.3)
    right = model.log_prob(x, labels).numpy() > model.log_prob(x, 1 - labels).numpy()
    assert right.all()


def test_without_a_dequantisation_there_is_no_bound():
    model = flows.Flow(AffineBijector(), (2,))
    with pytest.raises(UnsupportedCapability, match="no log_prob_bound .*log_prob is exact"):
        model.log_prob_bound(points())


def test_bits_of_images_are_at_256_levels():
    model = flows.Flow(AffineBijector(), (2, 2, 1))
    bits = model.bits_per_dim(tf.constant([0.0, -4 * np.log(2.0)], tf.float32))
    np.testing.assert_allclose(bits, [8.0, 9.0], rtol=1e-6)


def test_the_first_batch_is_prepared_and_has_to_be_on_levels():
    dequantization = distributions.UniformDequantization(4)
    model = flows.Flow(AffineBijector(), (2, 2, 1), dequantization=dequantization)
    model.compile()
    with pytest.raises(ValueError, match="Expected examples on the 4 levels"):
        model.fit(np.full((8, 2, 2, 1), 0.5, np.float32), batch_size=8, verbose=0)
    x = np.random.default_rng(0).integers(0, 4, (8, 2, 2, 1)) / np.float32(3)
    model.fit(x, batch_size=8, verbose=0)
    later = np.where(np.arange(8)[:, None, None, None] == 5, np.float32(0.5), x)
    with pytest.raises(
        ValueError, match=r"Expected examples on the 4 levels .*Received: at most 0.5"
    ):
        model.fit(later, batch_size=8, verbose=0)
    z = model.encode(x).numpy()
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1.0)
    np.testing.assert_allclose(model.reconstruct(x), x, atol=1e-5)


REFUSED = {
    "no bijector": (TypeError, lambda: flows.Flow(keras.layers.Dense(2), (2,))),
    "no base": (TypeError, lambda: flows.Flow(AffineBijector(), (2,), keras.layers.Dense(2))),
    "base size": (
        ValueError,
        lambda: flows.Flow(AffineBijector(), (2,), distributions.DiagonalGaussian(3)),
    ),
    "standard size": (
        ValueError,
        lambda: flows.Flow(AffineBijector(), (2,), distributions.StandardNormal(3)),
    ),
    "one class": (ValueError, lambda: flows.Flow(AffineBijector(), (2,), num_classes=1)),
    "label": (
        ValueError,
        lambda: flows.Flow(AffineBijector(), (2,), condition_shapes={"label": (1,)}),
    ),
    "dequantisation": (
        TypeError,
        lambda: flows.Flow(AffineBijector(), (2,), dequantization=AffineBijector()),
    ),
    "unknown size": (ValueError, lambda: flows.Transformed(AffineBijector())),
    "weight": (
        ValueError,
        lambda: flows.HybridFlow(AffineBijector(), (2,), 3, likelihood_weight=-1.0),
    ),
    "classifier": (
        ValueError,
        lambda: flows.HybridFlow(AffineBijector(), (2,), 3, keras.layers.Dense(4)),
    ),
}


@pytest.mark.parametrize("kind, create", REFUSED.values(), ids=REFUSED)
def test_refusals(kind, create):
    with pytest.raises(kind, match=r"Expected .*Received: "):
        create()


def test_a_condition_of_another_shape_is_refused():
    model = flows.Flow(AffineBijector(), (2,), condition_shapes={"place": (3,)})
    with pytest.raises(ValueError, match="Expected `place` of shape"):
        model.log_prob(points(2), np.zeros((2, 4), np.float32))


@pytest.mark.parametrize("temperature", [0.0, -1.0])
def test_temperatures_are_above_zero(temperature):
    with pytest.raises(ValueError, match="Expected `temperature`"):
        flows.Flow(AffineBijector(), (2,)).sample(2, 0, temperature=temperature)


def test_samples_are_a_function_of_their_seeds():
    model = moved(flows.Flow(AffineBijector(), (2,)))
    z = random.normal(random.row_seeds(3, 5), (2,))
    np.testing.assert_allclose(model.sample(3, 5), model.decode(z), rtol=1e-6)
