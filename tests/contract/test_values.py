"""The properties of losses, kernels, spaces, distances, layers, densities and row optimizers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.contract import values
from tests.contract.cases import by_name
from tfgen.core import random
from tfgen.latent import nearest


def uniform(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(size=shape).astype(np.float32)


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


KNOWN = [(case, *known) for case in values.LOSSES for known in case.known]


@pytest.mark.parametrize(
    ("case", "x", "rebuilt", "expected"), KNOWN, ids=[known[0].name for known in KNOWN]
)
def test_losses_known_by_hand(case, x, rebuilt, expected):
    loss = case.create()(tf.constant(x), tf.constant(rebuilt))
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_every_loss_has_two_numbers_known_by_hand():
    known = {}
    for case in values.LOSSES:
        kind = type(case.create())
        known[kind] = known.get(kind, 0) + len(case.known)
    assert min(known.values()) >= 2


@pytest.mark.parametrize("case", **by_name(values.LOSSES))
def test_losses_are_by_row_and_vanish_at_the_example_alone(case):
    loss = case.create()
    x, rebuilt = uniform(5, *case.shape), uniform(5, *case.shape, seed=1)
    found = loss(tf.constant(x), tf.constant(rebuilt)).numpy()
    assert found.shape == (5,)
    assert found.dtype == np.float32
    assert (found > 0).all()
    np.testing.assert_array_equal(loss(tf.constant(x), tf.constant(x)), np.zeros(5))
    alone = [loss(tf.constant(x[i : i + 1]), tf.constant(rebuilt[i : i + 1])) for i in range(5)]
    np.testing.assert_allclose(np.concatenate(alone), found, rtol=1e-5)


@pytest.mark.parametrize("case", **by_name(values.LOSSES))
def test_losses_have_gradients_that_lead_down(case):
    loss = case.create()
    x = tf.constant(uniform(3, *case.shape))
    rebuilt = tf.Variable(uniform(3, *case.shape, seed=1))
    with tf.GradientTape() as tape:
        before = loss(x, rebuilt)
    slope = tape.gradient(before, rebuilt)
    assert np.isfinite(slope).all()
    norm = tf.reduce_sum(slope**2, axis=[1, 2, 3], keepdims=True)
    assert (norm.numpy() > 0).all()
    rebuilt.assign_sub(1e-3 * slope / tf.sqrt(norm))
    assert (loss(x, rebuilt) < before).numpy().all()
    far = loss(x, tf.constant(1e4 * uniform(3, *case.shape)))
    assert np.isfinite(far).all()


@pytest.mark.parametrize("case", **by_name(values.LOSSES))
def test_losses_refuse_other_shapes(case):
    height, *rest = case.shape
    with pytest.raises(ValueError, match=r"Expected .*Received: "):
        case.create()(tf.zeros([2, *case.shape]), tf.zeros([2, height + 1, *rest]))


@pytest.mark.parametrize("case", **by_name(values.KERNELS))
def test_kernels_known_by_hand(case):
    assert len(case.known) >= 2
    for x, y, expected in case.known:
        np.testing.assert_allclose(case.create()(x, y), expected, rtol=1e-5)


@pytest.mark.parametrize("case", **by_name(values.KERNELS))
def test_kernels_are_symmetric_and_positive_definite(case):
    kernel, x, y = case.create(), normal(20, 3), normal(10, 3, seed=1)
    found = kernel(x, y)
    assert found.shape == (20, 10)
    assert found.dtype == tf.float64
    np.testing.assert_allclose(found, tf.transpose(kernel(y, x)), rtol=1e-12)
    assert np.linalg.eigvalsh(np.asarray(kernel(x, x), np.float64)).min() > 0
    np.testing.assert_allclose(kernel(x + 7, y + 7), found, rtol=1e-4)


@pytest.mark.parametrize("case", **by_name(values.KERNELS))
def test_kernels_rise_as_points_come_together(case):
    kernel, y = case.create(), tf.constant([[0.5, 0.5], [0.0, 0.0]])
    x = tf.Variable([[0.0, 0.0]])
    with tf.GradientTape() as tape:
        found = kernel(x, y)
    slopes = tape.jacobian(found, x)[0, :, 0].numpy()
    assert (slopes[0] > 0).all()
    np.testing.assert_array_equal(slopes[1], 0)
    assert found[0, 1] == tf.reduce_max(found)


@pytest.mark.parametrize("case", **by_name(values.KERNELS))
@pytest.mark.parametrize("shapes", [((4, 3), (4, 2)), ((4,), (4,)), ((4, 3), (4, 3, 1))], ids=str)
def test_kernels_refuse_other_shapes(case, shapes):
    with pytest.raises(ValueError, match=r"Expected .*Received: "):
        case.create()(*map(tf.zeros, shapes))


@pytest.mark.parametrize("case", **by_name(values.SPACES))
def test_spaces_project(case):
    space = case.create()
    z = normal(200, 3) * np.linspace(0.1, 3, 200, dtype=np.float32)[:, np.newaxis]
    projected = space(tf.constant(z)).numpy()
    norms = np.linalg.norm(z, axis=1)
    np.testing.assert_allclose(np.linalg.norm(projected, axis=1), case.norms(norms), rtol=1e-5)
    cosines = (z * projected).sum(1) / norms / np.linalg.norm(projected, axis=1)
    np.testing.assert_allclose(cosines, 1, rtol=1e-5)
    np.testing.assert_allclose(space(tf.constant(projected)), projected, rtol=1e-5, atol=1e-7)
    assert np.isfinite(space(tf.zeros([1, 3]))).all()


@pytest.mark.parametrize("case", **by_name(values.DISTANCES))
def test_distances_equal_numpy(case):
    distance, x, y = case.create(), normal(20, 4), normal(20, 4, seed=1)
    prepared = [distance.prepare(tf.constant(vectors)).numpy() for vectors in (x, y)]
    found = distance.scale * ((prepared[0] - prepared[1]) ** 2).sum(1)
    np.testing.assert_allclose(found, case.reference(x, y), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("case", **by_name(values.DISTANCES))
def test_nearest_is_that_of_the_whole_matrix(case):
    x, y = normal(30, 4), normal(50, 4, seed=1)
    matrix = np.stack([case.reference(x, np.broadcast_to(row, x.shape)) for row in y], axis=1)
    indices, distances = nearest(x, y, case.create())
    np.testing.assert_array_equal(indices, matrix.argmin(axis=1))
    np.testing.assert_allclose(distances, matrix.min(axis=1), rtol=1e-4, atol=1e-6)


def built(case) -> keras.layers.Layer:
    layer = case.create()
    if not layer.built:
        layer.build((None, *case.inputs().shape[1:]))
    return layer


@pytest.mark.parametrize("case", **by_name(values.LAYERS))
def test_layers_weights_exist_when_built(case):
    layer = built(case)
    weights = [id(weight) for weight in layer.weights]
    assert weights
    layer(tf.constant(case.inputs()), **training(layer))
    assert [id(weight) for weight in layer.weights] == weights


def training(layer: keras.layers.Layer) -> dict[str, bool]:
    return {"training": True} if layer._call_has_training_arg else {}


@pytest.mark.parametrize("case", **by_name(values.LAYERS))
def test_layers_are_by_row_and_shaped_as_they_say(case):
    layer, inputs = built(case), tf.constant(case.inputs())
    outputs = layer(inputs).numpy()
    assert outputs.dtype == np.float32
    assert outputs.shape == tuple(layer.compute_output_shape(inputs.shape))
    alone = np.concatenate([layer(inputs[i : i + 1]) for i in range(len(inputs))])
    np.testing.assert_allclose(alone, outputs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("case", **by_name(values.LAYERS))
def test_layers_in_a_keras_model_are_saved_and_loaded(case, tmp_path):
    inputs = case.inputs()
    symbolic = keras.Input(inputs.shape[1:], dtype=inputs.dtype.name)
    model = keras.Model(symbolic, case.create()(symbolic))
    model.save(tmp_path / "model.keras")
    keras.utils.set_random_seed(1)
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(inputs), model(inputs))
    assert len(again.trainable_variables) == len(model.trainable_variables)


@pytest.mark.parametrize("case", **by_name(values.DENSITIES))
def test_densities_sample_what_they_were_fitted_to(case):
    root = np.array([[1, 0, 0], [0.5, 0.5, 0], [-0.3, 0.2, 0.1]])
    x = normal(400, 3) @ root.T + [3, -2, 0.5]
    density = case.create()
    assert density.trainable_variables == []
    assert density.fit(x) is density
    samples = density.sample_rows(random.row_seeds(4000, 0)).numpy()
    assert samples.shape == (4000, 3)
    np.testing.assert_allclose(samples.mean(0), x.mean(0), atol=0.1)
    np.testing.assert_allclose(np.cov(samples.T), np.cov(x.T), atol=0.12)
    rows = density.sample_rows(random.row_seeds(4000, 0)[7:9])
    np.testing.assert_allclose(rows, samples[7:9], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("case", **by_name(values.DENSITIES))
def test_densities_are_their_weights(case):
    density, again = case.create(), case.create()
    density.fit(normal(50, 3))
    again.set_weights(density.get_weights())
    seeds = random.row_seeds(5, 1)
    np.testing.assert_array_equal(again.sample_rows(seeds), density.sample_rows(seeds))
    assert not np.array_equal(case.create().sample_rows(seeds), density.sample_rows(seeds))


@pytest.mark.parametrize("case", **by_name(values.DENSITIES))
def test_densities_refuse_other_vectors(case):
    for x in (normal(50, 2), normal(1, 3), np.full((5, 3), np.nan)):
        with pytest.raises(ValueError, match=r"Expected .*Received: "):
            case.create().fit(x)


def stepped(case, rows: list[int], slopes: np.ndarray) -> tuple:
    """Returns a table before and after a step on some of its rows, and its optimizer."""
    table = keras.Variable(normal(6, 2))
    before = table.numpy()
    optimizer = case.create()
    optimizer.build([table])
    gradient = tf.IndexedSlices(tf.constant(slopes), tf.constant(rows), tf.constant([6, 2]))
    optimizer.apply([gradient], [table])
    return before, table.numpy(), optimizer


@pytest.mark.parametrize("case", **by_name(values.ROW_OPTIMIZERS))
def test_row_optimizers_touch_the_rows_of_the_batch(case):
    before, after, optimizer = stepped(case, [4, 1], normal(2, 2))
    assert set(np.flatnonzero((before != after).any(axis=1))) == {1, 4}
    for variable in optimizer.variables:
        value = variable.numpy()
        if value.shape[:1] == (6,):
            assert set(np.flatnonzero(value.reshape(6, -1).any(axis=1))) == {1, 4}, variable.path
    assert int(optimizer.iterations.numpy()) == 1


@pytest.mark.parametrize("case", **by_name(values.ROW_OPTIMIZERS))
def test_row_optimizers_sum_the_gradients_of_a_row_that_occurs_twice(case):
    slopes = normal(3, 2)
    _, twice, _ = stepped(case, [2, 5, 2], slopes)
    _, once, _ = stepped(case, [2, 5], [slopes[0] + slopes[2], slopes[1]])
    np.testing.assert_allclose(twice, once, rtol=1e-6)


@pytest.mark.parametrize("case", **by_name(values.ROW_OPTIMIZERS))
def test_row_optimizers_refuse_dense_gradients(case):
    table = keras.Variable(normal(6, 2))
    with pytest.raises(TypeError, match=r"Expected .*IndexedSlices.*Received: "):
        case.create().apply([tf.ones([6, 2])], [table])
