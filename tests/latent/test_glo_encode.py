"""GLO: latents of examples, found by optimisation."""

import gc
import weakref

import numpy as np
import pytest
import tensorflow as tf

from tests.small_models import COMPLAINT, blocks, images_of, small_glo
from tfgen.core import random
from tfgen.losses import AbsoluteError
from tfgen.model.inversion import Inversion, invert


def test_encode_finds_what_the_generator_makes(trained):
    x, _ = images_of(trained)
    encoding = trained.encode(x)
    spread = AbsoluteError()(x, tf.repeat(tf.reduce_mean(x, 0, keepdims=True), len(x), 0))
    assert encoding.distance.numpy().max() < 1e-2 * trained.loss(x, 0 * x).numpy().min()
    assert AbsoluteError()(x, trained.reconstruct(x)).numpy().max() < 0.1 * spread.numpy().max()


def test_distance_is_that_of_the_reconstruction(trained):
    x = tf.constant(np.random.default_rng(0).random((5, 4, 4, 1)), tf.float32)
    z, distance = trained.encode(x)
    np.testing.assert_allclose(trained.loss(x, trained.decode(z)), distance, rtol=1e-4)
    np.testing.assert_allclose(trained.decode(z), trained.reconstruct(x), rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(z, axis=1), 1, rtol=1e-5)


def test_encode_keeps_the_best_of_its_starting_points(trained):
    steps = 5  # More would lead from all starts to one end.
    x, _ = images_of(trained)
    together = trained.encode(x, inversion=Inversion(steps, 3))
    seeds = random.stream(random.row_seeds(3, 0), "inversion")
    starts = trained.space(random.normal(seeds, (trained.latent_dim,)))
    distance = lambda z: trained.loss(x, trained.generator(z))  # noqa: E731
    alone = [invert(distance, start[tf.newaxis], len(x), steps, trained.space) for start in starts]
    distances = np.stack([encoding.distance for encoding in alone])
    assert len(set(distances.argmin(0))) > 1
    np.testing.assert_allclose(together.distance, distances.min(0), rtol=1e-3)
    best = np.stack([encoding.z for encoding in alone])[distances.argmin(0), range(len(x))]
    np.testing.assert_allclose(together.z, best, rtol=1e-3, atol=1e-4)


def test_more_steps_come_nearer(trained):
    x, _ = images_of(trained)
    means = [
        trained.encode(x, inversion=Inversion(steps, 3)).distance.numpy().mean()
        for steps in (1, 8, 100)
    ]
    assert means[0] > means[1] > means[2]
    assert means[2] == trained.encode(x).distance.numpy().mean()  # As the model says.


def test_another_loss_finds_what_it_likes_best(trained):
    x = np.random.default_rng(2).random((4, 4, 4, 1)).astype(np.float32)
    dark = lambda x, y: tf.reduce_sum(y, [1, 2, 3])  # noqa: E731
    encoding = trained.encode(x, inversion=Inversion(30, 3, loss=dark))
    np.testing.assert_allclose(encoding.distance, dark(x, trained.decode(encoding.z)), rtol=1e-4)
    assert (encoding.distance < dark(x, trained.reconstruct(x))).numpy().all()
    np.testing.assert_allclose(encoding.z - encoding.z[:1], 0, atol=1e-4)  # Whatever x is.


