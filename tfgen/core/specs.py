"""What tensors hold: shape, type, range and name, from which checks, serving and tests follow.

A specification is that of one row: the batch axis is not in it.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfgen.core.checks import check_integer, expected

IMAGE_CHANNELS = (1, 3, 4)
_TINY = float(np.finfo(np.float32).tiny)
RANGES = {"images": (0.0, 1.0), "audio": (-1.0, 1.0)}
"""Of the values of examples that have one, by their noun."""


class BoundedSpec(tf.TensorSpec):
    """A `tf.TensorSpec` whose values lie in an interval, both ends included.

    Args:
        shape, dtype, name: as of a `tf.TensorSpec`.
        minimum, maximum: of each value.
    """

    __slots__ = ("maximum", "minimum")

    def __init__(
        self, shape: Any, dtype: tf.DType, name: str, minimum: float, maximum: float
    ) -> None:
        super().__init__(shape, dtype, name)
        self.minimum = minimum
        self.maximum = maximum

    def __reduce__(self) -> tuple:
        return type(self), (self.shape, self.dtype, self.name, self.minimum, self.maximum)

    def __eq__(self, other: object) -> bool:
        return bool(super().__eq__(other)) and bounds(self) == bounds(other)

    def __hash__(self) -> int:
        return super().__hash__()

    @property
    def num_values(self) -> int:
        """How many integers there are in the interval."""
        return int(self.maximum) - int(self.minimum) + 1


def event_spec(
    shape: Any, dtype: tf.DType = tf.float32, num_values: int | None = None, name: str | None = None
) -> tf.TensorSpec:
    """Returns the specification of an example, named by the noun that serving uses.

    Args:
        shape: of one example.
        dtype: float32, or an integer type for tokens and codes.
        num_values: of integers, which are in [0, num_values); not of floats.
        name: "images", float [height, width, channels] in [0, 1]; "audio", float [time, channels]
            in [-1, 1]; "tokens", integers; "points", vectors of floats; "examples", anything else.
            By its shape and type unless given; audio has to be named.

    Raises:
        TypeError: when `dtype` is another, or `num_values` is not an integer, which integers need.
        ValueError: when `num_values` is not > 0, or given for floats.

    >>> event_spec((28, 28, 1)).name, event_spec((2,)).name, event_spec((9,), tf.int32, 4).name
    ('images', 'points', 'tokens')
    """
    shape, dtype = tf.TensorShape(shape), tf.as_dtype(dtype)
    if dtype.is_integer:
        check_integer("num_values", num_values)
        return BoundedSpec(shape, dtype, name or "tokens", 0, num_values - 1)
    if dtype != tf.float32:
        raise TypeError(expected("`dtype`, float32 or of integers", dtype.name))
    if num_values is not None:
        raise ValueError(expected("`num_values` for integers only", num_values))
    if name is None:
        name = "points" if len(shape) == 1 else "examples"
        if len(shape) == 3 and shape[-1] in IMAGE_CHANNELS:
            name = "images"
    if name in RANGES:
        return BoundedSpec(shape, dtype, name, *RANGES[name])
    return tf.TensorSpec(shape, dtype, name)


def label_spec(num_classes: int, name: str = "label") -> BoundedSpec:
    """Returns the specification of a label, int64 in [0, num_classes)."""
    check_integer("num_classes", num_classes)
    return BoundedSpec((), tf.int64, name, 0, num_classes - 1)


def positive_spec(name: str) -> BoundedSpec:
    """Returns the specification of a float32 > 0, such as a temperature."""
    return BoundedSpec((), tf.float32, name, _TINY, tf.float32.max)


def latent_spec(dim: int) -> tf.TensorSpec:
    """Returns the specification of a latent vector, float32 [dim]."""
    return tf.TensorSpec([dim], tf.float32, "z")


def is_image(spec: tf.TensorSpec) -> bool:
    """Tells whether an example is an image, float [height, width, channels] in [0, 1]."""
    return spec.name == "images"


def bounds(spec: tf.TensorSpec) -> tuple[float, float] | None:
    """Returns the interval of the values, None when they are not bounded."""
    return (spec.minimum, spec.maximum) if isinstance(spec, BoundedSpec) else None


def by_name(nest: Any, name: str) -> dict[str, Any]:
    """Returns a nest by the names of its parts: `name` alone, else with a number or a key.

    >>> by_name(3, "z"), by_name((3, 4), "z"), by_name({"top": 3}, "z")
    ({'z': 3}, {'z_0': 3, 'z_1': 4}, {'z_top': 3})
    """
    if isinstance(nest, Mapping):
        # As Keras takes it apart.
        keys = nest if isinstance(nest, OrderedDict) else sorted(nest)
        parts = {key: nest[key] for key in keys}
    elif isinstance(nest, tuple | list):
        parts = dict(enumerate(nest))
    else:
        return {name: nest}
    named = [by_name(part, f"{name}_{key}") for key, part in parts.items()]
    return {key: part for each in named for key, part in each.items()}


def like_nest(nest: Any, parts: list) -> Any:
    """Returns parts in the structure of a nest of specifications."""
    return keras.tree.pack_sequence_as(nest, parts)


def batched(spec: tf.TensorSpec, name: str | None = None) -> tf.TensorSpec:
    """Returns the specification of a batch of unknown size."""
    return tf.TensorSpec([None, *spec.shape], spec.dtype, name or spec.name)


def rows(spec: tf.TensorSpec, num_rows: int) -> tf.Tensor:
    """Returns rows that agree with a specification: each value in the middle of its interval."""
    low, high = bounds(spec) or (0, 0)
    middle = (low + high) // 2 if spec.dtype.is_integer else (low + high) / 2
    return tf.fill([num_rows, *spec.shape], tf.cast(middle, spec.dtype))


def checked(value: Any, spec: tf.TensorSpec, name: str) -> tf.Tensor:
    """Returns rows as a tensor of a specification's type, or raises.

    Where values are not known, in a graph, they are checked when it runs; XLA drops that check.

    Args:
        value: [batch, *spec.shape], of the kind of the specification: integers or floats.
        spec: of a row.
        name: what messages call the value.

    Raises:
        TypeError: when it is of another kind.
        ValueError: when it has another shape, or a value is not finite or out of range.
        tf.errors.InvalidArgumentError: in a graph, for values.
    """
    value = _like(value, spec, name)
    # Integers may be out of the range of the type that they are cast to.
    known = as_int64(value) if spec.dtype.is_integer else tf.cast(value, spec.dtype)
    if tf.executing_eagerly():
        check_values(known.numpy(), spec, name)
        return tf.cast(value, spec.dtype)
    fine = tf.reduce_all(_allowed(known, spec))
    received = [expected(f"`{name}` {_range(spec)}", "from"), tf.reduce_min(known)]
    assertion = tf.debugging.Assert(fine, [*received, "to", tf.reduce_max(known)])
    with tf.control_dependencies([assertion]):
        return tf.cast(tf.identity(value), spec.dtype)  # A cast to the same type is no operation.


def with_all(value: tf.Tensor, allowed: tf.Tensor, what: str) -> tf.Tensor:
    """Returns a tensor of floats of which each number is allowed, or raises.

    Args:
        value: of any shape.
        allowed: bool, of the same shape; comparisons with NaN are false.
        what: messages expect, beside the largest number that is not allowed.

    Raises:
        ValueError: when a number is not allowed.
        tf.errors.InvalidArgumentError: in a graph, when it runs; XLA drops that check.
    """
    fine, wrong = tf.reduce_all(allowed), tf.reduce_max(tf.where(allowed, value.dtype.min, value))
    if tf.executing_eagerly():
        if not fine:
            raise ValueError(expected(what, f"{float(wrong):g}"))
        return value
    with tf.control_dependencies([tf.debugging.Assert(fine, [expected(what, "at most"), wrong])]):
        return tf.identity(value)


def as_int64(value: tf.Tensor) -> tf.Tensor:
    """Returns integers of any type as int64; those beyond it become the largest."""
    if value.dtype == tf.uint64:
        value = tf.minimum(value, tf.constant(tf.int64.max, tf.uint64))
    return tf.cast(value, tf.int64)


def with_shape(value: Any, spec: tf.TensorSpec, name: str) -> tf.Tensor:
    """Returns rows as a tensor of a specification's type, of which only type and shape are checked.

    Args:
        value, spec, name: as for `checked`.

    Raises:
        TypeError: when it is of another kind.
        ValueError: when it has another shape.
    """
    return tf.cast(_like(value, spec, name), spec.dtype)


def _like(value: Any, spec: tf.TensorSpec, name: str) -> tf.Tensor:
    """Returns rows as a tensor, of the kind and shape of a specification, or raises."""
    try:
        value = tf.convert_to_tensor(value)
    except (TypeError, ValueError) as error:
        raise TypeError(expected(f"`{name}`, an array or a tensor", repr(value))) from error
    check_spec(value, spec, name)
    return value


def check_spec(given: Any, spec: tf.TensorSpec, name: str) -> None:
    """Raises unless rows are of the kind and shape of a specification.

    Args:
        given: a tensor [batch, ...], or the specification of one.
        spec: of a row.
        name: what messages call it.

    Raises:
        TypeError: when it is of another kind, integers or floats.
        ValueError: when it has another shape.
    """
    fits = given.dtype.is_integer if spec.dtype.is_integer else given.dtype.is_floating
    if not fits:
        kind = "integers" if spec.dtype.is_integer else "floats"
        raise TypeError(expected(f"`{name}` of {kind}", given.dtype.name))
    if not given.shape.is_compatible_with([None, *spec.shape]):
        what = f"`{name}` of shape {_shape_text(spec)}"
        raise ValueError(expected(what, f"shape {tuple(given.shape)}"))


def check_values(value: np.ndarray, spec: tf.TensorSpec, name: str) -> None:
    """Raises ValueError unless all values of rows are finite and in range; names the first row.

    Args:
        value, spec, name: as for `checked`.
    """
    allowed = _allowed(value, spec)
    if not np.all(allowed):
        bad = int(np.argmin(np.reshape(allowed, [len(value), -1]).all(axis=1)))
        wrong = np.asarray(value[bad])[~np.asarray(allowed[bad])]
        raise ValueError(expected(f"`{name}` {_range(spec)}", f"{wrong.flat[0]} in row {bad}"))


def _allowed(value: Any, spec: tf.TensorSpec) -> Any:
    """Returns which values are finite and in range; comparisons with NaN are false."""
    low, high = bounds(spec) or (spec.dtype.min, spec.dtype.max)
    return (value >= low) & (value <= high)


def _range(spec: tf.TensorSpec) -> str:
    if bounds(spec) is None:
        return "to be finite numbers"
    if spec.minimum == _TINY:
        return "to be finite numbers > 0"
    if spec.dtype.is_integer:
        return f"in [{spec.minimum}, {spec.maximum + 1})"
    return f"in [{spec.minimum:g}, {spec.maximum:g}]"


def _shape_text(spec: tf.TensorSpec) -> str:
    return "[" + ", ".join(["batch", *(str(size) for size in spec.shape)]) + "]"


def as_conditions(
    given: Any, specs: Mapping[str, tf.TensorSpec], num_rows: int | None = None
) -> dict[str, tf.Tensor]:
    """Returns conditions by name, checked.

    Args:
        given: a mapping of all or some names, a bare value where there is one name, or None.
        specs: of the conditions that a model takes.
        num_rows: how many rows each must have, where that is known.

    Raises:
        TypeError, ValueError: when a condition is unknown or does not agree with its specification.
    """
    if given is None or (isinstance(given, Mapping) and not given):
        return {}
    if not specs:
        raise ValueError(expected("no `condition`: the model is unconditional", given))
    if not isinstance(given, Mapping):
        if len(specs) > 1:
            raise TypeError(expected(f"`condition`, a mapping with keys {sorted(specs)}", given))
        given = dict.fromkeys(specs, given)
    if unknown := sorted(set(given) - set(specs)):
        raise ValueError(expected(f"conditions among {sorted(specs)}", unknown))
    found = {name: checked(value, specs[name], name) for name, value in given.items()}
    for name, value in found.items():
        if num_rows is not None and value.shape[0] not in (None, num_rows):
            raise ValueError(expected(f"`{name}` of {num_rows} rows", f"{value.shape[0]} rows"))
    return found


def check_same_rows(parts: Mapping[str, tf.Tensor]) -> None:
    """Raises ValueError unless tensors have as many rows as each other, as far as that is known."""
    counts = {name: part.shape[0] for name, part in parts.items() if part.shape[0] is not None}
    if len(set(counts.values())) > 1:
        raise ValueError(expected(f"as many rows of each of {list(parts)}", counts))


def check_some_rows(rows: tf.Tensor, name: str) -> None:
    """Raises ValueError when there are no rows, as far as that is known."""
    if rows.shape[0] == 0:
        raise ValueError(expected(f"at least one row of `{name}`", f"shape {tuple(rows.shape)}"))


def check_result(value: Any, spec: tf.TensorSpec, method: str) -> None:
    """Raises ValueError or TypeError unless a model's method returned rows of a specification."""
    if value is None:
        raise TypeError(expected(f"`{method}` to return a tensor", None))
    check_spec(tf.convert_to_tensor(value), spec, f"what {method} returns")


def check_names(event: tf.TensorSpec, conditions: Mapping[str, tf.TensorSpec]) -> None:
    """Raises ValueError when a condition has the name of something else in a batch or a request."""
    taken = {"x", "index", "seed", "mask", "temperature", event.name}
    wrong = [name for name in conditions if name in taken or name.split("_")[0] == "z"]
    if wrong:
        raise ValueError(expected(f"conditions of other names than {sorted(taken)} and z", wrong))


def check_all_given(given: Mapping[str, Any], specs: Mapping[str, tf.TensorSpec]) -> None:
    """Raises ValueError when a condition is missing."""
    if missing := sorted(set(specs) - set(given)):
        what = f"`condition` with {missing}: the model is conditional"
        raise ValueError(expected(what, sorted(given) or None))
