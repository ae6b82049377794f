"""A discriminator as penalties see it, and its slopes."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import keras
import tensorflow as tf

from tfgen.core.checks import expected
from tfgen.losses.adversarial import as_logits, mean_logits
from tfgen.training.keras_compat import flatten_layers

_EPSILON = 1e-12
"""Under the root of a norm, so that the gradient of the norm is 0 rather than NaN at slope zero."""


@runtime_checkable
class KnowsFeatures(Protocol):
    """A network that also tells its hidden layers' outputs, as those of `tfgen.networks` do."""

    def features(self, inputs: Any, training: bool = False) -> Sequence[tf.Tensor]:
        """Returns the outputs of hidden layers, in order."""


class Critic:
    """A discriminator as penalties see it: in training mode, and left as it was.

    What calls would do to its state (moving statistics, power iterations, seeds of dropout) is
    dropped, since the points at which penalties look are not examples. The weights get gradients.

    Args:
        network: built; `network(x, training=True)` returns logits, and `network.features`, if it
            has that, a list of tensors.
        labels: int [batch], for a network that takes `(x, labels)`.
    """

    def __init__(self, network: keras.layers.Layer, labels: tf.Tensor | None = None) -> None:
        if not getattr(network, "built", True):
            raise ValueError(expected("a network that is built", network))
        self.network = network
        self.labels = labels

    def __call__(self, x: Any) -> tf.Tensor:
        """Returns the logits of examples, as the network does."""
        with keras.StatelessScope():
            return self.network(self._inputs(x), training=True)

    def features(self, x: Any) -> list[tf.Tensor]:
        """Returns the network's features of examples, layer by layer, and its logits last."""
        layers = []
        if isinstance(self.network, KnowsFeatures):
            with keras.StatelessScope():
                layers = list(self.network.features(self._inputs(x), training=True))
        return [*layers, self(x)]

    @property
    def kernels(self) -> list[keras.Variable]:
        """The trainable weights but biases and gains: those of rank 2 or more."""
        return [v for v in self.network.trainable_variables if len(v.shape) >= 2]

    @property
    def is_synchronized(self) -> bool:
        """Whether calls of the network wait for other replicas, as its batch normalisation may."""
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        return replicas > 1 and any(
            getattr(layer, "synchronized", False) for layer in flatten_layers(self.network)
        )

    def _inputs(self, x: Any) -> Any:
        return x if self.labels is None else (x, self.labels)


def squared_slopes(critic: Callable[[Any], tf.Tensor], x: Any, summed: bool = False) -> tf.Tensor:
    """Returns ||grad D(x)||^2 over all parts of each example together, float32 [batch].

    The slope of an example with several logits is that of their mean, or of their sum.
    Squares and sums are float32 whatever the network computes in.

    Args:
        critic: examples -> logits, which may depend on the other examples of a batch only as far as
            batch normalisation does.
        x: float [batch, ...] or a nest of such tensors.
        summed: whether logits are summed rather than averaged.
    """
    x = constant(x)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        # A sum over the batch: its gradient holds those of all examples.
        logits = critic(x)
        total = tf.reduce_sum(as_logits("logits", logits) if summed else mean_logits(logits))
    slopes = keras.tree.flatten(
        tape.gradient(total, x, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    )
    return tf.add_n([sum_of_squares(slope) for slope in slopes])


def slopes(critic: Callable[[Any], tf.Tensor], x: Any, summed: bool = False) -> tf.Tensor:
    """Returns ||grad D(x)|| as `squared_slopes` does, with a gradient of 0 at slope 0."""
    return tf.sqrt(squared_slopes(critic, x, summed) + _EPSILON)


def constant(x: Any) -> Any:
    """Returns a nest of examples as float32 tensors through which no gradient flows."""
    return keras.tree.map_structure(lambda part: tf.stop_gradient(tf.cast(part, tf.float32)), x)


def sum_of_squares(x: tf.Tensor) -> tf.Tensor:
    """Returns the sum over everything but the batch, float32 [batch]."""
    squares = tf.square(tf.cast(x, tf.float32))
    return tf.reduce_sum(squares, axis=list(range(1, len(squares.shape))))


def check_same_shapes(x: Any, other: Any) -> None:
    """Raises ValueError unless the parts of two nests are equally many and their shapes agree."""
    shapes = [[part.shape for part in keras.tree.flatten(nest)] for nest in (x, other)]
    same = len(shapes[0]) == len(shapes[1]) and all(
        a.is_compatible_with(b) for a, b in zip(*shapes, strict=True)
    )
    if not same:
        raise ValueError(expected(f"examples of shapes {shapes[0]}", shapes[1]))
