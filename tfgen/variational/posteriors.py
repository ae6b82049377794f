"""What an encoder's features say about latents: distributions q(z | x), by their weights.

A posterior owns the last layer of an encoder, an affine map from features to its parameters, so
that any network may be the encoder. Draws are functions of standard normal noise.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from tfgen.bijectors import Bijector, Chain, MaskedAutoregressive, Planar, Radial, Reverse
from tfgen.bijectors.chain import build
from tfgen.core.checks import check_integer, check_positive, expected
from tfgen.core.config import Configurable, register
from tfgen.distributions.base import LOG_TWO_PI, log_normal
from tfgen.distributions.likelihoods import bounded_log

if TYPE_CHECKING:
    from tensorflow_probability import distributions as tfd

Drawn = tuple[tf.Tensor, tf.Tensor]
"""Latents z, [batch, k, dim], and log q(z | x), [batch, k]."""


class Posterior(Configurable, keras.layers.Layer, ABC):
    """Base of the distributions q(z | x) of vectors, k draws for each row of features.

    Args:
        min_scale: what standard deviations do not go below, > 0: those of latents that the decoder
            tells apart exactly would vanish, and log q grow without bounds.

    Raises:
        ValueError: when `min_scale` is not > 0.
    """

    has_density: bool = True
    """Whether `log_prob` is there, beside that of draws."""

    def __init__(self, min_scale: float = 1e-4, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        check_positive("min_scale", min_scale)
        self.min_scale = min_scale

    def build(
        self,
        features_shape: Sequence[int | None],
        latents_shape: Sequence[int | None] | None = None,
    ) -> None:
        """Makes the weights.

        Args:
            features_shape: of the encoder's outputs, (None, ...).
            latents_shape: (None, dim).
        """
        self.dim = int(latents_shape[-1])
        self.num_features = math.prod(features_shape[1:])
        size = self._num_params(self.dim)
        self._head = keras.layers.Dense(size, dtype="float32", name="head")
        self._head.build((None, self.num_features))
        self._build()
        self.built = True

    @abstractmethod
    def _num_params(self, dim: int) -> int:
        """Returns how many parameters there are."""

    def _build(self) -> None:
        """Makes weights beside those of the map of features."""

    def parameters(self, features: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Returns the parameters, each [batch, ...], of features [batch, ...]."""
        features = tf.reshape(tf.cast(features, tf.float32), [-1, self.num_features])
        return self._split(self._head(features))

    @abstractmethod
    def _split(self, outputs: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Returns the parameters, by the outputs of the map of features."""

    @abstractmethod
    def draw(self, parameters: tuple, noise: tf.Tensor, seed: tf.Tensor | None = None) -> Drawn:
        """Returns z, [batch, k, dim], and log q(z | x), [batch, k].

        Args:
            parameters: of what `parameters` returned.
            noise: standard normal, [batch, k, dim].
            seed: int32 [2] in training, of bijectors that draw.
        """

    def prepare(self, parameters: tuple, noise: tf.Tensor) -> None:
        """Sets what begins from data, before the first step; nothing unless it says so.

        Args:
            parameters: of the first batch.
            noise: standard normal, [batch, 1, dim].
        """

    @abstractmethod
    def mean(self, parameters: tuple) -> tf.Tensor:
        """Returns what `encode` gives, [batch, dim]: the mean, or the image of that of noise."""

    def log_prob(self, z: tf.Tensor, parameters: tuple) -> tf.Tensor:
        """Returns log q(z | x), [batch, k] of [batch, k, dim], in nats."""
        raise NotImplementedError(expected("a posterior with a density", type(self).__name__))

    def distribution(self, parameters: tuple) -> "tfd.Distribution | None":
        """Returns the TFP distribution of each row over [dim], None where there is none."""
        return None

    def call(self, features: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Returns the parameters."""
        return self.parameters(features)


@register
class DiagonalPosterior(Posterior):
    """q(z | x) = N(m, diag(s^2)), z = m + s e, whose m and log s are affine in the features.

    Args:
        min_scale: what s does not go below, > 0.

    Raises:
        ValueError: when `min_scale` is not > 0.

    Reference: Kingma and Welling, "Auto-Encoding Variational Bayes", 2014,
        https://arxiv.org/abs/1312.6114.
    """

    def _num_params(self, dim: int) -> int:
        return 2 * dim

    def _split(self, outputs: tf.Tensor) -> tuple[tf.Tensor, ...]:
        mean, raw = tf.split(outputs, 2, axis=1)
        return mean, bounded_log(raw, self.min_scale)

    def draw(self, parameters: tuple, noise: tf.Tensor, seed: tf.Tensor | None = None) -> Drawn:
        """Returns z and log q(z | x)."""
        mean, log_scale = (part[:, tf.newaxis] for part in parameters)
        log_q = -0.5 * tf.reduce_sum(noise**2 + 2.0 * log_scale + LOG_TWO_PI, axis=-1)
        return mean + tf.exp(log_scale) * noise, log_q

    def mean(self, parameters: tuple) -> tf.Tensor:
        """Returns m, [batch, dim]."""
        return parameters[0]

    def log_prob(self, z: tf.Tensor, parameters: tuple) -> tf.Tensor:
        """Returns log q(z | x), [batch, k] of [batch, k, dim], in nats."""
        mean, log_scale = (part[:, tf.newaxis] for part in parameters)
        return log_normal(z, mean, log_scale)

    def distribution(self, parameters: tuple) -> "tfd.MultivariateNormalDiag":
        """Returns the TFP distribution of each row."""
        from tensorflow_probability import distributions as tfd

        mean, log_scale = parameters
        return tfd.MultivariateNormalDiag(mean, tf.exp(log_scale))


@register
class FullCovariancePosterior(Posterior):
    """q(z | x) = N(m, L L'), z = m + L e, of a triangular L whose entries the features decide.

    Args:
        min_scale: what the diagonal of L does not go below, > 0.

    Raises:
        ValueError: when `min_scale` is not > 0.

    Reference: Kingma and Welling, "An Introduction to Variational Autoencoders", 2019,
        https://arxiv.org/abs/1906.02691, section 2.5.1.
    """

    def _num_params(self, dim: int) -> int:
        return 2 * dim + dim * (dim - 1) // 2

    def _split(self, outputs: tf.Tensor) -> tuple[tf.Tensor, ...]:
        dim = self.dim
        mean, raw, below = tf.split(outputs, [dim, dim, outputs.shape[1] - 2 * dim], axis=1)
        return mean, bounded_log(raw, self.min_scale), below

    def draw(self, parameters: tuple, noise: tf.Tensor, seed: tf.Tensor | None = None) -> Drawn:
        """Returns z and log q(z | x)."""
        mean, log_scale = (part[:, tf.newaxis] for part in parameters[:2])
        log_q = -0.5 * tf.reduce_sum(noise**2 + 2.0 * log_scale + LOG_TWO_PI, axis=-1)
        return mean + tf.matmul(noise, self._lower(parameters), transpose_b=True), log_q

    def mean(self, parameters: tuple) -> tf.Tensor:
        """Returns m, [batch, dim]."""
        return parameters[0]

    def log_prob(self, z: tf.Tensor, parameters: tuple) -> tf.Tensor:
        """Returns log q(z | x), [batch, k] of [batch, k, dim], in nats."""
        moved = tf.linalg.matrix_transpose(z - parameters[0][:, tf.newaxis])
        noise = tf.linalg.triangular_solve(self._lower(parameters), moved)
        squares = tf.reduce_sum(noise**2 + LOG_TWO_PI, axis=1)
        return -0.5 * squares - tf.reduce_sum(parameters[1], axis=1)[:, tf.newaxis]

    def distribution(self, parameters: tuple) -> "tfd.MultivariateNormalTriL":
        """Returns the TFP distribution of each row."""
        from tensorflow_probability import distributions as tfd

        return tfd.MultivariateNormalTriL(parameters[0], self._lower(parameters))

    def _lower(self, parameters: tuple) -> tf.Tensor:
        """Returns L, [batch, dim, dim]."""
        _, log_scale, below = parameters
        places = [(row, column) for row in range(self.dim) for column in range(row)]
        flat = tf.constant([row * self.dim + column for row, column in places], tf.int32)
        spread = tf.one_hot(flat, self.dim**2)
        lower = tf.reshape(tf.matmul(below, spread), [-1, self.dim, self.dim])
        return lower + tf.linalg.diag(tf.exp(log_scale))


@register
class FlowPosterior(Posterior):
    """z = f(m + s e; c): a diagonal Gaussian moved by a bijector whose condition c is of features,

        log q(z | x) = log N(e; 0, I) - sum log s - log |det df/dz_0|.

    Args:
        bijector: f, of vectors, which goes from noise to latents by its `forward`: one pass where
            that is `MaskedAutoregressive`, which is IAF then, `Planar` or `Radial`. `planar`,
            `radial` and `iaf` make those of the papers.
        condition_dim: how many numbers, affine in the features, c has, >= 0; 0 for a bijector
            that is the same for all x.
        min_scale: what s does not go below, > 0.

    Raises:
        TypeError: when `bijector` is no bijector, or `condition_dim` not an integer.
        ValueError: when a number is out of range; when built, where the bijector changes the shape
            of vectors.

    Reference: Rezende and Mohamed, "Variational Inference with Normalizing Flows", 2015,
        https://arxiv.org/abs/1505.05770; Kingma et al., "Improving Variational Inference with
        Inverse Autoregressive Flow", 2016, https://arxiv.org/abs/1606.04934.
    """

    has_density = False

    def __init__(
        self, bijector: Bijector, condition_dim: int = 64, min_scale: float = 1e-4, **kwargs: Any
    ) -> None:
        super().__init__(min_scale, **kwargs)
        if not isinstance(bijector, Bijector):
            raise TypeError(expected("`bijector`, one of tfgen.bijectors", type(bijector).__name__))
        check_integer("condition_dim", condition_dim, minimum=0)
        self.bijector = bijector
        self.condition_dim = condition_dim

    def _num_params(self, dim: int) -> int:
        return 2 * dim + self.condition_dim

    def _build(self) -> None:
        build(self.bijector, (self.dim,), self.condition_dim or None)
        if self.bijector.output_shape((self.dim,)) != (self.dim,):
            what = f"a bijector of vectors of {self.dim} numbers"
            raise ValueError(expected(what, self.bijector.output_shape((self.dim,))))

    def _split(self, outputs: tf.Tensor) -> tuple[tf.Tensor, ...]:
        sizes = [self.dim, self.dim, self.condition_dim]
        mean, raw, condition = tf.split(outputs, sizes, axis=1)
        return mean, bounded_log(raw, self.min_scale), condition

    def draw(self, parameters: tuple, noise: tf.Tensor, seed: tf.Tensor | None = None) -> Drawn:
        """Returns z and log q(z | x)."""
        log_scale, count = parameters[1][:, tf.newaxis], tf.shape(noise)[1]
        log_q = -0.5 * tf.reduce_sum(noise**2 + 2.0 * log_scale + LOG_TWO_PI, axis=-1)
        start = self._start(parameters, noise)
        condition = tf.repeat(parameters[2], count, axis=0) if self.condition_dim else None
        z, log_det = self.bijector.forward_and_log_det(start, condition, seed)
        shape = [-1, count]
        return tf.reshape(z, [*shape, self.dim]), log_q - tf.reshape(log_det, shape)

    def prepare(self, parameters: tuple, noise: tf.Tensor) -> None:
        """Sets what the bijector begins with, such as an `ActNorm`, by the first batch."""
        condition = parameters[2] if self.condition_dim else None
        self.bijector.prepare(self._start(parameters, noise), condition, inverse=False)

    def _start(self, parameters: tuple, noise: tf.Tensor) -> tf.Tensor:
        """Returns m + s e, [batch * k, dim]."""
        mean, log_scale = (part[:, tf.newaxis] for part in parameters[:2])
        return tf.reshape(mean + tf.exp(log_scale) * noise, [-1, self.dim])

    def mean(self, parameters: tuple) -> tf.Tensor:
        """Returns f(m; c), [batch, dim], which is not the mean of z where f bends."""
        condition = parameters[2] if self.condition_dim else None
        return self.bijector.forward(parameters[0], condition)


def built_posterior(
    posterior: Posterior | None, features_shape: Sequence[int | None], dim: int
) -> Posterior:
    """Returns a posterior over vectors, built: `DiagonalPosterior()` in place of None.

    Raises:
        TypeError: when it is something else.
        ValueError: when it is built for other shapes, as one may be that another model has.
    """
    posterior = DiagonalPosterior() if posterior is None else posterior
    if not isinstance(posterior, Posterior):
        raise TypeError(expected("`posterior`, such as DiagonalPosterior()", repr(posterior)))
    if not posterior.built:
        posterior.build(features_shape, (None, dim))
    shapes = math.prod(features_shape[1:]), dim
    found = posterior.num_features, posterior.dim
    if found != shapes:
        what = "a posterior of {} features and {} latents"
        raise ValueError(expected(what.format(*shapes), f"one built for {found[0]} and {found[1]}"))
    return posterior


def planar(num_layers: int = 10, condition_dim: int = 64) -> FlowPosterior:
    """Returns z = f_n(.. f_1(z_0)), f(z) = z + u tanh(w z + b), u, w and b by the features.

    Args:
        num_layers: n, > 0.
        condition_dim: as for `FlowPosterior`.
    """
    return FlowPosterior(Chain([Planar() for _ in range(num_layers)]), condition_dim)


def radial(num_layers: int = 10, condition_dim: int = 64) -> FlowPosterior:
    """Returns z = f_n(.. f_1(z_0)), f(z) = z + h(r) (z - c), r = |z - c|.

    Args:
        num_layers: n, > 0.
        condition_dim: as for `FlowPosterior`.
    """
    return FlowPosterior(Chain([Radial() for _ in range(num_layers)]), condition_dim)


def iaf(
    num_layers: int = 2, hidden_units: Sequence[int] = (320,), condition_dim: int = 64
) -> FlowPosterior:
    """Returns an inverse autoregressive flow, its order reversed from layer to layer.

    Args:
        num_layers: > 0.
        hidden_units: of the masked network of each layer.
        condition_dim: as for `FlowPosterior`.
    """
    layers: list[Bijector] = []
    for number in range(num_layers):
        layers += [Reverse()] if number else []
        layers.append(MaskedAutoregressive(hidden_units))
    return FlowPosterior(Chain(layers), condition_dim)
