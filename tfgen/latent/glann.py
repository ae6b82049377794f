"""Generative Latent Nearest Neighbours: GLO for the pictures, IMLE for their latents."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfgen.core.checks import expected
from tfgen.core.config import register
from tfgen.latent.glo import GLO
from tfgen.latent.imle import IMLE
from tfgen.model.inversion import Encoding
from tfgen.model.rows import Conditions
from tfgen.model.stages import Stage, StagedModel


@register
class GLANN(StagedModel):
    """A sampler x = G(T(e)), e ~ N(0, I), learned in two stages:

        minimise over G and {z_i in Z}    sum_i loss(x_i, G(z_i))            (GLO)
        minimise over T                   sum_i ||z_i - T(e_sigma(i))||^2    (IMLE)

    where sigma(i) is the nearest of the candidates T(e_j) to z_i. The first stage makes a space in
    which Euclidean distances mean something, the second learns to sample it without leaving out a
    mode. `sample` projects T(e) to Z.

    Args:
        glo: the first stage; its loss is perceptual in the paper.
        imle: the second, from noise to vectors of `glo.latent_dim`, one for each example.
        seed, name: as for every model.

    Raises:
        ValueError: when `imle` makes vectors of another size, or is for another number of examples.

    Example:
        glann = GLANN(
            GLO(InfoGANGenerator((28, 28, 1)), num_examples=60_000, latent_dim=64, loss=loss),
            IMLE(MLP((64,), batch_norm=True), num_examples=60_000, noise_dim=32))
        glann.compile()
        glann.fit(data, epochs={"glo": 200, "imle": 50})
        images = glann.sample(64, seed=0)

    Reference: Hoshen, Li and Malik, "Non-Adversarial Image Synthesis with Generative Latent Nearest
        Neighbors", 2019, https://arxiv.org/abs/1812.08985.
    """

    slow_verbs = GLO.slow_verbs

    def __init__(self, glo: GLO, imle: IMLE, seed: int = 0, name: str | None = None) -> None:
        super().__init__(seed=seed, name=name)
        if imle.event_shape != (glo.latent_dim,):
            raise ValueError(
                expected(f"an IMLE of vectors of shape ({glo.latent_dim},)", imle.event_shape)
            )
        if imle.num_examples != glo.num_examples:
            raise ValueError(expected(f"an IMLE of {glo.num_examples} examples", imle.num_examples))
        self.glo = glo
        self.imle = imle

    def stages(self) -> list[Stage]:
        """Returns GLO, then IMLE on the latents that GLO has learned.

        Neither can be validated: an example that is not trained on has no latent.
        """
        num_codes = self.imle.subset_size or self.imle.num_examples
        return [
            Stage("glo", self.glo, validated=False),
            Stage("imle", self.imle, self._codes, num_codes, validated=False),
        ]

    def _codes(self, data: Any) -> np.ndarray:
        """Returns the latents that GLO has learned, whatever the data."""
        return self.glo.codes.numpy()

    @property
    def event_spec(self) -> tf.TensorSpec:
        """What GLO's generator makes."""
        return self.glo.event_spec

    @property
    def latent_spec(self) -> tf.TensorSpec:
        """GLO's latents."""
        return self.glo.latent_spec

    def sample_rows(
        self,
        row_seeds: tf.Tensor,
        condition: Conditions | None = None,
        temperature: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns G(T(e)) of one draw of e a row seed, int32 [batch, 2]."""
        return self.decode_rows(self.imle.sample_rows(row_seeds))

    def decode_rows(self, z: tf.Tensor, condition: Conditions | None = None) -> tf.Tensor:
        """Returns the examples [batch, *event] of latents [batch, latent_dim], projected to Z."""
        return self.glo.decode_rows(z)

    def encode_rows(
        self, x: tf.Tensor, condition: Conditions | None = None, **settings: Any
    ) -> Encoding:
        """Finds latents of examples by optimising them; see `GLO.encode_rows`."""
        return self.glo.encode_rows(x, **settings)

    def reconstruct_rows(
        self, x: tf.Tensor, condition: Conditions | None = None, **settings: Any
    ) -> tf.Tensor:
        """Returns the decoded latents that `encode` finds for examples [batch, *event]."""
        return self.glo.reconstruct_rows(x, **settings)
