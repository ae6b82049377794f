"""The two networks of a hierarchical VAE: features from the bottom up, states from the top down."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfgen.core import specs
from tfgen.core.config import Configurable, register
from tfgen.variational.gaussians import Gaussian, draw, standard
from tfgen.variational.grid_prior import GridNetwork
from tfgen.variational.levels import (
    PRIOR_GAIN,
    Blocks,
    Head,
    Level,
    Resized,
    affine,
    check_levels,
)


@register
class BottomUp(Configurable, keras.layers.Layer):
    """Features of an example at each level, and q(z_l | x, z_above) of them and the state there.

    Args:
        event_shape: of an example.
        levels: the top first.

    Raises:
        TypeError, ValueError: when the levels do not fit.
    """

    def __init__(self, event_shape: Sequence[int], levels: Sequence[Level], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.event_shape = shape = tuple(event_shape)
        self.levels = check_levels(shape, levels)
        self._resized, self._blocks, self._merged, self._heads = [], [], [], []
        dtype = self.dtype_policy
        for number in reversed(range(len(self.levels))):
            level = self.levels[number]
            self._resized.append(Resized(shape, level.features_shape, dtype))
            shape = level.features_shape
            self._blocks.append(Blocks(shape, level.num_blocks, dtype))
            both = (*shape[:-1], (2 if number else 1) * level.filters)
            self._merged.append(affine(both, level.filters, dtype))
            self._heads.append(Head(shape, level.latent_shape[-1]))
        self.built = True

    def call(self, x: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Returns the features of examples [batch, *event] at each level, the top first."""
        if specs.is_image(specs.event_spec(self.event_shape)):
            x = 2.0 * x - 1.0
        found = []
        for resized, blocks in zip(self._resized, self._blocks, strict=True):
            x = blocks(resized(x))
            found.append(x)
        return tuple(reversed(found))

    def posterior(self, number: int, features: tf.Tensor, state: tf.Tensor | None) -> Gaussian:
        """Returns the parameters of q(z_l | x, z_above).

        Args:
            number: of the level, 0 of the top.
            features: of the examples at this level.
            state: of the decoder there; None at the top.
        """
        place = len(self.levels) - 1 - number
        if state is not None:
            features = tf.concat([features, state], axis=-1)
        merged = self._merged[place](tf.nn.silu(features))
        return self._heads[place](tf.nn.silu(merged))


@register
class TopDown(Configurable, keras.layers.Layer):
    """States at each level, of the latents above, and p(z_l | z_above) of them.

    The state h_l is made of the levels above; with z_l, it leads on to the next level, and at last
    to features of the example's height and width.

    Args:
        event_shape: of an example.
        levels: the top first.

    Raises:
        TypeError, ValueError: when the levels do not fit.
    """

    def __init__(self, event_shape: Sequence[int], levels: Sequence[Level], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.event_shape = tuple(event_shape)
        self.levels = check_levels(self.event_shape, levels)
        self._resized, self._state_blocks, self._priors = [], [], []
        self._joined, self._blocks = [], []
        dtype, above = self.dtype_policy, None
        for level in self.levels:
            shape = level.features_shape
            if above is not None:
                self._resized.append(Resized(above, shape, dtype))
                self._state_blocks.append(Blocks(shape, level.num_blocks, dtype))
                self._priors.append(self._made_prior(level))
            self._joined.append(affine(level.latent_shape, level.filters, dtype))
            self._blocks.append(Blocks(shape, level.num_blocks, dtype))
            above = shape
        self.features_shape = (*self.event_shape[:-1], self.levels[-1].filters)
        self._last = Resized(above, self.features_shape, dtype)
        self._last_block = Blocks(self.features_shape, 1, dtype)
        self.built = True

    def _made_prior(self, level: Level) -> keras.layers.Layer:
        if level.prior is None:
            return Head(level.features_shape, level.latent_shape[-1], PRIOR_GAIN)
        shapes = level.latent_shape, level.features_shape
        return GridNetwork(level.prior, *shapes, PRIOR_GAIN, self.dtype_policy)

    def state(self, number: int, hidden: tf.Tensor | None) -> tf.Tensor | None:
        """Returns the state at a level, of what `hidden` returned for the one above.

        At the top there is none.
        """
        if hidden is None:
            return None
        resized = self._resized[number - 1](tf.nn.silu(hidden))
        return self._state_blocks[number - 1](resized)

    def prior(self, number: int, state: tf.Tensor | None, z: tf.Tensor) -> Gaussian:
        """Returns the parameters of p(z_l | z_above), which those of a grid may make of z_l, too.

        Args:
            number: of the level, 0 of the top.
            state: at this level.
            z: the latents of this level.
        """
        if state is None:
            return standard(z)
        prior = self._priors[number - 1]
        return prior(z, state) if isinstance(prior, GridNetwork) else prior(tf.nn.silu(state))

    def draw(self, number: int, state: tf.Tensor | None, noise: tf.Tensor) -> tf.Tensor:
        """Returns latents z_l ~ p(z_l | z_above), of standard normal noise of their shape."""
        if state is None:
            return noise
        prior = self._priors[number - 1]
        if isinstance(prior, GridNetwork):
            return prior.draw(noise, state)
        return draw(prior(tf.nn.silu(state)), noise)

    def hidden(self, number: int, state: tf.Tensor | None, z: tf.Tensor) -> tf.Tensor:
        """Returns what the levels down to this one lead on to, [rows, *grid, filters]."""
        joined = self._joined[number](z)
        return self._blocks[number](joined if state is None else state + joined)

    def call(self, hidden: tf.Tensor) -> tf.Tensor:
        """Returns the features of examples, of what `hidden` returned for the lowest level."""
        return tf.nn.silu(self._last_block(self._last(tf.nn.silu(hidden))))
