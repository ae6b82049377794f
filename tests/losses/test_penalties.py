"""Penalties: gradients against NumPy, where they look, nests, labels, bad arguments."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.small_models import COMPLAINT
from tfgen import losses
from tfgen.layers import Flip, SpectralNormalization
from tfgen.losses.critic import slopes, squared_slopes

SEED, STEP = tf.constant([1, 2]), tf.constant(0, tf.int64)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def apply(penalty, critic, real, fake, seed=SEED):
    real, fake = (keras.tree.map_structure(tf.constant, x) for x in (real, fake))
    return penalty(critic, real, fake, seed, STEP)


class Recorder(losses.Critic):
    """A critic of slope one that keeps the points it is asked about."""

    def __init__(self):
        self.labels = None
        self.seen = []

    def __call__(self, x):
        self.seen.append(keras.tree.map_structure(np.asarray, x))
        return tf.add_n([tf.reduce_sum(part, axis=1) for part in keras.tree.flatten(x)])


# Slopes and gradients.


def numpy_slopes(x, weights, outputs):
    """Returns |grad v' tanh(W' x)| in float64, worked out by hand."""
    hidden = np.tanh(x @ weights)
    return np.linalg.norm((1 - hidden**2) * outputs[:, 0] @ weights.T, axis=1)


def numerical_gradient(function, x, step=1e-5):
    gradient = np.zeros_like(x)
    for index in np.ndindex(*x.shape):
        shift = np.zeros_like(x)
        shift[index] = step
        gradient[index] = (function(x + shift) - function(x - shift)) / (2 * step)
    return gradient


@pytest.mark.parametrize(
    ("penalty", "by_slope"),
    [
        (losses.R1(3.0), lambda s: 1.5 * s**2),
        (losses.R2(5.0), lambda s: 2.5 * s**2),
        (losses.GradientPenalty(10.0, 0.5), lambda s: 10 * (s - 0.5) ** 2),
        (losses.GradientPenalty(2.0, one_sided=True), lambda s: 2 * np.maximum(s - 1, 0) ** 2),
    ],
    ids=["r1", "r2", "two_sided", "one_sided"],
)
def test_values_and_second_order_gradients_equal_numpy(penalty, by_slope):
    x, weights, outputs = normal(6, 3), normal(3, 4, seed=1), 2 * normal(4, 1, seed=2)
    network = keras.Sequential(
        [
            keras.Input([3]),
            keras.layers.Dense(4, activation="tanh", use_bias=False),
            keras.layers.Dense(1, use_bias=False),
        ]
    )
    network.set_weights([weights, outputs])
    with tf.GradientTape() as tape:
        found = apply(penalty, losses.Critic(network), x, x)  # All between them is x.
        mean = tf.reduce_mean(found)
    x, weights, outputs = (np.float64(value) for value in (x, weights, outputs))
    expected = by_slope(numpy_slopes(x, weights, outputs))
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    gradients = tape.gradient(mean, network.trainable_variables)
    by_weights = lambda w: by_slope(numpy_slopes(x, w, outputs)).mean()  # noqa: E731
    by_outputs = lambda v: by_slope(numpy_slopes(x, weights, v)).mean()  # noqa: E731
    expected = [numerical_gradient(by_weights, weights), numerical_gradient(by_outputs, outputs)]
    for gradient, numerical in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(gradient, numerical, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("penalty", [losses.GradientPenalty(), losses.DRAGAN()], ids=repr)
def test_zero_to_1e_6_at_slope_one(penalty):
    for i in range(20):
        kernel = normal(5, seed=i).astype(np.float64)
        kernel = np.float32(kernel / np.linalg.norm(kernel))
        critic = lambda x, w=kernel: tf.linalg.matvec(x, w)  # noqa: E731
        found = apply(penalty, critic, normal(7, 5), normal(7, 5, seed=1))
        assert np.abs(found).max() < 1e-6


def test_the_slope_is_that_of_the_mean_of_patches():
    """Whatever their number, as the losses average them."""
    x = tf.constant(normal(3, 4, 4, 1))
    expected = np.full([3], np.sqrt(1 / 16))  # Of the mean of 16 pixels.
    np.testing.assert_allclose(slopes(lambda x: x, x), expected, rtol=1e-5)
    np.testing.assert_allclose(squared_slopes(lambda x: x, x), expected**2, rtol=1e-5)


@pytest.mark.parametrize(
    ("penalty", "by_slope"),
    [
        (losses.R1, lambda s: 5 * s**2),
        (losses.R2, lambda s: 5 * s**2),
        (losses.GradientPenalty, lambda s: 10 * (s - 1) ** 2),
        (losses.DRAGAN, lambda s: 10 * (s - 1) ** 2),
    ],
)
@pytest.mark.parametrize("num_patches", [1, 16])
def test_the_slope_is_that_of_the_sum_of_patches_if_asked(penalty, by_slope, num_patches):
    x, kernel = normal(3, 5), normal(5, num_patches, seed=1)
    critic = lambda x: tf.reshape(x @ kernel, [-1, 1, num_patches, 1])  # noqa: E731
    for summed, logit in ((False, kernel.mean(axis=1)), (True, kernel.sum(axis=1))):
        found = apply(penalty(summed=summed), critic, x, x)
        expected = by_slope(np.linalg.norm(logit.astype(np.float64)))
        np.testing.assert_allclose(found, np.full(3, expected), rtol=1e-5)


def test_a_critic_that_does_not_look():
    flat = squared_slopes(lambda x: tf.zeros([3, 1]), tf.ones([3, 2]))
    np.testing.assert_array_equal(flat, np.zeros(3))


# Where they look.


def test_gradient_penalty_looks_between_real_and_fake():
    critic = Recorder()
    real, fake = np.zeros([1000, 2], np.float32), np.ones([1000, 2], np.float32)
    apply(losses.GradientPenalty(), critic, real, fake)
    (points,) = critic.seen
    np.testing.assert_array_equal(points[:, 0], points[:, 1])  # One number for each example,
    assert len(np.unique(points[:, 0])) > 990  # different ones for different examples,
    quantiles = np.linspace(0, 1, 5)  # and all of them uniform.
    np.testing.assert_allclose(np.quantile(points, quantiles), quantiles, atol=0.05)


def test_zero_centered_penalties_look_at_one_side():
    real, fake = normal(4, 2), normal(4, 2, seed=1)
    for penalty, expected in ((losses.R1(), real), (losses.R2(), fake)):
        critic = Recorder()
        apply(penalty, critic, real, fake)
        np.testing.assert_array_equal(critic.seen, [expected])


def test_dragan_looks_around_real_examples():
    critic = Recorder()
    real = 3 + 2 * normal(5000, 2)
    apply(losses.DRAGAN(scale=0.25), critic, real, real)
    noise = critic.seen[0] - real
    assert noise.mean() == pytest.approx(0, abs=0.02)
    assert noise.std() == pytest.approx(0.25 * real.std(), rel=0.03)
    assert np.abs(np.corrcoef(noise.T)[0, 1]) < 0.05


# Nests and labels.


def test_slopes_are_over_all_parts_of_a_nest_together():
    """A BiGAN's critic of pairs; sqrt(3 + 1) at each point."""
    real, fake = ((normal(4, 3, seed=s), normal(4, 1, seed=s + 2)) for s in (0, 1))
    critic = Recorder()
    expected = {
        losses.GradientPenalty(1.0): 1.0,
        losses.R1(2.0): 4.0,
        losses.R2(2.0): 4.0,
        losses.DRAGAN(1.0): 1.0,
        losses.Lazy(losses.R1(2.0), 3): 12.0,
    }
    for penalty, value in expected.items():
        found = apply(penalty, critic, real, fake)
        np.testing.assert_allclose(found, [value] * 4, rtol=1e-5)
    (x, z), *_ = critic.seen
    share = (x - fake[0]) / (real[0] - fake[0])
    np.testing.assert_allclose(share, np.tile(share[:, :1], 3), rtol=1e-3)
    np.testing.assert_allclose(share[:, :1], (z - fake[1]) / (real[1] - fake[1]), rtol=1e-3)


