"""Masked autoregressive bijectors: what the contract does not say of them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgen.bijectors import MaskedAutoregressive, SoftScale
from tfgen.bijectors.autoregressive import _one_by_one
from tfgen.bijectors.chain import build


def bijector_of(dim, *args, dtype="float64", spread=0.5, condition_dim=None, **kwargs):
    """Returns a bijector with random weights."""
    keras.utils.set_random_seed(0)
    bijector = MaskedAutoregressive(*args, **kwargs, dtype=dtype)
    build(bijector, (dim,), condition_dim)
    rng = np.random.default_rng(0)
    for weight in bijector.trainable_weights:
        weight.assign(weight + spread * rng.normal(size=weight.shape))
    return bijector


def test_it_begins_as_the_identity():
    bijector = MaskedAutoregressive([8])
    build(bijector, (4,))
    x = tf.random.stateless_normal([5, 4], (0, 1))
    z, log_det = bijector.forward_and_log_det(x)
    np.testing.assert_array_equal(z, x)
    np.testing.assert_array_equal(log_det, np.zeros(5))


def test_the_gradient_of_the_inverse_is_that_of_its_passes():
    """By z, the condition and every weight, as through a plain loop over the numbers."""
    bijector = bijector_of(3, [6], activation="tanh", condition_dim=2)
    rng = np.random.default_rng(1)
    z, condition = tf.constant(rng.normal(size=(4, 3))), tf.constant(rng.normal(size=(4, 2)))

    def loss_of(x, log_det):
        return tf.reduce_sum(tf.sin(x)) + tf.reduce_sum(log_det**2)

    def plain(z):
        x = tf.zeros_like(z)
        for _ in range(3):
            params = bijector.network(x, condition)
            x, log_det = bijector.transform.inverse_and_log_det(z, params)
        return x, tf.reduce_sum(log_det, axis=1)

    found = []
    for inverse in (lambda z: bijector.inverse_and_log_det(z, condition), plain):
        with tf.GradientTape() as tape:
            tape.watch([z, condition])
            loss = loss_of(*inverse(z))
        sources = [z, condition, *(v.value for v in bijector.trainable_weights)]
        found.append([loss, *tape.gradient(loss, sources)])
    for ours, expected in zip(*found, strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-12)


def test_many_numbers_come_back_in_a_graph_with_a_gradient():
    bijector = bijector_of(64, [64], dtype="float32", spread=0.3)
    x = tf.random.stateless_normal([8, 64], (0, 2))

    @tf.function(autograph=False)
    def inverse(z):
        with tf.GradientTape() as tape:
            back = bijector.inverse(z)
            loss = tf.reduce_sum(back**2)
        return back, tape.gradient(loss, [v.value for v in bijector.trainable_weights])

    back, gradients = inverse(bijector.forward(x))
    np.testing.assert_allclose(back, x, atol=1e-3)
    assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_passes_end_when_nothing_changes():
    """Numbers that hardly depend on each other take a few passes, however many they are."""
    passes = []

    def step(y):
        passes.append(1)
        return 1.0 + 1e-3 * tf.concat([tf.zeros_like(y[:, :1]), y[:, :-1]], axis=1)

    found = _one_by_one(step, tf.zeros([2, 500]), tf.range(500))
    np.testing.assert_allclose(found[:, -1], 1 / (1 - 1e-3), rtol=1e-6)
    assert len(passes) < 10


def test_numbers_whose_turn_has_not_come_cannot_spoil_those_before():
    """They would be infinite after a few passes, and infinity times a mask is not a number."""
    before = tf.constant(np.eye(30, k=1), tf.float32)

    def step(y):
        return 1.0 - 100.0 * tf.matmul((1.0 - y) ** 3, before)

    np.testing.assert_array_equal(_one_by_one(step, tf.zeros([1, 30]), tf.range(30)), [[1.0] * 30])


def test_the_scale_is_bounded_both_ways():
    scale, log_scale = SoftScale(2.0)(tf.constant([-1e9, 0.0, 2.0, 1e9]))
    np.testing.assert_allclose(log_scale, [-2.0, 0.0, 1.0, 2.0], rtol=1e-6)
    np.testing.assert_allclose(scale, np.exp([-2.0, 0.0, 1.0, 2.0]), rtol=1e-6)
    with pytest.raises(ValueError, match="`bound` to be a finite number > 0"):
        SoftScale(0.0)


def test_bad_arguments_are_refused():
    with pytest.raises(TypeError, match="Expected `transform`, such as"):
        MaskedAutoregressive([4], "affine")
    with pytest.raises(ValueError, match="`hidden_units`, at least one"):
        MaskedAutoregressive([])
