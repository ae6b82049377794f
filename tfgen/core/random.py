"""Random numbers that are functions of seeds: one seed a row for samples, one a step for training.

A sample depends on its own row seed alone, so it is the same picture whatever the batch it travels
in. Training noise depends on (model seed, step, replica), so that a resumed run draws what an
uninterrupted one would, and replicas draw different noise. All draws use the Philox generator,
which gives the same numbers on every device.
"""

import random
from collections.abc import Callable, Sequence

import tensorflow as tf

from tfgen.core.checks import check_integer, check_seed

_PHILOX = "philox"


def row_seeds(num_rows: int, seed: int | None = None) -> tf.Tensor:
    """Returns the seeds of `num_rows` samples: row i of `seed` is the pair (seed, i).

    Args:
        num_rows: how many, > 0.
        seed: in [0, 2**31), or None for one drawn from Python's `random` module.

    Returns:
        int32 [num_rows, 2].

    Raises:
        TypeError: when a number is not an integer.
        ValueError: when one is out of range.

    >>> row_seeds(2, seed=7).numpy().tolist()
    [[7, 0], [7, 1]]
    """
    check_integer("num_samples", num_rows)
    num_rows = int(num_rows)
    if seed is None:
        seed = random.randrange(2**31)
    check_seed("seed", seed)
    return tf.stack([tf.fill([num_rows], tf.cast(seed, tf.int32)), tf.range(num_rows)], axis=1)


def row_seeds_from_int64(seeds: tf.Tensor) -> tf.Tensor:
    """Returns the row seeds of served seeds, int64 [batch] -> int32 [batch, 2].

    The served seed `s + i * 2**32` is row i of the in-process seed s.
    """
    return tf.bitcast(tf.cast(seeds, tf.int64), tf.int32)


def fold(seeds: tf.Tensor, data: int) -> tf.Tensor:
    """Returns other row seeds, int32 [batch, 2], for another use of the same rows.

    Args:
        seeds: int32 [batch, 2].
        data: an integer, one for each use.
    """
    return _fold(tf.convert_to_tensor(seeds), data)


def split(seeds: tf.Tensor, num: int) -> tf.Tensor:
    """Returns so many seeds of each row's, int32 [batch, num, 2] from [batch, 2]."""
    return _split(tf.convert_to_tensor(seeds), num)


def normal(seeds: tf.Tensor, shape: Sequence[int]) -> tf.Tensor:
    """Draws standard normal rows, float32 [batch, *shape], from row seeds, int32 [batch, 2]."""
    return _by_row(tf.convert_to_tensor(seeds), tuple(shape), tf.random.stateless_normal)


def uniform(seeds: tf.Tensor, shape: Sequence[int]) -> tf.Tensor:
    """Draws rows uniform on [0, 1), float32 [batch, *shape], from row seeds, int32 [batch, 2]."""
    return _by_row(tf.convert_to_tensor(seeds), tuple(shape), tf.random.stateless_uniform)


# Graphs: a loop over rows takes milliseconds a row when it runs eagerly.
@tf.function(autograph=False, reduce_retracing=True)
def _by_row(seeds: tf.Tensor, shape: tuple[int, ...], draw: Callable) -> tf.Tensor:
    return tf.map_fn(
        lambda seed: draw(shape, seed, alg=_PHILOX),
        seeds,
        fn_output_signature=tf.TensorSpec(shape, tf.float32),
    )


@tf.function(autograph=False, reduce_retracing=True)
def _fold(seeds: tf.Tensor, data: int) -> tf.Tensor:
    return tf.map_fn(lambda seed: tf.random.fold_in(seed, data, alg=_PHILOX), seeds)


@tf.function(autograph=False, reduce_retracing=True)
def _split(seeds: tf.Tensor, num: int) -> tf.Tensor:
    return tf.map_fn(lambda seed: tf.random.split(seed, num, alg=_PHILOX), seeds)


def step_seed(seed: int, step: tf.Tensor) -> tf.Tensor:
    """Returns the seed of one training step on this replica, int32 [2].

    Args:
        seed: the model's seed.
        step: int64 scalar, the number of steps done.
    """
    key = tf.random.split([tf.cast(seed, tf.int32), 0], num=1, alg=_PHILOX)[0]
    key = tf.random.fold_in(key, tf.cast(step, tf.int32), alg=_PHILOX)
    return tf.random.fold_in(key, replica_index(), alg=_PHILOX)


def replica_index() -> tf.Tensor:
    """Returns the index of the replica that runs this code, 0 outside replicas; int32 scalar."""
    context = tf.distribute.get_replica_context()
    return tf.cast(context.replica_id_in_sync_group if context else 0, tf.int32)
