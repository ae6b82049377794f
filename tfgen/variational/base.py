"""What all models with an encoder and a likelihood share: specifications, labels and decoding."""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfgen.core import random, specs
from tfgen.core.checks import check_integer, expected
from tfgen.core.config import made_shape
from tfgen.data.examples import Batch
from tfgen.distributions.likelihoods import Likelihood, build_likelihood
from tfgen.model.model import GenerativeModel
from tfgen.model.rows import Conditions
from tfgen.training.averages import Averages, average_of


class EncodedModel(GenerativeModel):
    """Base of the models with an encoder, and p(x | z) by a decoder's features.

    The encoder makes features of examples [batch, *event], the decoder makes features of latents
    [batch, latent_dim]; any networks will do. With `num_classes`, one-hot labels stand beside the
    latents, so that the decoder takes [batch, latent_dim + num_classes], and beside the encoder's
    features, flattened.

    `decode` gives the mean of p(x | z). So does `sample`, unless `draw_samples`, which draws from
    it.
    """

    default_optimizers = {"": lambda: keras.optimizers.Adam(1e-3)}
    _averaged: tuple[str, ...] = ("encoder", "decoder", "likelihood")

    def __init__(
        self,
        encoder: keras.layers.Layer,
        decoder: keras.layers.Layer,
        latent_dim: int,
        likelihood: Likelihood,
        event_shape: Sequence[int] | None,
        num_classes: int | None,
        draw_samples: bool,
        ema_decay: float | None,
        seed: int,
        name: str | None,
    ) -> None:
        super().__init__(seed=seed, name=name)
        check_integer("latent_dim", latent_dim)
        if num_classes is not None:
            check_integer("num_classes", num_classes, minimum=2)
        if not isinstance(likelihood, Likelihood):
            raise TypeError(expected("`likelihood`, such as Bernoulli()", repr(likelihood)))
        self.encoder = encoder
        self.decoder = decoder
        self.latent_dim = latent_dim
        self.likelihood = likelihood
        self.num_classes = num_classes
        self.draw_samples = draw_samples
        self.ema_decay = ema_decay
        classes = num_classes or 0
        features = made_shape("decoder", decoder, (None, latent_dim + classes))
        event_shape = features[1:] if event_shape is None else tuple(event_shape)
        self._event = likelihood.event_spec(event_shape)
        build_likelihood(likelihood, features, (None, *event_shape))
        features = made_shape("encoder", encoder, (None, *event_shape))
        self._features_shape = features
        if classes:
            self._features_shape = (None, math.prod(features[1:]) + classes)

    def _make_averages(self) -> None:
        """Makes the averages of the parts, once they are built, if they are kept."""
        make_averages(self, self._averaged)

    # What it is about.

    @property
    def event_spec(self) -> tf.TensorSpec:
        """The specification of one example, which the likelihood decides."""
        return self._event

    @property
    def latent_spec(self) -> tf.TensorSpec:
        """A vector of `latent_dim` numbers."""
        return specs.latent_spec(self.latent_dim)

    @property
    def condition_specs(self) -> Mapping[str, tf.TensorSpec]:
        """Labels, or nothing."""
        return {} if self.num_classes is None else {"label": specs.label_spec(self.num_classes)}

    @property
    def averages(self) -> Averages:
        """The averages of the parts with weights, if they are kept."""
        return averages_of(self, self._averaged)

    # The verbs.

    def decode_rows(self, z: tf.Tensor, condition: Conditions | None = None) -> tf.Tensor:
        """Returns the means of p(x | z), [batch, *event] of [batch, latent_dim]."""
        likelihood = self.averaged(self.likelihood)
        return likelihood.mean(self._decoded(z, condition, self.averaged, training=False))

    def _sampled(self, z: tf.Tensor, condition: Conditions | None, row_seeds: tf.Tensor) -> Any:
        """Returns samples of drawn latents: means, or draws of p(x | z)."""
        parameters = self._decoded(z, condition, self.averaged, training=False)
        return shown(self.averaged(self.likelihood), parameters, row_seeds, self.draw_samples)

    # Inside.

    def _encoded(
        self, x: tf.Tensor, condition: Conditions | None, part: Callable, training: bool
    ) -> tf.Tensor:
        """Returns the features of examples, [batch, ...], with labels beside them.

        Args:
            x: [batch, *event].
            condition: by name.
            part: returns the layer that stands for one of the model: itself, or its average.
            training: of the network.
        """
        features = part(self.encoder)(x, training=training)
        if self.num_classes is None:
            return features
        size = self._features_shape[-1] - self.num_classes
        return self._labelled(tf.reshape(features, [-1, size]), condition)

    def _decoded(
        self, z: tf.Tensor, condition: Conditions | None, part: Callable, training: bool
    ) -> Any:
        """Returns the parameters of p(x | z), of latents [batch, latent_dim]; see `_encoded`."""
        features = part(self.decoder)(self._labelled(z, condition), training=training)
        return part(self.likelihood).parameters(features)

    def _labelled(self, rows: tf.Tensor, condition: Conditions | None) -> tf.Tensor:
        if self.num_classes is None:
            return rows
        labels = tf.one_hot(tf.convert_to_tensor(condition["label"]), self.num_classes)
        return tf.concat([tf.cast(rows, tf.float32), labels], axis=1)

    def _examples(self, x: Batch) -> tf.Tensor:
        """Returns the examples of a batch, checked to have a probability."""
        return self.likelihood.on_support(x["x"])


