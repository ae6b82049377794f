"""What examples, their labels and their other columns must be."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfgen.core.checks import check_integer, expected


def check_batch_size(batch_size: int, num_examples: int) -> None:
    """Raises TypeError or ValueError unless there are enough examples for a batch."""
    check_integer("batch_size", batch_size)
    if num_examples < batch_size:
        received = f"{num_examples} examples, and batch_size={batch_size}"
        raise ValueError(expected(f"at least {batch_size} examples, one batch", received))


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


def checked_columns(columns: Mapping[str, Any], num_examples: int) -> dict[str, np.ndarray]:
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


def count_names(class_names: Sequence[str], num_classes: int | None) -> int:
    """Returns the number of names; raises ValueError if it is not the number of classes."""
    if num_classes not in (None, len(class_names)):
        what = f"a name for each of {num_classes} classes"
        raise ValueError(expected(what, f"{len(class_names)} `class_names`"))
    return len(class_names)
