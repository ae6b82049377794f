"""The table of latents: its rows, and indices that are not in it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.small_models import COMPLAINT
from tfgen.latent import Ball, Euclidean, LatentTable, Sphere

CODES = np.arange(1, 9, dtype=np.float32).reshape(4, 2)


def table():
    layer = LatentTable(4, 2, Euclidean())
    layer.assign(CODES)
    return layer


def test_rows_by_index():
    np.testing.assert_array_equal(table()(tf.constant([2, 0, 2])), CODES[[2, 0, 2]])


def test_gradient_is_sparse():
    layer, index = table(), tf.constant([3, 1, 3])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(index) * [1.0, 10.0])
    gradient = tape.gradient(loss, layer.codes.value)
    assert isinstance(gradient, tf.IndexedSlices)
    dense = tf.convert_to_tensor(tf.math.unsorted_segment_sum(gradient.values, gradient.indices, 4))
    np.testing.assert_array_equal(dense, [[0, 0], [1, 10], [0, 0], [2, 20]])


def test_initial_rows_are_normal_and_projected():
    rows = LatentTable(4000, 3, Euclidean(), initial_std=0.5, seed=1).codes.numpy()
    # Five standard errors.
    np.testing.assert_allclose(rows.mean(0), 0, atol=5 * 0.5 / 4000**0.5)
    np.testing.assert_allclose(rows.std(0), 0.5, rtol=5 / 8000**0.5)
    on_sphere = LatentTable(4000, 3, seed=1).codes.numpy()
    np.testing.assert_allclose(np.linalg.norm(on_sphere, axis=1), 1, rtol=1e-5)


def test_initial_rows_depend_on_the_seed_alone():
    first, again, other = (LatentTable(5, 3, seed=seed).codes.numpy() for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("space", [Sphere(2.0), Ball(1.0)])
def test_assigned_rows_are_projected(space):
    layer = LatentTable(4, 2, space)
    layer.assign(CODES)
    np.testing.assert_allclose(layer.codes.value, space(tf.constant(CODES)))


def test_assigned_rows_must_be_as_many():
    with pytest.raises(ValueError, match="shape"):
        table().assign(CODES[:3])


@pytest.mark.parametrize("index", [[4], [-1], [0, 1, 100]])
@pytest.mark.parametrize("wrap", [lambda f: f, tf.function], ids=["eager", "graph"])
def test_index_outside_the_table(index, wrap):
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"Expected .* in \[0, 4\)"):
        wrap(table())(tf.constant(index, tf.int64))


@pytest.mark.parametrize("index", [tf.constant([0.0]), tf.constant(1), tf.constant([[0], [1]])])
def test_bad_index(index):
    with pytest.raises((TypeError, ValueError), match=COMPLAINT):
        table()(index)


@pytest.mark.parametrize(
    "arguments", [(0, 2), (4, 0), (-1, 2), (4.0, 2), (4, 2, None, 0.0), (4, 2, None, float("nan"))]
)
def test_bad_arguments(arguments):
    with pytest.raises((TypeError, ValueError), match=COMPLAINT):
        LatentTable(*arguments)


def test_saved_and_loaded(tmp_path):
    inputs = keras.Input((), dtype="int64")
    model = keras.Model(inputs, table()(inputs))
    model.save(tmp_path / "table.keras")
    loaded = keras.models.load_model(tmp_path / "table.keras")
    np.testing.assert_array_equal(loaded(tf.constant([1, 2])), CODES[1:3])
