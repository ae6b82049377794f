"""Seeds and draws against what TensorFlow's stateless functions give."""

import itertools
import random as python_random

import numpy as np
import pytest
import tensorflow as tf

from tests.small_models import COMPLAINT
from tfgen.core import random


def test_row_seeds_are_the_seed_and_the_row():
    assert random.row_seeds(3, seed=7).numpy().tolist() == [[7, 0], [7, 1], [7, 2]]
    assert random.row_seeds(1, seed=2**31 - 1).numpy().tolist() == [[2**31 - 1, 0]]
    assert random.row_seeds(3, seed=7).dtype == tf.int32


def test_row_seeds_without_a_seed_come_from_python():
    python_random.seed(11)
    expected = python_random.randrange(2**31)
    python_random.seed(11)
    first, second = random.row_seeds(2), random.row_seeds(2)
    assert first.numpy().tolist() == [[expected, 0], [expected, 1]]
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("num_samples", [0, -1, 1.5, True, "3", None])
def test_bad_number_of_samples(num_samples):
    with pytest.raises((TypeError, ValueError), match=f"`num_samples`.*{COMPLAINT[9:]}"):
        random.row_seeds(num_samples, seed=0)


@pytest.mark.parametrize("seed", [-1, 2**31, 0.5, "0", True])
def test_bad_seed(seed):
    with pytest.raises((TypeError, ValueError), match=f"`seed`.*{COMPLAINT[9:]}"):
        random.row_seeds(2, seed=seed)


def test_served_seeds_are_row_seeds_in_64_bits():
    served = [7, 7 + 2**32, 7 + 5 * 2**32, 2**31 - 1 + 3 * 2**32]
    seeds = random.row_seeds_from_int64(tf.constant(served, tf.int64))
    assert seeds.numpy().tolist() == [[7, 0], [7, 1], [7, 5], [2**31 - 1, 3]]
    assert seeds.dtype == tf.int32


@pytest.mark.parametrize(
    "draw, reference",
    [
        (random.normal, tf.random.stateless_normal),
        (random.uniform, tf.random.stateless_uniform),
    ],
)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_draws_are_tensorflows_with_the_seed_of_the_row(draw, reference, shape):
    drawn = draw(random.row_seeds(3, seed=5), shape)
    expected = [reference(shape, [5, row], alg="philox") for row in range(3)]
    np.testing.assert_array_equal(drawn, tf.stack(expected))


@pytest.mark.parametrize("draw", [random.normal, random.uniform])
def test_draws_of_a_row_do_not_depend_on_its_batch(draw):
    seeds = random.row_seeds(5, seed=1)
    alone = tf.function(draw)(seeds[3:4], (4,))
    np.testing.assert_array_equal(draw(seeds, (4,))[3], alone[0])


def test_moments_of_draws_over_rows():
    seeds = random.row_seeds(4000, seed=0)
    normal, uniform = random.normal(seeds, (2,)).numpy(), random.uniform(seeds, (2,)).numpy()
    # Five standard errors of the mean and of the variance of 4000 draws.
    np.testing.assert_allclose(normal.mean(0), 0, atol=5 / 4000**0.5)
    np.testing.assert_allclose(normal.var(0), 1, atol=5 * (2 / 4000) ** 0.5)
    np.testing.assert_allclose(uniform.mean(0), 0.5, atol=5 * (1 / 12 / 4000) ** 0.5)
    assert uniform.min() >= 0 and uniform.max() < 1
    assert abs(np.corrcoef(normal[:-1, 0], normal[1:, 0])[0, 1]) < 5 / 4000**0.5


def test_fold_is_tensorflows_row_by_row():
    seeds = random.row_seeds(3, seed=9)
    expected = [tf.random.fold_in(seed, 4, alg="philox") for seed in seeds]
    np.testing.assert_array_equal(random.fold(seeds, 4), tf.stack(expected))
    assert not np.array_equal(random.fold(seeds, 4), random.fold(seeds, 5))


def test_step_seeds_differ_by_step_replica_and_model(monkeypatch):
    def seed(model_seed, step, replica):
        monkeypatch.setattr(random, "replica_index", lambda: tf.constant(replica))
        return tuple(random.step_seed(model_seed, tf.constant(step, tf.int64)).numpy())

    cases = list(itertools.product([0, 1, 2**31 - 1], [0, 1, 2, 1000], [0, 1, 2]))
    assert len({seed(*case) for case in cases}) == len(cases)
    assert seed(1, 2, 0) == seed(1, 2, 0)


def test_step_seed_is_the_same_in_a_graph():
    step = tf.constant(12, tf.int64)
    eager, graph = random.step_seed(3, step), tf.function(random.step_seed)(3, step)
    np.testing.assert_array_equal(eager, graph)
    assert eager.shape == (2,) and eager.dtype == tf.int32


def test_replica_index_is_zero_outside_replicas():
    assert random.replica_index().numpy() == 0
    assert tf.distribute.OneDeviceStrategy("/CPU:0").run(random.replica_index).numpy() == 0


def test_split_gives_each_row_seeds_of_its_own():
    seeds = random.row_seeds(3, 0)
    parts = random.split(seeds, 4).numpy()
    assert parts.shape == (3, 4, 2)
    assert len({tuple(seed) for seed in parts.reshape(-1, 2)}) == 12
    np.testing.assert_array_equal(random.split(seeds[1:2], 4)[0], parts[1])
