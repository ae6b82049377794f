"""Densities are normalised, bounds stay below, flows come back, codebooks follow what they see."""

import itertools
from typing import get_type_hints

import numpy as np
import pytest
import tensorflow as tf

from tests.contract import cases
from tfgen.core import random

NUM_DRAWS = 64


def able(verb: str) -> list[cases.ModelCase]:
    """Returns the cases whose class has a verb, without making a model of each."""
    return [case for case in cases.MODELS if get_type_hints(case.create)["return"].writes(verb)]


def enumerable(verb: str) -> list[cases.ModelCase]:
    """Returns those of the cases that have a verb whose examples can be listed, or be on a grid."""
    return [case for case in able(verb) if case.data().ndim == 2]


def space(model) -> tuple[np.ndarray, float]:
    """Returns all examples of a model, or a grid that holds them, and the size of a cell."""
    spec = model.event_spec
    if spec.dtype.is_integer:
        (length,) = spec.shape
        every = itertools.product(range(spec.num_values), repeat=length)
        return np.array(list(every), np.int32), 1.0
    assert tuple(spec.shape) == (2,), "no grid is known for this model"
    axis = np.linspace(-8, 8, 161, dtype=np.float32)
    return np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2), (axis[1] - axis[0]) ** 2


@pytest.mark.parametrize("case", **cases.by_name(enumerable("log_prob")))
def test_the_density_sums_to_one(case, trained):
    model = trained(case)
    x, cell = space(model)
    names = list(model.condition_specs)
    conditions = [{}]
    if names:
        values = range(model.condition_specs[names[0]].num_values)
        conditions = [{names[0]: np.full(len(x), value)} for value in values]
    for condition in conditions:
        log_prob = (
            model.log_prob(x, condition or None, batch_size=len(x)).numpy().astype(np.float64)
        )
        assert np.exp(log_prob).sum() * cell == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("case", **cases.by_name(enumerable("log_prob")))
def test_samples_are_of_the_density(case, trained):
    """Their mean log density is the mean of the log density, as the space has it."""
    model = trained(case)
    x, cell = space(model)
    count = 4000
    given = {name: np.zeros(count, int) for name in model.condition_specs} or None
    same = {name: np.zeros(len(x), int) for name in model.condition_specs} or None
    samples = model.sample(count, seed=0, condition=given, batch_size=count)
    found = model.log_prob(samples, given, batch_size=count).numpy()
    log_prob = model.log_prob(x, same, batch_size=len(x)).numpy().astype(np.float64)
    expected = np.sum(np.exp(log_prob) * log_prob) * cell
    assert found.mean() == pytest.approx(expected, abs=4 * float(found.std()) / count**0.5)


@pytest.mark.parametrize("case", **cases.by_name(able("log_prob_bound")))
def test_more_draws_make_a_tighter_bound(case, trained):
    model = trained(case)
    if "log_prob_bound" not in model.capabilities():
        return
    x = np.repeat(cases.rows(model.event_spec, 1), NUM_DRAWS, axis=0)
    given = {name: np.zeros(NUM_DRAWS, int) for name in model.condition_specs} or None

    def bound(num_importance: int, seed: int = 0) -> np.ndarray:
        return model.log_prob_bound(x, num_importance, seed, given).numpy()

    one, few, many = map(bound, (1, 4, 32))
    assert one.mean() < few.mean() < many.mean()
    assert many.std() < one.std()
    np.testing.assert_array_equal(bound(4), few)
    assert not np.array_equal(bound(4, seed=1), few)


def test_tokens_depend_on_those_before_them_alone(trained):
    network = trained(cases.named("tokens")).network
    tokens, label = tf.zeros([1, network.length], tf.int32), tf.zeros([1], tf.int32)
    before = network(tokens, label).numpy()
    for place in range(network.length):
        changed = network(tf.one_hot([place], network.length, 1, 0, dtype=tf.int32), label)
        moved = np.abs(changed.numpy() - before).max(axis=(0, 2)) > 0
        assert moved.tolist() == [i > place for i in range(network.length)]


def test_a_codebook_follows_its_members_as_numpy_says():
    model = cases.named("codebook").compiled()
    name, stage, batch = next(cases.named("codebook").batches(model))
    counts, sums = model.counts.numpy(), model.sums.numpy()
    features = model.encoder(batch["x"]).numpy().reshape(-1, sums.shape[1])
    vectors = sums / counts[:, None]
    nearest = ((features[:, None] - vectors) ** 2).sum(-1).argmin(1)
    np.testing.assert_array_equal(model.encode(batch["x"]).numpy().ravel(), nearest)
    stage.train_step(batch)
    which = np.eye(len(counts))[nearest]
    decay = model.decay
    np.testing.assert_allclose(model.counts, decay * counts + (1 - decay) * which.sum(0), rtol=1e-5)
    expected = decay * sums + (1 - decay) * which.T @ features
    np.testing.assert_allclose(model.sums, expected, rtol=1e-4, atol=1e-6)


def test_a_codebook_passes_gradients_straight_through():
    model = cases.named("codebook").create()
    x = tf.constant(cases.rows(model.event_spec, 2))
    seed = random.step_seed(0, tf.constant(0, tf.int64))
    with tf.GradientTape() as tape:
        terms, _ = model.objective({"x": x}, seed, training=True)
        error = tf.reduce_sum(terms["loss"] - 0.25 * terms["commitment"])
    gradient = tape.gradient(error, model.encoder.kernel.value)
    with tf.GradientTape() as tape:
        chosen = tf.gather(model.vectors, model.encode(x))
        tape.watch(chosen)
        error = tf.reduce_sum((x - model.decoder(chosen)) ** 2)
    slope = tape.gradient(error, chosen)
    with tf.GradientTape() as tape:
        features = model.encoder(x)
        along = tf.reduce_sum(features * tf.stop_gradient(slope))
    expected = tape.gradient(along, model.encoder.kernel.value)
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-6)
