"""What `fit` and `evaluate` accept, brought to one form: batches that are dictionaries."""

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfgen.core import specs
from tfgen.core.checks import Shaped, expected
from tfgen.data.examples import Batch, Examples
from tfgen.data.image_checks import check_images

DEFAULT_BATCH_SIZE = 32
"""Of arrays."""

SCALES = {
    "images": (
        (-0.5, 1.5, "tf.clip_by_value({}, 0, 1)"),
        (0, 255, "{} / 255"),
        (-1, 1, "({} + 1) / 2"),
    ),
    "audio": ((-1.5, 1.5, "tf.clip_by_value({}, -1, 1)"), (-(2**15), 2**15, "{} / 2**15")),
}
"""Other scales that values have, and how they become those of the library: low, high, change."""


def as_batch(data: Any, name: str = "label") -> Batch:
    """Returns training data as a dictionary with the key "x".

    Args:
        data: a dictionary, a tensor [batch, *event], `(x,)`, `(x, y)` or `(x, {name: y, ...})`; the
            first of a tuple may be a dictionary.
        name: what a bare `y` is called.

    Raises:
        ValueError: when a dictionary has no "x", or a tuple a third part, weights of the examples.
    """
    x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
    if weight is not None:
        raise ValueError(expected("batches (x, y) without weights of the examples", "a third part"))
    batch = dict(x) if isinstance(x, Mapping) else {"x": x}
    if "x" not in batch:
        raise ValueError(expected("batches with the key 'x'", sorted(batch)))
    if y is not None:
        batch |= y if isinstance(y, Mapping) else {name: y}
    return batch


