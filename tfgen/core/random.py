"""Random numbers that are functions of seeds: one seed a row for samples, one a step for training.

A sample depends on its own row seed alone, so it is the same picture whatever the batch it travels
in. A row seed is the key of a counter-based generator, Threefry-2x32 of 20 rounds: number i of a
row is the cipher of i under its key, worked out for all rows and numbers at once by operations on
integers that every device has, so that it is the same number on each of them.

Training noise depends on (model seed, step, replica), so that a resumed run draws what an
uninterrupted one would, and replicas draw different noise. It is one draw for a whole batch, by
TensorFlow's Philox generator.

Reference: Salmon, Moraes, Dror and Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", 2011,
    https://doi.org/10.1145/2063384.2063405.
"""

import hashlib
import math
import random
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from tfgen.core.checks import check_integer, check_seed, expected

_ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)
_PARITY = 0x1BD11BDA

# What a counter is for, in the two highest bits of its second word: no use of a key meets another.
_UNIFORM, _NORMAL, _SPLIT, _STREAM = (use << 30 for use in range(4))

_LANES = 16  # The most floats that a CPU works on at once.


def row_seeds(num_rows: int | tf.Tensor, seed: int | tf.Tensor | None = None) -> tf.Tensor:
    """Returns the seeds of `num_rows` samples: row i of `seed` is the pair (seed, i).

    Args:
        num_rows: how many, > 0; in a graph it may be an integer tensor.
        seed: in [0, 2**31), or None for one drawn from Python's `random` module; or the row seeds
            themselves, a tensor or array, int32 [num_rows, 2].

    Returns:
        int32 [num_rows, 2].

    Raises:
        TypeError: when a number is not an integer, or row seeds are not int32.
        ValueError: when one is out of range, or row seeds have another shape.

    >>> row_seeds(2, seed=7).numpy().tolist()
    [[7, 0], [7, 1]]
    """
    known = not tf.is_tensor(num_rows)
    if known:
        check_integer("num_samples", num_rows)
        num_rows = int(num_rows)
    if isinstance(seed, np.ndarray) or tf.is_tensor(seed):
        return _checked_rows("seed", tf.convert_to_tensor(seed), num_rows if known else None)
    if seed is None:
        seed = random.randrange(2**31)
    check_seed("seed", seed)
    return tf.stack([tf.fill([num_rows], tf.cast(seed, tf.int32)), tf.range(num_rows)], axis=1)


def row_seeds_from_int64(seeds: tf.Tensor) -> tf.Tensor:
    """Returns the row seeds of served seeds, int64 [batch] -> int32 [batch, 2].

    The served seed `s + i * 2**32` is row i of the in-process seed s.
    """
    return tf.bitcast(tf.cast(seeds, tf.int64), tf.int32)


def stream(seeds: tf.Tensor, name: str) -> tf.Tensor:
    """Returns other seeds for another use of the same rows, e.g. `stream(row_seeds, "label")`.

    Args:
        seeds: int32 [..., 2].
        name: of the use.

    Returns:
        int32 [..., 2].

    Raises:
        TypeError: when the name is not a string, or the seeds are not int32.
        ValueError: when the seeds have another shape.
    """
    if not isinstance(name, str):
        raise TypeError(expected("the name of a stream, a string", repr(name)))
    seeds = tf.convert_to_tensor(seeds)
    if not seeds.shape[-1:].is_compatible_with([2]):
        raise ValueError(expected("seeds of shape [..., 2]", tuple(seeds.shape)))
    rows = _checked_rows("seeds", tf.reshape(seeds, [-1, 2]))
    words = np.frombuffer(hashlib.sha256(name.encode()).digest()[:8], "<u4")
    return tf.reshape(_stream(rows, tf.constant(words)), tf.shape(seeds))


def split(seeds: tf.Tensor, num: int | tf.Tensor) -> tf.Tensor:
    """Returns so many seeds of each row's, int32 [batch, num, 2] from [batch, 2]."""
    return _by_row(_split, seeds, (num, 2), num)


def uniform(seeds: tf.Tensor, shape: Sequence[int]) -> tf.Tensor:
    """Draws rows uniform on [0, 1), float32 [batch, *shape], from row seeds, int32 [batch, 2]."""
    return _by_row(_uniform, seeds, shape, math.prod(shape))


def normal(seeds: tf.Tensor, shape: Sequence[int]) -> tf.Tensor:
    """Draws standard normal rows, float32 [batch, *shape], from row seeds, int32 [batch, 2]."""
    return _by_row(_normal, seeds, shape, math.prod(shape))


