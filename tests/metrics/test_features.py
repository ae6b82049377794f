import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.metrics.helpers import Pixels, random_images
from tfgen.data.examples import Examples
from tfgen.metrics import ClassifierFeatures, build_classifier


@pytest.fixture(scope="module")
def classifier():
    return build_classifier((8, 8, 1), num_classes=5, width=4, feature_dim=6, seed=1)


IMAGES = random_images(10)


@pytest.mark.parametrize(
    "images",
    [
        IMAGES,
        tf.constant(IMAGES),
        IMAGES.astype(np.float64),
        [IMAGES[:3], IMAGES[3:]],
        [(IMAGES, np.zeros(10))],
        [{"x": IMAGES, "label": np.zeros(10)}],
        tf.data.Dataset.from_tensor_slices(IMAGES).batch(3),
        Examples(IMAGES, batch_size=4),
    ],
)
@pytest.mark.parametrize("batch_size", [4, 64])
def test_every_form_of_images_gives_the_same_features(images, batch_size):
    features = Pixels(4).extract(images, batch_size)
    assert features.dtype == np.float32
    np.testing.assert_array_equal(features, IMAGES.reshape(10, 4))


def test_batches_from_a_generator():
    features = Pixels(4).extract(image[np.newaxis] for image in IMAGES)
    np.testing.assert_array_equal(features, IMAGES.reshape(10, 4))


def test_bytes_are_scaled():
    images = np.arange(256, dtype=np.uint8).reshape(64, 2, 2, 1)
    features = Pixels(4).extract(images)
    np.testing.assert_allclose(features.ravel(), np.arange(256) / 255, rtol=1e-6)
    np.testing.assert_array_equal(Pixels(4).extract(Examples(images, batch_size=60)), features)


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (2.0 * IMAGES, ValueError, r"in \[0, 1\]"),
        (IMAGES - 0.5, ValueError, r"in \[0, 1\]"),
        (np.full((2, 2, 2, 1), np.nan), ValueError, r"in \[0, 1\]"),
        (IMAGES[:, 0], ValueError, "rank 4"),
        (IMAGES[:0], ValueError, "not empty"),
        ([], ValueError, "at least one image"),
        (np.zeros((2, 2, 2, 1), np.int64), TypeError, "int64"),
        (3, TypeError, "int"),
    ],
)
def test_what_are_no_images(images, error, message):
    with pytest.raises(error, match=message):
        Pixels(4).extract(images)


def test_classifier_features_are_the_input_of_the_last_dense_layer(classifier):
    images = random_images(7, side=8)
    extractor = ClassifierFeatures(classifier)
    assert (extractor.name, extractor.dimension, extractor.num_classes) == ("classifier[6]", 6, 5)
    features = extractor(images).numpy()
    weights, bias = classifier.get_layer("logits").get_weights()
    logits = classifier(images).numpy()
    np.testing.assert_allclose(features @ weights + bias, logits, atol=1e-5)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(extractor.probabilities(images), probabilities, rtol=1e-4)


def test_features_of_a_convolution_are_averaged_over_positions(classifier):
    images = random_images(7, side=8)
    extractor = ClassifierFeatures(classifier, layer="block_2", title="digits classifier")
    assert extractor.name == "digits classifier block_2[8]"
    block = keras.Model(classifier.input, classifier.get_layer("block_2").output)
    np.testing.assert_allclose(extractor(images), block(images).numpy().mean((1, 2)), atol=1e-6)


def test_a_classifier_that_ends_in_softmax():
    model = keras.Sequential(
        [keras.Input((2, 2, 1)), keras.layers.Flatten(), keras.layers.Dense(3, "softmax")]
    )
    images = random_images(5)
    extractor = ClassifierFeatures(model)
    np.testing.assert_allclose(extractor(images), images.reshape(5, 4))
    np.testing.assert_allclose(extractor.probabilities(images), model(images), rtol=1e-6)


