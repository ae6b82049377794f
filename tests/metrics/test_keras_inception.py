import keras
import numpy as np
import pytest

from tests.metrics.helpers import random_images
from tfgen.metrics import KerasInceptionFeatures


def small_network(weights, include_top, pooling, input_shape):
    """Stands in for InceptionV3, which takes seconds to build."""
    if weights == "imagenet":
        raise Exception("URL fetch failure on https://storage.googleapis.com")
    assert (include_top, pooling) == (False, "avg")
    images = keras.Input(input_shape)
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.AveragePooling2D(13)(images))
    return keras.Model(images, keras.layers.Dense(2048)(pooled))


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(keras.applications, "InceptionV3", small_network)


def test_the_network_itself():
    extractor = KerasInceptionFeatures(weights=None)
    assert extractor.name == "keras-inception-v3[2048] random weights, bilinear 299"
    features = extractor.extract(random_images(1, side=28))
    assert features.shape == (1, extractor.dimension) and np.isfinite(features).all()


def test_weights_in_a_file(small, tmp_path):
    path = tmp_path / "inception.weights.h5"
    with pytest.raises(FileNotFoundError, match="inception.weights.h5"):
        KerasInceptionFeatures(path)
    extractor = KerasInceptionFeatures(weights=None)
    extractor._network.save_weights(path)
    loaded = KerasInceptionFeatures(path)
    assert loaded.name == "keras-inception-v3[2048] inception.weights.h5, bilinear 299"
    images = random_images(2, side=28)
    np.testing.assert_array_equal(loaded(images), extractor(images))
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"weights of InceptionV3.*inception.weights.h5"):
        KerasInceptionFeatures(path)


def test_images_are_resized_scaled_and_repeated(small):
    extractor = KerasInceptionFeatures(weights=None)
    images = np.full((2, 28, 28, 1), 0.75, np.float32)
    (_, _, _, (kernel, bias)) = (layer.get_weights() for layer in extractor._network.layers)
    expected = np.full((2, 3), 0.5) @ kernel + bias
    np.testing.assert_allclose(extractor(images), expected, rtol=1e-4, atol=1e-6)


def test_antialiasing_is_named_and_matters(small):
    keras.utils.set_random_seed(0)
    rough = KerasInceptionFeatures(weights=None)
    smooth = KerasInceptionFeatures(weights=None, antialias=True)
    smooth._network.set_weights(rough._network.get_weights())
    assert smooth.name.endswith(", antialiased bilinear 299")
    stripes = np.zeros((1, 897, 897, 1), np.float32)
    stripes[:, ::3] = 1.0  # The centres of the pixels of 299 fall between them.
    grey = smooth(np.full((1, 299, 299, 1), 1 / 3, np.float32))
    difference = np.abs(smooth(stripes) - grey).max()
    assert 10 * difference < np.abs(rough(stripes) - grey).max()


def test_weights_that_cannot_be_fetched(small):
    with pytest.raises(RuntimeError, match=r"\.keras/models.*Received: URL fetch failure"):
        KerasInceptionFeatures()
