"""Maps with the products of vectors with their Jacobians, from one evaluation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import tensorflow as tf

Map = Callable[[tf.Tensor], tf.Tensor]

Linearised = tuple[tf.Tensor, Map]
"""g(x), and w -> w'J with J = dg/dx of each row, for any number of w; tapes outside see both."""


@dataclass(frozen=True)
class SmoothMap:
    """A map g of each row by itself.

    Args:
        call: x -> g(x).
        linearised: x -> g(x) and the products with its Jacobian.
    """

    call: Map
    linearised: Callable[[tf.Tensor], Linearised]


def by_tape(g: Map) -> SmoothMap:
    """Returns any map, with products by gradients."""

    def linearised(x: tf.Tensor) -> Linearised:
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(x)
            value = g(x)
        return value, lambda w: tape.gradient(value, x, w, tf.UnconnectedGradients.ZERO)

    return SmoothMap(g, linearised)


def cast_to(dtype: str) -> SmoothMap:
    """Returns the change of the type of numbers."""
    return SmoothMap(
        lambda x: tf.cast(x, dtype), lambda x: (tf.cast(x, dtype), lambda w: tf.cast(w, x.dtype))
    )


def composed(maps: Sequence[SmoothMap]) -> SmoothMap:
    """Returns maps one after the other, the first of the list first."""

    def call(x: tf.Tensor) -> tf.Tensor:
        for each in maps:
            x = each.call(x)
        return x

    def linearised(x: tf.Tensor) -> Linearised:
        products = []
        for each in maps:
            x, product = each.linearised(x)
            products.append(product)
        return x, lambda w: _applied(products[::-1], w)

    return SmoothMap(call, linearised)


def _applied(maps: Sequence[Map], x: tf.Tensor) -> tf.Tensor:
    for each in maps:
        x = each(x)
    return x
