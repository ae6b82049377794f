"""What cannot go into an adversarial model, and what should not."""

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfgen.core.checks import expected
from tfgen.core.config import made_shape
from tfgen.losses import AdversarialLoss, LeastSquares, Penalty
from tfgen.training.keras_compat import flatten_layers

SIGMOIDS = (keras.activations.sigmoid, keras.ops.sigmoid, tf.sigmoid)
SHAPING = (keras.layers.Reshape, keras.layers.Flatten, keras.layers.Dropout)
"""Layers that may come after the last activation."""


def check_game(loss: Any, penalties: Any) -> None:
    """Raises TypeError unless a loss and penalties are values of `tfgen.losses`."""
    if not isinstance(loss, AdversarialLoss):
        raise TypeError(expected("an adversarial loss, e.g. Hinge()", repr(loss)))
    if isinstance(penalties, str) or not isinstance(penalties, Sequence):
        raise TypeError(expected("`penalties`, a list such as [R1()]", repr(penalties)))
    for penalty in penalties:
        if not isinstance(penalty, Penalty):
            raise TypeError(expected("penalties of `tfgen.losses`, e.g. R1()", repr(penalty)))


def check_function(name: str, value: Any, example: str) -> None:
    """Raises TypeError unless an optional argument is a function."""
    if value is not None and (isinstance(value, type) or not callable(value)):
        raise TypeError(expected(f"`{name}`, e.g. {example}", repr(value)))


def check_classes(num_classes: int | None, *networks: keras.layers.Layer) -> None:
    """Raises ValueError if a network is for another number of classes."""
    for network in networks:
        theirs = getattr(network, "num_classes", None)
        if theirs not in (None, num_classes):
            what = f"`num_classes={theirs}`, as {type(network).__name__} has"
            raise ValueError(expected(what, num_classes))


def check_logits(discriminator: keras.layers.Layer, shape: Any, event_shape: Sequence[int]) -> None:
    """Builds a discriminator, and raises ValueError unless it ends in logits.

    Args:
        discriminator: to be built unless it is.
        shape: of its inputs, or of each of them.
        event_shape: of an example. Patches of logits have no more axes, committees one more.
    """
    made = made_shape("discriminator", discriminator, shape)[1:]
    if len(made) > len(event_shape) + 1 or made[-1:] not in ((), (1,)):
        what = (
            "a discriminator of logits [batch, 1] or [batch, height, width, 1], which ends in one "
            "unit (or are two networks swapped?)"
        )
        raise ValueError(expected(what, f"outputs of shape {('batch', *made)}"))


def warn_of_misfits(
    discriminator: keras.layers.Layer, loss: AdversarialLoss, penalties: Sequence[Penalty]
) -> None:
    """Warns of a sigmoid that ends a discriminator of logits, and of penalties it cannot meet."""
    layers = list(leaves(discriminator))
    # A conditional discriminator adds a projection to the logits of another.
    of_logits = leaves(getattr(discriminator, "discriminator", discriminator))
    last = [layer for layer in of_logits if not isinstance(layer, SHAPING)][-1]
    if getattr(last, "activation", None) in SIGMOIDS and not isinstance(loss, LeastSquares):
        warnings.warn(
            f"Layer {last.name!r}, the discriminator's last, is a sigmoid, but "
            f"{type(loss).__name__} is a loss of raw logits. Let it end in a linear layer.",
            stacklevel=3,
        )
    norms = [x.name for x in layers if isinstance(x, keras.layers.BatchNormalization)]
    bounding = [type(penalty).__name__ for penalty in penalties if penalty.bounds_slopes]
    if norms and bounding:
        warnings.warn(
            f"{bounding[0]} bounds the critic's slope at each example, but layer {norms[0]!r} "
            "makes it depend on the whole batch. Use a critic without batch normalisation "
            "(Gulrajani et al., 2017).",
            stacklevel=3,
        )


def leaves(network: keras.layers.Layer) -> Iterator[keras.layers.Layer]:
    """Yields the layers of a network that hold no others, in the order they were made."""
    inner = flatten_layers(network, include_self=False, recursive=False)
    if not inner:
        yield network
    for layer in inner:
        yield from leaves(layer)
