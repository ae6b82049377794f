"""Optimizers of tables, which touch the rows of a batch and no others."""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from tfgen.core.checks import check_positive, expected
from tfgen.core.config import register
from tfgen.training.keras_compat import variable_index


class _RowOptimizer(keras.optimizers.Optimizer):
    """Base of the row-wise optimizers: gradients are tf.IndexedSlices, duplicate rows are summed.

    `project`, when it is set, maps updated rows [rows, d] to where they must be. A constraint of
    the variable would instead be applied to the whole table at each step.
    """

    project: Callable[[tf.Tensor], tf.Tensor] | None = None

    def __init__(self, learning_rate: object, name: str, **kwargs: object) -> None:
        if isinstance(learning_rate, int | float):
            check_positive("learning_rate", learning_rate)
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        whole = ("weight_decay", "use_ema", "gradient_accumulation_steps", "global_clipnorm")
        if given := [option for option in whole if getattr(self, option)]:
            raise ValueError(expected("no option that touches whole tables", given))

    def update_step(
        self, gradient: tf.IndexedSlices, variable: tf.Variable, learning_rate: tf.Tensor
    ) -> None:
        """Updates the rows that the gradient names."""
        if not isinstance(gradient, tf.IndexedSlices):
            what = "a gradient that is a tf.IndexedSlices, as of a table read with tf.gather"
            raise TypeError(expected(what, type(gradient).__name__))
        rows, positions = tf.unique(gradient.indices)
        slope = tf.math.unsorted_segment_sum(gradient.values, positions, tf.size(rows))
        step = self._row_step(rows, slope, variable) * tf.cast(learning_rate, variable.dtype)
        values = tf.gather(variable, rows) - step
        values = values if self.project is None else self.project(values)
        _scatter(variable, rows, values)

    def _row_step(self, rows: tf.Tensor, slope: tf.Tensor, variable: tf.Variable) -> tf.Tensor:
        """Returns the step for a learning rate of one, [rows, d]."""
        raise NotImplementedError


def _scatter(variable: tf.Variable, rows: tf.Tensor, values: tf.Tensor) -> None:
    variable.scatter_update(tf.IndexedSlices(values, rows))


@register
class RowSGD(_RowOptimizer):
    """Gradient descent on the rows of the batch: z_i <- project(z_i - learning_rate * g_i).

    Args:
        learning_rate: a number > 0 or a Keras schedule.

    Raises:
        TypeError: when it is applied to a dense gradient.
        ValueError: when an option is given that touches whole tables, such as `weight_decay`.
    """

    def __init__(
        self, learning_rate: object = 0.01, name: str = "row_sgd", **kwargs: object
    ) -> None:
        super().__init__(learning_rate, name, **kwargs)

    def _row_step(self, rows: tf.Tensor, slope: tf.Tensor, variable: tf.Variable) -> tf.Tensor:
        return slope


@register
class RowAdam(_RowOptimizer):
    """Adam with the moments and the number of steps of each row its own.

    A row that is not in the batch keeps its latent, its moments and its step count, so that each
    row is optimised as by an Adam of its own. `keras.optimizers.Adam` on the same table would decay
    the moments of all rows, and move them, at each step, in time proportional to the table.

    Args:
        learning_rate: a number > 0 or a Keras schedule.
        beta_1, beta_2: decay rates of the moments, in [0, 1).
        epsilon: added to the root of the second moment, > 0.

    Raises:
        TypeError: when it is applied to a dense gradient.
        ValueError: when a number is out of range, or an option is given that touches whole tables,
            such as `weight_decay`.

    Reference: Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2015,
        https://arxiv.org/abs/1412.6980.
    """

    def __init__(
        self,
        learning_rate: object = 0.01,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        name: str = "row_adam",
        **kwargs: object,
    ) -> None:
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        for decay in (beta_1, beta_2):
            if not 0 <= decay < 1:
                raise ValueError(expected("`beta_1` and `beta_2` in [0, 1)", decay))
        check_positive("epsilon", epsilon)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Makes the moments [N, d] and step counts [N] of each table."""
        if self.built:
            return
        super().build(variables)
        like = self.add_variable_from_reference
        self._first = [like(table, name="first_moment") for table in variables]
        self._second = [like(table, name="second_moment") for table in variables]
        self._steps = [
            self.add_variable(shape=(table.shape[0],), dtype="int32", name=f"steps_{i}")
            for i, table in enumerate(variables)
        ]

    def _row_step(self, rows: tf.Tensor, slope: tf.Tensor, variable: tf.Variable) -> tf.Tensor:
        index = variable_index(self, variable)
        first, second, steps = (
            moments[index].value for moments in (self._first, self._second, self._steps)
        )
        m = tf.gather(first, rows)
        m += (slope - m) * (1 - self.beta_1)
        v = tf.gather(second, rows)
        v += (tf.square(slope) - v) * (1 - self.beta_2)
        t = tf.gather(steps, rows) + 1
        for moments, values in ((first, m), (second, v), (steps, t)):
            _scatter(moments, rows, values)
        power = tf.cast(t, slope.dtype)[:, tf.newaxis]
        unbiased_m = m / (1 - tf.pow(self.beta_1, power))
        unbiased_v = v / (1 - tf.pow(self.beta_2, power))
        return unbiased_m / (tf.sqrt(unbiased_v) + self.epsilon)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        own = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
        return super().get_config() | own