def as_examples(x: Any, y: Any, batch_size: int | None, seed: int, name: str = "label") -> Any:
    """Returns arrays as Examples, a PyDataset as a dataset, and anything else as it is.

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
        size = DEFAULT_BATCH_SIZE if batch_size is None else batch_size
        return Examples(x, labels, batch_size=size, seed=seed, columns=columns)
    if y is not None or batch_size is not None:
        raise ValueError(expected("`y` and `batch_size` only with arrays", type(x)))
    return _as_dataset(x) if isinstance(x, keras.utils.PyDataset) else x


def _as_dataset(data: keras.utils.PyDataset) -> tf.data.Dataset:
    """Returns the batches of a PyDataset, one after the other, as a dataset."""

    count = data.num_batches
    if count is None:
        raise ValueError(expected("a PyDataset of a known number of batches", None))

    def batches() -> Iterator[Any]:
        yield from (data[index] for index in range(count))
        data.on_epoch_end()

    def spec(value: Any) -> tf.TensorSpec:
        value = tf.convert_to_tensor(value)
        return tf.TensorSpec([None, *value.shape[1:]], value.dtype)

    signature = keras.tree.map_structure(spec, data[0])
    stream = tf.data.Dataset.from_generator(batches, output_signature=signature)
    return stream.apply(tf.data.experimental.assert_cardinality(count))


def element_spec(data: Any, event: tf.TensorSpec, conditions: Mapping[str, tf.TensorSpec]) -> Any:
    """Returns the specification of the batches of a dataset or of Examples.

    Args:
        data: those, or what is to be refused.
        event: the specification of one example, that the model has.
        conditions: the specification of each condition, by name.

    Raises:
        TypeError: when the data are neither; it says how to make a dataset of other data.
        ValueError: when a dataset is known to be empty.
    """
    if isinstance(data, tf.data.Dataset) and data.cardinality() == 0:
        raise ValueError(expected("a dataset of at least one batch", "an empty dataset"))
    if not isinstance(data, Examples | tf.data.Dataset):
        made = f"tf.data.Dataset.from_generator(batches, output_signature={_text(event)})"
        if conditions:
            each = ", ".join(f'"{name}": {_text(spec)}' for name, spec in conditions.items())
            made = made.replace(_text(event), f"({_text(event)}, {{{each}}})")
        what = (
            f"what tfgen.data.load returned, an array or a tf.data.Dataset ({made} is one, where "
            "batches() returns a new generator each time)"
        )
        raise TypeError(expected(what, type(data)))
    return data.element_spec


def _text(spec: tf.TensorSpec) -> str:
    return f"tf.TensorSpec({[None, *spec.shape]}, tf.{spec.dtype.name})"


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
    _check_type(spec["x"].dtype, event)
    if not spec["x"].shape.is_compatible_with([None, *event.shape]):
        found, made = tuple(spec["x"].shape[1:]), tuple(event.shape)
        mend = ""
        if (*found[1:], *found[:1]) == made:
            mend = " (np.moveaxis(x, 1, -1) puts the channels of images last)"
        elif examples is None and spec["x"].shape.as_list() == event.shape.as_list():
            mend = " (data.batch(32, drop_remainder=True) makes batches of a dataset)"
        raise ValueError(expected(f"examples of shape {made}, as the model makes{mend}", found))
    for name, condition in conditions.items():
        if name not in spec:
            how = "fit(x, labels) gives it" if name == "label" else f"fit(x, {{{name!r}: ...}})"
            what = f"batches with the key {name!r} ({how}): the model is conditional"
            raise ValueError(expected(what, sorted(spec)))
        specs.check_spec(spec[name], condition, name)
    if examples is None:
        return
    if examples.in_memory:  # The values of others were checked when they were loaded.
        _check_examples(examples.x, event)
    for name, condition in conditions.items():
        specs.check_values(examples.columns[name], condition, name)


def check_first_batch(
    data: Any, event: tf.TensorSpec, conditions: Mapping[str, tf.TensorSpec], name: str
) -> None:
    """Raises ValueError unless the first batch of a dataset holds values such as a model takes.

    Args:
        data: the batch, as the dataset gives it, such as `check_batches` accepts.
        event, conditions: as for `check_batches`.
        name: what a bare `y` is called.
    """
    batch = as_batch(data, name)
    x = np.asarray(batch["x"])
    if x.dtype != np.uint8:
        _check_scale(x, event, data)
        _check_examples(x, event)
        specs.check_values(x, event, event.name)
    for name, condition in conditions.items():
        specs.check_values(np.asarray(batch[name]), condition, name)


def as_event(x: Any, event: tf.TensorSpec) -> tf.Tensor:
    """Returns the examples of a batch as floats of a model's type, bytes in [0, 1].

    Integers, which are checked before they are cast, are returned as they are where the model takes
    integers.
    """
    x = tf.convert_to_tensor(x)
    if event.dtype.is_integer or x.dtype == event.dtype:
        return x
    floats = tf.cast(x, event.dtype)
    return floats / 255 if x.dtype == tf.uint8 else floats


def _check_type(given: tf.DType, event: tf.TensorSpec) -> None:
    """Raises TypeError unless examples of a type can be made what a model takes."""
    if event.dtype.is_integer:
        # Integers of other types are checked, and cast, batch by batch.
        fits, hint = given.is_integer, " (an array of uint8 stands for fractions)"
    elif _is_image(event):
        fits, hint = given.is_floating or given == tf.uint8, " in [0, 1], or uint8 in [0, 255]"
    else:
        fits, hint = given.is_floating, ""
    if not fits:
        raise TypeError(expected(f"{event.dtype.name} examples{hint}", given.name))


def _is_image(event: tf.TensorSpec) -> bool:
    """Tells whether examples are images, also of other channels than those that have a name."""
    return specs.is_image(event) or (event.name == "examples" and len(event.shape) == 3)


def _check_examples(x: np.ndarray, event: tf.TensorSpec) -> None:
    """Raises TypeError or ValueError unless the values of examples are such as a model takes."""
    if _is_image(event):
        check_images(x)
    elif specs.bounds(event) and x.dtype != np.uint8:
        specs.check_values(x, event, event.name)


def _check_scale(x: np.ndarray, event: tf.TensorSpec, data: Any) -> None:
    """Raises ValueError, with the line to write, when the first batch has a known other scale."""
    noun = "images" if _is_image(event) else event.name
    if noun not in SCALES or not x.size:
        return
    (low, high), least, most = specs.RANGES[noun], float(x.min()), float(x.max())
    if low <= least and most <= high:
        return
    for lowest, highest, change in SCALES[noun]:
        if lowest <= least and most <= highest:
            what = f"`{noun}` in [{low:g}, {high:g}] ({_mapped(data, change)} makes them so)"
            raise ValueError(expected(what, f"{least:g} to {most:g} in the first batch"))


def _mapped(data: Any, change: str) -> str:
    """Returns the line that changes the examples of a dataset whose batches are like one."""
    if isinstance(data, Mapping):
        return f"data.map(lambda batch: {_changed(data, 'batch', change)})"
    if not isinstance(data, tuple):
        return f"data.map(lambda x: {_changed(data, 'x', change)})"
    names = ["x", "y", "weight"][: len(data)]
    made = ", ".join([_changed(data[0], "x", change), *names[1:]])
    return f"data.map(lambda {', '.join(names)}: ({made}{',' if len(data) == 1 else ''}))"


def _changed(data: Any, name: str, change: str) -> str:
    if isinstance(data, Mapping):
        return f'{{**{name}, "x": {change.format(name + """["x"]""")}}}'
    return change.format(name)
