"""The hierarchical variational autoencoder: latents at several resolutions, drawn top-down."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import keras
import tensorflow as tf

from tfgen.core import random
from tfgen.core.checks import check_integer, expected
from tfgen.core.config import register
from tfgen.data.examples import Batch
from tfgen.distributions.likelihoods import Bernoulli, Likelihood, build_likelihood
from tfgen.model.inversion import in_batches
from tfgen.model.model import GenerativeModel
from tfgen.model.rows import Conditions
from tfgen.model.verbs import BATCH_SIZE
from tfgen.training.averages import Averages
from tfgen.training.update import Terms
from tfgen.variational.base import (
    QuietLatents,
    as_they_are,
    averages_of,
    lacking,
    make_averages,
    shown,
)
from tfgen.variational.bounds import ELBO, Bound, Evidence, check_bound, estimate
from tfgen.variational.gaussians import divergence, draw, log_prob
from tfgen.variational.ladder import BottomUp, TopDown
from tfgen.variational.levels import Level, row_noise

CHUNK = 8
"""Draws that `log_prob_bound` works out at a time, each of which takes maps of features."""

AVERAGED = ("encoder", "decoder", "likelihood")


@register
class HierarchicalVAE(GenerativeModel):
    """p(x) = E p(x | z), of latents z = (z_0, ..., z_L-1) from the top to finer and finer grids,

        p(z) = N(z_0; 0, I) prod_l N(z_l; m_l(h_l), s_l(h_l)^2),

    whose means and scales are functions of the state h_l that the levels above make. It is learned
    with q(z_l | x, z_above), whose parameters come from features of x at the level, made from the
    bottom up, and from the same state, by a lower bound on log p(x):

        E_q log p(x | z) - sum_l KL(q(z_l | x, z_above) || p(z_l | z_above)).

    Training logs the divergence of each level in nats, "kl_0" of the top, and their sum "kl";
    "kl_sampled_0" and so on where they are means over draws. A
    level may have an autoregressive prior, `AutoregressiveGrid`, whose divergence is the sum of
    those of its positions, given those before them as they are drawn.

    `encode` gives the latents from the top down, each the mean of q given those above it; `decode`
    gives the mean of p(x | z), and so does `sample`, unless `draw_samples`. At a temperature t, the
    noise of every level is scaled by sqrt(t). `resample` keeps upper levels and draws the others.

    Args:
        event_shape: of an image, (height, width, channels), or of a vector, (dim,).
        levels: a `Level` for each group of latents, the top first: vectors, then grids whose height
            and width divide those of the grid below, and those of the image.
        likelihood: p(x | features), of floats, `Bernoulli()` unless given.
        bound: what is maximised, `ELBO()` unless given, whose `free_bits` are those of each level;
            or `ImportanceWeighted`, but for its doubly reparameterised gradient.
        draw_samples: whether `sample` and `resample` draw from p(x | z) in place of its mean.
        ema_decay: of the average of weights that the verbs use, in [0, 1); None for no average.
        seed: of the training noise, in [0, 2**31).
        name: of the model.

    Raises:
        TypeError: when a part is not what it has to be.
        ValueError: when levels do not fit each other or the example, or a number is out of range.

    Reference: Sonderby et al., "Ladder Variational Autoencoders", 2016,
        https://arxiv.org/abs/1602.02282; Kingma et al. on top-down inference, 2016,
        https://arxiv.org/abs/1606.04934; Gulrajani et al., "PixelVAE", 2017,
        https://arxiv.org/abs/1611.05013.
    """

    default_optimizers = {"": lambda: keras.optimizers.Adam(1e-3)}
    has_temperature = True
    traced_verbs = frozenset({"sample", "log_prob_bound"})

    def __init__(
        self,
        event_shape: Sequence[int],
        levels: Sequence[Level],
        likelihood: Likelihood | None = None,
        bound: Bound | None = None,
        draw_samples: bool = False,
        ema_decay: float | None = None,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(seed=seed, name=name)
        self.bound = bound or ELBO()
        check_bound(self.bound)
        if self.bound.doubly_reparameterized:
            what = "a bound whose gradient is not doubly reparameterised"
            raise ValueError(expected(what, self.bound))
        self.likelihood = likelihood or Bernoulli()
        if not isinstance(self.likelihood, Likelihood):
            raise TypeError(expected("`likelihood`, such as Bernoulli()", repr(likelihood)))
        self._event = self.likelihood.event_spec(tuple(event_shape))
        if self._event.dtype.is_integer:
            raise ValueError(expected("a likelihood of floats", type(likelihood).__name__))
        self.encoder = BottomUp(event_shape, levels)
        self.levels = self.encoder.levels
        self.decoder = TopDown(event_shape, self.levels)
        self.draw_samples = draw_samples
        self.ema_decay = ema_decay
        features = (None, *self.decoder.features_shape)
        build_likelihood(self.likelihood, features, (None, *event_shape))
        make_averages(self, AVERAGED)
        self._quiet = QuietLatents()

    # What it is about.

    @property
    def event_spec(self) -> tf.TensorSpec:
        """The specification of one example, which the likelihood decides."""
        return self._event

    @property
    def latent_spec(self) -> tuple[tf.TensorSpec, ...]:
        """That of each level, the top first."""
        return tuple(tf.TensorSpec(level.latent_shape, tf.float32, "z") for level in self.levels)

    @property
    def averages(self) -> Averages:
        """The averages of both networks and of the likelihood, if they are kept."""
        return averages_of(self, AVERAGED)

    def lacks(self) -> Mapping[str, str]:
        """Returns the bound, where the likelihood is not a probability."""
        return lacking(self.likelihood)

    # The verbs.

    def sample_rows(
        self,
        row_seeds: tf.Tensor,
        condition: Conditions | None = None,
        temperature: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns the mean of p(x | z), or a draw of it, of one z a row seed, int32 [batch, 2]."""
        return self._resampled((), row_seeds, temperature)

    def encode_rows(
        self, x: tf.Tensor, condition: Conditions | None = None
    ) -> tuple[tf.Tensor, ...]:
        """Returns the means of q(z_l | x, z_above), each given the means above it."""
        encoder, found = self.averaged(self.encoder), []
        features = encoder(x)

        def choose(number: int, state: tf.Tensor | None) -> tf.Tensor:
            found.append(encoder.posterior(number, features[number], state)[0])
            return found[-1]

        self._descend(choose, self.averaged)
        return tuple(found)

    def decode_rows(
        self, z: tuple[tf.Tensor, ...], condition: Conditions | None = None
    ) -> tf.Tensor:
        """Returns the means of p(x | z), [batch, *event]."""
        hidden = self._descend(lambda number, state: z[number], self.averaged)
        return self.averaged(self.likelihood).mean(self._parameters(hidden, self.averaged))

    def log_prob_bound_rows(
        self,
        x: tf.Tensor,
        row_seeds: tf.Tensor,
        condition: Conditions | None = None,
        num_importance: int = 1,
    ) -> tf.Tensor:
        """Returns log mean_i p(x, z_i) / q(z_i | x) of draws z_i ~ q(z | x), [batch].

        Its mean is a lower bound on log p(x), tighter for more draws. They are worked out eight at
        a time, so that memory does not grow with their number.
        """
        x = self.likelihood.in_range(x)
        features = self.averaged(self.encoder)(x)

        def log_weights(seeds: tf.Tensor, count: int) -> tf.Tensor:
            each = tf.reshape(random.split(seeds, count), [-1, 2])
            noise = row_noise(self.levels, each)
            return self._evidence(x, features, noise, count, self.averaged)[0].log_weights

        seeds = random.stream(row_seeds, "posterior")
        return estimate(log_weights, seeds, num_importance, CHUNK)

    def resample(
        self,
        x: Any,
        keep: int = 1,
        seed: Any = None,
        temperature: float | tf.Tensor | None = None,
        *,
        batch_size: int = BATCH_SIZE,
    ) -> tf.Tensor:
        """Keeps the upper levels of examples and draws those below, z_l ~ p(z_l | z_above), anew.

        Args:
            x: examples [batch, *event], whose latents are those of `encode`; or the latents
                themselves, a tuple like `latent_spec`.
            keep: how many levels are kept, from the top, in [0, number of levels].
            seed: of the levels that are drawn, as for `sample`; a seed gives the same.
            temperature: of the levels that are drawn, as for `sample`.
            batch_size: as for `sample`.

        Returns:
            What `sample` gives, [batch, *event].

        Raises:
            TypeError: when `keep` is not an integer.
            ValueError: when it is out of range, or `x` does not agree with the specifications.
        """
        check_integer("keep", keep, minimum=0)
        if keep > len(self.levels):
            raise ValueError(expected(f"`keep` <= {len(self.levels)}, the levels", keep))
        check_integer("batch_size", batch_size)
        if isinstance(x, tuple | list):
            z = self._checked_latents(x)
        else:
            z = self.encode(x, batch_size=batch_size)
        seeds = self._seeds(seed, z[0])
        rows = (tuple(z[:keep]), seeds, self._temperatures(temperature, seeds))
        ask = self._resampled
        if tf.executing_eagerly():
            ask = self._traces.of(ask, rows, ("resample", keep))
        return in_batches(ask, rows, batch_size)

    # Training.

    def objective(self, x: Batch, seed: tf.Tensor, training: bool) -> Terms:
        """Returns minus the bound, and its parts, in nats: the divergence of each level."""
        x = self.likelihood.on_support(x["x"])
        features, step = self.encoder(x), self.step.value

        def evidence(num_samples: int) -> tuple[Evidence, dict[str, tf.Tensor]]:
            noise = self._noise(tf.shape(x)[0] * num_samples, seed)
            return self._evidence(x, features, noise, num_samples, as_they_are)

        if isinstance(self.bound, ELBO):
            found, divergences = evidence(self.bound.num_samples)
            likelihood = tf.reduce_mean(found.log_likelihood, axis=1)
            terms = self.bound.terms_of(likelihood, divergences, step)
        else:
            kept = {}

            def drawn(num_samples: int, by_path: Callable | None = None) -> Evidence:
                found, divergences = evidence(num_samples)
                kept.update(divergences)
                return found

            terms = {**self.bound.terms(drawn, lambda: None, step), **kept}
        if not self.likelihood.is_normalized:
            del terms["log_prob_bound"]
        name = self._name_of_kl
        total = tf.add_n([terms[f"{name}_{number}"] for number in range(len(self.levels))])
        return terms | {name: total}

    @property
    def _name_of_kl(self) -> str:
        """What a divergence is logged as: in closed form, or as the mean over draws."""
        return "kl" if self.bound.analytic else "kl_sampled"

    def end_epoch(self, epoch: int, logs: Mapping[str, float]) -> dict[str, float]:
        """Warns, once, when a level has told nothing for two epochs."""
        numbers = range(len(self.levels))
        found = {n: logs.get(f"{self._name_of_kl}_{n}", math.inf) for n in numbers}
        self._quiet.see({f"latents of level {n}": kl for n, kl in found.items()})
        return {}

    # Inside.

    def _noise(self, num_rows: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Returns the noise of each level in training, [num_rows, *latent_shape]."""
        seeds = tf.unstack(random.split_seed(seed, len(self.levels)))
        shapes = [level.latent_shape for level in self.levels]
        each = zip(shapes, seeds, strict=True)
        return tuple(random.draw_normal([num_rows, *shape], of) for shape, of in each)

    def _descend(self, choose: Callable[[int, tf.Tensor | None], Any], part: Callable) -> tf.Tensor:
        """Returns what the lowest level leads on to, of latents that are chosen from the top down.

        Args:
            choose: the number of a level and the state there -> its latents.
            part: returns the layer that stands for one of the model: itself, or its average.
        """
        decoder, hidden = part(self.decoder), None
        for number in range(len(self.levels)):
            state = decoder.state(number, hidden)
            hidden = decoder.hidden(number, state, choose(number, state))
        return hidden

    def _parameters(self, hidden: tf.Tensor, part: Callable) -> Any:
        """Returns the parameters of p(x | z)."""
        return part(self.likelihood).parameters(part(self.decoder)(hidden))

    def _resampled(
        self, kept: tuple, row_seeds: tf.Tensor, temperature: tf.Tensor | None
    ) -> tf.Tensor:
        """Returns samples whose upper levels are given, one a row seed."""
        noise, decoder = row_noise(self.levels, row_seeds, temperature), self.averaged(self.decoder)

        def choose(number: int, state: tf.Tensor | None) -> tf.Tensor:
            known = number < len(kept)
            return kept[number] if known else decoder.draw(number, state, noise[number])

        parameters = self._parameters(self._descend(choose, self.averaged), self.averaged)
        return shown(self.averaged(self.likelihood), parameters, row_seeds, self.draw_samples)

    def _evidence(
        self, x: tf.Tensor, features: tuple, noise: tuple, count: int, part: Callable
    ) -> tuple[Evidence, dict[str, tf.Tensor]]:
        """Returns what draws say of each example, and the divergence of each level, [batch].

        Args:
            x: [batch, *event].
            features: of these examples at each level.
            noise: of each level, [batch * count, *latent_shape].
            count: how many draws of each example.
            part: as for `_descend`.
        """
        encoder, decoder = part(self.encoder), part(self.decoder)
        x, *features = (tf.repeat(rows, count, axis=0) for rows in (x, *features))
        by_draw = partial(tf.reshape, shape=[-1, count])
        log_p, log_q, divergences = [], [], {}

        def choose(number: int, state: tf.Tensor | None) -> tf.Tensor:
            q = encoder.posterior(number, features[number], state)
            z = draw(q, noise[number])
            p = decoder.prior(number, state, z)
            log_p.append(log_prob(z, p))
            log_q.append(log_prob(z, q))
            exact = self.bound.analytic
            kl = divergence(q, p) if exact else log_q[-1] - log_p[-1]
            divergences[f"{self._name_of_kl}_{number}"] = tf.reduce_mean(by_draw(kl), axis=1)
            return z

        parameters = self._parameters(self._descend(choose, part), part)
        log_likelihood = part(self.likelihood).log_prob(x, parameters)
        found = (log_likelihood, tf.add_n(log_p), tf.add_n(log_q))
        return Evidence(*map(by_draw, found)), divergences