class _Conditional(keras.layers.Layer):
    """D(x, label) = (label + 1) sum(x), with two layers of features."""

    def __init__(self):
        super().__init__()
        self.built = True

    def call(self, inputs, training=False):
        assert training
        x, labels = inputs
        return tf.cast(labels + 1, tf.float32)[:, tf.newaxis] * tf.reduce_sum(x, 1, keepdims=True)

    def features(self, inputs, training=False):
        assert training
        return [inputs[0], 3 * inputs[0]]


def test_labels():
    critic = losses.Critic(_Conditional(), tf.constant([0, 1, 2]))
    found = apply(losses.R1(2.0), critic, normal(3, 2), normal(3, 2))
    np.testing.assert_allclose(found, [2, 8, 18], rtol=1e-6)


def shifted(x, seed):
    return x + 1


@pytest.mark.parametrize(
    ("weights", "expected"),
    # ||1||^2 = 2, ||3||^2 = 18, and (2 (label + 1))^2 of the logits.
    [
        ((0.0, 0.0, 1.0), [4, 16, 36]),
        ((1.0, 0.0, 0.0), [2, 2, 2]),
        ((1.0, 0.5, 0.25), [12, 15, 20]),
        (0.5, [12, 18, 28]),
    ],
)
def test_consistency_weighs_each_layer(weights, expected):
    critic = losses.Critic(_Conditional(), tf.constant([0, 1, 2]))
    found = apply(losses.Consistency(shifted, weights), critic, normal(3, 2), normal(3, 2))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("weights", [(1.0,), (1.0, 1.0), (1.0,) * 4])
