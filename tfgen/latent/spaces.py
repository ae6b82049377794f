"""The sets that latents are kept in, by projection."""

from dataclasses import dataclass

import tensorflow as tf

from tfgen.core.checks import check_positive
from tfgen.core.config import Configurable, register


@register
@dataclass(frozen=True)
class Sphere(Configurable):
    """The sphere ||z|| = radius. Its projection divides by the norm.

    Args:
        radius: > 0.

    Raises:
        ValueError: when `radius` is not a finite number > 0.
    """

    radius: float = 1.0

    def __post_init__(self) -> None:
        check_positive("radius", self.radius)

    def __call__(self, z: tf.Tensor) -> tf.Tensor:
        """Returns the nearest points of the sphere to latents [..., latent_dim]."""
        return self.radius * tf.math.l2_normalize(z, axis=-1)


@register
@dataclass(frozen=True)
class Ball(Configurable):
    """The ball ||z|| <= radius. Its projection leaves what is inside where it is.

    Args:
        radius: > 0.

    Raises:
        ValueError: when `radius` is not a finite number > 0.
    """

    radius: float = 1.0

    def __post_init__(self) -> None:
        check_positive("radius", self.radius)

    def __call__(self, z: tf.Tensor) -> tf.Tensor:
        """Returns the nearest points of the ball to latents [..., latent_dim]."""
        return tf.clip_by_norm(z, self.radius, axes=[-1])


@register
@dataclass(frozen=True)
class Euclidean(Configurable):
    """All of R^d: latents stay where they are."""

    def __call__(self, z: tf.Tensor) -> tf.Tensor:
        """Returns latents [..., latent_dim] as they are."""
        return z
