"""Where examples are kept: in memory, in an array that is read in place, or in files.

Streams are the same, bit for bit, wherever the examples are.
"""

import abc
import math
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tfgen.core.checks import expected

BATCH = 256  # Examples read together on the host, fewer if they have more values than
BATCH_VALUES = 2**24
PARALLEL = os.cpu_count() or 1


class Store(abc.ABC):
    """Examples as they are stored: bytes, floats or integers.

    Attributes:
        num_examples: how many there are.
        event_shape: of one example.
        dtype: uint8, float32 or int32.
    """

    num_examples: int
    event_shape: tuple[int, ...]
    dtype: np.dtype

    @abc.abstractmethod
    def batches(self, index: tf.data.Dataset, batch_size: int) -> tf.data.Dataset:
        """Returns batches of rows with their examples, `(index, x)`, for batches of rows.

        Args:
            index: of int64 [n], n <= batch_size; n < batch_size in the last one only.
            batch_size: of the batches.
        """

    def parts(self, rows: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
        """Yields the examples of rows, int64 [n], `batch_size` at a time.

        Raises:
            ValueError: when one can no longer be read; the message names it.
        """
        index = tf.data.Dataset.from_tensor_slices(rows).batch(batch_size)
        batches = self.batches(index, batch_size).prefetch(2).with_options(options())
        try:
            for _, x in batches.as_numpy_iterator():
                yield x
        except tf.errors.InvalidArgumentError as error:
            raise ValueError(str(error).splitlines()[0]) from error

    def read(self, index: Any) -> np.ndarray:
        """Returns the examples of a slice or of rows, integers [n]; raises as `parts` does."""
        rows = np.arange(self.num_examples)[index]
        found = np.empty((len(rows), *self.event_shape), self.dtype)
        size = max(1, min(BATCH, BATCH_VALUES // max(1, math.prod(self.event_shape))))
        start = 0
        for part in self.parts(rows, size):
            found[start : start + len(part)] = part
            start += len(part)
        return found


class InMemory(Store):
    """Examples in main memory, once, whatever the number of datasets made from them.

    Args:
        values: [num_examples, *event]; copied.

    Attributes:
        values: the examples, read-only.
    """

    def __init__(self, values: np.ndarray) -> None:
        self._tensor, self.values = on_host(values)
        self.num_examples, *event_shape = self.values.shape
        self.event_shape = tuple(event_shape)
        self.dtype = self.values.dtype

    def batches(self, index: tf.data.Dataset, batch_size: int) -> tf.data.Dataset:
        """As for every store."""
        return index.map(lambda rows: (rows, tf.gather(self._tensor, rows)))

    def parts(self, rows: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
        """As for every store."""
        for start in range(0, len(rows), batch_size):
            yield self.values[rows[start : start + batch_size]]

    def read(self, index: Any) -> np.ndarray:
        """As for every store."""
        return self.values[index]


class InPlace(Store):
    """Rows of an array, such as a memory-mapped one, of which only those of a batch are read.

    Args:
        array: [n, ...], uint8 or floats; not copied, and not to be changed.
        rows: of the array that are examples, int64 [num_examples].
        event_shape: of one example.
        fit: turns rows of the array, uint8 or float32, into examples.
        white: what they are multiplied by before.
    """

    def __init__(
        self,
        array: np.ndarray,
        rows: np.ndarray,
        event_shape: tuple[int, ...],
        fit: Callable[[tf.Tensor], tf.Tensor],
        white: int = 1,
    ) -> None:
        self._array, self._rows, self._fit, self._white = array, rows, fit, white
        self.num_examples = len(rows)
        self.event_shape = event_shape
        self.dtype = np.dtype(np.uint8 if array.dtype == np.uint8 else np.float32)

    def batches(self, index: tf.data.Dataset, batch_size: int) -> tf.data.Dataset:
        """As for every store."""
        return index.map(self._gather, num_parallel_calls=PARALLEL)

    def _gather(self, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        def read(rows: np.ndarray) -> np.ndarray:
            return self._array[self._rows[rows]].astype(self.dtype) * self.dtype.type(self._white)

        x = tf.numpy_function(read, [rows], tf.as_dtype(self.dtype), stateful=False)
        return rows, self._fit(tf.ensure_shape(x, [None, *self._array.shape[1:]]))


class Decoded(Store):
    """Examples that are read and decoded one by one, several at the same time.

    Args:
        num_examples: how many there are.
        event_shape: of one example.
        fetch: returns, in a graph, what is stored for rows, int64 [n]: tensors [n, ...]. It does
            not fail.
        decode: returns, in a graph, an example of what is stored for it.
        name: returns, in a graph, what messages call the example of a row, a string scalar.
        dtype: of the examples.
    """

    def __init__(
        self,
        num_examples: int,
        event_shape: tuple[int, ...],
        fetch: Callable[[tf.Tensor], Any],
        decode: Callable[..., tf.Tensor],
        name: Callable[[tf.Tensor], tf.Tensor],
        dtype: Any = np.uint8,
    ) -> None:
        self.num_examples = num_examples
        self.event_shape = event_shape
        self.dtype = np.dtype(dtype)
        self._fetch, self._name = fetch, name
        self._decode = tf.function(decode, autograph=False)  # Traced once for all datasets.

    def batches(self, index: tf.data.Dataset, batch_size: int) -> tf.data.Dataset:
        """As for every store; fails, naming the first example, when one cannot be decoded.

        An operation that fails cannot say for which example. Those that fail are therefore left
        out, and found by the rows that are missing.
        """
        stored = index.map(lambda rows: (rows, self._fetch(rows))).unbatch()
        decoded = stored.map(self._with_row, num_parallel_calls=PARALLEL).ignore_errors()
        nothing = (tf.constant(-1, tf.int64), tf.zeros(self.event_shape, self.dtype))
        endless = decoded.concatenate(tf.data.Dataset.from_tensors(nothing).repeat())
        return tf.data.Dataset.zip(index, endless.batch(batch_size)).map(self._checked)

    def _with_row(self, row: tf.Tensor, stored: Any) -> tuple[tf.Tensor, tf.Tensor]:
        return row, tf.ensure_shape(self._decode(stored), self.event_shape)

    def _checked(
        self, index: tf.Tensor, decoded: tuple[tf.Tensor, tf.Tensor]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        rows, x = (part[: tf.size(index)] for part in decoded)
        wrong = index[tf.argmax(tf.cast(rows != index, tf.int32))]
        message = expected("what could be read when training began", "no example from")
        assertion = tf.debugging.Assert(tf.reduce_all(rows == index), [message, self._name(wrong)])
        with tf.control_dependencies([assertion]):
            return index, tf.identity(x)


def on_host(values: np.ndarray) -> tuple[tf.Tensor, np.ndarray]:
    """Returns a tensor in main memory, where input pipelines run, and a view of it."""
    with tf.device("CPU:0"):
        tensor = tf.convert_to_tensor(values)
    return tensor, np.asarray(tensor)


def options() -> tf.data.Options:
    """Returns options that keep the order, and split batches rather than files among workers."""
    options = tf.data.Options()
    options.deterministic = True
    # Rewriting the graph copies the examples that it captured, once for every iterator.
    options.experimental_optimization.apply_default_optimizations = False
    # An iterator that is autotuned waits for its tuner, up to seconds, when it is destroyed.
    options.autotune.enabled = False
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return options
