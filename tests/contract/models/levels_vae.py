"""A variational autoencoder of two levels: latents of different rank, and one optimizer."""

import math
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfgen.core import random, specs
from tfgen.core.config import Configurable, register
from tfgen.data.examples import Batch
from tfgen.model import GenerativeModel
from tfgen.training.averages import Averages, average_of
from tfgen.training.update import Terms

GRID = (4, 4, 1)
IMAGE = (8, 8, 1)


@register
class Encoder(Configurable, keras.layers.Layer):
    """Images -> the mean and the logarithm of the deviation of both levels."""

    def __init__(self, top_dim: int, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.top_dim = top_dim
        self.low = keras.layers.Conv2D(2, 3, strides=2, padding="same", dtype="float32")
        self.top = keras.layers.Dense(2 * top_dim, dtype="float32")
        self.low.build((None, *IMAGE))
        self.top.build((None, math.prod(IMAGE)))
        self.built = True

    def call(self, x: tf.Tensor) -> tuple:
        top = self.top(tf.reshape(x, [-1, math.prod(IMAGE)]))
        return tuple(tuple(tf.split(part, 2, axis=-1)) for part in (top, self.low(x)))


@register
class Decoder(Configurable, keras.layers.Layer):
    """Both levels -> images; and the mean of the lower level given the upper."""

    def __init__(self, top_dim: int, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.top_dim = top_dim
        self.mean = keras.layers.Dense(math.prod(GRID), dtype="float32")
        self.pixels = keras.layers.Dense(math.prod(IMAGE), activation="sigmoid", dtype="float32")
        self.mean.build((None, top_dim))
        self.pixels.build((None, top_dim + math.prod(GRID)))
        self.built = True

    def low_mean(self, top: tf.Tensor) -> tf.Tensor:
        return tf.reshape(self.mean(top), [-1, *GRID])

    def call(self, z: tuple) -> tf.Tensor:
        flat = tf.concat([z[0], tf.reshape(z[1], [-1, math.prod(GRID)])], axis=1)
        return tf.reshape(self.pixels(flat), [-1, *IMAGE])


def log_normal(x: tf.Tensor, mean: tf.Tensor, log_std: tf.Tensor) -> tf.Tensor:
    """Returns the log density of rows, [batch]."""
    z = (x - mean) * tf.exp(-log_std)
    terms = -0.5 * z**2 - log_std - 0.5 * math.log(2 * math.pi)
    return tf.reduce_sum(terms, axis=list(range(1, len(x.shape))))


@register
class LevelsVAE(GenerativeModel):
    """p(x | top, low) p(low | top) p(top), all Gaussian, with q(top | x) q(low | x).

    Args:
        top_dim: of the upper level.
        std: of the pixels.
        noise: 0 for a q that is its mean, which training does not depend on.
        ema_decay: of the averages of both networks.
    """

    groups = {"": ("encoder", "decoder")}
    default_optimizers = {"": lambda: keras.optimizers.Adam(1e-2)}

    def __init__(
        self,
        top_dim: int = 3,
        std: float = 0.3,
        noise: float = 1.0,
        ema_decay: float | None = None,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(seed=seed, name=name)
        self.top_dim = top_dim
        self.std = std
        self.noise = noise
        self.ema_decay = ema_decay
        self.encoder = Encoder(top_dim)
        self.decoder = Decoder(top_dim)
        self.ema_decoder = average_of(self.decoder, ema_decay)

    @property
    def event_spec(self) -> tf.TensorSpec:
        return specs.event_spec(IMAGE)

    @property
    def latent_spec(self) -> tuple:
        return specs.latent_spec(self.top_dim), tf.TensorSpec(GRID, tf.float32, "z")

    @property
    def averages(self) -> Averages:
        return [] if self.ema_decoder is None else [(self.ema_decoder, self.decoder)]

    def objective(self, x: Batch, seed: tf.Tensor, training: bool) -> Terms:
        posterior = self.encoder(x["x"])
        z = tuple(
            mean
            + self.noise
            * tf.exp(log_std)
            * tf.random.stateless_normal(tf.shape(mean), random.stream(seed, str(level)))
            for level, (mean, log_std) in enumerate(posterior)
        )
        likelihood = self._log_likelihood(x["x"], z, self.decoder)
        means = (0.0, self.decoder.low_mean(z[0]))
        kl = [
            tf.reduce_sum(
                0.5 * ((mean - of) ** 2 + tf.exp(2 * log_std) - 1) - log_std,
                axis=list(range(1, len(mean.shape))),
            )
            for (mean, log_std), of in zip(posterior, means, strict=True)
        ]
        return {"loss": kl[0] + kl[1] - likelihood, "kl_top": kl[0], "kl_low": kl[1]}

    def _log_likelihood(self, x: tf.Tensor, z: tuple, decoder: Decoder) -> tf.Tensor:
        return log_normal(x, decoder(z), tf.math.log(self.std))

    def log_prob_bound_rows(
        self,
        x: tf.Tensor,
        row_seeds: tf.Tensor,
        condition: Mapping | None = None,
        num_importance: int = 1,
    ) -> tf.Tensor:
        decoder, posterior = self.averaged(self.decoder), self.encoder(x)
        weights = []
        for seeds in tf.unstack(random.split(row_seeds, num_importance), num_importance, axis=1):
            z = tuple(
                mean
                + tf.exp(log_std) * random.normal(random.stream(seeds, str(level)), mean.shape[1:])
                for level, (mean, log_std) in enumerate(posterior)
            )
            prior = log_normal(z[0], 0.0, tf.zeros_like(z[0]))
            prior += log_normal(z[1], decoder.low_mean(z[0]), tf.zeros_like(z[1]))
            q = sum(log_normal(part, *of) for part, of in zip(z, posterior, strict=True))
            weights.append(self._log_likelihood(x, z, decoder) + prior - q)
        return tf.reduce_logsumexp(tf.stack(weights), axis=0) - math.log(num_importance)

    def encode_rows(self, x: tf.Tensor, condition: Mapping | None = None) -> tuple:
        return tuple(mean for mean, _ in self.encoder(x))

    def decode_rows(self, z: tuple, condition: Mapping | None = None) -> tf.Tensor:
        return self.averaged(self.decoder)(z)

    def sample_rows(
        self, row_seeds: tf.Tensor, condition: Mapping | None = None, temperature: Any = None
    ) -> tf.Tensor:
        decoder = self.averaged(self.decoder)
        top = random.normal(random.stream(row_seeds, "top"), (self.top_dim,))
        low = decoder.low_mean(top) + random.normal(random.stream(row_seeds, "low"), GRID)
        return decoder((top, low))
