"""Generative Latent Nearest Neighbours: GLO for the pictures, IMLE for their latents."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfgen.core.checks import check_integer, check_unconditional, expected
from tfgen.core.config import register
from tfgen.data.examples import Examples
from tfgen.latent.glo import GLO
from tfgen.latent.imle import IMLE
from tfgen.model.inversion import Encoding
from tfgen.model.model import GenerativeModel


@register
class GLANN(GenerativeModel):
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
        glann.fit(data, epochs=200, imle_epochs=50)
        images = glann.sample(64, seed=0)

    Reference: Hoshen, Li and Malik, "Non-Adversarial Image Synthesis with Generative Latent Nearest
        Neighbors", 2019, https://arxiv.org/abs/1812.08985.
    """

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
        self.built = True

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return self.glo.event_shape

    @property
    def latent_dim(self) -> int:
        """The size of z."""
        return self.glo.latent_dim

    def sample_rows(self, row_seeds: tf.Tensor, condition: tf.Tensor | None = None) -> tf.Tensor:
        """Returns G(T(e)) of one draw of e a row seed, int32 [batch, 2]."""
        check_unconditional(condition)
        return self.decode(self.imle.sample_rows(row_seeds))

    def decode(self, z: tf.Tensor, condition: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the examples [batch, *event] of latents [batch, latent_dim], projected to Z."""
        return self.glo.decode(z, condition)

    def encode(
        self, x: tf.Tensor, condition: tf.Tensor | None = None, *, batch_size: int = 256
    ) -> Encoding:
        """Finds latents of examples by optimising them, so many at a time; see `GLO.encode`."""
        return self.glo.encode(x, condition, batch_size=batch_size)

    def reconstruct(
        self, x: tf.Tensor, condition: tf.Tensor | None = None, *, batch_size: int = 256
    ) -> tf.Tensor:
        """Returns the decoded latents that `encode` finds for examples [batch, *event]."""
        return self.glo.reconstruct(x, condition, batch_size=batch_size)

    def compile(
        self,
        *,
        generator_optimizer: keras.optimizers.Optimizer | str | None = None,
        latents_optimizer: keras.optimizers.Optimizer | None = None,
        imle_optimizer: keras.optimizers.Optimizer | str | None = None,
        **kwargs: Any,
    ) -> None:
        """Compiles both stages.

        Args:
            generator_optimizer, latents_optimizer: of GLO.
            imle_optimizer: of T.
            **kwargs: `jit_compile`, `run_eagerly`, `steps_per_execution`, for both.
        """
        super().compile(**kwargs)
        self.glo.compile(
            generator_optimizer=generator_optimizer, latents_optimizer=latents_optimizer, **kwargs
        )
        self.imle.compile(generator_optimizer=imle_optimizer, **kwargs)

    def get_compile_config(self) -> dict[str, Any]:
        """Returns nothing: each stage keeps its own."""
        return {}

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Sequence[keras.callbacks.Callback] | None = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        imle_epochs: int | None = None,
        imle_batch_size: int | None = None,
        imle_initial_epoch: int = 0,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Trains GLO up to the epoch `epochs`, then IMLE on its latents up to `imle_epochs`.

        Args:
            x, y, batch_size, epochs, verbose, initial_epoch, steps_per_epoch: of GLO, as for every
                model.
            callbacks: of both stages, each of which sees its own model. Those with a method
                `within(stage)`, such as `Checkpoint`, are told of this model by `set_model`, and
                replaced by what `within` returns for "glo" and "imle".
            imle_epochs: as `epochs` unless given.
            imle_batch_size: 128, or all that a round trains on when they are fewer, unless given.
            imle_initial_epoch: the epoch from which IMLE goes on, >= 0.
            **kwargs: none of Keras' other arguments; `validation_data` may be None.

        Returns:
            A history whose names begin with `glo_` and `imle_`.

        Raises:
            TypeError, ValueError: as for every model, and when a number of the second stage is not
                an integer or out of range.
            TypeError: when there is `validation_data`, as an example that is not trained on has no
                latent that a stage could be validated with, or any other argument.
        """
        _refuse(kwargs)
        imle_epochs = epochs if imle_epochs is None else imle_epochs
        check_integer("imle_epochs", imle_epochs, minimum=0)
        check_integer("imle_initial_epoch", imle_initial_epoch, minimum=0)
        size = self._imle_batch_size(imle_batch_size)
        _announce("GLO, stage 1 of 2", verbose)
        first = self.glo.fit(
            x,
            y,
            batch_size,
            epochs,
            verbose,
            self._within("glo", callbacks),
            initial_epoch,
            steps_per_epoch,
        )
        codes = Examples(self.glo.codes.numpy(), batch_size=size, seed=self.imle.seed)
        _announce("IMLE, stage 2 of 2", verbose)
        second = self.imle.fit(
            codes,
            epochs=imle_epochs,
            verbose=verbose,
            callbacks=self._within("imle", callbacks),
            initial_epoch=imle_initial_epoch,
        )
        self.step.assign(self.glo.step.value + self.imle.step.value)
        return _joined_history(self, {"glo": first, "imle": second})

    def _imle_batch_size(self, given: int | None) -> int:
        largest = self.imle.subset_size or self.imle.num_examples
        size = min(128, largest) if given is None else given
        check_integer("imle_batch_size", size)
        if size > largest:
            raise ValueError(expected(f"`imle_batch_size` <= {largest}", size))
        return size

    def _within(
        self, stage: str, callbacks: Sequence[keras.callbacks.Callback] | None
    ) -> list[keras.callbacks.Callback]:
        """Returns the callbacks of one stage, those that do other things in it as they say."""
        chosen = []
        for callback in callbacks or []:
            if hasattr(callback, "within"):
                callback.set_model(self)
                callback = callback.within(stage)
            chosen.append(callback)
        return chosen


def _announce(stage: str, verbose: Any) -> None:
    if verbose:
        print(stage)


def _refuse(arguments: dict[str, Any]) -> None:
    """Raises TypeError, with the reason, when there are arguments that neither stage can use."""
    given = sorted(set(arguments) - {"validation_data"})
    if arguments.get("validation_data") is not None:
        what = "no `validation_data`: an example that is not trained on has no latent"
        raise TypeError(expected(what, type(arguments["validation_data"]).__name__))
    if given:
        raise TypeError(expected("no other arguments of Keras' `fit` in two stages", given))


def _joined_history(
    model: keras.Model, histories: dict[str, keras.callbacks.History]
) -> keras.callbacks.History:
    joined = keras.callbacks.History()
    joined.set_model(model)
    joined.history = {
        f"{stage}_{name}": np.asarray(values).tolist()
        for stage, history in histories.items()
        for name, values in history.history.items()
    }
    return joined
