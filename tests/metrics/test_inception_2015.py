import os

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.metrics.helpers import random_images
from tfgen.metrics import Inception2015Features, InceptionScore
from tfgen.metrics.inception_2015 import build_network, load_weights

# The network of the tests has the true kernels' heights and widths and the true number of channels
# at the five outputs, but few channels between. A layer: name, height, width, out.
STEM = [("conv", 3, 3, 4), ("conv_1", 3, 3, 4), ("conv_2", 3, 3, 64)]
ENTRY = [("conv_3", 1, 1, 4), ("conv_4", 3, 3, 192)]
SMALL = [
    ("conv", 1, 1, 8),
    *[("tower_conv", 1, 1, 4), ("tower_conv_1", 5, 5, 8)],
    *[("tower_1_conv", 1, 1, 4), ("tower_1_conv_1", 3, 3, 4), ("tower_1_conv_2", 3, 3, 8)],
    ("tower_2_conv", 1, 1, 8),
]
REDUCE_17 = [
    ("conv", 3, 3, 8),
    *[("tower_conv", 1, 1, 4), ("tower_conv_1", 3, 3, 4), ("tower_conv_2", 3, 3, 8)],
]
LONG = [
    ("conv", 1, 1, 192),
    *[("tower_conv", 1, 1, 4), ("tower_conv_1", 1, 7, 4), ("tower_conv_2", 7, 1, 192)],
    *[("tower_1_conv", 1, 1, 4), ("tower_1_conv_1", 7, 1, 4), ("tower_1_conv_2", 1, 7, 4)],
    *[("tower_1_conv_3", 7, 1, 4), ("tower_1_conv_4", 1, 7, 192)],
    ("tower_2_conv", 1, 1, 192),
]
REDUCE_8 = [
    *[("tower_conv", 1, 1, 4), ("tower_conv_1", 3, 3, 320)],
    *[("tower_1_conv", 1, 1, 4), ("tower_1_conv_1", 1, 7, 4), ("tower_1_conv_2", 7, 1, 4)],
    ("tower_1_conv_3", 3, 3, 192),
]
WIDE = [
    ("conv", 1, 1, 320),
    *[("tower_conv", 1, 1, 4), ("tower_mixed_conv", 1, 3, 384), ("tower_mixed_conv_1", 3, 1, 384)],
    *[("tower_1_conv", 1, 1, 4), ("tower_1_conv_1", 3, 3, 4)],
    *[("tower_1_mixed_conv", 1, 3, 384), ("tower_1_mixed_conv_1", 3, 1, 384)],
    ("tower_2_conv", 1, 1, 192),
]
BLOCKS = dict.fromkeys(["mixed", "mixed_1", "mixed_2"], SMALL) | {"mixed_3": REDUCE_17}
BLOCKS |= dict.fromkeys(["mixed_4", "mixed_5", "mixed_6", "mixed_7"], LONG)
BLOCKS |= {"mixed_8": REDUCE_8, "mixed_9": WIDE, "mixed_10": WIDE}


