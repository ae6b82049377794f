"""Several networks as one: each row through one of them, or through each."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from tfgen.core.checks import check_rank, expected
from tfgen.core.config import Configurable, output_shape, register
from tfgen.training.keras_compat import flatten_layers

Shape = Sequence[int | None]


class _Members(Configurable, keras.layers.Layer):
    """Base of the layers over members of one shape, each with weights of its own."""

    def __init__(self, members: Sequence[keras.layers.Layer], **kwargs: object) -> None:
        # The members compute as they are told; what chooses among them must not be rounded.
        super().__init__(**{"dtype": "float32", "autocast": False, **kwargs})
        members = list(members)
        if not members or not all(isinstance(member, keras.layers.Layer) for member in members):
            raise ValueError(expected("`members`, at least one layer", members))
        if len({id(member) for member in members}) < len(members):
            raise ValueError(expected("`members` with weights of their own", "one layer twice"))
        self.members = members

    def _member_shape(self, input_shape: Shape) -> Shape:
        """Returns the shape of what a member gets."""
        return tuple(input_shape)

    def build(self, input_shape: Shape) -> None:
        """Makes the weights of all members."""
        shape = self._member_shape(input_shape)
        shapes = {output_shape(member, shape) for member in self.members}
        if len(shapes) > 1:
            raise ValueError(expected("`members` with outputs of one shape", sorted(shapes)))
        self.built = True


@register
class OneOf(_Members):
    """Sends each row through one of its members, which the row's first number chooses.

    (u, rest) -> members[floor(u * len(members))](rest), [batch, 1 + d] -> the outputs of members
    for [batch, d]. As a generator, with u uniform on [0, 1), this is an equal mixture of generators
    that costs as much as one of them.

    Args:
        members: layers with outputs of one shape, without batch normalisation: there may be no row
            in a batch for one of them.

    Raises:
        ValueError: when members are not as described.
    """

    def __init__(self, members: Sequence[keras.layers.Layer], **kwargs: object) -> None:
        super().__init__(members, **kwargs)
        for layer in flatten_layers(self, include_self=False):
            if isinstance(layer, keras.layers.BatchNormalization):
                raise ValueError(expected("`members` without batch normalisation", layer.name))

    def _member_shape(self, input_shape: Shape) -> Shape:
        check_rank("inputs", input_shape, 2, "[batch, 1 + d]")
        return (input_shape[0], input_shape[1] - 1)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns each row's output, in the order of the rows."""
        count = len(self.members)
        chosen = tf.cast(tf.floor(inputs[:, 0] * count), tf.int32)
        chosen = tf.clip_by_value(chosen, 0, count - 1)
        parts = tf.dynamic_partition(inputs[:, 1:], chosen, count)
        outputs = [m(part, training=training) for m, part in zip(self.members, parts, strict=True)]
        # tf.dynamic_stitch would put them in order too, but XLA cannot compile it.
        places = tf.argsort(tf.argsort(chosen, stable=True))
        ordered = tf.gather(tf.concat(outputs, axis=0), places)
        return tf.ensure_shape(ordered, [inputs.shape[0], *outputs[0].shape[1:]])

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns the shape of the members' outputs."""
        return output_shape(self.members[0], self._member_shape(input_shape))


@register
class EachOf(_Members):
    """Sends every row through all members: [batch, ...] -> outputs [batch, len(members), ...].

    As a discriminator it is a committee; losses average over its logits as they do over patches.

    Args:
        members: layers with outputs of one shape.

    Raises:
        ValueError: when members are not as described.
    """

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns the members' outputs side by side."""
        return tf.stack([member(inputs, training=training) for member in self.members], axis=1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns (batch, len(members), ...)."""
        batch, *rest = output_shape(self.members[0], input_shape)
        return (batch, len(self.members), *rest)
