"""Variables that are moved without an optimizer."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.small_models import Point
from tfgen.networks import MLP
from tfgen.training.averages import assign_each, average_of, move_average, move_averages

GOLDEN = Path(__file__).parents[1] / "golden" / "tensorflow_addons-0.23.0.npz"


def test_averages_are_those_of_tensorflow_addons():
    golden = np.load(GOLDEN)
    source, average = (keras.layers.Dense(3, use_bias=False) for _ in range(2))
    for layer in (source, average):
        layer.build((None, 4))
        layer.set_weights([golden["ema_w0"]])
    step = tf.function(lambda: move_average(average, source, tf.constant(0.9)))
    optimizer = keras.optimizers.SGD(0.1)
    for gradient, after in zip(golden["ema_grads"], golden["ema_weights"], strict=True):
        optimizer.apply([tf.constant(gradient)], source.trainable_variables)
        np.testing.assert_allclose(source.kernel.numpy(), after, rtol=1e-5)
        step()
    np.testing.assert_allclose(average.kernel.numpy(), golden["ema_average"], rtol=1e-5)


def test_statistics_are_averaged_too():
    layers = [keras.layers.BatchNormalization() for _ in range(2)]
    for number, layer in enumerate(layers):
        layer.build((None, 2))
        layer.set_weights([np.full(2, float(number))] * 4)
    move_average(*layers, tf.constant(0.75))
    for weight in layers[0].weights:
        np.testing.assert_allclose(weight.numpy(), 0.25)


def test_new_values_are_made_of_the_old_and_the_others():
    a, b = Point([1.0, 2.0]), Point([10.0, 20.0])
    assign_each([a.value], lambda old, other: other - old, [b.value])
    np.testing.assert_allclose(a.value.numpy(), [9, 18])
    np.testing.assert_allclose(b.value.numpy(), [10, 20])


def dense(bias=True):
    layer = keras.layers.Dense(3, use_bias=bias)
    layer.build((None, 2))
    return layer


def test_an_average_begins_as_its_layer_and_is_not_trained():
    layer = dense()
    average = average_of(layer, 0.9)
    assert type(average) is keras.layers.Dense and average is not layer
    assert not average.trainable and average.trainable_variables == []
    assert layer.trainable and len(layer.trainable_variables) == 2
    for a, b in zip(average.weights, layer.weights, strict=True):
        assert a is not b
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    layer.kernel.assign_add(tf.ones([2, 3]))
    assert not np.allclose(average.kernel.numpy(), layer.kernel.numpy())


@pytest.mark.parametrize(
    "make",
    [
        lambda: MLP((3,), (4,), batch_norm=True),
        lambda: keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)]),
    ],
    ids=["network", "sequential"],
)
def test_averages_of_networks(make):
    network = make()
    if not network.built:
        network.build((None, 2))
    average = average_of(network, 0.5)
    x = tf.random.stateless_normal([4, 2], [0, 1])
    np.testing.assert_allclose(average(x, training=False), network(x, training=False), rtol=1e-6)
    assert average.trainable_variables == []


def test_no_average():
    assert average_of(dense(), None) is None


@pytest.mark.parametrize("decay", [1.0, 1.5, -0.1, float("nan"), float("inf")])
def test_bad_decay(decay):
    with pytest.raises(ValueError, match=r"Expected `ema_decay` in \[0, 1\). Received"):
        average_of(dense(), decay)


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.99])
@pytest.mark.parametrize("wrap", [lambda f: f, tf.function], ids=["eager", "graph"])
def test_averages_move_as_numpy_says(decay, wrap):
    """Also the statistics of batch normalisation, and two layers at once."""
    layers = [dense(), keras.layers.BatchNormalization()]
    layers[1].build((None, 2))
    averages = [(average_of(layer, decay), layer) for layer in layers]
    expected = [[w.numpy() for w in layer.weights] for layer in layers]
    rng, step = np.random.default_rng(0), tf.Variable(0, dtype=tf.int64)
    move = wrap(lambda: move_averages(averages, decay, step))
    for t in range(5):
        now = min(decay, (1 + t) / (10 + t))
        for layer, values in zip(layers, expected, strict=True):
            layer.set_weights([rng.normal(size=w.shape) for w in layer.weights])
            values[:] = [
                now * a + (1 - now) * w.numpy() for a, w in zip(values, layer.weights, strict=True)
            ]
        move()
        step.assign_add(1)
    for (average, _), values in zip(averages, expected, strict=True):
        for weight, value in zip(average.weights, values, strict=True):
            np.testing.assert_allclose(weight.numpy(), value, rtol=1e-5, atol=1e-6)


def test_the_decay_that_was_asked_for_is_reached():
    source, average = dense(), dense()
    before = average.kernel.numpy()
    move_averages([(average, source)], 0.75, tf.constant(10_000))
    expected = 0.75 * before + 0.25 * source.kernel.numpy()
    np.testing.assert_allclose(average.kernel.numpy(), expected, rtol=1e-5)
