"""What is taken from private names of Keras is what its public ones would say."""

import keras
import numpy as np
import pytest

from tfgen.training import keras_compat


class Pair(keras.layers.Layer):
    """A layer of two, one of which is a model of two more."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = keras.Sequential([keras.layers.Dense(2), keras.layers.Dense(1)])
        self.outer = keras.layers.Dense(3)


def test_flatten_layers():
    pair = Pair()
    inner, dense = pair.inner, pair.inner.layers
    everything = keras_compat.flatten_layers(pair)
    assert everything[0] is pair
    assert {id(x) for x in everything} == {id(x) for x in (pair, inner, pair.outer, *dense)}
    assert keras_compat.flatten_layers(pair, False, False) == [inner, pair.outer]
    assert keras_compat.flatten_layers(dense[0], include_self=False) == []


def test_a_constant_learning_rate_is_a_variable():
    sgd = keras.optimizers.SGD(0.25)
    variable = keras_compat.learning_rate_variable(sgd)
    assert float(variable) == 0.25
    sgd.learning_rate = 0.5
    assert float(variable) == 0.5
    assert any(v is variable for v in sgd.variables)
    scaled = keras.optimizers.LossScaleOptimizer(sgd)
    assert keras_compat.learning_rate_variable(scaled) is variable


def test_a_schedule_is_no_variable():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    for rate in (schedule, lambda: 0.1):
        optimizer = keras.optimizers.SGD(rate)
        assert keras_compat.learning_rate_variable(optimizer) is None


def test_variable_index():
    variables = [keras.Variable(np.zeros(size, np.float32)) for size in (1, 2, 3)]
    adam = keras.optimizers.Adam()
    adam.build(variables)
    assert [keras_compat.variable_index(adam, v) for v in variables] == [0, 1, 2]
    with pytest.raises(KeyError):
        keras_compat.variable_index(adam, keras.Variable(0.0))


def test_a_part_that_was_untracked_is_not_counted():
    pair = Pair()
    pair.outer.build((None, 2))
    assert len(pair.weights) == 2
    keras_compat.untrack(pair, pair.outer)
    pair.outer = keras.layers.Dense(5)
    pair.outer.build((None, 4))
    assert [tuple(w.shape) for w in pair.weights] == [(4, 5), (5,)]
    assert len(keras_compat.flatten_layers(pair, include_self=False, recursive=False)) == 2
