"""Autoencoders: an encoder that gives one code for each example, and a likelihood of the decoder's.

Nothing says how codes are distributed. `WAE` gives them a prior, and `FittedSampler` fits what
samples them once they are learned.
"""

import math
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from tfgen.core.config import register
from tfgen.data.examples import Batch
from tfgen.distributions.likelihoods import Bernoulli, Likelihood
from tfgen.model.rows import Conditions
from tfgen.training.update import Terms
from tfgen.variational.base import EncodedModel, as_they_are


class CodedModel(EncodedModel):
    """Base of the models whose encoder gives one code z(x), an affine map of its features.

    Where there are as many features as numbers of a code, the map begins as the identity.
    """

    _averaged = ("encoder", "head", "decoder", "likelihood")

    def __init__(
        self,
        encoder: keras.layers.Layer,
        decoder: keras.layers.Layer,
        latent_dim: int,
        likelihood: Likelihood | None,
        event_shape: Sequence[int] | None,
        num_classes: int | None,
        draw_samples: bool,
        ema_decay: float | None,
        seed: int,
        name: str | None,
    ) -> None:
        super().__init__(
            encoder,
            decoder,
            latent_dim,
            likelihood or Bernoulli(),
            event_shape,
            num_classes,
            draw_samples,
            ema_decay,
            seed,
            name,
        )
        self._num_features = math.prod(self._features_shape[1:])
        is_square = self._num_features == latent_dim
        self.head = keras.layers.Dense(
            latent_dim,
            kernel_initializer="identity" if is_square else "glorot_uniform",
            dtype="float32",
            name="head",
        )
        self.head.build((None, self._num_features))
        self._make_averages()

    def encode_rows(self, x: tf.Tensor, condition: Conditions | None = None) -> tf.Tensor:
        """Returns the codes, [batch, latent_dim], of examples [batch, *event]."""
        return self._codes(x, condition, self.averaged, training=False)

    def _codes(
        self, x: tf.Tensor, condition: Conditions | None, part: Callable, training: bool
    ) -> tf.Tensor:
        """Returns the codes of examples; the arguments are those of `_encoded`."""
        features = self._encoded(x, condition, part, training)
        return part(self.head)(tf.reshape(features, [-1, self._num_features]))

    def _coded(self, x: Batch, training: bool) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the codes of a batch, [batch, latent_dim], and log p(x | z(x)), [batch]."""
        examples, condition = self._examples(x), self.conditions_of(x)
        z = self._codes(examples, condition, as_they_are, training)
        parameters = self._decoded(z, condition, as_they_are, training)
        return z, self.likelihood.log_prob(examples, parameters)


@register
class Autoencoder(CodedModel):
    """An encoder and a decoder with one code z(x) for each example:

        minimise over both    E_data -log p(x | z(x)),

    summed over all numbers of an example, in nats. With `Normal(0.5**0.5)` that is the squared
    error, but for a constant.

    The encoder makes features of examples [batch, *event], the decoder makes features of codes
    [batch, latent_dim]; any networks will do: the model owns the affine map from the encoder's
    features to the code, and the likelihood that from the decoder's features to its parameters.
    With `num_classes`, one-hot labels stand beside the codes, so that the decoder takes
    [batch, latent_dim + num_classes], and beside the encoder's features, flattened.

    It does not sample; `FittedSampler` does, once codes are learned.

    Args:
        encoder: x [batch, *event] -> features.
        decoder: z [batch, latent_dim] -> features, at each position of an example or in all.
        latent_dim: of z, > 0.
        likelihood: p(x | features), `Bernoulli()` unless given.
        event_shape: of one example; the shape of the decoder's outputs unless given.
        num_classes: of labels that the model is conditioned on, >= 2; None for no labels.
        ema_decay: of the average of weights that the verbs use, in [0, 1); None for no average.
        seed: of the training noise, in [0, 2**31).
        name: of the model.

    Raises:
        TypeError: when a part is not what it has to be.
        ValueError: when parts do not fit each other, or a number is out of range.

    Reference: Hinton and Salakhutdinov, "Reducing the Dimensionality of Data with Neural Networks",
        2006, https://doi.org/10.1126/science.1127647.
    """

    def __init__(
        self,
        encoder: keras.layers.Layer,
        decoder: keras.layers.Layer,
        latent_dim: int,
        likelihood: Likelihood | None = None,
        event_shape: Sequence[int] | None = None,
        num_classes: int | None = None,
        ema_decay: float | None = None,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(
            encoder,
            decoder,
            latent_dim,
            likelihood,
            event_shape,
            num_classes,
            False,
            ema_decay,
            seed,
            name,
        )

    def objective(self, x: Batch, seed: tf.Tensor, training: bool) -> Terms:
        """Returns -log p(x | z(x)), [batch], in nats."""
        return {"loss": -self._coded(x, training)[1]}
