"""What all flows share: a bijector from data to noise, a base, conditions and dequantisation."""

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfgen.bijectors.actnorm import ActNorm
from tfgen.bijectors.bijector import Bijector
from tfgen.bijectors.chain import build
from tfgen.core import random, specs
from tfgen.core.checks import expected
from tfgen.data.examples import Batch, Examples
from tfgen.distributions.base import BaseDensity
from tfgen.distributions.dequantisation import Dequantization
from tfgen.distributions.noise import StandardNormal
from tfgen.flows.conditions import num_features
from tfgen.model.model import GenerativeModel
from tfgen.model.rows import VERBS, Conditions
from tfgen.training.averages import Averages, average_of
from tfgen.training.keras_compat import flatten_layers


class FlowModel(GenerativeModel):
    """Base of the models x = f^-1(z), z ~ base, whose density is

        log p(x) = log base(f(x)) + log |det df/dx|.

    Latents are vectors: z of the bijector, flattened. With `ema_decay`, the moving average of all
    weights is what the verbs use, and what is exported.

    With a dequantisation of L levels, the flow is one of numbers v in [0, 1), and an example on
    the levels is the middle of its cell: v = (x (L - 1) + 1/2) / L. `log_prob` is the density of x
    as a continuous number, and `log_prob_bound` a bound on the probability of the level nearest to
    x, log P(x) >= E[log p(v) - log q(v | x)]. Samples are continuous: the nearest level of each is
    a sample of P.

    Sampling at temperature t scales the noise by sqrt(t) about its mean. That is exact, samples
    are of p(x)^(1/t), for a Gaussian base and a bijector of constant log-determinant, such as
    additive couplings; for others it is the usual scaling of latents.

    Numbers of a sample that overflow, as those of unbounded scales may, are NaN, never cut off at
    the bounds of examples.
    """

    has_temperature = True
    default_optimizers = {"": lambda: keras.optimizers.Adam(1e-3)}
    traced_verbs = frozenset(VERBS)
    _warned = False

    def __init__(
        self,
        bijector: Bijector,
        event_shape: Sequence[int],
        base: BaseDensity | None,
        event_name: str | None,
        condition_specs: Mapping[str, tf.TensorSpec],
        dequantization: Dequantization | None,
        ema_decay: float | None,
        seed: int,
        name: str | None,
    ) -> None:
        super().__init__(seed=seed, name=name)
        self._event = specs.event_spec(tuple(event_shape), name=event_name)
        self._conditions = dict(condition_specs)
        _check_kinds(bijector, base, dequantization)
        condition_dim = sum(map(num_features, self._conditions.values())) or None
        build(bijector, self.event_shape, condition_dim)
        self.bijector = bijector
        self._latent_shape = tuple(bijector.output_shape(self.event_shape))
        self.base = self._built_base(base, condition_dim)
        self.event_name = event_name
        self.dequantization = dequantization
        if dequantization is not None and not dequantization.built:
            dequantization.build((None, *self.event_shape))
        self.ema_decay = ema_decay
        self.ema_bijector = average_of(bijector, ema_decay)
        self.ema_base = average_of(self.base, ema_decay)
        if dequantization is not None:
            self.ema_dequantization = average_of(dequantization, ema_decay)

    def _built_base(self, base: BaseDensity | None, condition_dim: int | None) -> BaseDensity:
        dim = math.prod(self._latent_shape)
        base = base or StandardNormal(dim)
        if not base.built:
            base.build((None, dim), condition_dim and (None, condition_dim))
        if base.dim != dim or (base.conditional and base.condition_dim != condition_dim):
            what = f"a base of {dim} numbers and {condition_dim} features of conditions"
            raise ValueError(expected(what, f"one of {base.dim} and {base.condition_dim}"))
        return base

    # What it is about.

    @property
    def latent_dim(self) -> int:
        """The size of z."""
        return self.base.dim

    @property
    def latent_spec(self) -> tf.TensorSpec:
        """A vector of as many numbers as an example has."""
        return specs.latent_spec(self.latent_dim)

    @property
    def event_spec(self) -> tf.TensorSpec:
        """The specification of one example."""
        return self._event

    @property
    def condition_specs(self) -> Mapping[str, tf.TensorSpec]:
        """Labels, and what else the flow is conditioned on."""
        return dict(self._conditions)

    @property
    def flow_averages(self) -> Averages:
        """The averages of bijector, base and dequantisation, where they are kept."""
        if self.ema_decay is None:
            return []
        pairs = [(self.ema_bijector, self.bijector), (self.ema_base, self.base)]
        if self.dequantization is not None:
            pairs.append((self.ema_dequantization, self.dequantization))
        return [(average, layer) for average, layer in pairs if layer.weights]

    def lacks(self) -> Mapping[str, str]:
        """Returns the bound, of a flow whose density is exact."""
        if self.dequantization is None:
            return {"log_prob_bound": "it has no dequantization, and log_prob is exact"}
        return {}

    # The verbs.

    def encode_rows(self, x: tf.Tensor, condition: Conditions | None = None) -> tf.Tensor:
        """Returns z = f(x), [batch, latent_dim]."""
        features = self._features(condition)
        return self._flat(self.averaged(self.bijector).forward(self._inside(x), features))

    def decode_rows(self, z: tf.Tensor, condition: Conditions | None = None) -> tf.Tensor:
        """Returns x = f^-1(z), [batch, *event], cut off where examples are bounded."""
        z = tf.reshape(z, [-1, *self._latent_shape])
        x = self.averaged(self.bijector).inverse(z, self._features(condition))
        x = x if self.dequantization is None else self.dequantization.examples(x)
        bounds = specs.bounds(self.event_spec)
        if bounds is None:
            return x
        return tf.where(tf.abs(x) < np.inf, tf.clip_by_value(x, *bounds), np.nan)

    def sample_rows(
        self,
        row_seeds: tf.Tensor,
        condition: Conditions | None = None,
        temperature: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns f^-1(z) of one draw of the base a row seed, int32 [batch, 2]."""
        base = self.averaged(self.base)
        z = base.sample_rows(row_seeds, self._features(condition), temperature)
        return self.decode_rows(z, condition)

    def log_prob_rows(self, x: tf.Tensor, condition: Conditions | None = None) -> tf.Tensor:
        """Returns the exact log density of each example as a continuous number, [batch]."""
        log_prob, _ = self._verb_density(self._inside(x), self._features(condition))
        if self.dequantization is None:
            return log_prob
        return log_prob + self.dequantization.log_middles_slope(math.prod(self.event_shape))

    def log_prob_bound_rows(
        self,
        x: tf.Tensor,
        row_seeds: tf.Tensor,
        condition: Conditions | None = None,
        num_importance: int = 1,
    ) -> tf.Tensor:
        """Returns log mean_i p(v_i) / q(v_i | x) of draws v_i ~ q(v | x), [batch].

        Its mean is a lower bound on log P(x) of the level nearest to x, tighter for more draws.
        """
        seeds = tf.reshape(random.split(row_seeds, num_importance), [-1, 2])
        repeated = tf.repeat(x, num_importance, axis=0)
        dequantization = self.averaged(self.dequantization)
        v, log_q = dequantization.draw_rows(repeated, seeds)
        features = self._features(condition)
        if features is not None:
            features = tf.repeat(features, num_importance, axis=0)
        log_prob, _ = self._verb_density(v, features)
        each = tf.reshape(log_prob - log_q, [-1, num_importance])
        return tf.reduce_logsumexp(each, axis=1) - math.log(num_importance)

    # Training.

    def prepare(self, x: Batch, examples: Examples | None) -> None:
        """Sets what begins from data: actnorm's weights, by the first batch."""
        rows, features = x["x"], self._features(self.conditions_of(x))
        if self.dequantization is not None:
            seed = random.step_seed(self.seed, tf.constant(0, tf.int64))
            rows = self.dequantization.on_levels(rows)
            self.dequantization.prepare(rows, seed)
            rows, _ = self.dequantization.draw(rows, seed, training=False)
        z = self.bijector.prepare(rows, features, inverse=False)
        self.base.prepare(self._flat(z), features)

    def likelihood(self, x: Batch, seed: tf.Tensor, training: bool) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the log density of a batch, or a draw of the bound, [batch], and z of it.

        Args:
            x, seed, training: as for `updates`.
        """
        first, second = tf.unstack(random.split_seed(seed, 2))
        rows, log_q = x["x"], 0.0
        if self.dequantization is not None:
            rows = self.dequantization.on_levels(rows)
            rows, log_q = self.dequantization.draw(rows, first, training)
        own = second if training else None
        features = self._features(self.conditions_of(x))
        log_prob, z = self._density(self.bijector, self.base, rows, features, own)
        return log_prob - log_q, z

    def bits_per_dim(self, log_prob: tf.Tensor) -> tf.Tensor:
        """Returns bits per dimension of what `likelihood` returns; of images, at 256 levels."""
        per_dim = log_prob / math.prod(self.event_shape)
        if self.dequantization is None and specs.is_image(self.event_spec):
            per_dim -= math.log(256.0)
        return -per_dim / math.log(2.0)

    def warn_before_use(self) -> None:
        """Warns, once, when an `ActNorm` has seen no data."""
        if not self._warned and tf.executing_eagerly():
            self._warned = True
            if not self.prepared.numpy():
                _warn_of_no_data(self.bijector)

    # Inside.

    def _verb_density(self, v: tf.Tensor, features: tf.Tensor | None) -> tuple:
        """Returns the log density of what the bijector takes, and z, with the averages' weights."""
        bijector, base = self.averaged(self.bijector), self.averaged(self.base)
        return self._density(bijector, base, v, features)

    def _density(
        self,
        bijector: Bijector,
        base: BaseDensity,
        v: tf.Tensor,
        features: tf.Tensor | None,
        seed: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        z, log_det = bijector.forward_and_log_det(v, features, seed)
        z = self._flat(z)
        return base.log_prob(z, features) + log_det, z

    def _inside(self, x: tf.Tensor) -> tf.Tensor:
        """Returns examples as the bijector takes them."""
        return x if self.dequantization is None else self.dequantization.middles(x)

    def _flat(self, z: tf.Tensor) -> tf.Tensor:
        return tf.reshape(z, [-1, self.latent_dim])

    def _features(self, condition: Conditions | None) -> tf.Tensor | None:
        """Returns all conditions as one vector a row: labels one-hot, in the order of names."""
        if not self._conditions:
            return None
        parts = []
        for name, spec in self._conditions.items():
            value = tf.convert_to_tensor(condition[name])
            if spec.dtype.is_integer:
                value = tf.one_hot(value, spec.num_values)
            parts.append(tf.reshape(tf.cast(value, tf.float32), [-1, num_features(spec)]))
        return tf.concat(parts, axis=1)


def _check_kinds(bijector: Any, base: Any, dequantization: Any) -> None:
    """Raises TypeError unless the parts of a flow are what they have to be."""
    if not isinstance(bijector, Bijector):
        raise TypeError(expected("`bijector`, one of tfgen.bijectors", type(bijector).__name__))
    if base is not None and not isinstance(base, BaseDensity):
        what = "`base`, StandardNormal, DiagonalGaussian, DiagonalMixture or Transformed"
        raise TypeError(expected(what, type(base).__name__))
    if dequantization is not None and not isinstance(dequantization, Dequantization):
        what = "`dequantization`, a tfgen.distributions.Dequantization"
        raise TypeError(expected(what, type(dequantization).__name__))


def _warn_of_no_data(bijector: Bijector) -> None:
    """Warns when an `ActNorm` in a bijector has seen no data: its weights are all zero."""
    norms = [layer for layer in flatten_layers(bijector) if isinstance(layer, ActNorm)]
    if any(not np.any(norm.shift) and not np.any(norm.log_scale) for norm in norms):
        what = "a flow that has seen data, as `fit` sets `ActNorm` by the first batch"
        received = "one with an `ActNorm` that is still the identity"
        warnings.warn(expected(what, received), stacklevel=2)