class Reference:
    """The 2015 graph written out in TensorFlow operations, making random weights as it goes."""

    def __init__(self):
        self.weights = {}
        self.features = {}
        self.random = np.random.default_rng(0)

    def conv(self, x, layer, prefix="", strides=1, padding="SAME"):
        name, height, width, out = layer
        fan_in = height * width * x.shape[-1]
        kernel = (
            self.random.standard_normal((height, width, x.shape[-1], out)) * (2 / fan_in) ** 0.5
        )
        bias = 0.1 * self.random.standard_normal(out)
        self.weights[f"{prefix}{name}/kernel"] = kernel = kernel.astype(np.float32)
        self.weights[f"{prefix}{name}/bias"] = bias = bias.astype(np.float32)
        return tf.nn.relu(tf.nn.conv2d(x, kernel, strides, padding) + bias)

    def chain(self, x, layers, prefix, strides=1, padding="SAME"):
        for layer in layers[:-1]:
            x = self.conv(x, layer, prefix)
        return self.conv(x, layers[-1], prefix, strides, padding)

    def run(self, x):
        for layer, strides, padding in zip(
            STEM, (2, 1, 1), ("VALID", "VALID", "SAME"), strict=True
        ):
            x = self.conv(x, layer, strides=strides, padding=padding)
        x = self.keep(64, tf.nn.max_pool2d(x, 3, 2, "VALID"))
        for layer in ENTRY:
            x = self.conv(x, layer, padding="VALID")
        x = self.keep(192, tf.nn.max_pool2d(x, 3, 2, "VALID"))
        for name, layers in BLOCKS.items():
            x = tf.concat(list(self.branches(x, layers, f"{name}_")), axis=-1)
            if name in ("mixed_7", "mixed_8", "mixed_10"):
                self.keep({"mixed_7": 768, "mixed_8": 1280, "mixed_10": 2048}[name], x)

    def branches(self, x, layers, prefix):
        pool = tf.nn.max_pool2d if prefix == "mixed_10_" else tf.nn.avg_pool2d
        if layers is REDUCE_17:
            yield self.conv(x, layers[0], prefix, 2, "VALID")
            yield self.chain(x, layers[1:], prefix, 2, "VALID")
            yield tf.nn.max_pool2d(x, 3, 2, "VALID")
        elif layers is REDUCE_8:
            yield self.chain(x, layers[:2], prefix, 2, "VALID")
            yield self.chain(x, layers[2:], prefix, 2, "VALID")
            yield tf.nn.max_pool2d(x, 3, 2, "VALID")
        elif layers is WIDE:
            yield self.conv(x, layers[0], prefix)
            tower, tower_1 = self.conv(x, layers[1], prefix), self.chain(x, layers[4:6], prefix)
            yield from (self.conv(tower, layer, prefix) for layer in layers[2:4])
            yield from (self.conv(tower_1, layer, prefix) for layer in layers[6:8])
            yield self.conv(pool(x, 3, 1, "SAME"), layers[8], prefix)
        else:
            split = 3 if layers is SMALL else 4
            yield self.conv(x, layers[0], prefix)
            yield self.chain(x, layers[1:split], prefix)
            yield self.chain(x, layers[split:-1], prefix)
            yield self.conv(pool(x, 3, 1, "SAME"), layers[-1], prefix)

    def keep(self, dimension, x):
        self.features[dimension] = tf.reduce_mean(x, axis=(1, 2)).numpy()
        return x


def waves():
    rows, columns, channels = np.meshgrid(range(299), range(299), range(3), indexing="ij")
    return np.sin(0.1 * rows + 0.2 * columns + channels, dtype=np.float64).astype(np.float32)[None]


@pytest.fixture(scope="module")
def reference():
    made = Reference()
    made.run(tf.constant(waves()))
    return made


