"""Seeds and draws against published numbers, and against the laws that they follow."""

import itertools
import random as python_random

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tests.small_models import COMPLAINT
from tfgen.core import random
from tfgen.distributions import Blockwise, StandardNormal, Uniform

DRAWS = [random.normal, random.uniform]


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


@pytest.mark.parametrize("kind", [tf.constant, np.array])
def test_row_seeds_may_be_given(kind):
    seeds = kind(np.array([[5, 9], [-1, 2]], np.int32))
    np.testing.assert_array_equal(random.row_seeds(2, seeds), [[5, 9], [-1, 2]])
    assert random.row_seeds(2, np.int64(7)).numpy().tolist() == [[7, 0], [7, 1]]


def test_row_seeds_that_are_given_are_checked():
    for shape in ([3, 2], [2, 3], [2], [], [2, 2, 1]):
        with pytest.raises(ValueError, match=r"Expected .*`seed` of shape \[2, 2\]. Received: \("):
            random.row_seeds(2, tf.zeros(shape, tf.int32))
    for dtype in (np.int64, np.float32):
        with pytest.raises(TypeError, match="Expected .*`seed` of int32. Received: "):
            random.row_seeds(2, np.zeros([2, 2], dtype))


def test_served_seeds_are_row_seeds_in_64_bits():
    served = [7, 7 + 2**32, 7 + 5 * 2**32, 2**31 - 1 + 3 * 2**32]
    seeds = random.row_seeds_from_int64(tf.constant(served, tf.int64))
    assert seeds.numpy().tolist() == [[7, 0], [7, 1], [7, 5], [2**31 - 1, 3]]
    assert seeds.dtype == tf.int32


# Key, counter and the two words, from the known answers of the authors' library, Random123.
ALL, PI = 2**32 - 1, (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344)
KNOWN = [
    ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    ((ALL, ALL), (ALL, ALL), (0x1CB996FC, 0xBB002BE7)),
    (PI[2:], PI[:2], (0xC4923A9C, 0x483DF7A0)),
]


@pytest.mark.parametrize("key, counter, words", KNOWN)
def test_the_cipher_is_threefry(key, counter, words):
    first, second = (tf.constant(word, tf.uint32) for word in counter)
    keys = tf.constant(np.array([key], np.uint32).view(np.int32))
    found = random._threefry(keys, first[tf.newaxis], second)
    assert [word.numpy().item() for word in found] == list(words)


def threefry(key: tuple[int, int], counter: tuple[int, int]) -> tuple[int, int]:
    """Returns Threefry-2x32-20, in Python's integers."""
    keys = (*key, key[0] ^ key[1] ^ 0x1BD11BDA)
    x, y = ((c + k) & ALL for c, k in zip(counter, key, strict=True))
    for i in range(20):
        rotation = (13, 15, 26, 6, 17, 29, 16, 24)[i % 8]
        x = (x + y) & ALL
        y = ((y << rotation | y >> 32 - rotation) & ALL) ^ x
        if i % 4 == 3:
            turn = i // 4 + 1
            x, y = (x + keys[turn % 3]) & ALL, (y + keys[(turn + 1) % 3] + turn) & ALL
    return x, y


def test_draws_are_of_words_of_the_row():
    """Pins what samples of saved models depend on."""
    seeds = tf.constant([[0, 0], [-1, -1], [7, 3]])
    words = [
        [threefry(tuple(key), (i, use << 30)) for i in range(3)]
        for use in range(3)
        for key in seeds.numpy().view(np.uint32).tolist()
    ]
    words = np.array(words, np.uint32).reshape(3, 3, 6)
    np.testing.assert_array_equal(random.uniform(seeds, (6,)), (words[0] >> 8) / 2.0**24)
    first, second = words[1, :, ::2] / 2.0**32, (words[1, :, 1::2] >> 8) / 2.0**24
    pairs = np.sqrt(-2 * np.log(first)) * np.exp(2j * np.pi * second)
    expected = np.stack([pairs.real, pairs.imag], axis=2).reshape(3, 6)
    np.testing.assert_allclose(random.normal(seeds, (6,)), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(random.split(seeds, 3), words[2].view(np.int32).reshape(3, 3, 2))


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 3), (0,)])
def test_shapes_of_draws(draw, shape):
    seeds = random.row_seeds(3, seed=5)
    for drawn in (draw(seeds, shape), tf.function(draw)(seeds, shape)):
        assert drawn.shape == (3, *shape) and drawn.dtype == tf.float32
    graph = tf.function(lambda seeds: draw(seeds, shape))
    traced = graph.get_concrete_function(tf.TensorSpec([None, 2], tf.int32))
    assert traced.output_shapes.as_list() == [None, *shape]
    assert draw(seeds[:0], shape).shape == (0, *shape)