def test_consistency_with_too_many_or_too_few_weights(weights):
    critic = losses.Critic(_Conditional(), tf.constant([0, 1, 2]))
    with pytest.raises(ValueError, match=COMPLAINT):
        apply(losses.Consistency(shifted, weights), critic, normal(3, 2), normal(3, 2))


def test_consistency_under_an_augmentation_of_images():
    network = keras.Sequential([keras.Input([4, 4, 1]), keras.layers.Flatten(), _dense(1)])
    images = np.random.default_rng(0).uniform(size=[6, 4, 4, 1]).astype(np.float32)
    flipped = Flip()(tf.constant(images), SEED)
    expected = (network(images) - network(flipped)) ** 2
    found = apply(losses.Consistency(Flip()), losses.Critic(network), images, images)
    np.testing.assert_allclose(found, expected[:, 0], rtol=1e-4, atol=1e-7)
    assert np.max(found) > 0


def _dense(units):
    return keras.layers.Dense(units)


# The critic.


def test_kernels_are_those_that_are_trained():
    frozen = keras.layers.Dense(3, trainable=False)
    network = keras.Sequential(
        [
            keras.Input([4, 4, 2]),
            keras.layers.Conv2D(5, 3),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
            frozen,
            SpectralNormalization(keras.layers.Dense(2)),
        ]
    )
    assert [v.shape for v in losses.Critic(network).kernels] == [(3, 3, 2, 5), (3, 2)]


def test_orthogonal_over_all_kernels():
    """Filters are the last axis; the sum over layers, in NumPy."""
    network = keras.Sequential(
        [keras.Input([4, 4, 2]), keras.layers.Conv2D(5, 3), keras.layers.Flatten(), _dense(3)]
    )
    images = np.zeros([2, 4, 4, 2], np.float32)
    total = 0
    for kernel in losses.Critic(network).kernels:
        filters = np.float64(kernel.numpy()).reshape(-1, kernel.shape[-1])
        products = filters.T @ filters
        total += (products**2).sum() - (np.diag(products) ** 2).sum()
    found = apply(losses.Orthogonal(0.1), losses.Critic(network), images, images)
    np.testing.assert_allclose(found, [0.1 * total] * 2, rtol=1e-5)


def test_a_critic_that_is_not_built():
    with pytest.raises(ValueError, match=COMPLAINT):
        losses.Critic(_dense(1))


# Bad arguments.


@pytest.mark.parametrize(
    "make", [losses.GradientPenalty, losses.R1, losses.R2, losses.DRAGAN, losses.Orthogonal]
)
@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf")])
def test_bad_weight(make, weight):
    with pytest.raises(ValueError, match=COMPLAINT):
        make(weight)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: losses.GradientPenalty(target=-1.0), ValueError),
        (lambda: losses.DRAGAN(scale=0.0), ValueError),
        (lambda: losses.Consistency("flip"), TypeError),
        (lambda: losses.Consistency(shifted, 0.0), ValueError),
        (lambda: losses.Consistency(shifted, (1.0, -1.0)), ValueError),
        (lambda: losses.Consistency(shifted, ()), ValueError),
        (lambda: losses.Lazy("r1"), TypeError),
        (lambda: losses.Lazy(losses.R1(), 0), ValueError),
        (lambda: losses.Lazy(losses.R1(), 2.5), TypeError),
    ],
)
def test_bad_arguments(make, error):
    with pytest.raises(error, match=COMPLAINT):
        make()


@pytest.mark.parametrize(
    ("real", "fake"),
    [
        (tf.zeros([4, 2]), tf.zeros([3, 2])),
        (tf.zeros([4, 1]), tf.zeros([4, 2])),
        ((tf.zeros([4, 1]), tf.zeros([4, 2])), tf.zeros([4, 1])),
    ],
    ids=["batch", "event", "nest"],
)
def test_gradient_penalty_of_examples_that_do_not_match(real, fake):
    with pytest.raises(ValueError, match=COMPLAINT):
        losses.GradientPenalty()(Recorder(), real, fake, SEED, STEP)


def test_which_penalties_bound_the_slope_at_each_example():
    assert losses.GradientPenalty().bounds_slopes
    assert losses.Lazy(losses.GradientPenalty()).bounds_slopes
    assert not losses.Lazy(losses.R1()).bounds_slopes
