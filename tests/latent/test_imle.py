"""IMLE: assignments against brute force, rounds, and the modes that it covers."""

import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.small_models import COMPLAINT, small_imle
from tfgen.core import random
from tfgen.data.examples import Examples
from tfgen.latent import IMLE, Cosine, Sphere, imle
from tfgen.networks import MLP

X = np.random.default_rng(0).normal(size=(16, 2)).astype(np.float32)


def compiled(**kwargs):
    model = small_imle(**kwargs)
    model.compile()
    return model


def candidates(model, block=2048):
    """Returns the noise of a round's candidates, from the seeds that it is drawn with."""
    key = random.fold_in([model.seed, 1], int(model.step.numpy()))
    blocks = []
    for first in range(0, model.num_candidates, block):
        seed = random.fold_in(key, first)
        size = min(block, model.num_candidates - first)
        blocks.append(random.draw_normal([size, model.noise_dim], seed))
    return tf.concat(blocks, 0).numpy()


def squared(x, y):
    return ((x[:, None] - y[None]) ** 2).sum(-1)


def cosine(x, y):
    x, y = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (x, y))
    return 1 - x @ y.T


@pytest.mark.parametrize("distance, brute_force", [(None, squared), (Cosine(), cosine)])
@pytest.mark.parametrize("num_candidates", [1, 40, 5000])
def test_nearest_noise_is_that_of_brute_force(distance, brute_force, num_candidates, monkeypatch):
    monkeypatch.setattr(imle, "_LARGEST_BLOCK", 2048)
    model = small_imle(distance=distance, num_candidates=num_candidates, seed=3)
    model.step.assign(5)
    noise = candidates(model)
    samples = model.decode(noise).numpy().astype(np.float64)
    nearest = brute_force(X.astype(np.float64), samples).argmin(1)
    assert num_candidates < 5000 or len(set(nearest // 2048)) == 3  # In each of the blocks.
    np.testing.assert_array_equal(model.nearest_noise(X), noise[nearest])


def test_candidates_are_fresh_each_round_and_of_the_seed():
    model = small_imle(seed=1)
    first = model.nearest_noise(X).numpy()
    np.testing.assert_array_equal(first, model.nearest_noise(X))
    model.step.assign(1)
    assert not np.array_equal(first, model.nearest_noise(X))
    other = small_imle(seed=2)
    other.generator.set_weights(model.generator.get_weights())
    assert not np.array_equal(first, other.nearest_noise(X))


@pytest.mark.parametrize(
    "distance, expected",
    [(None, lambda x, y: ((x - y) ** 2).sum(1)), (Cosine(), lambda x, y: cosine(x, y).diagonal())],
)
def test_loss_is_the_distance_to_the_assigned_sample(distance, expected):
    model = small_imle(distance=distance)
    noise = np.random.default_rng(1).normal(size=(16, 3)).astype(np.float32)
    model.assigned_noise.assign(noise)
    index = np.array([4, 0, 4])
    terms = model.objective({"x": X[:3], "index": index}, tf.constant([0, 0]), training=True)
    samples = model.decode(noise[index]).numpy()
    np.testing.assert_allclose(terms["loss"], expected(X[:3], samples), rtol=1e-4, atol=1e-6)


def test_noise_is_for_training_and_of_the_seed():
    model = small_imle(noise_std=0.5)
    batch = {"x": X[:4], "index": np.arange(4)}

    def loss(seed, training):
        return model.objective(batch, tf.constant([seed, 0]), training)["loss"].numpy().tolist()

    assert loss(1, True) == loss(1, True) != loss(2, True)
    assert loss(1, False) == loss(2, False) != loss(1, True)


def test_many_models_search_without_warnings_and_are_let_go(caplog):
    models = []
    for _ in range(6):  # TensorFlow warns of five traces of one function.
        model = small_imle(num_candidates=4)
        model.nearest_noise(X)
        models.append(weakref.ref(model))
    assert not [record for record in caplog.records if "IMLE" in record.getMessage()]
    del model
    gc.collect()
    assert not any(model() for model in models)


def test_noise_has_the_given_deviation():
    identity = keras.layers.Activation("linear")
    model = IMLE(identity, num_examples=4000, noise_dim=2, noise_std=0.3)
    # All are assigned zero, and so |noise|^2 is the loss at x = 0: 2 * 0.3^2 on average.
    batch = {"x": np.zeros([4000, 2], np.float32), "index": np.arange(4000)}
    loss = model.objective(batch, tf.constant([5, 5]), training=True)["loss"]
    np.testing.assert_allclose(np.mean(loss), 2 * 0.3**2, rtol=5 / 4000**0.5)


def assignments(**kwargs):
    """Returns the assigned noise after each epoch's beginning, and each epoch's members."""
    seen, members = [], []
    model = compiled(num_candidates=20, **kwargs)
    examples = model.training_data(Examples(X, batch_size=4, seed=model.seed))

    class Watch(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            seen.append(model.assigned_noise.numpy().copy())
            members.append(examples.members(epoch))

        def on_train_batch_end(self, batch, logs=None):
            np.testing.assert_array_equal(model.assigned_noise, seen[-1])

    data = Examples(X, batch_size=4, seed=model.seed)
    model.fit(data, epochs=6, verbose=0, callbacks=[Watch()])
    return seen, members


def changed(before, after):
    return set(np.flatnonzero(np.any(before != after, axis=1)))


def test_every_epoch_is_a_round_of_all_examples():
    seen, _ = assignments()
    assert all(len(changed(a, b)) > 8 for a, b in zip(seen, seen[1:], strict=False))


def test_assignments_last_a_round():
    seen, _ = assignments(staleness=3)
    for epoch in (1, 2, 4, 5):
        np.testing.assert_array_equal(seen[epoch], seen[epoch - 1])
    assert len(changed(seen[2], seen[3])) > 8


def test_assignments_of_the_members_change_and_no_others():
    seen, members = assignments(subset_size=8, staleness=2)
    before = np.zeros([16, 3], np.float32)
    for epoch in (0, 2, 4):
        assert len(members[epoch]) == 8
        assert changed(before, seen[epoch]) <= set(members[epoch])
        assert len(changed(before, seen[epoch])) > 4
        np.testing.assert_array_equal(seen[epoch + 1], seen[epoch])
        assert members[epoch].tolist() == members[epoch + 1].tolist()
        before = seen[epoch]
    assert len({tuple(m) for m in members}) == 3


def test_the_projection_ends_the_generator():
    model = small_imle(space=Sphere(2.0))
    samples = model.sample(5, seed=0)
    np.testing.assert_allclose(np.linalg.norm(samples, axis=1), 2, rtol=1e-5)
    np.testing.assert_allclose(model.decode(tf.ones([1, 3])), 2 * _unit(model), rtol=1e-5)


def _unit(model):
    return tf.math.l2_normalize(model.generator(tf.ones([1, 3])), axis=-1)


def ring(num_examples, num_modes=8, std=0.05):
    """Returns Gaussians about points of the unit circle, and these points."""
    angles = 2 * np.pi * np.arange(num_modes) / num_modes
    centers = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    noise = std * np.random.default_rng(0).normal(size=(num_examples, 2))
    return (centers[np.arange(num_examples) % num_modes] + noise).astype(np.float32), centers


def test_every_mode_of_a_mixture_gets_samples():
    x, centers = ring(400)
    model = IMLE(MLP((2,), (64, 64)), num_examples=400, noise_dim=2, num_candidates=2000)
    model.compile(optimizer=keras.optimizers.Adam(3e-3))
    losses = model.fit(x, batch_size=50, epochs=40, verbose=0).history["loss"]
    assert losses[-1] < 0.03 * losses[0]
    samples = model.sample(2000, seed=0).numpy()
    distances = np.sqrt(squared(samples, centers))
    shares = np.bincount(distances.argmin(1), minlength=8) / 2000
    assert shares.min() > 0.02
    at_a_mode = np.bincount(distances.argmin(1)[distances.min(1) < 0.2], minlength=8)
    assert at_a_mode.min() >= 4
    # And no example is far from all samples.
    assert squared(x, samples).min(1).max() ** 0.5 < 0.25


BAD_DATA = {
    "a dataset": (
        lambda: tf.data.Dataset.from_tensor_slices({"x": X, "index": np.arange(16)}).batch(4), {}
    ),
    "fewer examples": (lambda: X[:15], {"batch_size": 4}),
    "more": (lambda: np.concatenate([X, X]), {"batch_size": 4}),
    "another size": (lambda: X[:, :1], {"batch_size": 4}),
    "images": (lambda: X.reshape(16, 1, 2, 1), {"batch_size": 4}),
    "NaN": (lambda: X / 0 * np.nan, {"batch_size": 4}),
    "nothing": (lambda: None, {}),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize("data, arguments", BAD_DATA.values(), ids=BAD_DATA)
def test_bad_data(data, arguments):
    model = compiled()
    with pytest.raises((TypeError, ValueError), match=COMPLAINT):
        model.fit(data(), verbose=0, **arguments)
    assert model.step.numpy() == 0 and not model.assigned_noise.numpy().any()


def test_a_dataset_is_refused_with_a_reason():
    with pytest.raises(ValueError, match="each round searches all examples. Received: a dataset"):
        compiled().fit(BAD_DATA["a dataset"][0]())


def test_a_subset_must_fill_a_batch():
    with pytest.raises(ValueError, match=COMPLAINT):
        compiled(subset_size=3).fit(X, batch_size=4)


BAD_ARGUMENTS = [
    {"num_examples": 0},
    {"noise_dim": 0},
    {"noise_dim": 2.5},
    {"num_candidates": 0},
    {"num_candidates": -1},
    {"num_candidates": 1e3},
    {"subset_size": 0},
    {"subset_size": 17},
    {"subset_size": 0.5},
    {"staleness": 0},
    {"noise_std": -1.0},
    {"noise_std": float("nan")},
    {"noise_std": float("inf")},
    {"seed": 2.0},
]


@pytest.mark.parametrize("arguments", BAD_ARGUMENTS, ids=str)
def test_bad_arguments(arguments):
    name = next(iter(arguments))
    with pytest.raises((TypeError, ValueError), match=f"`{name}`.*{COMPLAINT[9:]}"):
        IMLE(MLP((2,), (4,)), **({"num_examples": 16} | arguments))