@pytest.mark.parametrize("draw", DRAWS)
def test_fewer_numbers_are_the_first_of_more(draw):
    seeds = random.row_seeds(5, seed=2)
    many = draw(seeds, (9,)).numpy()
    for num in range(9):
        np.testing.assert_array_equal(draw(seeds, (num,)), many[:, :num])
    np.testing.assert_array_equal(draw(seeds, (2, 3)), many[:, :6].reshape(5, 2, 3))


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("size", [1, 2, 7, 8, 33])
def test_draws_of_a_row_do_not_depend_on_its_batch(draw, size):
    seeds = random.row_seeds(100, seed=1)
    together = draw(seeds, (3,)).numpy()
    for first in (0, 3, 60):
        rows = slice(first, first + size)
        np.testing.assert_array_equal(draw(seeds[rows], (3,)), together[rows])
        np.testing.assert_array_equal(tf.function(draw)(seeds[rows], (3,)), together[rows])


@pytest.mark.parametrize("use", [*DRAWS, lambda seeds, shape: random.split(seeds, *shape)])
def test_draws_are_the_same_under_xla(use):
    seeds = random.row_seeds(20, seed=4)
    compiled = tf.function(lambda seeds: use(random.stream(seeds, "a"), (7,)), jit_compile=True)
    expected = use(random.stream(seeds, "a"), (7,))
    # XLA rounds logarithms and cosines of its own.
    tolerance = 1e-6 if use is random.normal else 0
    np.testing.assert_allclose(compiled(seeds), expected, rtol=0, atol=tolerance)


def test_many_shapes_are_drawn_without_tracing_again():
    before = random._normal.experimental_get_tracing_count()
    for num in range(1, 9):
        random.normal(random.row_seeds(num, seed=0), (num,))
    assert random._normal.experimental_get_tracing_count() <= max(before, 1)


def many(draw, use: str) -> np.ndarray:
    """Returns a matrix of draws, [1000, 100], whose rows differ in the seed, the row, or a use."""
    numbers = np.arange(1000, dtype=np.int32)
    seeds = {
        "rows": random.row_seeds(1000, seed=3),
        "seeds": tf.stack([tf.range(1000), tf.zeros([1000], tf.int32)], axis=1),
        "splits": random.split(random.row_seeds(1, seed=3), 1000)[0],
        "streams": tf.concat([random.stream([[0, 3]], f"part_{i}") for i in numbers], axis=0),
        "distant seeds": tf.stack([numbers * 2_000_003, numbers[::-1] << 20], axis=1),
    }
    return draw(seeds[use], (100,)).numpy().astype(np.float64)


USES = ["rows", "seeds", "splits", "streams", "distant seeds"]


@pytest.mark.parametrize("use", USES)
def test_laws_of_draws(use):
    normal, uniform = many(random.normal, use), many(random.uniform, use)
    assert uniform.min() >= 0 and uniform.max() < 1 and np.isfinite(normal).all()
    standard = stats.uniform(-(3**0.5), 12**0.5)
    for x, law in ((normal, stats.norm()), ((uniform - 0.5) * 12**0.5, standard)):
        # Five standard errors of each moment of 100,000 draws.
        for power in (1, 2, 3, 4):
            moment, square = law.moment(power), law.moment(2 * power)
            error = ((square - moment**2) / x.size) ** 0.5
            assert abs((x**power).mean() - moment) < 5 * error, power
        assert stats.kstest(x.ravel(), law.cdf).pvalue > 1e-3
        assert stats.kstest(x[:, 0], law.cdf).pvalue > 1e-3
        # As far from none as the largest of so many correlations of independent numbers.
        for matrix in (np.corrcoef(x), np.corrcoef(x.T)):
            pairs = np.arctanh(matrix[np.triu_indices(len(matrix), 1)])
            error = (x.size / len(matrix) - 3) ** -0.5
            assert abs(pairs).max() < 6.5 * error
            assert pairs.std() == pytest.approx(error, rel=0.05)


def test_draws_of_one_key_have_nothing_in_common():
    seeds = random.row_seeds(4000, seed=0)
    draws = np.stack(
        [
            random.uniform(seeds, ()),
            stats.norm.cdf(random.normal(seeds, ())),
            random.uniform(random.split(seeds, 1)[:, 0], ()),
            random.uniform(random.stream(seeds, "a"), ()),
            random.uniform(random.stream(seeds, "b"), ()),
            random.uniform(random.stream(random.stream(seeds, "a"), "a"), ()),
        ]
    )
    assert abs(np.corrcoef(draws) - np.eye(6)).max() < 5 / 4000**0.5


