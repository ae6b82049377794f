"""What one optimisation of a training step is, and how it is carried out."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from tfgen.core.checks import expected
from tfgen.training.keras_compat import added_losses
from tfgen.training.not_finite import assert_finite, loss_title
from tfgen.training.optimize import (
    Gradient,
    Parts,
    apply_gradients,
    finite_on_all,
    rescaled,
    scales,
)
from tfgen.training.replicas import summed

Terms = dict[str, tf.Tensor]

REGULARIZATION = "regularization"
"""What logs call the losses of a network's own."""


def _nothing(terms: Terms, aux: dict[str, tf.Tensor]) -> None:
    """Leaves everything as it is."""


@dataclass(frozen=True)
class Update:
    """One optimisation: the gradient of a loss over some groups of variables.

    Args:
        name: the name of its loss in the training logs.
        terms: returns `{"loss": [batch], ...}`; what else is in it becomes a logged metric. Or a
            pair of these and aux, tensors by name that are no terms, such as the counts and sums of
            a codebook.
        trains: the groups that it optimises, by name; an update of state alone trains none.
        after: is called with this replica's batch means of the terms, and with aux summed over all
            replicas, once the optimizers have moved their variables, e.g. to clip weights.
    """

    name: str
    terms: Callable[[], Terms | tuple[Terms, dict[str, tf.Tensor]]]
    trains: tuple[str, ...]
    after: Callable[[Terms, dict[str, tf.Tensor]], None] = _nothing

    def __post_init__(self) -> None:
        if isinstance(self.trains, str):
            raise TypeError(expected("`trains`, a tuple of groups", repr(self.trains)))


def mean_terms(update: Update, groups: Sequence[Parts] = ()) -> tuple[Terms, dict[str, tf.Tensor]]:
    """Returns the batch means of an update's terms, and its aux.

    The loss goes by the update's name, which prefixes the other terms unless it is "loss". What the
    trained layers have of losses of their own, by regularizers and `add_loss`, is a term named
    "regularization", and part of the loss.

    Args:
        update: to work out.
        groups: the layers that it trains.

    Raises:
        TypeError: when the update does not return terms by name.
        ValueError: when the loss is not among them.
    """
    with added_losses(layer for group in groups for layer in group.layers) as added:
        found = update.terms()
    terms, aux = found if isinstance(found, tuple) and len(found) == 2 else (found, {})
    owner = "`objective`" if update.name == "loss" else f"the update {update.name!r}"
    if not isinstance(terms, Mapping):
        what = f'{owner} to return a dictionary, {{"loss": [batch], ...}}'
        raise TypeError(expected(what, type(terms).__name__))
    if "loss" not in terms:
        raise ValueError(expected(f"{owner} to return terms with 'loss' among them", sorted(terms)))
    shape = tf.convert_to_tensor(terms["loss"]).shape
    if shape.rank is not None and shape.rank > 1:
        raise ValueError(expected(f"{owner} to return a loss [batch], or a scalar", tuple(shape)))
    prefix = "" if update.name == "loss" else f"{update.name}_"
    means = {
        update.name if name == "loss" else prefix + name: tf.reduce_mean(tf.cast(term, tf.float32))
        for name, term in terms.items()
    }
    own = [*_weight_losses(groups), *added]
    if own:
        if REGULARIZATION in terms:
            what = f"another name than {REGULARIZATION!r}, that of the layers' own losses"
            raise ValueError(expected(what, f"a term of {owner}"))
        means[prefix + REGULARIZATION] = tf.add_n([tf.cast(loss, tf.float32) for loss in own])
        means[update.name] += means[prefix + REGULARIZATION]
    return means, dict(aux)


def _weight_losses(groups: Sequence[Parts]) -> list[tf.Tensor]:
    """Returns what the regularizers of trained variables give."""
    variables = [variable for group in groups for variable in group.trainable_variables]
    return [v.regularizer(v) for v in variables if v.regularizer is not None]


def apply_update(
    update: Update,
    groups: Sequence[Parts],
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
        groups: the layers to optimise; none for an update of state alone.
        optimizers: one for each group, built on its variables.
        fuse: whether XLA may compile the steps of optimizers with many weights.

    Returns:
        The batch means of the update's terms, scalars.
    """
    if groups:
        variables = [list(group.trainable_variables) for group in groups]
        terms, aux, gradients = _gradients(update, groups, variables, optimizers)
        for optimizer, grads, own in zip(optimizers, gradients, variables, strict=True):
            apply_gradients(optimizer, grads, own, fuse)
    else:
        terms, aux = mean_terms(update)
        terms = _after([_assert_each_finite(terms, update.name)], terms)
    update.after(terms, _after(list(terms.values()), summed(aux)))
    return terms


def _gradients(
    update: Update,
    groups: Sequence[Parts],
    variables: list[list[keras.Variable]],
    optimizers: Sequence[keras.optimizers.Optimizer],
) -> tuple[Terms, dict[str, tf.Tensor], list[list[Gradient]]]:
    """Returns the means of the terms, aux, and the gradients that each optimizer expects."""
    with tf.GradientTape() as tape:
        terms, aux = mean_terms(update, groups)
        finite = _assert_each_finite(terms, update.name)
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        loss = optimizers[0].scale_loss(terms[update.name] / replicas)
    gradients = tape.gradient(loss, variables)
    if replicas > 1 and any(map(scales, optimizers)):
        gradients = finite_on_all(gradients)
    # Only what flows into the optimizers waits for the check: control dependencies on the
    # optimizers' own operations keep them from being optimised, and cost 6% of a GLO step.
    with tf.control_dependencies([finite]):
        gradients = [[g if g is None else tf.identity(g) for g in grads] for grads in gradients]
    gradients = [
        [rescaled(g, optimizers[0], optimizer) for g in grads]
        for optimizer, grads in zip(optimizers, gradients, strict=True)
    ]
    return _after([finite], terms), aux, gradients


def _after(operations: list[tf.Operation], terms: Terms) -> Terms:
    """Returns terms that are computed after operations."""
    with tf.control_dependencies(operations):
        return {name: tf.identity(term) for name, term in terms.items()}


def _assert_each_finite(terms: Terms, loss: str) -> tf.Operation:
    """Returns an operation that fails on the first term, such as a penalty, or else the loss."""
    parts = [assert_finite(term, name) for name, term in terms.items() if name != loss]
    with tf.control_dependencies(parts):
        return assert_finite(tf.identity(terms[loss]), loss_title(loss))


def joined(parts: Iterable[Terms]) -> dict[str, Any]:
    """Returns the terms of several updates; those of the same name, of repeated ones, averaged."""
    found: dict[str, list[tf.Tensor]] = {}
    for terms in parts:
        for name, value in terms.items():
            found.setdefault(name, []).append(value)
    return {name: tf.add_n(values) / len(values) for name, values in found.items()}
