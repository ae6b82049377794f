"""How many graphs are made, and of how many rows at a time."""

from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.small_models import COMPLAINT, center, small_glo
from tfgen.adversarial import GAN
from tfgen.core import random
from tfgen.distributions import StandardNormal
from tfgen.losses import AbsoluteError
from tfgen.model.inversion import Inversion
from tfgen.networks import MLP, ConditionalGenerator, ProjectionDiscriminator

X = np.linspace(0, 1, 48, dtype=np.float32).reshape(24, 2)


def counted(model, name):
    """Returns a list that grows by each trace of a method."""
    traces, method = [], getattr(model, name)

    def call(*args, **kwargs):
        traces.append(name)
        return method(*args, **kwargs)

    object.__setattr__(model, name, call)
    return traces


def test_batch_sizes_that_were_seen_make_no_graph():
    """The second size makes one for all sizes; `evaluate` between has one of its own."""
    model = center()
    traces, tests = counted(model, "train_step"), counted(model, "test_step")
    seen = []
    for size in (2, 4, 2, 4, 8, 3, 4):
        model.fit(X, batch_size=size, verbose=0)
        model.evaluate(X, batch_size=size, verbose=0)
        seen.append((len(traces), len(tests)))
    assert seen[1:] == [seen[1]] * 6 and max(seen[1]) <= 2


def test_other_data_of_the_same_terms_keep_the_step():
    model = center()
    traces = counted(model, "train_step")
    for _ in range(3):
        model.fit(X, batch_size=4, verbose=0)
        model.fit(X, np.zeros(24, np.int64), batch_size=4, verbose=0)
    assert len(traces) <= 3


def test_compile_takes_other_terms_up():
    model = center()
    model.fit(X, batch_size=4, verbose=0)
    model.point.value.regularizer = keras.regularizers.L2(1.0)
    model.compile()
    assert set(model.fit(X, batch_size=4, verbose=0).history) == {"loss", "regularization"}


def gan():
    return GAN(MLP((2,), (8,)), MLP((1,), (8,)), prior=StandardNormal(3), inversion=Inversion(3, 2))


@pytest.mark.parametrize("make", [gan, lambda: small_glo(24)], ids=["gan", "glo"])
def test_encode_traces_once_for_all_sizes(make):
    model = make()
    x = np.zeros([9, *model.event_shape], np.float32)
    search = model._inverter._search
    for _ in range(3):
        model.encode(x)
        model.reconstruct(x)
        model.encode(x, inversion=Inversion(*model_steps(model)))
    assert search.experimental_get_tracing_count() == 1
    for size in (1, 2, 5, 9, 7):
        model.encode(x[:size])
    assert search.experimental_get_tracing_count() == 2
    for _ in range(3):  # Equal losses are the same, though each is gone after its call.
        model.encode(x, inversion=Inversion(2, 2, AbsoluteError()))
    assert search.experimental_get_tracing_count() == 3


def model_steps(model):
    return model.inversion.steps, model.inversion.restarts


def sizes_of(model, name):
    """Returns a list that gets the number of rows of each call of a method."""
    sizes, method = [], getattr(model, name)

    def call(first, *args, **kwargs):
        sizes.append(first.shape[0])
        return method(first, *args, **kwargs)

    object.__setattr__(model, name, call)
    return sizes


@pytest.mark.parametrize("verb, given", [("sample", None), ("decode", "z"), ("encode", "x")])
def test_rows_are_worked_out_a_batch_at_a_time(verb, given):
    model = gan()
    sizes = sizes_of(model, f"{verb}_rows")
    rows = {"z": np.zeros([200, 3], np.float32), "x": np.zeros([200, 2], np.float32)}
    ask = getattr(model, verb)
    arguments = (200, 0) if given is None else (rows[given],)
    take = partial(ask, *arguments)
    take()
    take(batch_size=80)
    take(batch_size=300)
    assert sizes == [192, 8, 80, 80, 40, 200]
    for wrong in (0, -1, 1.5, None):
        with pytest.raises((TypeError, ValueError), match=f"`batch_size`.*{COMPLAINT[9:]}"):
            take(batch_size=wrong)


def test_samples_are_the_same_for_any_batch_size():
    model = gan()
    whole = model.sample(300, seed=1, batch_size=300).numpy()
    for size in (48, 96, 192):
        np.testing.assert_array_equal(model.sample(300, seed=1, batch_size=size), whole)
    for size in (1, 7, 64):
        some = model.sample(300, seed=1, batch_size=size)
        np.testing.assert_allclose(some, whole, rtol=1e-5, atol=1e-6)
    z = np.random.default_rng(0).normal(size=[10, 3]).astype(np.float32)
    strips = [model.interpolate(z[:5], z[5:], 4, batch_size=size) for size in (3, 20)]
    np.testing.assert_allclose(*strips, rtol=1e-5, atol=1e-6)


def test_conditions_go_with_their_rows():
    generator = ConditionalGenerator(MLP((2,), (8,)), 3, embedding_dim=2)
    discriminator = ProjectionDiscriminator(MLP((1,), (8,)), 3)
    model = GAN(generator, discriminator, prior=StandardNormal(4), num_classes=3)
    labels = np.arange(10) % 3
    for condition in (labels, None):
        samples = [model.sample(10, 0, condition, batch_size=size) for size in (4, 10)]
        np.testing.assert_allclose(*samples, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", [gan, lambda: small_glo(24)], ids=["gan", "glo"])
def test_searches_start_elsewhere_than_samples(make):
    """Or encoding the samples of seed 0 would find them at once."""
    model, seeds = make(), random.row_seeds(2, 0)
    if isinstance(model, GAN):
        sampled = model.prior.sample_rows(seeds)
    else:
        sampled = model.space(random.normal(seeds, (model.latent_dim,)))
    images = model.decode(sampled)
    first = model.encode(images, inversion=Inversion(1, 2))
    for z in sampled.numpy():
        assert np.abs(first.z - z).max(axis=1).min() > 0.01
    np.testing.assert_array_equal(first.z, model.encode(images, inversion=Inversion(1, 2)).z)


def test_a_graph_takes_all_rows_at_once():
    model = gan()
    sizes = sizes_of(model, "decode_rows")
    traced = tf.function(lambda z: model.decode(z, batch_size=2), autograph=False)
    assert traced(tf.zeros([5, 3])).shape == (5, 2) and sizes == [5]
