"""Stochastic gradient Hamiltonian Monte Carlo: an optimizer that samples."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfgen.core import random
from tfgen.core.checks import check_integer, check_positive, check_seed, expected
from tfgen.core.config import register
from tfgen.training.keras_compat import variable_index


@register
class SGHMC(keras.optimizers.Optimizer):
    """Samples weights w from the posterior of a likelihood and a Gaussian prior,

        p(w) ~ exp(-num_examples * loss(w)) N(w; 0, s^2 I),

    where s is `prior_std`, and the loss a mean over the examples of minus the log likelihood. With
    rate e, friction a and noise n ~ N(0, I) a step is

        v <- (1 - a) v - e (grad loss + w / (s^2 num_examples)) + sqrt(2 a e / num_examples) n
        w <- w + v,

    which is gradient descent with momentum 1 - a, but for the noise. With `beta_2`, each weight has
    a rate of its own, e / (sqrt(q) + epsilon), where q is the average of its squared gradients that
    RMSProp and Adam divide by: the scale-adapted form. While q still moves, states follow the
    posterior approximately.

    The noise is a function of the seed and the number of the step, the same on all replicas.

    Args:
        num_examples: how many the likelihood is of, > 0.
        learning_rate: e, > 0 or a Keras schedule.
        friction: a, in (0, 1].
        prior_std: of the weights, > 0.
        beta_2: decay of the average of squared gradients, in (0, 1), or None for one common rate.
        epsilon: added to the root of the average, > 0.
        seed: of the noise.

    Raises:
        TypeError: when `num_examples` or the seed is not an integer.
        ValueError: when a number is out of range.

    Reference: Chen, Fox and Guestrin, "Stochastic Gradient Hamiltonian Monte Carlo", 2014,
        https://arxiv.org/abs/1402.4102, equation 15; for rates of weights, Springenberg et al.,
        "Bayesian Optimization with Robust Bayesian Neural Networks", 2016, section 4.
    """

    def __init__(
        self,
        num_examples: int,
        learning_rate: Any = 1e-3,
        friction: float = 0.1,
        prior_std: float = 1.0,
        beta_2: float | None = None,
        epsilon: float = 1e-3,
        seed: int = 0,
        name: str = "sghmc",
        **kwargs: Any,
    ) -> None:
        if isinstance(learning_rate, int | float):
            check_positive("learning_rate", learning_rate)
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        check_integer("num_examples", num_examples)
        if not 0 < friction <= 1:
            raise ValueError(expected("`friction` in (0, 1]", friction))
        check_positive("prior_std", prior_std)
        if beta_2 is not None and not 0 < beta_2 < 1:
            raise ValueError(expected("`beta_2` in (0, 1), or None", beta_2))
        check_positive("epsilon", epsilon)
        check_seed("seed", seed)
        self.num_examples = num_examples
        self.friction = friction
        self.prior_std = prior_std
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.seed = seed

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Makes a momentum, and an average of squared gradients, of each variable."""
        if self.built:
            return
        super().build(variables)
        like = self.add_variable_from_reference
        self._momenta = [like(v, name="momentum") for v in variables]
        self._squares = [like(v, name="square") for v in variables] if self.beta_2 else []

    def update_step(
        self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor
    ) -> None:
        """Moves a variable, and its momentum."""
        index = variable_index(self, variable)
        momentum = self._momenta[index]
        rate = self._rate(index, gradient, tf.cast(learning_rate, variable.dtype))
        slope = gradient + variable / (self.prior_std**2 * self.num_examples)
        noise = tf.sqrt(2 * self.friction * rate / self.num_examples) * self._noise(index, variable)
        self.assign(momentum, (1 - self.friction) * momentum - rate * slope + noise)
        self.assign_add(variable, momentum)

    def _rate(self, index: int, gradient: tf.Tensor, learning_rate: tf.Tensor) -> tf.Tensor:
        """Returns the rate of each weight, or that of all."""
        if not self.beta_2:
            return learning_rate
        square = self._squares[index]
        self.assign_add(square, (1 - self.beta_2) * (tf.square(gradient) - square))
        steps = tf.cast(self.iterations.value + 1, square.dtype)
        unbiased = square / (1 - tf.pow(self.beta_2, steps))
        return learning_rate / (tf.sqrt(unbiased) + self.epsilon)

    def _noise(self, index: int, variable: tf.Variable) -> tf.Tensor:
        step = tf.cast(self.iterations.value, tf.int32)
        seed = random.fold_in([self.seed, index], step)
        return random.draw_normal(variable.shape, seed, dtype=variable.dtype)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        own = ("num_examples", "friction", "prior_std", "beta_2", "epsilon", "seed")
        return super().get_config() | {name: getattr(self, name) for name in own}