@pytest.mark.parametrize("sides", [(2, 2), (None, None)])
@pytest.mark.parametrize(
    "last",
    [
        lambda: [keras.layers.Reshape((3,))],
        lambda: [keras.layers.Activation("linear", dtype="float32")],
        lambda: [keras.layers.Dropout(0.5)],
        lambda: [keras.layers.Activation(lambda x: 1.0 * x)],
    ],
)
def test_a_softmax_that_is_not_the_last_layer(last, sides):
    layers = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3), keras.layers.Softmax()]
    model = keras.Sequential([keras.Input((*sides, 1)), *layers, *last()])
    model.layers[1].set_weights([np.array([[40.0, 0.0, -40.0]]), np.array([-20.0, 0.0, 20.0])])
    images = random_images(30)
    expected = model(images).numpy()
    np.testing.assert_allclose(ClassifierFeatures(model).probabilities(images), expected, rtol=1e-6)
    assert np.abs(expected - 1 / 3).max() > 0.5


def test_a_classifier_whose_outputs_are_neither_logits_nor_a_softmax():
    model = keras.Sequential(
        [keras.Input((2, 2, 1)), keras.layers.Flatten(), keras.layers.Dense(3, "sigmoid")]
    )
    features = ClassifierFeatures(model)
    assert features(random_images(2)).shape == (2, 4)
    with pytest.raises(ValueError, match="to return logits or a softmax. Received: numbers in"):
        features.probabilities(random_images(2))


def test_grey_images_for_a_classifier_of_colours():
    model = keras.Sequential(
        [keras.Input((2, 2, 3)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    images = random_images(3)
    features = ClassifierFeatures(model)(images)
    np.testing.assert_array_equal(features, np.repeat(images, 3, axis=-1).reshape(3, 12))
    with pytest.raises(ValueError, match="3 channels"):
        ClassifierFeatures(model)(np.zeros((3, 2, 2, 4), np.float32))


def test_images_of_another_size(classifier):
    with pytest.raises(ValueError, match=r"images \(8, 8, 1\). Received: \(9, 8, 1\)"):
        ClassifierFeatures(classifier)(np.zeros((3, 9, 8, 1), np.float32))


def test_what_is_no_classifier(classifier):
    flat = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Flatten()])
    image_to_image = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Conv2D(3, 1)])
    unbuilt = keras.Sequential([keras.layers.Dense(3)])
    with pytest.raises(TypeError, match="Keras model"):
        ClassifierFeatures("model.keras")
    with pytest.raises(ValueError, match="no Dense layer"):
        ClassifierFeatures(flat)
    with pytest.raises(ValueError, match="a classifier of images"):
        ClassifierFeatures(image_to_image)
    with pytest.raises(ValueError, match="built"):
        ClassifierFeatures(unbuilt)
    with pytest.raises(ValueError, match="block_1"):
        ClassifierFeatures(classifier, layer="block_9")


def test_a_saved_classifier_gives_the_same_features(classifier, tmp_path):
    images = random_images(7, side=8)
    path = tmp_path / "new" / "classifier.keras"
    saved = ClassifierFeatures(classifier)
    saved.save(path)
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    loaded = ClassifierFeatures.load(path, layer="block_1", title="loaded")
    assert loaded.name == "loaded block_1[4]"
    loaded = ClassifierFeatures.load(path)
    np.testing.assert_array_equal(loaded(images), saved(images))
    np.testing.assert_array_equal(loaded.probabilities(images), saved.probabilities(images))


def test_files_that_hold_no_classifier(classifier, tmp_path):
    path = tmp_path / "classifier.keras"
    with pytest.raises(ValueError, match=r"classifier.keras, which does not exist"):
        ClassifierFeatures.load(path)
    ClassifierFeatures(classifier).save(path)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(ValueError, match=r"a whole .*classifier.keras"):
        ClassifierFeatures.load(path)
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(path)
    with pytest.raises(ValueError, match="a classifier of images"):
        ClassifierFeatures.load(path)
    with pytest.raises(ValueError, match="ends in .keras"):
        ClassifierFeatures(classifier).save(tmp_path / "classifier.h5")


def test_configuration_round_trip(classifier):
    extractor = ClassifierFeatures(classifier, layer="block_1", title="digits")
    config = keras.saving.serialize_keras_object(extractor)
    clone = keras.saving.deserialize_keras_object(config)
    assert (clone.name, clone.dimension) == (extractor.name, extractor.dimension)
