"""A prior that is a mixture of posteriors of learned examples."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfgen.core import random, specs
from tfgen.core.checks import check_integer, expected
from tfgen.core.config import Configurable, register
from tfgen.distributions.base import scaled
from tfgen.variational.posteriors import Posterior


@register
class VampPrior(Configurable, keras.layers.Layer):
    """p(z) = 1/K sum_k q(z | u_k), of pseudo-inputs u_k that are trained with everything else.

    It is a prior of a `VAE`, which begins u_k as examples of the first batch, again and again with
    some noise where there are fewer. Where examples are bounded, so are they.

    Args:
        dim: of the latents, > 0.
        num_components: K, > 0.

    Raises:
        TypeError: when a number is not an integer.
        ValueError: when it is not > 0.

    Reference: Tomczak and Welling, "VAE with a VampPrior", 2018, https://arxiv.org/abs/1705.07120.
    """

    conditional = False

    def __init__(self, dim: int, num_components: int = 500, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        check_integer("dim", dim)
        check_integer("num_components", num_components)
        self.dim = dim
        self.num_components = num_components

    def build(self, event_shape: Sequence[int | None]) -> None:
        """Makes the pseudo-inputs, of examples (None, ...)."""
        shape = (self.num_components, *event_shape[1:])
        initializer = keras.initializers.RandomUniform(0.0, 1.0, seed=0)
        self.pseudo_inputs = self.add_weight(shape, name="pseudo_inputs", initializer=initializer)
        self.built = True

    def begin_as(self, x: tf.Tensor, spec: tf.TensorSpec, seed: int) -> None:
        """Takes examples as pseudo-inputs."""
        count = self.num_components
        rows = tf.gather(x, tf.range(count) % tf.shape(x)[0])
        noise = random.draw_normal(tf.shape(rows), [seed, 1])
        again = tf.reshape(tf.range(count) >= tf.shape(x)[0], [-1, *[1] * (x.shape.rank - 1)])
        self.pseudo_inputs.assign(_within(tf.where(again, rows + 0.05 * noise, rows), spec))

    def inputs(self, spec: tf.TensorSpec) -> tf.Tensor:
        """Returns u_k, [K, *event], within the bounds of a specification."""
        return _within(tf.convert_to_tensor(self.pseudo_inputs), spec)

    def call(self, x: Any = None) -> tf.Tensor:
        """Returns u_k as they are."""
        return tf.convert_to_tensor(self.pseudo_inputs)


class PosteriorMixture:
    """1/K sum_k q(z | u_k), as a prior is asked for.

    Args:
        posterior: q, with a density.
        parameters: of K rows.
    """

    def __init__(self, posterior: Posterior, parameters: tuple[tf.Tensor, ...]) -> None:
        self._posterior = posterior
        self._parameters = parameters

    def log_prob(self, z: tf.Tensor) -> tf.Tensor:
        """Returns the log density of each vector, [batch] of [batch, dim]."""
        each = self._posterior.log_prob(z[tf.newaxis], self._parameters)
        count = tf.cast(tf.shape(each)[0], tf.float32)
        return tf.reduce_logsumexp(each, axis=0) - tf.math.log(count)

    def sample_rows(
        self, row_seeds: tf.Tensor, condition: None = None, temperature: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Draws one vector a row seed, [batch, dim] from int32 [batch, 2]."""
        count = self._parameters[0].shape[0]
        unit = random.uniform(random.stream(row_seeds, "component"), ())
        which = tf.cast(unit * count, tf.int32)
        chosen = tuple(tf.gather(part, which) for part in self._parameters)
        noise = scaled(random.normal(row_seeds, (self._posterior.dim,)), temperature)
        return self._posterior.draw(chosen, noise[:, tf.newaxis])[0][:, 0]

    def distribution(self) -> None:
        """Returns None: TFP knows no KL divergence of it."""


def check_vamp(prior: VampPrior, posterior: Posterior, spec: tf.TensorSpec, classes: Any) -> None:
    """Raises ValueError unless a VampPrior suits a model."""
    if not posterior.has_density:
        what = "a posterior with a density, of a VampPrior"
        raise ValueError(expected(what, type(posterior).__name__))
    if spec.dtype.is_integer or classes is not None:
        received = "labels" if classes is not None else spec
        raise ValueError(expected("examples of floats without labels, of a VampPrior", received))


def _within(x: tf.Tensor, spec: tf.TensorSpec) -> tf.Tensor:
    bounds = specs.bounds(spec)
    return x if bounds is None else tf.clip_by_value(x, *bounds)
