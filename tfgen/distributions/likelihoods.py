"""What a decoder's features say about an example: distributions p(x | features), by their weights.

A likelihood owns the last layer of a decoder, an affine map from features to its parameters, so
that any network may be the decoder, and its log-probabilities have all their constants.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfgen.core import random, specs
from tfgen.core.checks import check_positive, expected
from tfgen.core.config import Configurable, register
from tfgen.distributions.base import LOG_TWO_PI
from tfgen.distributions.levels import unit_interval

Shape = Sequence[int | None]


class Likelihood(Configurable, keras.layers.Layer, ABC):
    """Base of the distributions p(x | features) of examples of one shape.

    Parameters are an affine function of the features: of those at each position, where features
    are [batch, *positions, n] over the positions of examples [*positions, channels]; else of all
    features together. Where there are as many features as parameters, the map begins as the
    identity.

    Rows of `x` and of parameters may have several leading axes, which broadcast: x [b, 1, *event]
    with parameters [b, k, ...] gives [b, k].
    """

    is_normalized: bool = True
    """Whether it is a probability, or density, of examples: otherwise there is no bound on it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})

    def event_spec(self, event_shape: Shape, name: str | None = None) -> tf.TensorSpec:
        """Returns the specification of an example of a shape."""
        return specs.event_spec(tuple(event_shape), name=name)

    @property
    @abstractmethod
    def num_params(self) -> int:
        """How many parameters each number of an example has."""

    def build(self, features_shape: Shape, event_shape: Shape | None = None) -> None:
        """Makes the weights.

        Args:
            features_shape: of the decoder's outputs, (None, ...).
            event_shape: of examples, (None, ...).

        Raises:
            ValueError: when a shape is not known.
        """
        event_shape, features_shape = tuple(event_shape)[1:], tuple(features_shape)[1:]
        if None in (*event_shape, *features_shape):
            what = "features and examples of known shapes"
            raise ValueError(expected(what, (features_shape, event_shape)))
        self.features_shape, self.event_shape = features_shape, event_shape
        positions = event_shape[:-1] if self._has_channels else event_shape
        self._by_position = bool(positions) and features_shape[:-1] == positions
        if not self._by_position:
            features_shape, positions = (math.prod(features_shape),), ()
        size = self._num_outputs(math.prod(event_shape[len(positions) :]))
        is_square = features_shape[-1] == size
        self._head = keras.layers.Dense(
            size,
            kernel_initializer="identity" if is_square else "glorot_uniform",
            dtype="float32",
            name="head",
        )
        self._head.build((None, *positions, features_shape[-1]))
        self._build()
        self.built = True

    _has_channels = True  # Whether the last axis of an example is one of channels, not positions.

    def _num_outputs(self, numbers: int) -> int:
        """Returns the number of parameters of some numbers of an example together."""
        return self.num_params * numbers

    def _build(self) -> None:
        """Makes weights beside those of the map of features."""

    def parameters(self, features: tf.Tensor) -> Any:
        """Returns the parameters of each number, a nest of [batch, *event, ...]."""
        features = tf.cast(features, tf.float32)
        if not self._by_position:
            features = tf.reshape(features, [-1, self._head.kernel.shape[0]])
        return self._split(self._head(features))

    def _split(self, outputs: tf.Tensor) -> Any:
        """Returns parameters, by the outputs of the map of features."""
        shape = [-1, *self.event_shape, self.num_params]
        return tuple(tf.unstack(tf.reshape(outputs, shape), axis=-1))

    @abstractmethod
    def log_prob(self, x: tf.Tensor, parameters: Any) -> tf.Tensor:
        """Returns log p(x | parameters), [...], in nats, summed over all numbers of an example."""

    @abstractmethod
    def mean(self, parameters: Any) -> tf.Tensor:
        """Returns the mean of x, [batch, *event], within the range of examples."""

    @abstractmethod
    def sample_rows(self, row_seeds: tf.Tensor, parameters: Any) -> tf.Tensor:
        """Draws one x a row seed, [batch, *event] from int32 [batch, 2]."""

    def call(self, features: tf.Tensor) -> Any:
        """Returns the parameters."""
        return self.parameters(features)

    def in_range(self, x: tf.Tensor) -> tf.Tensor:
        """Returns examples, checked to be in the range of the values that have a probability.

        Between levels, the nearest counts. All are in it unless a likelihood says otherwise.

        Raises:
            ValueError: when they are not; in a graph, tf.errors.InvalidArgumentError when it runs.
        """
        return x

    def on_support(self, x: tf.Tensor) -> tf.Tensor:
        """Returns examples to train on, checked to have a probability; all are, unless it says so.

        Raises:
            ValueError: when they have none; in a graph, tf.errors.InvalidArgumentError when it
                runs. XLA drops that check.
        """
        return x

    def _total(self, values: tf.Tensor) -> tf.Tensor:
        """Returns the sum over the axes of an example."""
        return tf.reduce_sum(values, axis=list(range(-len(self.event_shape), 0)))

    def _in_range(self, x: tf.Tensor) -> tf.Tensor:
        bounds = specs.bounds(self.event_spec(self.event_shape))
        return x if bounds is None else tf.clip_by_value(x, *bounds)