@pytest.fixture(scope="module")
def weights_path(reference, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "inception.npz"
    softmax = {"softmax/kernel": 0.1 * reference.random.standard_normal((2048, 1008))}
    np.savez(path, **reference.weights, **softmax, **{"softmax/bias": np.full(1008, 9.0)})
    return path


@pytest.mark.parametrize("dimension", [64, 192, 768, 1280, 2048])
def test_equals_the_graph_written_out(dimension, reference, weights_path):
    network = build_network(load_weights(weights_path), dimension)
    features = network(waves(), training=False).numpy()
    assert features.shape == (1, dimension)
    np.testing.assert_allclose(features, reference.features[dimension], rtol=1e-3, atol=1e-4)


def legacy_bilinear(images, size):
    """Pixel i of the result lies at i * height / size, neighbours beyond the edge are the edge."""

    def matrix(length):
        position = np.arange(size) * length / size
        low = position.astype(int)
        weights = np.zeros((size, length))
        weights[np.arange(size), low] += 1.0 - (position - low)
        weights[np.arange(size), np.minimum(low + 1, length - 1)] += position - low
        return weights

    return np.einsum("ai,bj,nijc->nabc", matrix(images.shape[1]), matrix(images.shape[2]), images)


def test_images_are_resized_scaled_and_repeated(weights_path):
    images = np.random.default_rng(0).random((2, 28, 20, 1), np.float32)
    extractor = Inception2015Features(weights_path, dimension=64)
    resized = np.repeat(legacy_bilinear(images, 299), 3, axis=-1)
    network = build_network(load_weights(weights_path), 64)
    expected = network(((255.0 * resized - 128.0) / 128.0).astype(np.float32)).numpy()
    features = extractor.extract(images)
    np.testing.assert_allclose(features, expected, rtol=1e-3, atol=1e-4)
    coloured = extractor.extract(np.repeat(images, 3, axis=-1), batch_size=1)
    np.testing.assert_allclose(features, coloured, rtol=1e-4, atol=1e-5)


def test_name_says_what_changes_the_numbers(weights_path):
    extractor = Inception2015Features(weights_path, 64)
    assert extractor.name == "inception-2015[64], legacy bilinear 299"
    half = Inception2015Features(weights_path, 64, compute_dtype="bfloat16")
    assert half.name == "inception-2015[64], legacy bilinear 299, bfloat16"
    images = random_images(2, side=28)
    np.testing.assert_allclose(half(images), extractor(images), rtol=0.05, atol=0.05)
    assert half(images).dtype == tf.float32


def test_only_the_layers_that_are_needed(weights_path):
    network = build_network(load_weights(weights_path), 64)
    convolutions = [each.name for each in network.layers if isinstance(each, keras.layers.Conv2D)]
    assert convolutions == ["conv", "conv_1", "conv_2"]


def test_probabilities_leave_out_the_bias(weights_path):
    extractor = Inception2015Features(weights_path, 2048)
    images = random_images(2, side=28)
    probabilities = extractor.probabilities(images).numpy()
    logits = extractor(images).numpy() @ load_weights(weights_path).get("softmax/kernel")
    np.testing.assert_allclose(probabilities, tf.nn.softmax(logits), rtol=1e-3, atol=1e-6)
    metric = InceptionScore(extractor, splits=1)
    metric.update_fake(images)
    assert metric.result().dimension == 1008


def test_weights_that_end_early(reference, tmp_path):
    path = tmp_path / "to_mixed_8.npz"
    kept = {key: value for key, value in reference.weights.items() if "mixed_9" not in key}
    np.savez(path, **{key: value.astype(np.float16) for key, value in kept.items()})
    images = random_images(1, side=28)
    assert Inception2015Features(path, 192)(images).shape == (1, 192)
    with pytest.raises(ValueError, match=r"mixed_9\w*/kernel.*to_mixed_8.npz"):
        Inception2015Features(path, 2048)
    with pytest.raises(ValueError, match=r"softmax/kernel.*to_mixed_8.npz"):
        Inception2015Features(path, 64).probabilities(images)


def test_weights_that_do_not_fit(reference, tmp_path):
    path = tmp_path / "wrong.npz"
    np.savez(path, **reference.weights | {"conv_1/kernel": np.zeros((3, 3, 5, 4))})
    with pytest.raises(ValueError, match=r"`conv_1` with 4 input channels.*\(3, 3, 5, 4\)"):
        Inception2015Features(path, 64)
    narrow = {"conv_2/kernel": np.zeros((3, 3, 4, 32)), "conv_2/bias": np.zeros(32)}
    np.savez(path, **reference.weights | narrow)
    with pytest.raises(ValueError, match="64 features. Received: 32"):
        Inception2015Features(path, 64)


def test_files_that_cannot_be_read(weights_path, tmp_path):
    path = tmp_path / "weights.npz"
    with pytest.raises(FileNotFoundError, match=r"weights.npz, where there is no file"):
        Inception2015Features(path)
    whole = weights_path.read_bytes()
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 0xFF
    for content in (whole[: len(whole) // 2], bytes(damaged), b"", b"not a zip file"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"complete .npz file.*weights.npz"):
            Inception2015Features(path, 64)


@pytest.mark.parametrize("change", [{"dimension": 100}, {"compute_dtype": "float16"}])
def test_arguments_that_are_not_offered(weights_path, change):
    with pytest.raises(ValueError, match=next(iter(change))):
        Inception2015Features(weights_path, **change)


def test_configuration_round_trip(weights_path):
    extractor = Inception2015Features(weights_path, 64, "bfloat16")
    config = keras.saving.serialize_keras_object(extractor)
    assert keras.saving.deserialize_keras_object(config).name == extractor.name


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("dimension", "mean", "std", "argmax"),
    [
        (64, 1.9775, 1.1634, 9),
        (192, 2.6786, 1.6702, 80),
        (768, 0.0357, 0.1037, 133),
        (1280, 0.1217, 0.3012, 72),
    ],
)
def test_the_public_weights(dimension, mean, std, argmax):
    path = os.environ.get("TFGEN_INCEPTION_WEIGHTS")
    if not path:
        pytest.skip("needs TFGEN_INCEPTION_WEIGHTS, an .npz file of the public weights")
    features = build_network(load_weights(path), dimension)(waves()).numpy()[0]
    assert features.mean() == pytest.approx(mean, abs=6e-5)
    assert features.std() == pytest.approx(std, abs=6e-5)
    assert features.argmax() == argmax
