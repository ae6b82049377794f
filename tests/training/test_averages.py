"""Variables that are moved without an optimizer."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tests.small_models import Point
from tfgen.training.averages import assign_each, move_average

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