@register
class Bernoulli(Likelihood):
    """log p(x | l) = sum_i x_i l_i - log(1 + exp(l_i)), of logits l and x in [0, 1].

    It is a probability of images of zeros and ones. Of values in between it is the mean over images
    whose pixels are drawn with these values as probabilities.

    `mean` is sigmoid(l), and samples are zeros and ones.
    """

    @property
    def num_params(self) -> int:
        """One, the logit."""
        return 1

    def log_prob(self, x: tf.Tensor, parameters: tuple) -> tf.Tensor:
        """Returns log p(x | parameters), [...], in nats."""
        (logits,) = parameters
        return self._total(x * logits - tf.math.softplus(logits))

    def mean(self, parameters: tuple) -> tf.Tensor:
        """Returns the probabilities of ones, [batch, *event]."""
        return tf.sigmoid(parameters[0])

    def sample_rows(self, row_seeds: tf.Tensor, parameters: tuple) -> tf.Tensor:
        """Draws zeros and ones, [batch, *event]."""
        unit = random.uniform(row_seeds, self.event_shape)
        return tf.cast(unit < tf.sigmoid(parameters[0]), tf.float32)

    def in_range(self, x: tf.Tensor) -> tf.Tensor:
        """Returns examples in [0, 1], or raises."""
        return unit_interval(x)

    def on_support(self, x: tf.Tensor) -> tf.Tensor:
        """Returns examples in [0, 1], or raises."""
        return unit_interval(x)


@register
class Normal(Likelihood):
    """log p(x | m, s) = -1/2 sum_i (x_i - m_i)^2 / s_i^2 + 2 log s_i + log 2 pi.

    Args:
        scale: s, > 0: fixed, or where a trained scale begins.
        trained: whether the scale of all numbers is one trained weight.
        by_feature: whether each number has its own scale, a function of the features.
        min_scale: what a trained scale does not go below, > 0: densities of flat parts of images,
            which can be learned exactly, would grow without bounds.

    Raises:
        ValueError: when a scale is not > 0, `min_scale` not below it, or both `trained` and
            `by_feature` are asked for.
    """

    def __init__(
        self,
        scale: float = 1.0,
        trained: bool = False,
        by_feature: bool = False,
        min_scale: float = 1e-2,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_positive("scale", scale)
        check_positive("min_scale", min_scale)
        if trained and by_feature:
            raise ValueError(expected("`trained` or `by_feature`", "both"))
        if (trained or by_feature) and not min_scale < scale:
            raise ValueError(expected("`min_scale` < `scale`", (min_scale, scale)))
        self.scale = scale
        self.trained = trained
        self.by_feature = by_feature
        self.min_scale = min_scale

    @property
    def num_params(self) -> int:
        """One, the mean, or two where the scale is a function of the features."""
        return 2 if self.by_feature else 1

    def _build(self) -> None:
        if self.trained:
            self.raw_scale = self.add_weight((), name="raw_scale", initializer="zeros")

    def parameters(self, features: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the mean, [batch, *event], and log s, which broadcasts to it."""
        mean, *raw = super().parameters(features)
        if self.trained:
            raw = [self.raw_scale.value]
        if not raw:
            return mean, tf.math.log(tf.constant(self.scale))
        first = math.log(self.scale - self.min_scale)  # Of which the bounded one is the scale.
        return mean, bounded_log(raw[0] + first, self.min_scale)

    def log_prob(self, x: tf.Tensor, parameters: tuple) -> tf.Tensor:
        """Returns log p(x | parameters), [...], in nats."""
        mean, log_scale = parameters
        squares = ((x - mean) * tf.exp(-log_scale)) ** 2
        return -0.5 * self._total(squares + 2.0 * log_scale + LOG_TWO_PI)

    def mean(self, parameters: tuple) -> tf.Tensor:
        """Returns m, [batch, *event], cut off where examples are bounded."""
        return self._in_range(parameters[0])

    def sample_rows(self, row_seeds: tf.Tensor, parameters: tuple) -> tf.Tensor:
        """Draws x, [batch, *event], cut off where examples are bounded."""
        mean, log_scale = parameters
        noise = random.normal(row_seeds, self.event_shape)
        return self._in_range(mean + tf.exp(log_scale) * noise)


def build_likelihood(likelihood: Likelihood, features_shape: Shape, event_shape: Shape) -> None:
    """Builds a likelihood unless it is built, as one is that another model has.

    Args:
        likelihood: to build.
        features_shape: of the decoder's outputs, (None, ...).
        event_shape: of examples, (None, ...).

    Raises:
        ValueError: when it is built for other shapes.
    """
    if not likelihood.built:
        likelihood.build(features_shape, event_shape)
    shapes = tuple(features_shape)[1:], tuple(event_shape)[1:]
    found = likelihood.features_shape, likelihood.event_shape
    if found != shapes:
        what = "a likelihood of features {} and examples {}"
        raise ValueError(expected(what.format(*shapes), f"one built for {found[0]} and {found[1]}"))


def bounded_log(log_scale: tf.Tensor, minimum: float) -> tf.Tensor:
    """Returns the logarithm of a scale, bent smoothly to stay above that of a minimum."""
    low = math.log(minimum)
    return low + tf.math.softplus(log_scale - low)
