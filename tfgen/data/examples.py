"""Training data, in an order that depends on the seed and the epoch alone."""

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfgen.core import random
from tfgen.core.checks import check_integer, check_seed, expected
from tfgen.data.example_checks import (
    check_batch_size,
    check_labels,
    checked_columns,
    checked_examples,
    count_names,
)
from tfgen.data.stores import InMemory, Store, on_host, options

Batch = dict[str, tf.Tensor]

SKETCH_VALUES = 2**27
PARTS_VALUES = 2**24


class Examples:
    """Examples, with labels or other columns or without, and the batches made of them.

    Those in memory are kept as they are stored, one byte a value as uint8 and four as float32,
    once, whatever the number of datasets made from them: 60,000 x 28 x 28 x 1 uint8 images are 47
    MB, 200,000 x 64 x 64 x 3 are 2.5 GB. Those that are streamed stay where they are, in files or
    in an array, and are read when a batch needs them; their labels and other columns are in memory.
    The batches are the same bit for bit.

    Every epoch visits the examples in an order that depends on the seed and the number of the epoch
    alone, and leaves out the last `num_examples % batch_size` of them, others in each epoch.
    Training that is resumed at epoch k therefore sees the batches of an uninterrupted run.

    Args:
        x: [num_examples, *event], uint8 in [0, 255], which stands for [0, 1], finite floats, or
            other integers, such as tokens, within int32; copied. Or the store of examples to
            stream, which `tfgen.data.load` makes.
        labels: integers [num_examples] in [0, num_classes), or None.
        batch_size: examples in a batch, over all replicas; at most as many as there are.
        seed: of the order, in [0, 2**31).
        num_classes: the number of `class_names`, else the largest label plus one, unless given.
        class_names: the name of each class, if they have names.
        name: what reports call the data.
        split: what reports call this part of it.
        columns: what else belongs to each example, by name: integers or finite floats
            [num_examples, ...]. Labels are the column "label".

    Attributes:
        labels: int64 [num_examples], read-only, or None.
        columns: int64 and float32 arrays by name, read-only, the labels among them.

    Raises:
        TypeError: if examples or labels have a wrong dtype.
        ValueError: if they are empty, too few, not finite, or a label or number is out of range.
    """

    def __init__(
        self,
        x: Any,
        labels: Any = None,
        batch_size: int = 128,
        seed: int = 0,
        *,
        num_classes: int | None = None,
        class_names: Sequence[str] | None = None,
        name: str = "array",
        split: str = "all",
        columns: Mapping[str, Any] | None = None,
    ) -> None:
        store = x if isinstance(x, Store) else InMemory(checked_examples(np.asarray(x)))
        check_batch_size(batch_size, store.num_examples)
        check_seed("seed", seed)
        if class_names is not None:
            num_classes = count_names(class_names, num_classes)
        if labels is not None:
            labels = check_labels(labels, store.num_examples, num_classes)
            num_classes = num_classes or int(labels.max()) + 1
        self.batch_size = int(batch_size)
        self.seed = int(seed)
        self.num_classes = None if labels is None else num_classes
        self.class_names = tuple(class_names) if class_names is not None else None
        self.name = name
        self.split = split
        self._store = store
        found = checked_columns(columns or {}, store.num_examples)
        if labels is not None:
            found["label"] = labels
        # The arrays are views of the tensors, so that the columns are in memory once.
        hosted = {key: on_host(column) for key, column in found.items()}
        self._columns = {key: tensor for key, (tensor, _) in hosted.items()}
        self.columns = {key: array for key, (_, array) in hosted.items()}
        self._round = (self.num_examples, 1)

    @property
    def in_memory(self) -> bool:
        """Whether the examples are in memory; else they are streamed."""
        return isinstance(self._store, InMemory)

    @property
    def x(self) -> np.ndarray:
        """The examples in memory, [num_examples, *event], uint8, float32 or int32, read-only.

        Raises:
            ValueError: when they are streamed.
        """
        if not isinstance(self._store, InMemory):
            what = "examples in memory, for `x` (`as_float(rows)` reads rows of all)"
            raise ValueError(expected(what, f"streamed examples, {self}"))
        return self._store.values

    @property
    def stored_dtype(self) -> np.dtype:
        """The type of the examples as they are stored: uint8, float32 or int32."""
        return self._store.dtype

    @property
    def labels(self) -> np.ndarray | None:
        """The label of each example, int64 [num_examples], if they have labels."""
        return self.columns.get("label")

    @property
    def num_examples(self) -> int:
        """How many examples there are."""
        return self._store.num_examples

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one example; (height, width, channels) of an image."""
        return self._store.event_shape

    @property
    def steps_per_epoch(self) -> int:
        """The number of full batches in an epoch; the partial one left over is dropped."""
        return self._round[0] // self.batch_size

    @property
    def element_spec(self) -> dict[str, tf.TensorSpec]:
        """The specification of a batch."""
        size = self.batch_size
        spec = {
            "x": tf.TensorSpec([size, *self.event_shape], self._dtype, name="x"),
            "index": tf.TensorSpec([size], tf.int64, name="index"),
        }
        for name, column in self._columns.items():
            spec[name] = tf.TensorSpec([size, *column.shape[1:]], column.dtype, name=name)
        return spec

    @property
    def _dtype(self) -> tf.DType:
        """The type of examples in batches: floats, but for integers that stand for themselves."""
        return tf.int32 if self.stored_dtype == np.int32 else tf.float32

    def __len__(self) -> int:
        return self.num_examples

    def __repr__(self) -> str:
        shape = "x".join(str(size) for size in self.event_shape)
        where = "" if self.in_memory else " streamed"
        return (
            f"Examples(name={self.name!r}, split={self.split!r}, num_examples={self.num_examples}, "
            f"x={shape} {self.stored_dtype}{where}, num_classes={self.num_classes}, "
            f"batch_size={self.batch_size}, seed={self.seed})"
        )

    def __iter__(self) -> Iterator[Batch]:
        """Yields the batches of epoch 0, the same ones each time."""
        return iter(self.dataset().take(self.steps_per_epoch))

    def dataset(self, first_epoch: int = 0) -> tf.data.Dataset:
        """Returns the endless stream of batches, from the start of an epoch on.

        No batch straddles two epochs. The stream from epoch k is bit for bit what the stream from
        epoch 0 gives after `k * steps_per_epoch` batches.

        Args:
            first_epoch: the epoch to start from, >= 0.

        Returns:
            A dataset of dictionaries: "x" float32 or int32 [batch, *event], "index" int64 [batch],
            the rows of the examples they are, and each column, such as "label" int64 [batch]. Under
            tf.distribute every replica gets other rows of the same batch.

        Raises:
            TypeError: when `first_epoch` is not an integer.
            ValueError: when it is negative.
        """
        check_integer("first_epoch", first_epoch, minimum=0)
        epochs = tf.data.Dataset.range(first_epoch, tf.int64.max)
        batches = self._store.batches(epochs.flat_map(self._batch_indices), self.batch_size)
        return batches.map(self._as_batch).prefetch(2).with_options(options())

    def as_float(self, index: Any = slice(None)) -> np.ndarray:
        """Returns examples as models see them, [n, *event]: float32, uint8 scaled to [0, 1], int32.

        Args:
            index: a slice or integers [n]; all examples unless given. Of streamed examples `parts`
                gives all, some at a time.

        Raises:
            ValueError: when a streamed example can no longer be read; the message names it.
        """
        return self._as_seen(self._store.read(index))

    def parts(self, size: int | None = None) -> Iterator[np.ndarray]:
        """Yields all examples as `as_float` returns them, in the order of their rows.

        Args:
            size: examples in a part, which the last one may have fewer of; as many as have about 16
                million values unless given.

        Raises:
            ValueError: as `as_float` does.
        """
        size = size or max(1, PARTS_VALUES // math.prod(self.event_shape))
        yield from map(self._as_seen, self._store.parts(np.arange(self.num_examples), size))

    def sketch(self) -> np.ndarray:
        """Returns examples that stand for all, those of `sketch_rows`, as `as_float` does."""
        return self.as_float(self.sketch_rows())

    def sketch_rows(self) -> Any:
        """Returns the rows of examples that stand for all, a slice or int64 [n].

        They are all of those in memory, and evenly spaced ones of those streamed, as many as have
        about 134 million values, half a gigabyte: 10,922 images of 64 x 64 x 3.
        """
        count = max(1, SKETCH_VALUES // math.prod(self.event_shape))
        if self.in_memory or count >= self.num_examples:
            return slice(None)
        return np.arange(count) * self.num_examples // count

    def with_batch_size(self, batch_size: int) -> "Examples":
        """Returns the same examples, in the same memory, with another batch size.

        Args:
            batch_size: examples in a batch, in [1, num_examples].

        Raises:
            TypeError: when `batch_size` is not an integer.
            ValueError: when it is out of range.
        """
        check_batch_size(batch_size, self.num_examples)
        other = copy.copy(self)
        other.batch_size = int(batch_size)
        return other

    def in_rounds(self, subset_size: int, num_epochs: int) -> "Examples":
        """Returns the same examples, of which each round of epochs visits a random subset only.

        Args:
            subset_size: in [batch_size, num_examples].
            num_epochs: that a round lasts, >= 1.

        Raises:
            TypeError: when `num_epochs` is not an integer.
            ValueError: when a number is out of range.
        """
        check_integer("num_epochs", num_epochs)
        if not self.batch_size <= subset_size <= self.num_examples:
            raise ValueError(
                expected(f"a subset of {self.batch_size} to {self.num_examples}", subset_size)
            )
        other = copy.copy(self)
        other._round = (subset_size, num_epochs)
        return other

    def members(self, epoch: int) -> np.ndarray:
        """Returns the rows, int64 [n], of the examples that an epoch visits; it may leave some out.

        Args:
            epoch: its number, >= 0.
        """
        return self._members(tf.constant(epoch, tf.int64)).numpy()

    def left_out(self, epoch: int) -> np.ndarray:
        """Returns the rows, int64 [n], of an epoch's members that are in none of its batches.

        Args:
            epoch: its number, >= 0.
        """
        rows = self._in_order(tf.constant(epoch, tf.int64))
        return rows[self.steps_per_epoch * self.batch_size :].numpy()

    def _members(self, epoch: tf.Tensor) -> tf.Tensor:
        subset_size, num_epochs = self._round
        rows = tf.range(self.num_examples, dtype=tf.int64)
        if subset_size == self.num_examples:
            return rows
        return self._shuffled(rows, epoch // num_epochs, use=1)[:subset_size]

    def _shuffled(self, rows: tf.Tensor, number: tf.Tensor, use: int) -> tf.Tensor:
        """Returns a permutation of rows for one of two uses, by the number of an epoch or round."""
        seed = tf.stack([tf.constant(2 * self.seed + use, tf.int64), number])
        return random.shuffle(rows, seed)

    def _in_order(self, epoch: tf.Tensor) -> tf.Tensor:
        """Returns the rows of an epoch's members in the order in which it visits them."""
        return self._shuffled(self._members(epoch), epoch, use=0)

    def _batch_indices(self, epoch: tf.Tensor) -> tf.data.Dataset:
        """Returns the rows of each batch of an epoch, int64 [batch_size] an element."""
        rows = self._in_order(epoch)
        shape = [self.steps_per_epoch, self.batch_size]
        return tf.data.Dataset.from_tensor_slices(tf.reshape(rows[: shape[0] * shape[1]], shape))

    def _as_batch(self, index: tf.Tensor, x: tf.Tensor) -> Batch:
        """Returns the batch of these rows and their examples as they are stored."""
        x = tf.cast(tf.ensure_shape(x, [self.batch_size, *self.event_shape]), self._dtype)
        if self.stored_dtype == np.uint8:
            x /= 255.0
        columns = {name: tf.gather(column, index) for name, column in self._columns.items()}
        return {"x": x, "index": index, **columns}

    def _as_seen(self, x: np.ndarray) -> np.ndarray:
        """Returns examples as models see them of examples as they are stored."""
        seen = x.astype(self._dtype.as_numpy_dtype)
        return seen / np.float32(255) if x.dtype == np.uint8 else seen
