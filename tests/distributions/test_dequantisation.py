"""Dequantisation: cells, their densities, and what is not on levels."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.contract.models.affine_bijector import AffineBijector
from tfgen.core import random
from tfgen.distributions import UniformDequantization, VariationalDequantization

LEVELS = 4
SHAPE = (2, 2, 1)


def examples(count: int = 3) -> tf.Tensor:
    levels = np.random.default_rng(0).integers(0, LEVELS, (count, *SHAPE))
    return tf.constant(levels / (LEVELS - 1), tf.float32)


def variational() -> VariationalDequantization:
    """Returns one whose noise depends on the example, by all of its parts."""
    network = keras.layers.Conv2D(3, 3, padding="same", activation="tanh")
    made = VariationalDequantization(network, AffineBijector(), LEVELS)
    made.build((None, *SHAPE))
    rng = np.random.default_rng(1)
    for weight in made.weights:
        weight.assign(weight + 0.4 * rng.normal(size=weight.shape))
    return made


@pytest.mark.parametrize("create", [lambda: UniformDequantization(LEVELS), variational])
def test_numbers_are_in_the_cells_of_their_examples(create):
    dequantization, x = create(), examples()
    for v, log_q in (
        dequantization.draw(x, tf.constant([3, 4])),
        dequantization.draw_rows(x, random.row_seeds(3, 0)),
    ):
        assert log_q.shape == (3,)
        np.testing.assert_allclose(np.floor(v * LEVELS), x * (LEVELS - 1), atol=1e-5)
        assert 0 <= float(tf.reduce_min(v)) and float(tf.reduce_max(v)) < 1


def test_the_uniform_density_of_a_cell_is_the_number_of_levels():
    _, log_q = UniformDequantization(LEVELS).draw(examples(), tf.constant([1, 2]))
    np.testing.assert_allclose(log_q, np.full(3, 4 * np.log(LEVELS)), rtol=1e-6)


def test_the_variational_density_is_that_of_its_jacobian():
    made, x = variational(), examples(1)
    noise = tf.random.stateless_normal(x.shape, [0, 1])
    with tf.GradientTape() as tape:
        tape.watch(noise)
        v, log_q = made._of_noise(x, noise, None)
    jacobian = tf.reshape(tape.jacobian(v, noise), [4, 4]).numpy().astype(np.float64)
    log_noise = float(-0.5 * tf.reduce_sum(noise**2 + np.log(2 * np.pi)))
    expected = log_noise - np.linalg.slogdet(jacobian)[1]
    assert float(log_q[0]) == pytest.approx(expected, abs=1e-3)


def test_middles_come_back():
    made, x = UniformDequantization(LEVELS), examples()
    np.testing.assert_allclose(made.examples(made.middles(x)), x, atol=1e-6)
    np.testing.assert_allclose(made.middles(tf.constant([0.0, 1.0])), [0.125, 0.875])


@pytest.mark.parametrize(
    "value, what", [(0.4, "4 levels"), (4 / 3, "in .0, 1."), (-1 / 3, "in"), (np.nan, "in")]
)
def test_examples_off_the_levels_are_refused(value, what):
    x = tf.concat([examples(2), tf.fill([1, *SHAPE], value)], axis=0)
    on_levels = UniformDequantization(LEVELS).on_levels
    with pytest.raises(ValueError, match=f"Expected examples .*{what}.*Received: {value:g}"):
        on_levels(x)
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"Expected examples .*{what}"):
        tf.function(on_levels, autograph=False)(x)


def test_bytes_are_on_256_levels():
    x = tf.range(256.0)[tf.newaxis] / 255
    np.testing.assert_array_equal(UniformDequantization().on_levels(x), x)


def test_features_have_the_positions_of_examples():
    made = VariationalDequantization(keras.layers.Conv2D(3, 2))
    with pytest.raises(ValueError, match="Expected features"):
        made.build((None, *SHAPE))
    with pytest.raises(ValueError, match="Expected `num_levels` >= 2"):
        UniformDequantization(1)
