"""Flows that classify."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.contract.models.affine_bijector import AffineBijector
from tfgen import flows


def blobs() -> tuple[np.ndarray, np.ndarray]:
    rng, labels = np.random.default_rng(0), np.arange(60) % 3
    angles = labels * 2 * np.pi / 3
    centers = 3 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return (centers + 0.3 * rng.normal(size=(60, 2))).astype(np.float32), labels


def hybrid(**kwargs) -> flows.HybridFlow:
    keras.utils.set_random_seed(0)
    return flows.HybridFlow(AffineBijector(), (2,), 3, **kwargs)


def test_the_loss_is_the_weighted_sum():
    x, labels = blobs()
    batch = {"x": tf.constant(x), "label": tf.constant(labels)}
    model = hybrid(likelihood_weight=0.25)
    terms = model.objective(batch, tf.constant([0, 1]), training=True)
    chance = model.classify(x).numpy()[np.arange(60), labels]
    np.testing.assert_allclose(terms["cross_entropy"], -np.log(chance), rtol=1e-4, atol=1e-5)
    expected = -np.log(chance) - 0.25 * model.log_prob(x).numpy()
    np.testing.assert_allclose(terms["loss"], expected, rtol=1e-4)
    assert hybrid().likelihood_weight == 0.5  # 1 / D.


def test_without_weight_the_density_gets_no_gradient():
    x, labels = blobs()
    batch = {"x": tf.constant(x), "label": tf.constant(labels)}
    model = hybrid(likelihood_weight=0)
    model.bijector.log_scale.assign([-np.inf, 0.0])  # The log density is -inf.
    with tf.GradientTape() as tape:
        terms = model.objective(batch, tf.constant([0, 1]), training=True)
    np.testing.assert_allclose(terms["loss"], terms["cross_entropy"])
    weights = model.trainable_variables
    assert all(np.isfinite(slope).all() for slope in tape.gradient(terms["loss"], weights))


def test_it_learns_to_classify():
    x, labels = blobs()
    model = hybrid()
    model.compile(keras.optimizers.Adam(0.1))
    history = model.fit(x, labels, batch_size=60, epochs=30, verbose=0).history
    assert history["accuracy"][-1] > 0.95
    probabilities = model.classify(x).numpy()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert (probabilities.argmax(axis=1) == labels).mean() > 0.95
    assert model.condition_specs == {}
    assert model.sample(3, 0).shape == (3, 2)


def test_labels_are_needed_and_checked():
    x, labels = blobs()
    model = hybrid()
    model.compile()
    with pytest.raises(ValueError, match=r"Expected batches with the key 'label'"):
        model.fit(x, batch_size=20, verbose=0)
    with pytest.raises(ValueError, match=r"Expected `label` in \[0, 3\)"):
        model.fit(x, labels + 1, batch_size=20, verbose=0)
