"""Couplings: what they refuse, how they begin, and numbers worked out by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgen import bijectors
from tfgen.bijectors.chain import build

IMAGES = (4, 4, 2)


def dense(units: int = 4) -> keras.layers.Layer:
    return keras.layers.Dense(units, activation="relu")


def built(bijector, event_shape):
    build(bijector, event_shape)
    return bijector


@pytest.mark.parametrize("swap", [False, True])
def test_half_moves_the_other_part_only(swap):
    coupling = built(bijectors.Coupling(dense(), bijectors.Additive(), bijectors.Half(swap)), (5,))
    coupling.projection.bias.assign([2.0] * (3 if swap else 2))
    z = coupling.forward(tf.zeros([1, 5]))
    moved = [2.0, 2.0, 2.0, 0.0, 0.0] if swap else [0.0, 0.0, 0.0, 2.0, 2.0]
    np.testing.assert_allclose(z[0], moved)


def test_checkerboard_moves_every_other_position():
    mask = bijectors.Checkerboard()
    coupling = built(
        bijectors.Coupling(dense(), bijectors.Additive(), mask, kernel_size=1), (2, 3, 1)
    )
    coupling.projection.bias.assign([1.0])
    np.testing.assert_allclose(
        coupling.forward(tf.zeros([1, 2, 3, 1]))[0, ..., 0], [[0.0, 1.0, 0.0], [1.0, 0.0, 1.0]]
    )


@pytest.mark.parametrize("mask", [bijectors.Half(), bijectors.Checkerboard()])
def test_what_is_moved_does_not_reach_the_network(mask):
    coupling = built(
        bijectors.Coupling(keras.layers.Conv2D(3, 3, padding="same"), None, mask), IMAGES
    )
    for weight in coupling.projection.weights:
        weight.assign(tf.random.stateless_normal(weight.shape, [1, 2]))
    x = tf.random.stateless_normal([1, *IMAGES], [3, 4])
    with tf.GradientTape() as tape:
        tape.watch(x)
        z = tf.reshape(coupling.forward(x), [1, -1])
    jacobian = tf.reshape(tape.batch_jacobian(z, x), [32, 32]).numpy()
    kept = np.abs(jacobian).sum(axis=1) == 1.0
    assert kept.sum() == 16
    np.testing.assert_array_equal(jacobian[kept][:, ~kept], 0.0)
    moved = jacobian[~kept][:, ~kept]
    np.testing.assert_array_equal(moved, np.diag(np.diag(moved)))
    assert np.abs(jacobian[~kept][:, kept]).max() > 0.1


def test_transforms_begin_near_the_identity():
    x = tf.constant([[-5.0, -1.0, 0.5, 2.0]])
    for transform, scale in [
        (bijectors.Additive(), 1.0),
        (bijectors.Affine(), 1.0),
        (bijectors.Affine(bijectors.SoftScale()), 1.0),
        (bijectors.Affine(bijectors.SigmoidScale()), 0.5 + 0.5 / (1 + np.exp(-2.0))),
        (bijectors.RationalQuadraticSpline(), 1.0),
    ]:
        params = tf.zeros([1, 4, transform.num_params])
        z, log_det = transform.forward_and_log_det(x, params)
        np.testing.assert_allclose(z, scale * x, rtol=1e-5)
        np.testing.assert_allclose(log_det, np.full([1, 4], np.log(scale)), atol=1e-5)


def test_affine_shifts_and_then_scales():
    params = tf.constant([[[0.5, 1.0]]])
    transform = bijectors.Affine(bijectors.SigmoidScale(offset=2.0, minimum=0.0))
    scale = 1 / (1 + np.exp(-3.0))
    z, log_det = transform.forward_and_log_det(tf.constant([[2.0]]), params)
    np.testing.assert_allclose(z, [[2.5 * scale]], rtol=1e-6)
    np.testing.assert_allclose(log_det, [[np.log(scale)]], rtol=1e-5)


@pytest.mark.parametrize(
    "transform",
    [
        bijectors.Additive(),
        bijectors.Affine(),
        bijectors.Affine(bijectors.SigmoidScale()),
        bijectors.RationalQuadraticSpline(5, 2.0),
    ],
    ids=lambda transform: type(transform).__name__,
)
def test_transforms_equal_their_tfp_bijectors(transform):
    rng = np.random.default_rng(0)
    params = tf.constant(rng.normal(size=[6, 9, transform.num_params]))
    x = tf.constant(rng.uniform(-2.5, 2.5, size=[6, 9]))
    other = transform.bijector(params)
    z, log_det = transform.forward_and_log_det(x, params)
    np.testing.assert_allclose(z, other.forward(x), atol=1e-12)
    zeros = tf.zeros_like(x)
    expected = other.forward_log_det_jacobian(x, event_ndims=0) + zeros
    np.testing.assert_allclose(log_det, expected, atol=1e-12)
    back, inverse_log_det = transform.inverse_and_log_det(z, params)
    np.testing.assert_allclose(back, x, atol=1e-9)
    np.testing.assert_allclose(inverse_log_det, -expected, atol=1e-9)


def test_scales_are_bounded_for_any_parameters():
    """Neither way overflows, of networks that return anything."""
    far = tf.constant([-1e9, -50.0, 0.0, 50.0, 1e9])
    for scale, low, high in [
        (bijectors.SigmoidScale(minimum=0.01), 0.01, 1.0),
        (bijectors.TanhScale(2.0), np.exp(-2.0), np.exp(2.0)),
    ]:
        values, logs = scale(*[far] * scale.num_params)
        assert low * 0.999 <= values.numpy().min() and values.numpy().max() <= high * 1.001
        np.testing.assert_allclose(tf.exp(logs), values, rtol=1e-5)


def test_a_scale_that_underflows_has_a_logarithm():
    """That of an unbounded sigmoid, as published: densities stay finite, samples do not."""
    transform = bijectors.Affine(bijectors.SigmoidScale(0.0, minimum=0.0))
    x, params = tf.constant([[2.0]]), tf.constant([[[0.0, -200.0]]])
    np.testing.assert_allclose(transform.forward_and_log_det(x, params), [[[0.0]], [[-200.0]]])
    assert np.isinf(transform.inverse_and_log_det(x, params)[0]).all()


def test_splines_are_the_identity_outside_of_their_bound():
    spline = bijectors.RationalQuadraticSpline(4, bound=2.0)
    params = tf.random.stateless_normal([1, 4, 11], [0, 1]) * 20.0
    x = tf.constant([[-7.0, -2.0, 2.0, 1e6]])
    for way in (spline.forward_and_log_det, spline.inverse_and_log_det):
        z, log_det = way(x, params)
        np.testing.assert_allclose(z, x, rtol=1e-6)
        np.testing.assert_allclose(log_det, tf.zeros([1, 4]), atol=1e-6)


@pytest.mark.parametrize("factor", [1.0, 1e2, 1e5])
def test_splines_are_finite_for_any_parameters(factor):
    spline = bijectors.RationalQuadraticSpline()
    params = tf.random.stateless_normal([50, 8, spline.num_params], [0, 1]) * factor
    x = tf.random.stateless_uniform([50, 8], [2, 3], -3.5, 3.5)
    for way in (spline.forward_and_log_det, spline.inverse_and_log_det):
        with tf.GradientTape() as tape:
            tape.watch([x, params])
            z, log_det = way(x, params)
            total = tf.reduce_sum(z) + tf.reduce_sum(log_det)
        for tensor in (z, log_det, *tape.gradient(total, [x, params])):
            assert np.isfinite(tensor).all()


@pytest.mark.parametrize(
    ("mask", "event_shape"),
    [
        (bijectors.Half(), (1,)),
        (bijectors.Half(), (8, 8, 1)),
        (bijectors.Half(), ()),
        (bijectors.Checkerboard(), (1,)),
        (bijectors.Checkerboard(), (1, 1, 4)),
        (bijectors.ChannelMask([0, 1]), (2,)),
        (bijectors.ChannelMask([0, 2]), (2,)),
    ],
)
def test_masks_refuse_events_of_which_they_would_keep_or_move_nothing(mask, event_shape):
    with pytest.raises(ValueError, match=r"Expected .* Received: "):
        build(bijectors.Coupling(dense(), mask=mask), event_shape)


@pytest.mark.parametrize(
    ("create", "error"),
    [
        (lambda: bijectors.ChannelMask([]), ValueError),
        (lambda: bijectors.ChannelMask([0, 0]), ValueError),
        (lambda: bijectors.ChannelMask([-1]), ValueError),
        (lambda: bijectors.ChannelMask([0.5]), TypeError),
        (lambda: bijectors.SigmoidScale(minimum=1.0), ValueError),
        (lambda: bijectors.TanhScale(0.0), ValueError),
        (lambda: bijectors.Affine("tanh"), TypeError),
        (lambda: bijectors.RationalQuadraticSpline(1), ValueError),
        (lambda: bijectors.RationalQuadraticSpline(8, bound=-1.0), ValueError),
        (lambda: bijectors.RationalQuadraticSpline(8, min_size=0.2), ValueError),
        (lambda: bijectors.RationalQuadraticSpline(8, min_size=0.0), ValueError),
        (lambda: bijectors.RationalQuadraticSpline(8, min_slope=0.0), ValueError),
        (lambda: bijectors.RationalQuadraticSpline(8, min_slope=1.0), ValueError),
        (lambda: bijectors.Coupling("mlp"), TypeError),
        (lambda: bijectors.Coupling(dense(), "affine"), TypeError),
        (lambda: bijectors.Coupling(dense(), mask="half"), TypeError),
        (lambda: bijectors.Coupling(dense(), kernel_size=0), ValueError),
    ],
)
def test_arguments_are_checked(create, error):
    with pytest.raises(error, match=r"Expected .* Received: "):
        create()


@pytest.mark.parametrize(
    ("network", "event_shape"),
    [
        (keras.layers.Flatten, IMAGES),
        (lambda: keras.layers.Conv2D(3, 3), IMAGES),
        (lambda: keras.layers.MaxPooling2D(), IMAGES),
    ],
)
def test_networks_must_keep_the_leading_axes(network, event_shape):
    with pytest.raises(ValueError, match=r"Expected a network that returns \[batch, ..., h\]"):
        build(bijectors.Coupling(network()), event_shape)


def test_dropout_is_for_training():
    coupling = built(bijectors.Coupling(keras.layers.Dropout(0.5, seed=1)), (8,))
    coupling.projection.kernel.assign(tf.random.stateless_normal([4, 12], [0, 1]))
    x = tf.ones([3, 8])
    np.testing.assert_array_equal(coupling.forward(x), coupling.forward(x))
    trained = coupling.forward_and_log_det(x, seed=tf.constant([0, 1]))[0]
    assert not np.allclose(trained, coupling.forward(x))
