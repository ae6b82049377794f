"""An affine flow: an exact density, weights that begin from the first batch, a temperature."""

import math
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfgen.core import random, specs
from tfgen.core.config import Configurable, register
from tfgen.data.examples import Batch, Examples
from tfgen.model import GenerativeModel
from tfgen.training.update import Terms


@register
class Affine(Configurable, keras.layers.Layer):
    """z = L ((x + shift) * exp(log_scale)), L lower triangular with ones on its diagonal."""

    def __init__(self, dim: int, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.dim = dim
        self.shift = self.add_weight(shape=(dim,), initializer="zeros", name="shift")
        self.log_scale = self.add_weight(shape=(dim,), initializer="zeros", name="log_scale")
        self.lower = self.add_weight(shape=(dim, dim), initializer="zeros", name="lower")
        self.built = True

    def _matrix(self) -> tf.Tensor:
        strict = tf.linalg.band_part(self.lower.value, -1, 0)
        return tf.linalg.set_diag(strict, tf.ones([self.dim]))

    def prepare(self, x: tf.Tensor) -> None:
        """Makes z of a batch zero on average, and of deviation one."""
        self.shift.assign(-tf.reduce_mean(x, axis=0))
        self.log_scale.assign(-tf.math.log(tf.math.reduce_std(x, axis=0)))

    def call(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns z and the log-determinant, a scalar."""
        scaled = (x + self.shift.value) * tf.exp(self.log_scale.value)
        z = tf.linalg.matvec(self._matrix(), scaled)
        return z, tf.reduce_sum(self.log_scale.value)

    def inverse(self, z: tf.Tensor) -> tf.Tensor:
        scaled = tf.linalg.triangular_solve(self._matrix(), z[..., tf.newaxis])[..., 0]
        return scaled * tf.exp(-self.log_scale.value) - self.shift.value


@register
class AffineFlow(GenerativeModel):
    """A Gaussian, as a flow; samples at temperature t have t times its deviation.

    Args:
        dim: of the vectors.
    """

    has_temperature = True
    default_optimizers = {"": lambda: keras.optimizers.Adam(1e-2)}

    def __init__(self, dim: int = 2, seed: int = 0, name: str | None = None) -> None:
        super().__init__(seed=seed, name=name)
        self.dim = dim
        self.flow = Affine(dim)

    @property
    def event_spec(self) -> tf.TensorSpec:
        return specs.event_spec((self.dim,))

    @property
    def latent_spec(self) -> tf.TensorSpec:
        return specs.latent_spec(self.dim)

    def prepare(self, x: Batch, examples: Examples | None) -> None:
        self.flow.prepare(x["x"])

    def objective(self, x: Batch, seed: tf.Tensor, training: bool) -> Terms:
        return {"loss": -self.log_prob_rows(x["x"])}

    def log_prob_rows(self, x: tf.Tensor, condition: Mapping | None = None) -> tf.Tensor:
        z, log_det = self.flow(x)
        log_normal = -0.5 * z**2 - 0.5 * math.log(2 * math.pi)
        return tf.reduce_sum(log_normal, axis=1) + log_det

    def encode_rows(self, x: tf.Tensor, condition: Mapping | None = None) -> tf.Tensor:
        return self.flow(x)[0]

    def decode_rows(self, z: tf.Tensor, condition: Mapping | None = None) -> tf.Tensor:
        return self.flow.inverse(z)

    def sample_rows(
        self, row_seeds: tf.Tensor, condition: Mapping | None = None, temperature: Any = None
    ) -> tf.Tensor:
        z = random.normal(row_seeds, (self.dim,))
        return self.decode_rows(z if temperature is None else z * temperature[:, tf.newaxis])
