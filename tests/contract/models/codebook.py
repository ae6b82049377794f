"""A codebook that follows averages of its members, and a model of its codes as second stage."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tests.contract.models.token_model import TokenModel
from tfgen.core import specs
from tfgen.core.config import register
from tfgen.data.examples import Batch, Examples
from tfgen.model.stages import Stage, StagedModel
from tfgen.training.update import Terms, Update

IMAGE = (8, 8, 1)
GRID = (2, 2)
DIM = 3


@register
class Codebook(StagedModel):
    """Images -> the nearest of some vectors at each place of a grid -> images.

    Args:
        num_codes: how many vectors there are.
        prior: of the codes, row by row; without it there are no samples.
        decay: of the counts and sums whose ratios are the vectors.
    """

    groups = {"": ("encoder", "decoder")}
    default_optimizers = {"": lambda: keras.optimizers.Adam(1e-2)}

    def __init__(
        self,
        num_codes: int = 6,
        prior: TokenModel | None = None,
        decay: float = 0.8,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(seed=seed, name=name)
        self.num_codes = num_codes
        self.prior = prior
        self.decay = decay
        self.encoder = keras.layers.Conv2D(DIM, 4, strides=4, dtype="float32")
        self.decoder = keras.layers.Conv2DTranspose(
            1, 4, strides=4, activation="sigmoid", dtype="float32"
        )
        self.encoder.build((None, *IMAGE))
        self.decoder.build((None, *GRID, DIM))
        self.counts = self._state("counts", (num_codes,), "ones")
        self.sums = self._state("sums", (num_codes, DIM), "random_normal")

    def _state(self, name: str, shape: tuple, initializer: str) -> keras.Variable:
        return self.add_weight(
            shape=shape,
            initializer=initializer,
            trainable=False,
            aggregation="only_first_replica",
            name=name,
        )

    def stages(self) -> list[Stage]:
        second = [] if self.prior is None else [Stage("prior", self.prior, self._codes_of)]
        return [Stage("codes", self), *second]

    def _codes_of(self, data: Any) -> np.ndarray:
        x = data.as_float() if isinstance(data, Examples) else data
        return np.reshape(self.encode(x), [-1, self.prior.length])

    @property
    def event_spec(self) -> tf.TensorSpec:
        return specs.event_spec(IMAGE)

    @property
    def latent_spec(self) -> tf.TensorSpec:
        return specs.event_spec(GRID, tf.int32, self.num_codes)

    def lacks(self) -> Mapping[str, str]:
        return {"sample": "it was given no prior"} if self.prior is None else {}

    @property
    def vectors(self) -> tf.Tensor:
        return self.sums.value / tf.maximum(self.counts.value, 1e-5)[:, tf.newaxis]

    def prepare(self, x: Batch, examples: Examples | None) -> None:
        found = tf.reshape(self.encoder(x["x"]), [-1, DIM])
        self.sums.assign(found[: self.num_codes])
        self.counts.assign(tf.ones([self.num_codes]))

    def _nearest(self, features: tf.Tensor) -> tf.Tensor:
        distances = tf.reduce_sum((features[..., tf.newaxis, :] - self.vectors) ** 2, axis=-1)
        return tf.argmin(distances, axis=-1, output_type=tf.int32)

    def objective(self, x: Batch, seed: tf.Tensor, training: bool) -> tuple[Terms, Terms]:
        features = self.encoder(x["x"])
        codes = self._nearest(features)
        chosen = tf.gather(self.vectors, codes)
        commitment = tf.reduce_sum((features - tf.stop_gradient(chosen)) ** 2, axis=[1, 2, 3])
        through = features + tf.stop_gradient(chosen - features)
        error = tf.reduce_sum((x["x"] - self.decoder(through)) ** 2, axis=[1, 2, 3])
        which = tf.reshape(tf.one_hot(codes, self.num_codes), [-1, self.num_codes])
        sums = tf.matmul(which, tf.reshape(features, [-1, DIM]), transpose_a=True)
        aux = {"counts": tf.reduce_sum(which, axis=0), "sums": tf.stop_gradient(sums)}
        return {"loss": error + 0.25 * commitment, "commitment": commitment}, aux

    def updates(self, x: Batch, seed: tf.Tensor, training: bool = True) -> list[Update]:
        terms = lambda: self.objective(x, seed, training)  # noqa: E731
        return [Update("loss", terms, ("",), self._follow)]

    def _follow(self, terms: Terms, aux: Terms) -> None:
        for name, value in aux.items():
            average = getattr(self, name)
            average.assign(self.decay * average.value + (1 - self.decay) * value)

    def encode_rows(self, x: tf.Tensor, condition: Mapping | None = None) -> tf.Tensor:
        return self._nearest(self.encoder(x))

    def decode_rows(self, z: tf.Tensor, condition: Mapping | None = None) -> tf.Tensor:
        return self.decoder(tf.gather(self.vectors, z))

    def sample_rows(
        self, row_seeds: tf.Tensor, condition: Mapping | None = None, temperature: Any = None
    ) -> tf.Tensor:
        codes = self.prior.sample_rows(row_seeds)
        return self.decode_rows(tf.reshape(codes, [-1, *GRID]))
