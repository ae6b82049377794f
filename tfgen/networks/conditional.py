"""Networks that take a class's label beside their input."""

import os
from typing import Any

import keras
import tensorflow as tf

from tfgen.core.checks import check_integer, check_rank, expected
from tfgen.core.config import Configurable, build_once, output_shape, register
from tfgen.data.indices import checked_indices
from tfgen.networks.stack import Network, Shape


@register
class ConditionalGenerator(Configurable, keras.Model):
    """A generator that sees a label's embedding beside the latent: (z, labels) -> generator's.

    Args:
        generator: takes [batch, d + embedding_dim].
        num_classes: labels are in [0, num_classes).
        embedding_dim: of the embedding, > 0.

    Raises:
        TypeError: when a number is not an integer.
        ValueError: when one is not > 0.

    Reference: Mirza and Osindero, "Conditional Generative Adversarial Nets", 2014,
        https://arxiv.org/abs/1411.1784.
    """

    def __init__(
        self,
        generator: keras.layers.Layer,
        num_classes: int,
        embedding_dim: int = 64,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        check_integer("num_classes", num_classes)
        check_integer("embedding_dim", embedding_dim)
        self.generator = generator
        self.num_classes = num_classes
        self.embedding_dim = embedding_dim
        # Of the size of a normal latent: beside it, small numbers would hardly be seen.
        self._embedding = keras.layers.Embedding(
            num_classes, embedding_dim, keras.initializers.RandomNormal(stddev=1.0), dtype="float32"
        )

    def build(self, input_shape: tuple[Shape, Shape]) -> None:
        """Makes the weights for latents [batch, d] and labels [batch]."""
        latents, labels = pair_of_shapes(input_shape, "(z, labels)")
        self._embedding.build(labels)
        build_once(self.generator, self._joined(latents))
        self.built = True

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Returns what the generator makes of latents [batch, d] and labels [batch].

        Raises:
            tf.errors.InvalidArgumentError: when a label is outside [0, num_classes).
        """
        z, labels = pair(inputs, "(z, labels)")
        rows = embedded(labels, self._embedding, self.num_classes, training)
        joined = tf.concat([z, tf.cast(rows, z.dtype)], axis=1)
        return self.generator(joined, training=training)

    def compute_output_shape(self, input_shape: tuple[Shape, Shape]) -> Shape:
        """Returns the shape of the generator's outputs."""
        return output_shape(self.generator, self._joined(input_shape[0]))

    def export(self, filepath: str | os.PathLike, *args: Any, **kwargs: Any) -> None:
        """Exports the network alone, as Keras does, with integer labels."""
        super().export(filepath, *args, **({"input_signature": labelled(self)} | kwargs))

    def _joined(self, shape: Shape) -> Shape:
        check_rank("z", shape, 2, "[batch, d]")
        return (shape[0], shape[1] + self.embedding_dim)


@register
class ProjectionDiscriminator(Network):
    """A discriminator that also scores how well its features point along the label's embedding.

    (x, labels) -> discriminator(x) + <embedding[label], phi(x)>, where phi(x) is the last of the
    discriminator's features, summed over space.

    Args:
        discriminator: a network of this package, x -> logits [batch, 1] or patches of them.
        num_classes: labels are in [0, num_classes).
        spectral_norm: whether the embeddings are divided by their largest singular value.

    Raises:
        TypeError: when the discriminator does not tell its features, or `num_classes` is not an
            integer.
        ValueError: when `num_classes` is not > 0, or the discriminator has no hidden layers.

    Reference: Miyato and Koyama, "cGANs with Projection Discriminator", 2018,
        https://arxiv.org/abs/1802.05637.
    """

    def __init__(
        self,
        discriminator: Network,
        num_classes: int,
        spectral_norm: bool = False,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        check_integer("num_classes", num_classes)
        if not isinstance(discriminator, Network):
            raise TypeError(expected("a discriminator of `tfgen.networks`", discriminator))
        self.discriminator = discriminator
        self.num_classes = num_classes
        self.spectral_norm = spectral_norm
        self._embedding: keras.layers.Layer | None = None

    def build(self, input_shape: tuple[Shape, Shape]) -> None:
        """Makes the weights for x [batch, ...] and labels [batch]."""
        examples, labels = pair_of_shapes(input_shape, "(x, labels)")
        build_once(self.discriminator, examples)
        shapes = self.discriminator.feature_shapes(examples)
        if not shapes:
            raise ValueError(expected("a discriminator with hidden layers", self.discriminator))
        embedding = keras.layers.Embedding(
            self.num_classes, shapes[-1][-1], "glorot_uniform", dtype="float32"
        )
        self._embedding = self._normalized(embedding)
        self._embedding.build(labels)
        self.built = True

    def outputs_and_features(
        self, inputs: tuple[tf.Tensor, tf.Tensor], training: bool = False
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Returns the logits of x [batch, ...] with labels [batch], and the features of x.

        Raises:
            tf.errors.InvalidArgumentError: when a label is outside [0, num_classes).
        """
        x, labels = pair(inputs, "(x, labels)")
        logits, features = self.discriminator.outputs_and_features(x, training)
        rows = embedded(labels, self._embedding, self.num_classes, training)
        phi = tf.cast(features[-1], tf.float32)
        phi = tf.reduce_sum(phi, axis=list(range(1, len(phi.shape) - 1)))
        projection = tf.reduce_sum(rows * phi, axis=1)
        return logits + tf.reshape(projection, [-1] + [1] * (len(logits.shape) - 1)), features

    def feature_shapes(self, input_shape: tuple[Shape, Shape]) -> list[Shape]:
        """Returns the shapes of the discriminator's features."""
        return self.discriminator.feature_shapes(input_shape[0])

    def compute_output_shape(self, input_shape: tuple[Shape, Shape]) -> Shape:
        """Returns the shape of the discriminator's logits."""
        return self.discriminator.compute_output_shape(input_shape[0])

    def export(self, filepath: str | os.PathLike, *args: Any, **kwargs: Any) -> None:
        """Exports the network alone, as Keras does, with integer labels."""
        super().export(filepath, *args, **({"input_signature": labelled(self)} | kwargs))


def pair(inputs: tuple, what: str) -> tuple:
    """Returns both of a pair, or says what was expected."""
    if not isinstance(inputs, tuple | list) or len(inputs) != 2:
        raise ValueError(expected(f"a pair {what}", inputs))
    return inputs[0], inputs[1]


def pair_of_shapes(shapes: tuple, what: str) -> tuple[Shape, Shape]:
    """Returns both of a pair's shapes, or says what was expected."""
    # The shape of one input [batch, d] is a pair too, but of numbers.
    if len(shapes) != 2 or not all(isinstance(shape, tuple | list) for shape in shapes):
        raise ValueError(expected(f"the shapes of a pair {what}", shapes))
    return shapes[0], shapes[1]


def labelled(network: keras.Model) -> list[tuple[keras.InputSpec, keras.InputSpec]]:
    """Returns the signature of a built network that takes labels; Keras would make them floats."""
    inputs, labels = pair_of_shapes(network.get_build_config()["input_shape"], "(inputs, labels)")
    return [(keras.InputSpec("float32", inputs), keras.InputSpec("int32", labels))]


def embedded(
    labels: tf.Tensor, embedding: keras.layers.Layer, num_classes: int, training: bool
) -> tf.Tensor:
    """Returns the embeddings [batch, dim] of labels [batch], NaN of those that are no class."""
    check_rank("labels", labels.shape, 1, "[batch]")
    if not labels.dtype.is_integer:
        raise TypeError(expected("integer labels", labels.dtype.name))
    labels, inside = checked_indices(labels, num_classes, "labels")
    options = {"training": training} if not isinstance(embedding, keras.layers.Embedding) else {}
    return tf.where(inside[:, tf.newaxis], embedding(labels, **options), float("nan"))
