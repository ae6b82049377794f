"""Row-wise optimizers against one optimizer of Keras for each row."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.small_models import COMPLAINT
from tfgen.latent import Ball, RowAdam, RowSGD

NUM_ROWS, DIM = 5, 3
RNG = np.random.default_rng(0)
START = RNG.normal(size=[NUM_ROWS, DIM]).astype(np.float32)
# Rows visited at different times, some twice in a batch, one never.
VISITS = [[0, 1], [1, 3], [3, 3], [0, 1], [3, 0], [1, 1], [0, 3]]
SLOPES = RNG.normal(size=[len(VISITS), 2, DIM]).astype(np.float32)


def table(optimizer, start=START):
    variable = keras.Variable(start)
    optimizer.build([variable])
    return variable


def slices(rows, values):
    values, rows = tf.convert_to_tensor(values), tf.convert_to_tensor(rows)
    return tf.IndexedSlices(values, rows, tf.constant([NUM_ROWS, DIM]))


def take_steps(optimizer, variable, steps=None):
    for rows, slopes in zip(VISITS[:steps], SLOPES[:steps], strict=True):
        optimizer.apply([slices(rows, slopes)], [variable])
    return variable.numpy()


def rows_one_by_one(create):
    """Returns the table after an optimizer of its own has moved each row at its visits."""
    rows = [keras.Variable(row) for row in START]
    optimizers = [create() for _ in rows]
    for visited, slopes in zip(VISITS, SLOPES, strict=True):
        for row in set(visited):
            total = sum(slope for slope, i in zip(slopes, visited, strict=True) if i == row)
            optimizers[row].apply([tf.constant(total)], [rows[row]])
    return np.stack([row.numpy() for row in rows])


ADAM = {"learning_rate": 0.1, "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-8}
PAIRS = {
    "adam": (lambda: RowAdam(**ADAM), lambda: keras.optimizers.Adam(**ADAM)),
    "adam by default": (
        lambda: RowAdam(0.01), lambda: keras.optimizers.Adam(0.01, 0.9, 0.999, 1e-8)
    ),
    "sgd": (lambda: RowSGD(0.1), lambda: keras.optimizers.SGD(0.1)),
}  # fmt: skip


@pytest.mark.parametrize("create, create_of_keras", PAIRS.values(), ids=PAIRS)
def test_each_row_is_optimised_on_its_own(create, create_of_keras):
    optimizer = create()
    moved = take_steps(optimizer, table(optimizer))
    np.testing.assert_allclose(moved, rows_one_by_one(create_of_keras), rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("create", [RowSGD, RowAdam])
def test_rows_that_are_not_in_the_batch_keep_every_bit(create):
    optimizer = create(0.1)
    variable = table(optimizer)
    take_steps(optimizer, variable, steps=3)
    before = [v.numpy().copy() for v in [variable, *optimizer.variables[2:]]]
    optimizer.apply([slices([3], SLOPES[0][:1])], [variable])
    after = [v.numpy() for v in [variable, *optimizer.variables[2:]]]
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(np.delete(new, 3, axis=0), np.delete(old, 3, axis=0))
        assert not np.array_equal(new[3], old[3])


@pytest.mark.parametrize("create", [RowSGD, RowAdam])
def test_slopes_of_duplicate_rows_are_summed(create):
    def moved(rows, values):
        optimizer = create(0.1)
        variable = table(optimizer)
        for _ in range(2):
            optimizer.apply([slices(rows, values)], [variable])
        return variable.numpy()

    thrice = np.array([[1, 2, 3], [0, 1, 0], [1, -1, -2], [5, 5, 5]], np.float32)
    once = np.array([[2, 2, 1], [5, 5, 5]], np.float32)
    np.testing.assert_allclose(moved([4, 4, 4, 0], thrice), moved([4, 0], once), rtol=1e-6)


def test_gradient_descent_by_hand():
    optimizer = RowSGD(0.5)
    variable = table(optimizer, np.zeros([NUM_ROWS, DIM], np.float32))
    optimizer.apply([slices([1], np.array([[2.0, 4.0, -6.0]], np.float32))], [variable])
    assert variable.numpy()[1].tolist() == [-1, -2, 3]


@pytest.mark.parametrize("create", [RowSGD, RowAdam])
def test_moved_rows_are_projected_and_no_others(create):
    optimizer = create(0.1)
    optimizer.project = Ball(0.5)
    variable = table(optimizer, START * 10)
    optimizer.apply([slices([2, 4], SLOPES[0])], [variable])
    norms = np.linalg.norm(variable.numpy(), axis=1)
    np.testing.assert_allclose(norms[[2, 4]], 0.5, rtol=1e-5)
    np.testing.assert_array_equal(variable.numpy()[[0, 1, 3]], START[[0, 1, 3]] * 10)


@pytest.mark.parametrize("create", [RowSGD, RowAdam])
def test_schedule(create):
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([2, 4], [0.1, 0.01, 0.0])
    optimizer, by_hand = create(schedule), create(0.1)
    variable, reference = table(optimizer), table(by_hand)
    for step, (rows, slopes) in enumerate(zip(VISITS, SLOPES, strict=True)):
        by_hand.learning_rate = [0.1, 0.1, 0.1, 0.01, 0.01, 0.0, 0.0][step]
        optimizer.apply([slices(rows, slopes)], [variable])
        by_hand.apply([slices(rows, slopes)], [reference])
        np.testing.assert_allclose(variable.numpy(), reference.numpy(), rtol=1e-6)
    assert optimizer.iterations.numpy() == len(VISITS)


@pytest.mark.parametrize("create", [RowSGD, RowAdam])
def test_graph_and_eager_agree(create):
    eager, graph = create(0.1), create(0.1)
    expected, variable = table(eager), table(graph)
    step = tf.function(lambda rows, slopes: graph.apply([slices(rows, slopes)], [variable]))
    take_steps(eager, expected)
    for rows, slopes in zip(VISITS, SLOPES, strict=True):
        step(rows, slopes)
    np.testing.assert_allclose(variable.numpy(), expected.numpy(), rtol=1e-6)


@pytest.mark.parametrize(
    "optimizer",
    [
        RowSGD(0.25, name="rows"),
        RowAdam(0.25, beta_1=0.5, beta_2=0.75, epsilon=1e-4, name="rows"),
        RowAdam(keras.optimizers.schedules.CosineDecay(0.1, 10)),
    ],
)
def test_configuration_returns(optimizer):
    serialised = keras.optimizers.serialize(optimizer)
    again = keras.optimizers.deserialize(serialised)
    assert type(again) is type(optimizer)
    assert again.get_config() == optimizer.get_config()
    first, second = table(optimizer), table(again)
    np.testing.assert_array_equal(take_steps(optimizer, first), take_steps(again, second))


@pytest.mark.parametrize("create", [RowSGD, RowAdam])
def test_a_dense_gradient_is_refused(create):
    optimizer = create(0.1)
    variable = table(optimizer)
    with pytest.raises(TypeError, match=COMPLAINT):
        optimizer.apply([tf.ones([NUM_ROWS, DIM])], [variable])
    np.testing.assert_array_equal(variable.numpy(), START)


@pytest.mark.parametrize("name", ["beta_1", "beta_2"])
@pytest.mark.parametrize("value", [-0.1, 1.0, float("nan")])
def test_bad_decay(name, value):
    with pytest.raises(ValueError, match=COMPLAINT):
        RowAdam(**{name: value})


@pytest.mark.parametrize("epsilon", [0.0, -1e-8, float("nan")])
def test_bad_epsilon(epsilon):
    with pytest.raises(ValueError, match=COMPLAINT):
        RowAdam(epsilon=epsilon)
