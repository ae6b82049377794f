"""Which numbers of an event a coupling keeps, and which it moves: values without weights."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfgen.bijectors.axes import halves, num_channels, permuted
from tfgen.core.checks import check_integer, expected
from tfgen.core.config import Configurable, register

Shape = tuple[int, ...]


class Mask(Configurable, ABC):
    """Parts an event [..., c] in what is kept, which the network sees, and what is moved."""

    @abstractmethod
    def dims(self, event_shape: Shape) -> tuple[int, int]:
        """Returns the sizes of the last axes of what is kept and what is moved.

        Raises:
            ValueError: when it would keep or move nothing of such events.
        """

    @abstractmethod
    def split(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns what is kept and what is moved, [batch, ..., dim] of [batch, ..., c]."""

    @abstractmethod
    def merge(self, kept: tf.Tensor, moved: tf.Tensor) -> tf.Tensor:
        """Undoes `split`."""

    def of_moved(self, log_det: tf.Tensor) -> tf.Tensor:
        """Returns the log-derivatives of what is moved, zero where it is kept after all."""
        return log_det


@register
@dataclass(frozen=True)
class Half(Mask):
    """Keeps the first half of the last axis, of channels or of a vector, and moves the second.

    Of an odd number the first half has one more.

    Args:
        swap: keeps the second half and moves the first.
    """

    swap: bool = False

    def dims(self, event_shape: Shape) -> tuple[int, int]:
        """Returns the sizes of the last axes of what is kept and what is moved."""
        sizes = halves(event_shape)
        return sizes[::-1] if self.swap else sizes

    def split(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns what is kept and what is moved."""
        first, second = tf.split(x, halves(x.shape[1:]), axis=-1)
        return (second, first) if self.swap else (first, second)

    def merge(self, kept: tf.Tensor, moved: tf.Tensor) -> tf.Tensor:
        """Undoes `split`."""
        return tf.concat([moved, kept] if self.swap else [kept, moved], axis=-1)


@register
@dataclass(frozen=True)
class ChannelMask(Mask):
    """Keeps some channels, or entries of a vector, and moves the others.

    Args:
        kept: their indices, e.g. `range(0, 8, 2)`, each once, from 0.

    Raises:
        TypeError: when one is not an integer.
        ValueError: when there are none, one is below 0, or one comes twice.
    """

    kept: Sequence[int]

    def __post_init__(self) -> None:
        kept = tuple(self.kept)
        for index in kept:
            check_integer("kept", index, minimum=0)
        if not kept or len(set(kept)) < len(kept):
            raise ValueError(expected("`kept`, at least one channel, each once", kept))
        object.__setattr__(self, "kept", tuple(map(int, kept)))

    def dims(self, event_shape: Shape) -> tuple[int, int]:
        """Returns the sizes of the last axes of what is kept and what is moved."""
        channels = num_channels(event_shape)
        if max(self.kept) >= channels or len(self.kept) == channels:
            what = f"some of {channels} channels to keep, and others to move"
            raise ValueError(expected(what, f"`kept` = {self.kept}"))
        return len(self.kept), channels - len(self.kept)

    def split(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns what is kept and what is moved."""
        order = [*self.kept, *sorted(set(range(x.shape[-1])) - set(self.kept))]
        return tuple(tf.split(permuted(x, order), self.dims(x.shape[1:]), axis=-1))

    def merge(self, kept: tf.Tensor, moved: tf.Tensor) -> tf.Tensor:
        """Undoes `split`."""
        x = tf.concat([kept, moved], axis=-1)
        order = [*self.kept, *sorted(set(range(x.shape[-1])) - set(self.kept))]
        return permuted(x, np.argsort(order))


@register
@dataclass(frozen=True)
class Checkerboard(Mask):
    """Keeps the positions whose coordinates have an even sum, with all of their channels.

    The network sees the whole event, zero where it is moved, so that convolutions know where they
    are. Entries of a vector count as positions.

    Args:
        swap: keeps the positions of odd sums.

    Reference: Dinh, Sohl-Dickstein and Bengio, "Density estimation using Real NVP", 2017,
        https://arxiv.org/abs/1605.08803.
    """

    swap: bool = False

    def dims(self, event_shape: Shape) -> tuple[int, int]:
        """Returns the size of the last axis, twice."""
        kept = self._kept(event_shape)
        if kept.all() or not kept.any():
            raise ValueError(expected("an event of two positions or more", event_shape))
        return (num_channels(event_shape),) * 2

    def split(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns what is kept, zero elsewhere, and everything."""
        return x * tf.constant(self._kept(x.shape[1:]), x.dtype), x

    def merge(self, kept: tf.Tensor, moved: tf.Tensor) -> tf.Tensor:
        """Returns each number from where it belongs."""
        return tf.where(self._kept(kept.shape[1:]), kept, moved)

    def of_moved(self, log_det: tf.Tensor) -> tf.Tensor:
        """Returns the log-derivatives where it is moved, zero elsewhere."""
        return log_det * tf.constant(~self._kept(log_det.shape[1:]), log_det.dtype)

    def _kept(self, event_shape: Shape) -> np.ndarray:
        """Returns what is kept, bool [..., 1], or [c] of vectors."""
        positions = tuple(event_shape)[:-1] or tuple(event_shape)
        even = np.indices(positions).sum(axis=0) % 2 == int(self.swap)
        return even[..., np.newaxis] if len(event_shape) > 1 else even