def _by_row(
    draw: Callable, seeds: tf.Tensor, shape: Sequence[int], num: int | tf.Tensor
) -> tf.Tensor:
    """Returns the numbers [batch, num, ...] that a function draws, as [batch, *shape]."""
    rows = _checked_rows("seeds", tf.convert_to_tensor(seeds))
    return tf.reshape(draw(rows, tf.cast(num, tf.int32)), [tf.shape(rows)[0], *shape])


# Graphs, because the cipher takes milliseconds operation by operation; and one for all shapes.
_ROWS, _NUM = tf.TensorSpec([None, 2], tf.int32), tf.TensorSpec([], tf.int32)


@tf.function(autograph=False, input_signature=[_ROWS, tf.TensorSpec([2], tf.uint32)])
def _stream(seeds: tf.Tensor, words: tf.Tensor) -> tf.Tensor:
    second = tf.bitwise.right_shift(words[1], _word(2)) + _word(_STREAM)
    return tf.bitcast(tf.stack(_threefry(seeds, words[:1], second), axis=2), tf.int32)


@tf.function(autograph=False, input_signature=[_ROWS, _NUM])
def _split(seeds: tf.Tensor, num: tf.Tensor) -> tf.Tensor:
    return tf.bitcast(tf.stack(_words(seeds, num, _SPLIT), axis=2), tf.int32)


