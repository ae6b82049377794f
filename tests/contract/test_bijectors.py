"""Bijectors come back from both sides, and know the determinants of their Jacobians."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.contract.bijector_cases import BIJECTORS
from tests.contract.bijector_cases.case import CONDITION_DIM

NUM_ROWS = 4

pytestmark = pytest.mark.parametrize("case", BIJECTORS, ids=lambda case: case.name)


def test_the_log_determinant_is_that_of_the_jacobian(case):
    bijector, x, condition = case.built(), case.rows(NUM_ROWS), case.condition(NUM_ROWS)
    with tf.GradientTape() as tape:
        tape.watch(x)
        z, log_det = bijector.forward_and_log_det(x, condition)
        flat = tf.reshape(z, [NUM_ROWS, -1])
    jacobian = tf.reshape(tape.batch_jacobian(flat, x), [NUM_ROWS, flat.shape[1], -1])
    expected = np.linalg.slogdet(jacobian.numpy())[1]
    assert log_det.shape == (NUM_ROWS,)
    np.testing.assert_allclose(log_det, expected, atol=1e-6)
    assert (np.ptp(expected) < 1e-9) == case.constant == bijector.log_det_is_constant


def test_both_round_trips_come_back(case):
    bijector, x, condition = case.built(), case.rows(NUM_ROWS), case.condition(NUM_ROWS)
    z, log_det = bijector.forward_and_log_det(x, condition)
    assert z.shape == (NUM_ROWS, *bijector.output_shape(case.event_shape))
    back, inverse_log_det = bijector.inverse_and_log_det(z, condition)
    np.testing.assert_allclose(back, x, atol=case.atol)
    np.testing.assert_allclose(inverse_log_det, -log_det, atol=1e-6)
    again = bijector.forward(bijector.inverse(z, condition), condition)
    np.testing.assert_allclose(again, z, atol=10 * case.atol)
    assert not np.allclose(tf.reshape(z, [-1]), tf.reshape(x, [-1])), "it does nothing"


def test_rows_do_not_depend_on_each_other(case):
    bijector, x, condition = case.built(), case.rows(NUM_ROWS), case.condition(NUM_ROWS)
    together = bijector.forward_and_log_det(x, condition)
    for i in range(NUM_ROWS):
        given = None if condition is None else condition[i : i + 1]
        alone = bijector.forward_and_log_det(x[i : i + 1], given)
        for a, b in zip(alone, together, strict=True):
            np.testing.assert_allclose(a[0], b[i], atol=1e-9)


def test_the_condition_matters(case):
    if not case.conditional:
        return
    bijector, x, condition = case.built(), case.rows(NUM_ROWS), case.condition(NUM_ROWS)
    assert not np.allclose(bijector.forward(x, condition), bijector.forward(x, condition + 1.0))


def test_conditions_of_another_shape_are_refused(case):
    bijector, x = case.built(), case.rows(NUM_ROWS)
    shapes = [(NUM_ROWS, CONDITION_DIM)]
    if case.conditional:
        shapes = [None, (NUM_ROWS, CONDITION_DIM + 1), (NUM_ROWS,), (NUM_ROWS - 1, CONDITION_DIM)]
    ways = (
        bijector.forward,
        bijector.forward_and_log_det,
        bijector.inverse,
        bijector.inverse_and_log_det,
    )
    for shape, way in itertools.product(shapes, ways):
        with pytest.raises(ValueError, match=r"Expected .*condition.* Received: "):
            way(x, None if shape is None else tf.zeros(shape, x.dtype))


def test_every_weight_has_a_gradient(case):
    bijector, x, condition = case.built(), case.rows(NUM_ROWS), case.condition(NUM_ROWS)
    with tf.GradientTape() as tape:
        z, log_det = bijector.forward_and_log_det(x, condition)
        loss = tf.reduce_sum(z**2) - tf.reduce_sum(log_det)
    for variable, gradient in zip(
        bijector.trainable_variables,
        tape.gradient(loss, [v.value for v in bijector.trainable_variables]),
        strict=True,
    ):
        assert gradient is not None and np.isfinite(gradient).all(), variable.path
        assert np.abs(gradient).max() > 0, variable.path


def test_its_configuration_and_weights_make_it_again(case):
    bijector, x, condition = case.built(), case.rows(NUM_ROWS), case.condition(NUM_ROWS)
    config = keras.saving.serialize_keras_object(bijector)
    again = keras.saving.deserialize_keras_object(config)
    assert keras.saving.serialize_keras_object(again)["config"] == config["config"]
    if not again.built:
        again.build_from_config(bijector.get_build_config())
    again.set_weights(bijector.get_weights())
    np.testing.assert_array_equal(again.forward(x, condition), bijector.forward(x, condition))


def test_it_is_a_bijector_of_tfp(case):
    bijector, x, condition = case.built(), case.rows(NUM_ROWS), case.condition(NUM_ROWS)
    other = bijector.bijector(condition)
    z, log_det = bijector.forward_and_log_det(x, condition)
    np.testing.assert_allclose(other.forward(x), z, atol=1e-12)
    np.testing.assert_allclose(other.inverse(z), x, atol=case.atol)
    rank = len(case.event_shape)
    np.testing.assert_allclose(other.forward_log_det_jacobian(x, rank), log_det, atol=1e-12)
    assert other.forward_event_shape(case.event_shape) == z.shape[1:]


def test_single_precision_in_a_graph(case):
    """With a gradient, and of batches whose size is not known."""
    bijector = case.built("float32")
    x, condition = case.rows(NUM_ROWS, "float32"), case.condition(NUM_ROWS, "float32")

    @tf.function(autograph=False, reduce_retracing=True)
    def both_ways(x, condition):
        z, log_det = bijector.forward_and_log_det(x, condition)
        return z, log_det, bijector.inverse(z, condition)

    spec = tf.TensorSpec([None, *case.event_shape])
    given = None if condition is None else tf.TensorSpec([None, condition.shape[1]])
    graph = both_ways.get_concrete_function(spec, given)
    z, log_det, back = graph(x) if condition is None else graph(x, condition)
    expected = bijector.forward_and_log_det(x, condition)
    np.testing.assert_allclose(z, expected[0], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(log_det, expected[1], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(back, x, atol=1e-3)
    assert z.dtype == log_det.dtype == tf.float32
