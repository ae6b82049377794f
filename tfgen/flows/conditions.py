"""What flows are conditioned on: labels, and floats by name."""

import math
from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfgen.core import specs
from tfgen.core.checks import check_integer, expected


def condition_specs(
    num_classes: int | None, condition_shapes: Mapping[str, Sequence[int]] | None
) -> dict[str, tf.TensorSpec]:
    """Returns the specifications of labels and of other conditions.

    Args:
        num_classes: of labels, >= 2; None where there are none.
        condition_shapes: of floats, by name; None where there are none.

    Raises:
        TypeError: when a number of classes is not an integer.
        ValueError: when it is below 2, or "label" is among the names.
    """
    found = {}
    if num_classes is not None:
        check_integer("num_classes", num_classes, minimum=2)
        found["label"] = specs.label_spec(num_classes)
    for name, shape in (condition_shapes or {}).items():
        if name == "label":
            raise ValueError(expected("labels by `num_classes`", f"`condition_shapes` of {name!r}"))
        found[name] = tf.TensorSpec(tuple(shape), tf.float32, name)
    return found


def num_features(spec: tf.TensorSpec) -> int:
    """Returns how many numbers a condition is as features: of a label, one for each class."""
    each = spec.num_values if spec.dtype.is_integer else 1
    return each * math.prod(spec.shape)