@tf.function(autograph=False, input_signature=[_ROWS, _NUM])
def _uniform(seeds: tf.Tensor, num: tf.Tensor) -> tf.Tensor:
    first, second = _words(seeds, (num + 1) // 2, _UNIFORM)
    return _in_turn(_unit(first), _unit(second))[:, :num]


@tf.function(autograph=False, input_signature=[_ROWS, _NUM])
def _normal(seeds: tf.Tensor, num: tf.Tensor) -> tf.Tensor:
    """Makes two numbers of two words, by the transform of Box and Muller."""
    first, second = _words(seeds, (num + 1) // 2, _NORMAL)
    radius = tf.sqrt(-2.0 * _by_lanes(tf.math.log, (tf.cast(first, tf.float32) + 0.5) * 2.0**-32))
    angle = _unit(second) * (2.0 * math.pi)
    return _in_turn(radius * _by_lanes(tf.cos, angle), radius * _by_lanes(tf.sin, angle))[:, :num]


def _unit(words: tf.Tensor) -> tf.Tensor:
    """Returns the highest 24 bits of each word as a float in [0, 1)."""
    bits = tf.bitcast(tf.bitwise.right_shift(words, _word(8)), tf.int32)
    return tf.cast(bits, tf.float32) * 2.0**-24


def _in_turn(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Returns the numbers of both in turn, [batch, 2 n] from [batch, n]."""
    batch, num = tf.unstack(tf.shape(first))
    return tf.reshape(tf.stack([first, second], axis=2), [batch, 2 * num])


def _by_lanes(f: Callable, x: tf.Tensor) -> tf.Tensor:
    """Returns f(x), the same for a number wherever it stands in x.

    The last numbers of a tensor, too few to fill a register, are rounded otherwise than the rest.
    With others behind them, none of ours is among the last.
    """
    numbers = tf.pad(tf.reshape(x, [-1]), [[0, _LANES - 1]])
    return tf.reshape(f(numbers)[: 1 - _LANES], tf.shape(x))


def _words(seeds: tf.Tensor, num: tf.Tensor, use: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the first pairs of words of one use of row seeds, each uint32 [batch, num]."""
    return _threefry(seeds, tf.bitcast(tf.range(num), tf.uint32), _word(use))


def _threefry(keys: tf.Tensor, first: tf.Tensor, second: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Enciphers each counter under each key.

    Args:
        keys: int32 [batch, 2].
        first: uint32 [num], the first words of the counters.
        second: uint32 scalar, the second word of them all.

    Returns:
        The two words of each, uint32 [batch, num].
    """
    xor = tf.bitwise.bitwise_xor
    keys = tf.bitcast(keys, tf.uint32)
    k0, k1 = keys[:, :1], keys[:, 1:]  # TensorFlow Lite does not unstack unsigned integers.
    schedule = (k0, k1, xor(xor(k0, k1), _word(_PARITY)))
    x = first + k0
    y = tf.zeros_like(first) + (second + k1)
    for turn in range(1, 6):
        for rotation in _ROTATIONS[:4] if turn % 2 else _ROTATIONS[4:]:
            x += y
            rotated = y * _word(1 << rotation) + tf.bitwise.right_shift(y, _word(32 - rotation))
            y = xor(rotated, x)
        x += schedule[turn % 3]
        y += schedule[(turn + 1) % 3] + _word(turn)
    return x, y


def _word(value: int) -> tf.Tensor:
    return tf.constant(value, tf.uint32)


def _checked_rows(name: str, seeds: tf.Tensor, num_rows: int | None = None) -> tf.Tensor:
    """Returns row seeds; raises TypeError or ValueError unless they are int32 [num_rows, 2]."""
    if seeds.dtype != tf.int32:
        raise TypeError(expected(f"row seeds `{name}` of int32", seeds.dtype.name))
    if not seeds.shape.is_compatible_with([num_rows, 2]):
        rows = "batch" if num_rows is None else num_rows
        what = f"row seeds `{name}` of shape [{rows}, 2]"
        raise ValueError(expected(what, tuple(seeds.shape)))
    return tf.ensure_shape(seeds, [num_rows, 2])


def step_seed(seed: int, step: tf.Tensor) -> tf.Tensor:
    """Returns the seed of one training step on this replica, int32 [2].

    Args:
        seed: the model's seed.
        step: int64 scalar, the number of steps done.
    """
    return _counted_seed(seed, step, replica_index())


def evaluation_seed(seed: int, batch: tf.Tensor) -> tf.Tensor:
    """Returns the seed of one batch of an evaluation on this replica, int32 [2].

    It is that of no training step: its second word is negative, theirs is not.

    Args:
        seed: the model's seed.
        batch: int64 scalar, the number of batches before it in the pass.
    """
    return _counted_seed(seed, batch, -1 - replica_index())


def _counted_seed(seed: int, count: tf.Tensor, last: tf.Tensor) -> tf.Tensor:
    key = split_seed([tf.cast(seed, tf.int32), 0], 1)[0]
    return fold_in(fold_in(key, tf.cast(count, tf.int32)), last)


def replica_index() -> tf.Tensor:
    """Returns the index of the replica that runs this code, 0 outside replicas; int32 scalar."""
    context = tf.distribute.get_replica_context()
    return tf.cast(context.replica_id_in_sync_group if context else 0, tf.int32)


# Draws for a whole batch: the numbers of `tf.random.stateless_*` with alg="philox", by ten
# operations in place of a hundred, which is felt when a step is traced. "auto_select" would draw
# other numbers on other devices.

_ALGORITHM = 1  # Philox.
_SCRAMBLER = 0x02461E293EC8F720  # TensorFlow's key for seeds.


def draw_normal(
    shape: Sequence[int] | tf.Tensor, seed: tf.Tensor, dtype: str | tf.DType = tf.float32
) -> tf.Tensor:
    """Returns standard normal numbers of a shape, from the seed of a step, int32 [2]."""
    return tf.raw_ops.StatelessRandomNormalV2(shape=shape, dtype=dtype, **_philox(seed))


def draw_uniform(shape: Sequence[int] | tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Returns float32 numbers uniform on [0, 1), of a shape, from the seed of a step."""
    return tf.raw_ops.StatelessRandomUniformV2(shape=shape, **_philox(seed))


def draw_integers(shape: Sequence[int] | tf.Tensor, seed: tf.Tensor, maximum: int) -> tf.Tensor:
    """Returns int32 numbers uniform on [0, maximum), of a shape, from the seed of a step."""
    return tf.raw_ops.StatelessRandomUniformIntV2(
        shape=shape, minval=0, maxval=maximum, **_philox(seed)
    )


def shuffle(rows: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Returns rows in a random order, from a seed, int32 [2]."""
    return tf.raw_ops.StatelessShuffle(value=rows, **_philox(seed))


def split_seed(seed: tf.Tensor, num: int | tf.Tensor) -> tf.Tensor:
    """Returns `num` seeds, int32 [num, 2], made from one, int32 [2]."""
    return _full_integers([num, 2], seed)


def fold_in(seed: tf.Tensor, number: int | tf.Tensor) -> tf.Tensor:
    """Returns the seed of a numbered use of a seed, int32 [2]."""
    return tf.stack([_full_integers([], seed), number])


def _full_integers(shape: Sequence[int | tf.Tensor], seed: tf.Tensor) -> tf.Tensor:
    return tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=tf.cast(shape, tf.int32), dtype=tf.int32, **_philox(seed)
    )


def _philox(seed: tf.Tensor) -> dict[str, tf.Tensor | int]:
    """Returns the key and the counter of a seed, int32 [2], as arguments of a random operation."""
    key, counter = tf.split(
        tf.raw_ops.StatelessRandomUniformFullIntV2(
            shape=[2],
            key=tf.constant([_SCRAMBLER], tf.uint64),
            counter=tf.cast(seed, tf.uint64),
            alg=_ALGORITHM,
            dtype=tf.uint64,
        ),
        2,
    )
    counter = tf.concat([tf.constant([0], tf.uint64), counter], 0)
    return {"key": key, "counter": counter, "alg": _ALGORITHM}
