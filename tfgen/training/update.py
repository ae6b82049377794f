"""What one optimisation of a training step is, and how it is carried out."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import keras
import tensorflow as tf

from tfgen.training.not_finite import assert_finite, loss_title

Terms = dict[str, tf.Tensor]
Gradient = tf.Tensor | tf.IndexedSlices | None

FUSED_FROM = 1_000_000
"""With so many weights XLA compiles an optimizer's step, alone if not the whole training step.

One pass over weights and moments takes the place of about ten: Adam's step on 6.4 million weights
takes 7 ms rather than 22 on one CPU core.
"""


@dataclass(frozen=True)
class Update:
    """One optimisation: the gradient of a loss over some groups of variables.

    Args:
        name: the name of its loss in the training logs.
        terms: returns `{"loss": [batch], ...}`; what else is in it becomes a logged metric.
        trains: the groups that it optimises, by name. Group `g` of a model holds the trainable
            variables of the model's layer `g`, and belongs to the optimizer `g_optimizer`.
        after: is called with the batch means of the terms once the optimizers have moved their
            variables, e.g. to clip weights or to average them.
    """

    name: str
    terms: Callable[[], Terms]
    trains: tuple[str, ...]
    after: Callable[[Terms], None] = lambda terms: None


class Group(Protocol):
    """A layer, or anything else that owns trainable variables."""

    trainable_variables: Sequence[keras.Variable]


def mean_terms(update: Update) -> Terms:
    """Returns the batch means of an update's terms, the loss under the update's name.

    The name prefixes the other terms of an update whose name is not "loss".
    """
    prefix = "" if update.name == "loss" else f"{update.name}_"
    return {
        update.name if name == "loss" else prefix + name: tf.reduce_mean(tf.cast(term, tf.float32))
        for name, term in update.terms().items()
    }


def apply_update(
    update: Update,
    groups: Sequence[Group],
    optimizers: Sequence[keras.optimizers.Optimizer],
    fuse: bool = False,
) -> Terms:
    """Takes one gradient of the update's loss and gives each optimizer its group's part.

    The loss is averaged over the batch and divided by the number of replicas, since optimizers sum
    gradients over replicas. Under float16 the loss carries the first optimizer's scale, and the
    gradients of the others are brought to theirs. A loss or another term that is not finite raises
    tf.errors.InvalidArgumentError before a gradient moves a variable, except under XLA.

    Args:
        update: what to optimise.
        groups: the owners of the variables to optimise, at least one.
        optimizers: one for each group, built on its variables.
        fuse: whether XLA may compile the steps of optimizers with many weights.

    Returns:
        The batch means of the update's terms, scalars.
    """
    variables = [list(group.trainable_variables) for group in groups]
    with tf.GradientTape() as tape:
        terms = mean_terms(update)
        finite = _assert_each_finite(terms, update.name)
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        loss = optimizers[0].scale_loss(terms[update.name] / replicas)
    gradients = tape.gradient(loss, variables)
    if replicas > 1 and any(map(_is_dynamic, optimizers)):
        gradients = _finite_on_all(gradients)
    # Only what flows into the optimizers waits for the check: control dependencies on the
    # optimizers' own operations keep them from being optimised, and cost 6% of a GLO step.
    with tf.control_dependencies([finite]):
        gradients = [[g if g is None else tf.identity(g) for g in grads] for grads in gradients]
        terms = {name: tf.identity(term) for name, term in terms.items()}
    for optimizer, grads, own in zip(optimizers, gradients, variables, strict=True):
        _apply(optimizer, [_rescale(g, optimizers[0], optimizer) for g in grads], own, fuse)
    update.after(terms)
    return terms


def _assert_each_finite(terms: Terms, loss: str) -> tf.Operation:
    """Returns an operation that fails on the first term, such as a penalty, or else the loss."""
    parts = [assert_finite(term, name) for name, term in terms.items() if name != loss]
    with tf.control_dependencies(parts):
        return assert_finite(tf.identity(terms[loss]), loss_title(loss))


def _finite_on_all(gradients: list[list[Gradient]]) -> list[list[Gradient]]:
    """Returns gradients that are NaN on every replica if they are not finite on one.

    A loss-scaling optimizer skips a step by what it sees on the first replica alone.
    """
    found = [_values(g) for grads in gradients for g in grads if g is not None]
    finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(values)) for values in found])
    context = tf.distribute.get_replica_context()
    bad = context.all_reduce(tf.distribute.ReduceOp.SUM, tf.cast(~finite, tf.float32))
    spoilt = tf.where(bad > 0, float("nan"), 0.0)
    spoil = lambda values: values + tf.cast(spoilt, values.dtype)  # noqa: E731
    return [[g if g is None else _mapped(spoil, g) for g in grads] for grads in gradients]


def _values(gradient: tf.Tensor | tf.IndexedSlices) -> tf.Tensor:
    return gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient


def _mapped(
    function: Callable[[tf.Tensor], tf.Tensor], gradient: tf.Tensor | tf.IndexedSlices
) -> tf.Tensor | tf.IndexedSlices:
    """Returns a gradient with a function applied to its numbers."""
    values = function(_values(gradient))
    if isinstance(gradient, tf.IndexedSlices):
        return tf.IndexedSlices(values, gradient.indices, gradient.dense_shape)
    return values


def _apply(
    optimizer: keras.optimizers.Optimizer,
    gradients: list[Gradient],
    variables: list[keras.Variable],
    fuse: bool,
) -> None:
    """Gives an optimizer its gradients, in one compiled pass where that pays and is possible."""

    def apply(gradients: list[Gradient]) -> None:
        optimizer.apply(gradients, variables)

    possible = (
        not tf.executing_eagerly()
        and tf.distribute.get_strategy().num_replicas_in_sync == 1
        and not _scales(optimizer)
        and not any(isinstance(gradient, tf.IndexedSlices) for gradient in gradients)
    )
    if fuse and possible and sum(math.prod(v.shape) for v in variables) >= FUSED_FROM:
        apply = tf.function(apply, jit_compile=True, autograph=False)
    apply(gradients)


def joined(parts: Iterable[Terms]) -> Terms:
    """Returns the terms of several updates; those of the same name, of repeated ones, averaged."""
    found: dict[str, list[tf.Tensor]] = {}
    for terms in parts:
        for name, value in terms.items():
            found.setdefault(name, []).append(value)
    return {name: tf.add_n(values) / len(values) for name, values in found.items()}


def _is_dynamic(optimizer: keras.optimizers.Optimizer) -> bool:
    return isinstance(optimizer, keras.optimizers.LossScaleOptimizer)


def _scales(optimizer: keras.optimizers.Optimizer) -> bool:
    return _is_dynamic(optimizer) or optimizer.loss_scale_factor is not None


def _loss_scale(optimizer: keras.optimizers.Optimizer) -> tf.Tensor:
    return optimizer.scale_loss(tf.ones([]))


def _rescale(
    gradient: Gradient,
    scaled_by: keras.optimizers.Optimizer,
    optimizer: keras.optimizers.Optimizer,
) -> Gradient:
    """Returns a gradient that carries another optimizer's loss scale as if it carried its own."""
    scaled = _scales(scaled_by) or _scales(optimizer)
    if gradient is None or optimizer is scaled_by or not scaled:
        return gradient
    factor = _loss_scale(optimizer) / _loss_scale(scaled_by)
    return _mapped(lambda values: values * factor, gradient)