def make_averages(model: GenerativeModel, parts: Sequence[str]) -> None:
    """Makes `ema_<part>` of each part of a model, which are built, where averages are kept."""
    for part in parts if model.ema_decay is not None else ():
        setattr(model, f"ema_{part}", average_of(getattr(model, part), model.ema_decay))


def averages_of(model: GenerativeModel, parts: Sequence[str]) -> Averages:
    """Returns the averages of the parts with weights, where they are kept."""
    if model.ema_decay is None:
        return []
    pairs = [(getattr(model, f"ema_{part}"), getattr(model, part)) for part in parts]
    return [(average, layer) for average, layer in pairs if layer.weights]


def lacking(likelihood: Likelihood) -> Mapping[str, str]:
    """Returns the bound, and why there is none, where a likelihood is not a probability."""
    if likelihood.is_normalized:
        return {}
    return {"log_prob_bound": "its likelihood is not normalised"}


def shown(likelihood: Likelihood, parameters: Any, row_seeds: tf.Tensor, drawn: bool) -> tf.Tensor:
    """Returns what `sample` gives of p(x | z): its means, or draws of it, one a row seed."""
    if not drawn:
        return likelihood.mean(parameters)
    return likelihood.sample_rows(random.stream(row_seeds, "likelihood"), parameters)


class QuietLatents:
    """Warns, once for each part of the latents, when it has told nothing for two epochs."""

    def __init__(self) -> None:
        self._epochs: dict[str, int] = {}
        self._told: set[str] = set()

    def see(self, divergences: Mapping[str, float]) -> None:
        """Takes note of an epoch.

        Args:
            divergences: the mean KL divergence in nats of each part of the latents, by its name.
        """
        for name, kl in divergences.items():
            self._epochs[name] = self._epochs.get(name, 0) + 1 if kl < 0.01 else 0
            if self._epochs[name] == 2 and name not in self._told:
                self._told.add(name)
                warnings.warn(
                    expected(
                        f"{name} that say something of examples (a warm-up of beta, free bits, a "
                        "weaker decoder or a smaller scale of the likelihood may help)",
                        f"a KL divergence of {kl:.2g} nats for two epochs: the posterior is the "
                        "prior",
                    ),
                    stacklevel=3,
                )


def as_they_are(layer: keras.layers.Layer) -> keras.layers.Layer:
    """Returns a layer itself, in training."""
    return layer
