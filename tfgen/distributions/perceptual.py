"""A likelihood with a distance between examples and means beside it, such as a perceptual one."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfgen.core.checks import check_not_negative, expected
from tfgen.core.config import register
from tfgen.distributions.likelihoods import Likelihood, Shape, build_likelihood


@register
class PerceptualLikelihood(Likelihood):
    """log p(x | features) = likelihood.log_prob(x) - weight * distance(x, likelihood.mean).

    A VAE with it is a perceptual VAE: what a frozen network sees in an example and in its
    reconstruction has to agree, beside the pixels. It is not normalised, so that there is no bound
    on the log-likelihood. Means and samples are those of the likelihood.

    Args:
        likelihood: of examples of floats, such as `Bernoulli()`; its mean should be free to move
            where it is cut off, as that of `Normal` of images is not.
        distance: `distance(x, mean) -> [batch]` of `tfgen.losses`, e.g. `Perceptual(network,
            layer_names)`, or another reconstruction loss.
        weight: of the distance, in nats, >= 0.

    Raises:
        TypeError: when a part is not what it has to be, or examples are integers.
        ValueError: when the weight is out of range.

    Reference: Hou, Shen, Sun and Qiu, "Deep Feature Consistent Variational Autoencoder", 2017,
        https://arxiv.org/abs/1610.00291.
    """

    is_normalized = False

    def __init__(
        self,
        likelihood: Likelihood,
        distance: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
        weight: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(likelihood, Likelihood):
            raise TypeError(expected("`likelihood`, such as Bernoulli()", repr(likelihood)))
        if isinstance(distance, type) or not callable(distance):
            raise TypeError(expected("`distance`, such as SquaredError()", repr(distance)))
        check_not_negative("weight", weight)
        self.likelihood = likelihood
        self.distance = distance
        self.weight = weight

    def event_spec(self, event_shape: Shape, name: str | None = None) -> tf.TensorSpec:
        """Returns the specification of an example of a shape, as the likelihood does.

        Raises:
            TypeError: when examples are integers, whose mean has no gradient.
        """
        spec = self.likelihood.event_spec(event_shape, name)
        if not spec.dtype.is_floating:
            raise TypeError(expected("a likelihood of floats", f"one of {spec.dtype.name}"))
        return spec

    @property
    def num_params(self) -> int:
        """As many as the likelihood has."""
        return self.likelihood.num_params

    def build(self, features_shape: Shape, event_shape: Shape | None = None) -> None:
        """Makes the weights of the likelihood; the arguments are those of `Likelihood.build`."""
        build_likelihood(self.likelihood, features_shape, event_shape)
        self.features_shape = self.likelihood.features_shape
        self.event_shape = self.likelihood.event_shape
        self.built = True

    def parameters(self, features: tf.Tensor) -> Any:
        """Returns the parameters of the likelihood."""
        return self.likelihood.parameters(features)

    def log_prob(self, x: tf.Tensor, parameters: Any) -> tf.Tensor:
        """Returns the log-probability less the weighted distance, [...], in nats."""
        log_prob = self.likelihood.log_prob(x, parameters)
        mean = self.likelihood.mean(parameters)
        x, mean = (tf.broadcast_to(part, tf.shape(x + mean)) for part in (x, mean))
        # Distances know of one leading axis.
        rows = (tf.reshape(part, [-1, *self.event_shape]) for part in (x, mean))
        distance = tf.cast(self.distance(*rows), tf.float32)
        return log_prob - self.weight * tf.reshape(distance, tf.shape(log_prob))

    def mean(self, parameters: Any) -> tf.Tensor:
        """Returns the mean of the likelihood, [batch, *event]."""
        return self.likelihood.mean(parameters)

    def sample_rows(self, row_seeds: tf.Tensor, parameters: Any) -> tf.Tensor:
        """Draws from the likelihood one x a row seed, [batch, *event] from int32 [batch, 2]."""
        return self.likelihood.sample_rows(row_seeds, parameters)

    def on_support(self, x: tf.Tensor) -> tf.Tensor:
        """Returns examples to train on, checked by the likelihood."""
        return self.likelihood.on_support(x)
