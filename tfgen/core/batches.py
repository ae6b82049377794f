"""What `fit` and `evaluate` accept, brought to one form: batches that are dictionaries."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfgen.core.checks import expected
from tfgen.core.examples import Batch, Examples


def as_batch(data: Any) -> Batch:
    """Returns training data as a dictionary with the key "x".

    Accepts a dictionary, a tensor, `(x,)` and `(x, label)`; the first of a tuple may be a
    dictionary.
    """
    x, label, _ = keras.utils.unpack_x_y_sample_weight(data)
    batch = dict(x) if isinstance(x, Mapping) else {"x": x}
    if "x" not in batch:
        raise ValueError(expected("batches with the key 'x'", sorted(batch)))
    if label is not None:
        batch["label"] = label
    return batch


def as_examples(x: Any, y: Any, batch_size: int | None, seed: int) -> Any:
    """Returns arrays as Examples, and anything else as it is."""
    if hasattr(x, "shape") and hasattr(x, "dtype"):
        return Examples(x, y, batch_size=32 if batch_size is None else batch_size, seed=seed)
    if y is not None or batch_size is not None:
        raise ValueError(expected("`y` and `batch_size` only with arrays", type(x)))
    return x


def element_spec(data: Any) -> Any:
    if not hasattr(data, "element_spec"):
        raise TypeError(
            expected("what tfgen.data.load returned, an array or a tf.data.Dataset", type(data))
        )
    if isinstance(data, tf.data.Dataset) and data.cardinality() == 0:
        raise ValueError(expected("a dataset of at least one batch", "an empty dataset"))
    return data.element_spec
