"""A sample is a function of its own row seed, whatever the batch it travels in."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.contract import cases
from tfgen.core import random, specs

NUM_SAMPLES = 7


@pytest.fixture(params=cases.SAMPLERS, ids=lambda case: case.name)
def model(request, trained):
    """A trained model."""
    return trained(request.param)


def test_samples_are_examples(model):
    samples = model.sample(NUM_SAMPLES, seed=0).numpy()
    assert samples.dtype == model.event_spec.dtype.as_numpy_dtype
    assert samples.shape == (NUM_SAMPLES, *model.event_shape)
    specs.check_values(samples, model.event_spec, "samples")
    assert np.ptp(samples, axis=0).max() > 0, "all samples are equal"


def test_same_seed_same_sample_other_seed_other_sample(model):
    first = model.sample(NUM_SAMPLES, seed=3).numpy()
    np.testing.assert_array_equal(first, model.sample(NUM_SAMPLES, seed=3))
    other = model.sample(NUM_SAMPLES, seed=4).numpy()
    if other.dtype == np.float32:  # Tokens may agree.
        assert not np.isclose(first, other).all(axis=0).any()
    assert not np.array_equal(first, other)
    assert not np.array_equal(model.sample(NUM_SAMPLES), model.sample(NUM_SAMPLES))


def test_rows_do_not_depend_on_their_batch(model):
    samples = model.sample(NUM_SAMPLES, seed=3).numpy()
    seeds = random.row_seeds(NUM_SAMPLES, 3)
    for i in range(NUM_SAMPLES):
        row = model.sample(1, seed=seeds[i : i + 1])[0]
        np.testing.assert_allclose(row, samples[i], rtol=1e-5, atol=1e-6)
    order = [6, 0, 0, 3]
    rows = model.sample(len(order), seed=tf.gather(seeds, order))
    np.testing.assert_allclose(rows, samples[order], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.sample(3, seed=3), samples[:3], rtol=1e-5, atol=1e-6)


def test_served_seeds_are_rows(model):
    seed = 2**31 - 1
    served = np.array([seed + i * 2**32 for i in range(3)], np.int64)
    rows = model.sample(3, seed=random.row_seeds_from_int64(served))
    np.testing.assert_allclose(rows, model.sample(3, seed=seed), rtol=1e-5, atol=1e-6)


def test_sampling_is_the_same_in_a_graph(model):
    given = {name: tf.constant(v) for name, v in cases.condition(model, NUM_SAMPLES).items()}
    graph = tf.function(model.sample_rows, autograph=False)
    rows = graph(random.row_seeds(NUM_SAMPLES, 3), given)
    expected = model.sample(NUM_SAMPLES, 3, given or None)
    np.testing.assert_allclose(rows, expected, rtol=1e-5, atol=1e-6)


def test_temperatures_belong_to_rows(model):
    if not model.has_temperature:
        with pytest.raises(ValueError, match="Expected no `temperature`"):
            model.sample(2, seed=0, temperature=0.5)
        return
    each = np.array([0.5, 1.0, 2.0], np.float32)
    together = model.sample(3, seed=3, temperature=each).numpy()
    for i, temperature in enumerate(each.tolist()):
        alone = model.sample(3, seed=3, temperature=temperature)[i]
        np.testing.assert_allclose(alone, together[i], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(model.sample(3, 3), model.sample(3, 3, temperature=1.0))
    for temperature in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="Expected `temperature`"):
            model.sample(3, seed=3, temperature=temperature)


@pytest.mark.parametrize("seed", [-1, 2**31])
def test_seeds_outside_their_range_are_refused(model, seed):
    with pytest.raises(ValueError, match="Expected `seed`"):
        model.sample(2, seed=seed)


@pytest.mark.parametrize("case", **cases.by_name(cases.MODELS))
def test_verbs_are_by_row(trained, case):
    model = trained(case)
    x, z = cases.rows(model.event_spec, NUM_SAMPLES), cases.latents(model, NUM_SAMPLES)
    seeds, given = random.row_seeds(NUM_SAMPLES, 3), cases.condition(model, NUM_SAMPLES)
    mask = np.float32(np.random.default_rng(0).uniform(size=x.shape) < 0.5)
    calls = {
        "decode": lambda rows: model.decode(part(z, rows), at(rows)),
        "encode": lambda rows: model.encode(x[rows], at(rows)),
        "reconstruct": lambda rows: model.reconstruct(x[rows], at(rows)),
        "log_prob": lambda rows: model.log_prob(x[rows], at(rows)),
        "log_prob_bound": lambda rows: model.log_prob_bound(x[rows], 3, seeds[rows], at(rows)),
        "classify": lambda rows: model.classify(x[rows], at(rows)),
        "complete": lambda rows: model.complete(x[rows], mask[rows], seeds[rows], at(rows)),
    }

    def part(nest, rows):
        return keras.tree.map_structure(lambda values: values[rows], nest)

    def at(rows):
        return part(given, rows) or None

    for name in sorted(model.capabilities() & set(calls)):
        whole = tf.nest.flatten(calls[name](slice(None)))
        alone = [tf.nest.flatten(calls[name](slice(i, i + 1))) for i in range(NUM_SAMPLES)]
        for together, *rows in zip(whole, *alone, strict=True):
            assert np.isfinite(together).all()
            np.testing.assert_allclose(np.concatenate(rows), together, rtol=1e-4, atol=1e-5)
    assert model.capabilities() <= set(calls) | {"sample"}, "verbs that no test calls"


@pytest.mark.parametrize("case", **cases.by_name(cases.MODELS))
def test_completion_keeps_what_is_given(trained, case):
    model = trained(case)
    if "complete" not in model.capabilities():
        return
    x, given = cases.rows(model.event_spec, NUM_SAMPLES), cases.condition(model, NUM_SAMPLES)
    mask = np.random.default_rng(0).uniform(size=x.shape) < 0.5
    done = model.complete(x, mask, seed=0, condition=given or None).numpy()
    np.testing.assert_array_equal(done[mask], x[mask])
    np.testing.assert_array_equal(model.complete(x, mask * 0 + 1, 0, given or None), x)