def test_a_part_a_label_and_a_latent_of_one_row_differ():
    seeds = random.row_seeds(4000, seed=0)
    noise = Blockwise([Uniform(1, 0.0, 1.0), Uniform(1, 0.0, 1.0), StandardNormal(1)])
    draws = [
        *noise.sample_rows(seeds).numpy().T,
        random.uniform(random.stream(seeds, "label"), ()),
        random.uniform(random.stream(seeds, "component"), ()),
        random.uniform(seeds, ()),
    ]
    assert abs(np.corrcoef(draws) - np.eye(6)).max() < 5 / 4000**0.5


def test_streams_are_of_names():
    seeds = random.row_seeds(3, seed=9)
    streams = random.stream(seeds, "label").numpy()
    assert streams.shape == (3, 2) and streams.dtype == np.int32
    np.testing.assert_array_equal(random.stream(seeds[1], "label"), streams[1])
    np.testing.assert_array_equal(
        random.stream(tf.reshape(seeds, [3, 1, 2]), "label"), streams[:, np.newaxis]
    )
    np.testing.assert_array_equal(tf.function(random.stream)(seeds, "label"), streams)
    # Of no process, machine or version: written down once.
    expected = [[457418415, 275193979], [-1852187351, -478198938], [-1680398229, -899184913]]
    assert streams.tolist() == expected
    names = [f"part_{i}" for i in range(100)] + ["", "label", "Label", "component", "choice"]
    seen = {tuple(random.stream(seeds[0], name).numpy()) for name in names}
    assert len(seen) == len(names)


def test_a_stream_has_a_name():
    with pytest.raises(TypeError, match="Expected the name of a stream, a string. Received: 1"):
        random.stream(random.row_seeds(2, seed=0), 1)


@pytest.mark.parametrize("use", [*DRAWS, lambda seeds, shape: random.split(seeds, 2)])
def test_seeds_of_rows_are_checked(use):
    for seeds in ([3, 7], [[3, 7, 1]], [[[3, 7]]]):
        with pytest.raises(ValueError, match=r"Expected .* \[batch, 2\]. Received: \("):
            use(seeds, (2,))
    with pytest.raises(TypeError, match="Expected .*int32. Received: float32"):
        use([[3.0, 7.0]], (2,))


def test_seeds_of_streams_are_checked():
    for seeds in (3, [3, 7, 1, 2], [[3, 7, 1, 2]]):
        with pytest.raises(ValueError, match=r"Expected seeds of shape \[..., 2\]. Received: \("):
            random.stream(seeds, "label")
    with pytest.raises(TypeError, match="Expected .*int32. Received: float32"):
        random.stream([[3.0, 7.0]], "label")


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


def test_seeds_of_an_evaluation_are_of_no_step(monkeypatch):
    def seeds(make):
        found = []
        for case in itertools.product([0, 1, 2**31 - 1], [0, 1, 2, 1000], [0, 1, 2]):
            monkeypatch.setattr(
                random, "replica_index", lambda replica=case[2]: tf.constant(replica)
            )
            found.append(tuple(make(case[0], tf.constant(case[1], tf.int64)).numpy().tolist()))
        return found

    steps, batches = seeds(random.step_seed), seeds(random.evaluation_seed)
    assert len(set(steps + batches)) == 2 * len(steps)
    # A step's second word is its replica's, whatever the first is.
    assert all(step[1] >= 0 > batch[1] for step, batch in zip(steps, batches, strict=True))
    graph = tf.function(random.evaluation_seed)(0, tf.constant(1000, tf.int64))
    np.testing.assert_array_equal(graph, random.evaluation_seed(0, tf.constant(1000, tf.int64)))
    assert graph.shape == (2,) and graph.dtype == tf.int32


def test_seeds_of_steps_stay_what_they_were():
    found = [random.step_seed(*case).numpy().tolist() for case in ((0, 0), (3, 12))]
    assert found == [[1494289006, 0], [-27752242, 0]]


def test_replica_index_is_zero_outside_replicas():
    assert random.replica_index().numpy() == 0
    assert tf.distribute.OneDeviceStrategy("/CPU:0").run(random.replica_index).numpy() == 0


def test_split_gives_each_row_seeds_of_its_own():
    seeds = random.row_seeds(3, 0)
    parts = random.split(seeds, 4).numpy()
    assert parts.shape == (3, 4, 2)
    assert len({tuple(seed) for seed in parts.reshape(-1, 2)}) == 12
    np.testing.assert_array_equal(random.split(seeds[1:2], 4)[0], parts[1])