def test_encoding_of_an_image_does_not_depend_on_its_batch(trained):
    x = np.random.default_rng(1).random((3, 4, 4, 1)).astype(np.float32)
    together, alone = trained.encode(x), trained.encode(x[1:2])
    np.testing.assert_allclose(together.z[1], alone.z[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(together.distance[1], alone.distance[0], rtol=1e-4)


@pytest.fixture
def searched(trained, monkeypatch):
    """How many examples each search of the trained model was given."""
    search, sizes = trained._inverter._search, []

    def watched(x, *args, **kwargs):
        sizes.append(x.shape[0])
        return search(x, *args, **kwargs)

    monkeypatch.setattr(trained._inverter, "_search", watched)
    return sizes


@pytest.mark.parametrize(
    "batch_size, sizes",
    [(1, [1] * 7), (3, [3, 3, 1]), (4, [4, 3]), (6, [6, 1]), (7, [7]), (9, [7])],
)
def test_encoding_does_not_depend_on_the_batch_size(trained, searched, batch_size, sizes):
    x = np.random.default_rng(1).random((7, 4, 4, 1)).astype(np.float32)
    few = Inversion(20, 3)  # A hundred steps make more of how products were rounded.
    whole, rebuilt = trained.encode(x, inversion=few), trained.reconstruct(x, inversion=few)
    searched.clear()
    inversion = Inversion(20, 3, batch_size=batch_size)
    in_batches = trained.encode(x, inversion=inversion)
    assert searched == sizes and type(in_batches) is type(whole)
    np.testing.assert_allclose(in_batches.z, whole.z, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(in_batches.distance, whole.distance, rtol=1e-4)
    again = trained.reconstruct(x, inversion=inversion)
    np.testing.assert_allclose(again, rebuilt, rtol=1e-4, atol=1e-5)


def test_many_examples_are_not_encoded_at_once(trained, searched):
    assert len(trained.encode(blocks(300), inversion=Inversion(1, 3)).z) == 300
    assert searched == [192, 108]


@pytest.mark.parametrize("rows", [5, None])
def test_a_graph_encodes_all_at_once(trained, searched, rows):
    x = blocks(5)
    expected = trained.encode(x)
    searched.clear()
    spec = [tf.TensorSpec([rows, 4, 4, 1])]
    inversion = Inversion(100, 3, batch_size=2)
    graph = tf.function(lambda x: trained.encode(x, inversion=inversion), input_signature=spec)
    for mine, its in zip(graph(x), expected, strict=True):
        np.testing.assert_allclose(mine, its, rtol=1e-4, atol=1e-5)
    assert searched == [rows]


@pytest.mark.parametrize("value", [0, -1, 2.5, None])
@pytest.mark.parametrize("name", ["steps", "restarts", "batch_size"])
def test_bad_numbers(name, value):
    with pytest.raises((TypeError, ValueError), match=f"`{name}`.*{COMPLAINT[9:]}"):
        Inversion(**{name: value})


def test_a_loss_that_is_no_function():
    with pytest.raises(TypeError, match=f"`loss`.*{COMPLAINT[9:]}"):
        Inversion(loss="l1")


def test_many_models_encode_without_warnings_and_are_let_go(caplog):
    models = []
    for _ in range(6):  # TensorFlow warns of five traces of one function.
        model = small_glo(inversion=Inversion(1, 1))
        model.encode(blocks(2))
        models.append(weakref.ref(model))
    assert not [record for record in caplog.records if "GLO" in record.getMessage()]
    del model
    gc.collect()
    assert not any(model() for model in models)


def test_encode_moves_no_variable(trained):
    before = [variable.numpy() for variable in trained.training_state]
    trained.encode(blocks(2))
    for variable, old in zip(trained.training_state, before, strict=True):
        np.testing.assert_array_equal(variable, old)


def test_encode_refuses_what_is_not_finite(trained):
    with pytest.raises(ValueError, match=r"Expected `images` in \[0, 1\]. Received: nan in row 0"):
        trained.encode(np.full([2, 4, 4, 1], np.nan, np.float32))


@pytest.mark.parametrize("shape", [(2, 4, 4, 3), (2, 4, 5, 1), (4, 4, 1), (2, 16)])
def test_encode_refuses_other_shapes(trained, shape):
    with pytest.raises(ValueError, match=COMPLAINT):
        trained.encode(tf.zeros(shape))


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, bool])
def test_encode_refuses_what_are_no_floats(trained, dtype):
    """Bytes would be taken for numbers up to 255."""
    with pytest.raises(TypeError, match=COMPLAINT):
        trained.encode(np.ones([2, 4, 4, 1], dtype))
