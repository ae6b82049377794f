"""A sample is a function of its own row seed, whatever the batch it travels in."""

import numpy as np
import pytest
import tensorflow as tf

from tests.contract import cases
from tfgen.core import random

NUM_SAMPLES = 7


@pytest.fixture(params=cases.MODELS, ids=lambda case: case.name)
def model(request, trained):
    """A trained model."""
    return trained(request.param)


def test_samples_are_examples(model):
    samples = model.sample(NUM_SAMPLES, seed=0).numpy()
    assert samples.dtype == np.float32
    assert samples.shape == (NUM_SAMPLES, *model.event_shape)
    assert np.isfinite(samples).all()
    if len(model.event_shape) == 3:
        assert 0 <= samples.min() <= samples.max() <= 1
    assert np.ptp(samples, axis=0).max() > 0, "all samples are equal"


def test_same_seed_same_sample_other_seed_other_sample(model):
    first = model.sample(NUM_SAMPLES, seed=3).numpy()
    np.testing.assert_array_equal(first, model.sample(NUM_SAMPLES, seed=3))
    assert not np.isclose(first, model.sample(NUM_SAMPLES, seed=4)).all(axis=0).any()
    assert not np.array_equal(model.sample(NUM_SAMPLES), model.sample(NUM_SAMPLES))


def test_rows_do_not_depend_on_their_batch(model):
    samples = model.sample(NUM_SAMPLES, seed=3).numpy()
    seeds = random.row_seeds(NUM_SAMPLES, 3)
    for i in range(NUM_SAMPLES):
        row = model.sample_rows(seeds[i : i + 1])[0]
        np.testing.assert_allclose(row, samples[i], rtol=1e-5, atol=1e-6)
    order = [6, 0, 0, 3]
    rows = model.sample_rows(tf.gather(seeds, order))
    np.testing.assert_allclose(rows, samples[order], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.sample(3, seed=3), samples[:3], rtol=1e-5, atol=1e-6)


def test_served_seeds_are_rows(model):
    seed = 2**31 - 1
    served = np.array([seed + i * 2**32 for i in range(3)], np.int64)
    rows = model.sample_rows(random.row_seeds_from_int64(served))
    np.testing.assert_allclose(rows, model.sample(3, seed=seed), rtol=1e-5, atol=1e-6)


def test_sampling_is_the_same_in_a_graph(model):
    graph = tf.function(model.sample_rows, input_signature=[tf.TensorSpec([None, 2], tf.int32)])
    rows = graph(random.row_seeds(NUM_SAMPLES, 3))
    np.testing.assert_allclose(rows, model.sample(NUM_SAMPLES, seed=3), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("seed", [-1, 2**31])
def test_seeds_outside_their_range_are_refused(model, seed):
    with pytest.raises(ValueError, match="Expected `seed`"):
        model.sample(2, seed=seed)


def test_decoding_and_encoding_are_by_row(model):
    able = model.capabilities()
    x = tf.random.stateless_uniform([NUM_SAMPLES, *model.event_shape], [0, 2])
    z = tf.random.stateless_normal([NUM_SAMPLES, getattr(model, "latent_dim", 1)], [0, 1])
    calls = {"decode": z, "encode": x, "reconstruct": x}
    condition = cases.condition(model, NUM_SAMPLES).values()
    for name in sorted(able & set(calls)):
        verb, inputs = getattr(model, name), (calls[name], *condition)
        together = tf.nest.flatten(verb(*inputs))
        alone = [
            tf.nest.flatten(verb(*(values[i : i + 1] for values in inputs)))
            for i in range(NUM_SAMPLES)
        ]
        for whole, *rows in zip(together, *alone, strict=True):
            assert np.isfinite(whole).all()
            np.testing.assert_allclose(np.concatenate(rows), whole, rtol=1e-4, atol=1e-5)
