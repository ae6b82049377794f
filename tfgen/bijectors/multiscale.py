"""Multi-scale chains: after each level half of the channels are done, and the others go on."""

import math
from collections.abc import Callable, Iterator, Sequence

import tensorflow as tf

from tfgen.bijectors.axes import halves
from tfgen.bijectors.bijector import Bijector, Result, Shape
from tfgen.bijectors.chain import build, part_of
from tfgen.core.checks import expected
from tfgen.core.config import register


@register
class MultiScale(Bijector):
    """z = (second half of f_1(x), second half of f_2(first half), ..., f_n(...)), one vector [d].

    After each level but the last, the second half of the last axis is factored out, and the first,
    which has one more of an odd number, goes on. A level that ends with `Coupling(network)`, whose
    mask is `Half()`, gives the half that is factored out a learned Gaussian prior given the other.

    Args:
        levels: bijectors, at least one, such as chains that begin with `Squeeze()`. A conditional
            bijector gives its condition to all of them.

    Raises:
        ValueError: when there is none; when built, where a level leaves one channel to be split.

    Reference: Dinh, Sohl-Dickstein and Bengio, "Density estimation using Real NVP", 2017,
        https://arxiv.org/abs/1605.08803.
    """

    def __init__(self, levels: Sequence[Bijector], **kwargs: object) -> None:
        super().__init__(**kwargs)
        levels = list(levels)
        if not levels or not all(isinstance(level, Bijector) for level in levels):
            raise ValueError(expected("`levels`, at least one bijector", levels))
        self.levels = levels

    def _build(self, event_shape: Shape, condition_dim: int | None) -> None:
        steps = tuple(self._steps(event_shape))
        for level, (inputs, _) in zip(self.levels, steps, strict=True):
            build(level, inputs, condition_dim)
        self._out_shapes = tuple(out for _, out in steps)

    def _steps(self, event_shape: Shape) -> Iterator[tuple[Shape, Shape]]:
        """Yields the shapes of what each level takes, and of what is factored out after it."""
        for level in self.levels[:-1]:
            outputs = level.output_shape(event_shape)
            first, second = halves(outputs)
            yield event_shape, (*outputs[:-1], second)
            event_shape = (*outputs[:-1], first)
        yield event_shape, self.levels[-1].output_shape(event_shape)

    def output_shape(self, event_shape: Shape) -> Shape:
        """Returns the shape of one z, [d]."""
        return (sum(math.prod(out) for _, out in self._steps(event_shape)),)

    def forward_and_log_det(
        self, x: tf.Tensor, condition: tf.Tensor | None = None, seed: tf.Tensor | None = None
    ) -> Result:
        """Returns z and log |det dz/dx|, [batch]."""
        act, log_dets = self._counted(lambda level: level.forward_and_log_det, condition, seed)
        return self._to_noise(x, act), tf.add_n(log_dets)

    def inverse_and_log_det(
        self, z: tf.Tensor, condition: tf.Tensor | None = None, seed: tf.Tensor | None = None
    ) -> Result:
        """Returns x and log |det dx/dz|, [batch]."""
        act, log_dets = self._counted(lambda level: level.inverse_and_log_det, condition, seed)
        return self._to_data(z, act), tf.add_n(log_dets)

    def _counted(
        self,
        way: Callable[[Bijector], Callable[..., Result]],
        condition: tf.Tensor | None,
        seed: tf.Tensor | None,
    ) -> tuple[Callable[[int, tf.Tensor], tf.Tensor], list[tf.Tensor]]:
        """Returns what the level of a number makes of rows, and a list that log-dets then go to."""
        log_dets = []

        def act(number: int, rows: tf.Tensor) -> tf.Tensor:
            level = self.levels[number]
            rows, log_det = way(level)(rows, condition, part_of(seed, number, level))
            log_dets.append(log_det)
            return rows

        return act, log_dets

    def forward(self, x: tf.Tensor, condition: tf.Tensor | None = None) -> tf.Tensor:
        """Returns z = f(x)."""
        return self._to_noise(x, lambda number, rows: self.levels[number].forward(rows, condition))

    def inverse(self, z: tf.Tensor, condition: tf.Tensor | None = None) -> tf.Tensor:
        """Returns x, of which z = f(x)."""
        return self._to_data(z, lambda number, rows: self.levels[number].inverse(rows, condition))

    def prepare(self, rows: tf.Tensor, condition: tf.Tensor | None, inverse: bool) -> tf.Tensor:
        """Sets the weights that begin from data, each level's by what comes to it."""

        def prepare(number: int, rows: tf.Tensor) -> tf.Tensor:
            return self.levels[number].prepare(rows, condition, inverse)

        return self._to_data(rows, prepare) if inverse else self._to_noise(rows, prepare)

    def _to_noise(self, x: tf.Tensor, act: Callable[[int, tf.Tensor], tf.Tensor]) -> tf.Tensor:
        """Returns z, given what the level of a number makes of what comes to it."""
        outs = []
        for number in range(len(self.levels)):
            x = act(number, x)
            if number < len(self.levels) - 1:
                x, out = tf.split(x, halves(x.shape[1:]), axis=-1)
                outs.append(out)
        shapes = zip([*outs, x], self._out_shapes, strict=True)
        return tf.concat([tf.reshape(out, [-1, math.prod(s)]) for out, s in shapes], axis=1)

    def _to_data(self, z: tf.Tensor, act: Callable[[int, tf.Tensor], tf.Tensor]) -> tf.Tensor:
        """Returns x, given what the level of a number makes of what comes to it from z."""
        outs = tf.split(z, [math.prod(shape) for shape in self._out_shapes], axis=1)
        x = None
        for number in reversed(range(len(self.levels))):
            out = tf.reshape(outs[number], [-1, *self._out_shapes[number]])
            x = act(number, out if x is None else tf.concat([x, out], axis=-1))
        return x

    @property
    def draws(self) -> bool:
        """Whether one of the levels makes draws in training."""
        return any(level.draws for level in self.levels)

    @property
    def log_det_is_constant(self) -> bool:
        """Whether the log-determinant is the same for all x."""
        return all(level.log_det_is_constant for level in self.levels)
