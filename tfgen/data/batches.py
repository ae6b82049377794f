"""What `fit` and `evaluate` accept, brought to one form: batches that are dictionaries."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfgen.core import specs
from tfgen.core.checks import Shaped, expected
from tfgen.data.examples import Batch, Examples
from tfgen.data.image_checks import check_images


def as_batch(data: Any, name: str = "label") -> Batch:
    """Returns training data as a dictionary with the key "x".

    Args:
        data: a dictionary, a tensor [batch, *event], `(x,)`, `(x, y)` or `(x, {name: y, ...})`; the
            first of a tuple may be a dictionary.
        name: what a bare `y` is called.

    Raises:
        ValueError: when a dictionary has no "x".
    """
    x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
    batch = dict(x) if isinstance(x, Mapping) else {"x": x}
    if "x" not in batch:
        raise ValueError(expected("batches with the key 'x'", sorted(batch)))
    if y is not None:
        batch |= y if isinstance(y, Mapping) else {name: y}
    return batch


def as_examples(x: Any, y: Any, batch_size: int | None, seed: int, name: str = "label") -> Any:
    """Returns arrays as Examples, and anything else as it is.

    Args:
        x: an array [num_examples, *event], a dictionary of it as "x" and of columns, or other data.
        y: labels, integers [num_examples], of an array, or its columns by name.
        batch_size: of an array; 32 unless given.
        seed: of the order of an array's examples.
        name: what a bare `y` is called.

    Raises:
        TypeError: when an array has a wrong dtype.
        ValueError: when an array is refused by `Examples`, or other data come with `y` or
            `batch_size`.
    """
    if isinstance(x, Mapping) and y is None and isinstance(x.get("x"), Shaped):
        x, y = x["x"], {key: value for key, value in x.items() if key != "x"}
    if isinstance(x, Shaped):
        columns = dict(y) if isinstance(y, Mapping) else {name: y} if y is not None else {}
        labels = columns.pop("label", None)
        size = 32 if batch_size is None else batch_size
        return Examples(x, labels, batch_size=size, seed=seed, columns=columns)
    if y is not None or batch_size is not None:
        raise ValueError(expected("`y` and `batch_size` only with arrays", type(x)))
    return x


def element_spec(data: Any) -> Any:
    """Returns the specification of the batches of a dataset or of Examples.

    Raises:
        TypeError: when the data are neither.
        ValueError: when a dataset is known to be empty.
    """
    if isinstance(data, tf.data.Dataset) and data.cardinality() == 0:
        raise ValueError(expected("a dataset of at least one batch", "an empty dataset"))
    if not isinstance(data, Examples | tf.data.Dataset):
        raise TypeError(
            expected("what tfgen.data.load returned, an array or a tf.data.Dataset", type(data))
        )
    return data.element_spec


def check_batches(
    spec: Batch,
    event: tf.TensorSpec,
    conditions: Mapping[str, tf.TensorSpec],
    examples: Examples | None,
) -> None:
    """Raises unless batches hold examples and conditions such as a model takes.

    Args:
        spec: of the batches.
        event: the specification of one example.
        conditions: the specification of each condition, by name.
        examples: the data, whose values are checked too; None when they are a dataset.

    Raises:
        TypeError: when something has another type.
        ValueError: when something is missing, or has another shape or values out of range.
    """
    # Integers of other types are checked, and cast, batch by batch.
    if spec["x"].dtype != event.dtype and not (
        spec["x"].dtype.is_integer and event.dtype.is_integer
    ):
        raise TypeError(expected(f"{event.dtype.name} examples", spec["x"].dtype.name))
    if not spec["x"].shape.is_compatible_with([None, *event.shape]):
        what = f"examples of shape {tuple(event.shape)}, as the model makes"
        raise ValueError(expected(what, tuple(spec["x"].shape[1:])))
    for name, condition in conditions.items():
        if name not in spec:
            how = "fit(x, labels) gives it" if name == "label" else f"fit(x, {{{name!r}: ...}})"
            what = f"batches with the key {name!r} ({how}): the model is conditional"
            raise ValueError(expected(what, sorted(spec)))
        specs.check_spec(spec[name], condition, name)
    if examples is None:
        return
    if specs.is_image(event) or (event.name == "examples" and len(event.shape) == 3):
        check_images(examples.x)  # Of other channels, too, unless they have a name of their own.
    elif specs.bounds(event) and examples.x.dtype != np.uint8:
        specs.check_values(examples.x, event, event.name)
    for name, condition in conditions.items():
        specs.check_values(examples.columns[name], condition, name)
