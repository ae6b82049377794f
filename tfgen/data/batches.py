"""What `fit` and `evaluate` accept, brought to one form: batches that are dictionaries."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfgen.core.checks import expected
from tfgen.data.examples import Batch, Examples


def as_batch(data: Any) -> Batch:
    """Returns training data as a dictionary with the key "x".

    Args:
        data: a dictionary, a tensor [batch, *event], `(x,)` or `(x, label)`; the first of a tuple
            may be a dictionary.

    Raises:
        ValueError: when a dictionary has no "x".
    """
    x, label, _ = keras.utils.unpack_x_y_sample_weight(data)
    batch = dict(x) if isinstance(x, Mapping) else {"x": x}
    if "x" not in batch:
        raise ValueError(expected("batches with the key 'x'", sorted(batch)))
    if label is not None:
        batch["label"] = label
    return batch


def as_examples(x: Any, y: Any, batch_size: int | None, seed: int) -> Any:
    """Returns arrays as Examples, and anything else as it is.

    Args:
        x: an array [num_examples, *event], or other data.
        y: labels, integers [num_examples], of an array.
        batch_size: of an array; 32 unless given.
        seed: of the order of an array's examples.

    Raises:
        TypeError: when an array has a wrong dtype.
        ValueError: when an array is refused by `Examples`, or other data come with `y` or
            `batch_size`.
    """
    if hasattr(x, "shape") and hasattr(x, "dtype"):
        return Examples(x, y, batch_size=32 if batch_size is None else batch_size, seed=seed)
    if y is not None or batch_size is not None:
        raise ValueError(expected("`y` and `batch_size` only with arrays", type(x)))
    return x


def element_spec(data: Any) -> Any:
    """Returns the specification of the batches of a dataset or of Examples.

    Raises:
        TypeError: when the data are neither.
        ValueError: when a dataset is known to be empty.
    """
    if not hasattr(data, "element_spec"):
        raise TypeError(
            expected("what tfgen.data.load returned, an array or a tf.data.Dataset", type(data))
        )
    if isinstance(data, tf.data.Dataset) and data.cardinality() == 0:
        raise ValueError(expected("a dataset of at least one batch", "an empty dataset"))
    return data.element_spec


def check_examples_like(event_shape: tuple[int, ...], spec: Batch) -> None:
    """Raises unless batches of a specification hold float32 examples of a model's shape.

    Raises:
        TypeError: when they are not float32.
        ValueError: when they have another shape.
    """
    if spec["x"].dtype != tf.float32:
        raise TypeError(expected("float32 examples", spec["x"].dtype.name))
    if tuple(spec["x"].shape[1:]) != event_shape:
        what = f"examples of shape {event_shape}, as the generator makes"
        raise ValueError(expected(what, tuple(spec["x"].shape[1:])))
