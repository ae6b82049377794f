"""Training data in memory, in an order that depends on the seed and the epoch alone."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfgen.core.checks import check_integer, check_seed, expected

Batch = dict[str, tf.Tensor]


class Examples:
    """Examples in memory, with labels or other columns or without, and the batches made of them.

    They are kept as they are stored, one byte a value as uint8 and four as float32, once, whatever
    the number of datasets made from them: 60,000 x 28 x 28 x 1 uint8 images are 47 MB, 200,000 x 64
    x 64 x 3 are 2.5 GB.

    Every epoch visits the examples in an order that depends on the seed and the number of the epoch
    alone, and leaves out the last `num_examples % batch_size` of them, others in each epoch.
    Training that is resumed at epoch k therefore sees the batches of an uninterrupted run.

    Args:
        x: [num_examples, *event], uint8 in [0, 255], which stands for [0, 1], finite floats, or
            other integers, such as tokens, within int32; copied.
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
        x: [num_examples, *event], uint8, float32 or int32, read-only.
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
        x = checked_examples(np.asarray(x))
        check_batch_size(batch_size, len(x))
        check_seed("seed", seed)
        if class_names is not None:
            num_classes = _count_names(class_names, num_classes)
        if labels is not None:
            labels = check_labels(labels, len(x), num_classes)
            num_classes = num_classes or int(labels.max()) + 1
        self.batch_size = int(batch_size)
        self.seed = int(seed)
        self.num_classes = None if labels is None else num_classes
        self.class_names = tuple(class_names) if class_names is not None else None
        self.name = name
        self.split = split
        # The arrays are views of the tensors, so that the examples are in memory once.
        self._x, self.x = _on_host(x)
        found = _checked_columns(columns or {}, len(x))
        if labels is not None:
            found["label"] = labels
        hosted = {key: _on_host(column) for key, column in found.items()}
        self._columns = {key: tensor for key, (tensor, _) in hosted.items()}
        self.columns = {key: array for key, (_, array) in hosted.items()}
        self._round = (self.num_examples, 1)

    @property
    def labels(self) -> np.ndarray | None:
        """The label of each example, int64 [num_examples], if they have labels."""
        return self.columns.get("label")

    @property
    def num_examples(self) -> int:
        """How many examples there are."""
        return len(self.x)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one example; (height, width, channels) of an image."""
        return self.x.shape[1:]

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
        return tf.int32 if self._x.dtype == tf.int32 else tf.float32

    def __len__(self) -> int:
        return self.num_examples

    def __repr__(self) -> str:
        shape = "x".join(str(size) for size in self.event_shape)
        return (
            f"Examples(name={self.name!r}, split={self.split!r}, num_examples={self.num_examples}, "
            f"x={shape} {self.x.dtype}, num_classes={self.num_classes}, "
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
            the rows of `self.x` they are, and each column, such as "label" int64 [batch]. Under
            tf.distribute every replica gets other rows of the same batch.

        Raises:
            TypeError: when `first_epoch` is not an integer.
            ValueError: when it is negative.
        """
        check_integer("first_epoch", first_epoch, minimum=0)
        epochs = tf.data.Dataset.range(first_epoch, tf.int64.max)
        batches = epochs.flat_map(self._batch_indices)
        return batches.map(self._gather).prefetch(2).with_options(_options())

    def as_float(self, index: Any = slice(None)) -> np.ndarray:
        """Returns examples as models see them, [n, *event]: float32, uint8 scaled to [0, 1], int32.

        Args:
            index: a slice or integers [n]; all examples unless given.
        """
        x = self.x[index].astype(self._dtype.as_numpy_dtype)
        return x / np.float32(255) if self.x.dtype == np.uint8 else x

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

    def _members(self, epoch: tf.Tensor) -> tf.Tensor:
        subset_size, num_epochs = self._round
        rows = tf.range(self.num_examples, dtype=tf.int64)
        if subset_size == self.num_examples:
            return rows
        return self._shuffled(rows, epoch // num_epochs, use=1)[:subset_size]

    def _shuffled(self, rows: tf.Tensor, number: tf.Tensor, use: int) -> tf.Tensor:
        """Returns a permutation of rows for one of two uses, by the number of an epoch or round."""
        seed = tf.stack([tf.constant(2 * self.seed + use, tf.int64), number])
        return tf.random.experimental.stateless_shuffle(rows, seed, alg="philox")

    def _batch_indices(self, epoch: tf.Tensor) -> tf.data.Dataset:
        """Returns the rows of each batch of an epoch, int64 [batch_size] an element."""
        rows = self._shuffled(self._members(epoch), epoch, use=0)
        shape = [self.steps_per_epoch, self.batch_size]
        return tf.data.Dataset.from_tensor_slices(tf.reshape(rows[: shape[0] * shape[1]], shape))

    def _gather(self, index: tf.Tensor) -> Batch:
        """Returns the batch made of these rows."""
        x = tf.cast(tf.gather(self._x, index), self._dtype)
        if self._x.dtype == tf.uint8:
            x /= 255.0
        columns = {name: tf.gather(column, index) for name, column in self._columns.items()}
        return {"x": x, "index": index, **columns}


def check_batch_size(batch_size: int, num_examples: int) -> None:
    """Raises TypeError or ValueError unless there are enough examples for a batch."""
    check_integer("batch_size", batch_size)
    if num_examples < batch_size:
        raise ValueError(
            expected(f"at least {batch_size} examples, one batch", f"{num_examples} examples")
        )


def checked_examples(x: np.ndarray) -> np.ndarray:
    """Returns examples as uint8, int32 or float32.

    Raises:
        TypeError: if they are no integers or floating point numbers.
        ValueError: if they are empty, not finite or out of range.
    """
    if x.dtype.kind not in "uif":
        raise TypeError(expected("examples that are integers or floating point numbers", x.dtype))
    if x.ndim < 2 or x.size == 0:
        raise ValueError(expected("examples [num_examples, *event], none empty", x.shape))
    if x.dtype == np.uint8:
        return x
    if x.dtype.kind == "f":
        return _finite(x, "example")
    if x.min() < np.iinfo(np.int32).min or x.max() > np.iinfo(np.int32).max:
        raise ValueError(expected("integers within int32", f"{x.min()} to {x.max()}"))
    return x.astype(np.int32, copy=False)


def _finite(x: np.ndarray, what: str) -> np.ndarray:
    """Returns floats as float32, or raises ValueError, naming the first that is not finite."""
    finite = np.isfinite(x).reshape(len(x), -1).all(axis=1)
    if not finite.all():
        received = f"NaN or infinity in {what} {finite.argmin()}"
        raise ValueError(expected(f"finite {what}s", received))
    return x.astype(np.float32, copy=False)


def _checked_columns(columns: Mapping[str, Any], num_examples: int) -> dict[str, np.ndarray]:
    """Returns columns as int64 and float32, or raises."""
    found = {}
    for name, column in columns.items():
        column = np.asarray(column)
        if name in ("x", "index"):
            raise ValueError(expected("columns of other names than 'x' and 'index'", repr(name)))
        if column.dtype.kind not in "uif":
            raise TypeError(expected(f"`{name}` of numbers", f"dtype {column.dtype}"))
        if column.shape[:1] != (num_examples,):
            what = f"`{name}` of {num_examples} rows, one for each example"
            raise ValueError(expected(what, f"shape {column.shape}"))
        is_float = column.dtype.kind == "f"
        found[name] = _finite(column, name) if is_float else column.astype(np.int64)
    return found


def check_labels(labels: Any, num_examples: int, num_classes: int | None = None) -> np.ndarray:
    """Returns the labels as int64 [num_examples].

    Raises:
        TypeError: if the labels are not integers.
        ValueError: if there is not one for each example, or one is not in [0, num_classes).
    """
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iu":
        raise TypeError(expected("`labels` to be integers", f"dtype {labels.dtype}"))
    if labels.shape != (num_examples,):
        what = f"one label for each example, shape ({num_examples},)"
        raise ValueError(expected(what, f"`labels` of shape {labels.shape}"))
    outside = (labels < 0) | (labels >= (num_classes or np.inf))
    if outside.any():
        first = int(outside.argmax())
        what = f"labels in [0, {num_classes})" if num_classes else "labels >= 0"
        raise ValueError(expected(what, f"{labels[first]} for example {first}"))
    return labels.astype(np.int64)


def _count_names(class_names: Sequence[str], num_classes: int | None) -> int:
    """Returns the number of names; raises ValueError if it is not the number of classes."""
    if num_classes not in (None, len(class_names)):
        what = f"a name for each of {num_classes} classes"
        raise ValueError(expected(what, f"{len(class_names)} `class_names`"))
    return len(class_names)


def _on_host(values: np.ndarray) -> tuple[tf.Tensor, np.ndarray]:
    """Returns a tensor in main memory, where input pipelines run, and a view of it."""
    with tf.device("CPU:0"):
        tensor = tf.convert_to_tensor(values)
    return tensor, np.asarray(tensor)


def _options() -> tf.data.Options:
    """Returns options that keep the order, and split batches rather than files among workers."""
    options = tf.data.Options()
    options.deterministic = True
    # Rewriting the graph copies the examples that it captured, once for every iterator.
    options.experimental_optimization.apply_default_optimizations = False
    # An iterator that is autotuned waits for its tuner, up to seconds, when it is destroyed.
    options.autotune.enabled = False
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return options
