"""What replicas compute together, of one and outside of any; tests/contract has two."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgen.training.optimize import apply_gradients
from tfgen.training.replicas import gathered, global_mean, summed


@pytest.mark.parametrize("shape", [(), (6,), (2, 3, 1)])
@pytest.mark.parametrize("dtype", [tf.float16, tf.float32])
def test_the_mean_of_all_numbers(shape, dtype):
    x = tf.cast(np.random.default_rng(0).normal(size=shape), dtype)
    found = global_mean(x)
    assert (found.shape, found.dtype) == ((), tf.float32)
    np.testing.assert_allclose(found, np.float32(x).mean(), rtol=1e-6)


def test_half_precision_does_not_overflow():
    assert float(global_mean(tf.fill([100], tf.constant(60000, tf.float16)))) == 60000


def test_gradient():
    x = tf.Variable([1.0, 2.0, 6.0])
    with tf.GradientTape() as tape:
        loss = global_mean(x) ** 2
    np.testing.assert_allclose(tape.gradient(loss, x), [2.0, 2.0, 2.0])


def test_one_replica():
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    compute = tf.function(lambda: strategy.run(global_mean, [tf.constant([1.0, 3.0])]))
    assert float(compute()) == 2


def test_outside_of_replicas():
    """As models trace their terms within a strategy's scope before `fit` has begun."""
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        assert tf.distribute.get_replica_context() is None
        assert float(global_mean(tf.constant([1.0, 3.0]))) == 2


def test_rows_of_one_replica_are_all_rows():
    x = tf.reshape(tf.range(6.0), [3, 2])
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    for rows in (gathered(x), strategy.run(gathered, [x])):
        np.testing.assert_array_equal(rows, x)


def test_sums_of_one_replica_are_its_own():
    nest = {"count": tf.constant([2, 3]), "sum": tf.constant(0.5)}
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    for found in (summed(nest), strategy.run(summed, [nest])):
        assert found.keys() == nest.keys()
        assert found["count"].numpy().tolist() == [2, 3] and found["sum"].numpy() == 0.5
    assert summed({}) == {}


def test_one_mirrored_replica_applies_large_gradients(monkeypatch):
    monkeypatch.setattr("tfgen.training.optimize.FUSED_FROM", 1)
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope():
        weight, optimizer = keras.Variable([3.0]), keras.optimizers.SGD(1.0)
        optimizer.build([weight])

    def step():
        apply_gradients(optimizer, [tf.constant([1.0])], [weight], fuse=True)

    tf.function(lambda: strategy.run(step))()
    assert weight.numpy() == 2
