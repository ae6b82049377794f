"""The perceptual loss against NumPy, and what it refuses."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.small_models import COMPLAINT, blocks, small_glo
from tfgen.losses import AbsoluteError, Perceptual, SquaredError, vgg16_features
from tfgen.losses.perceptual import IMAGENET_MEAN, VGG16_LAYERS

RNG = np.random.default_rng(0)
MIX = RNG.normal(size=(3, 4))  # The 1 x 1 convolution "mix", then ReLU.
SHIFT = RNG.normal(size=4)
POOL = RNG.normal(size=(2, 2, 4, 5))  # The 2 x 2 convolution "pool", in strides of two.


def network(dropout=0.0):
    """Returns two layers, with dropout that inference leaves out."""
    inputs = keras.Input((None, None, 3))
    mix = keras.layers.Conv2D(4, 1, activation="relu", name="mix")
    pool = keras.layers.Conv2D(5, 2, strides=2, use_bias=False, name="pool")
    outputs = pool(keras.layers.Dropout(dropout)(mix(inputs)))
    mix.set_weights([MIX[None, None], SHIFT])
    pool.set_weights([POOL])
    return keras.Model(inputs, outputs)


def features(images):
    """Returns the outputs of both layers, by NumPy."""
    mixed = np.maximum(images @ MIX + SHIFT, 0)
    batch, height, width, _ = mixed.shape
    squares = mixed.reshape(batch, height // 2, 2, width // 2, 2, 4)
    return mixed, np.einsum("niajbc,abck->nijk", squares, POOL)


def expected(x, y, weights=(1.0, 1.0), pixel_weight=1.0):
    axes = (1, 2, 3)
    total = pixel_weight * np.abs(x - y).mean(axes)
    for weight, a, b in zip(weights, features(x), features(y), strict=True):
        total += weight * np.abs(a - b).mean(axes)
    return total


def pair(*shape):
    return [np.random.default_rng(i).random(shape).astype(np.float32) for i in (1, 2)]


def test_colour_images():
    x, y = pair(3, 6, 4, 3)
    loss = Perceptual(network(), ("mix", "pool"))
    np.testing.assert_allclose(loss(x, y), expected(x, y), rtol=1e-5)
    assert loss(x, x).numpy().tolist() == [0, 0, 0]


def test_weights_and_pixel_loss():
    x, y = pair(2, 4, 4, 3)
    loss = Perceptual(network(), ("mix", "pool"), (0.5, 3.0), SquaredError(), 0.25)
    pixels = 0.25 * ((x - y) ** 2).mean((1, 2, 3))
    reference = pixels + expected(x, y, (0.5, 3.0), pixel_weight=0)
    np.testing.assert_allclose(loss(x, y), reference, rtol=1e-5)


def test_one_layer_without_pixels():
    x, y = pair(2, 4, 4, 3)
    loss = Perceptual(network(), ("pool",), pixel_weight=0.0)
    np.testing.assert_allclose(loss(x, y), expected(x, y, (0, 1), 0), rtol=1e-5)


def test_grey_images_are_shown_in_three_channels():
    x, y = pair(2, 4, 4, 1)
    loss = Perceptual(network(), ("mix", "pool"))
    np.testing.assert_allclose(loss(x, y), expected(x.repeat(3, -1), y.repeat(3, -1)), rtol=1e-5)


def test_range():
    x, y = pair(2, 4, 4, 3)
    loss = Perceptual(network(), ("mix", "pool"), scale=2.0, offset=-1.0, pixel_weight=0.0)
    np.testing.assert_allclose(
        loss(x, y), expected(2 * x - 1, 2 * y - 1, pixel_weight=0), rtol=1e-5
    )


@pytest.mark.parametrize(
    "shape, min_size, padding",
    [
        ((4, 4), 8, ((2, 2), (2, 2))),
        ((4, 8), 6, ((1, 1), (0, 0))),  # Each side on its own.
        ((8, 8), 6, ((0, 0), (0, 0))),
    ],
)
def test_small_images_are_padded_with_zeros(shape, min_size, padding):
    x, y = pair(2, *shape, 3)
    loss = Perceptual(network(), ("mix", "pool"), min_size=min_size, pixel_weight=0.0)
    wide = [np.pad(images, ((0, 0), *padding, (0, 0))) for images in (x, y)]
    np.testing.assert_allclose(loss(x, y), expected(*wide, pixel_weight=0), rtol=1e-5)


def test_the_network_is_in_inference_mode():
    x, y = pair(2, 4, 4, 3)
    loss = Perceptual(network(dropout=0.9), ("pool",), pixel_weight=0.0)
    np.testing.assert_allclose(loss(x, y, training=True), expected(x, y, (0, 1), 0), rtol=1e-5)


def test_the_network_is_frozen():
    x, y = (tf.constant(images) for images in pair(2, 4, 4, 3))
    shown = network()
    loss = Perceptual(shown, ("mix", "pool"))
    assert loss.trainable_variables == [] and shown.trainable_variables == []
    with tf.GradientTape() as tape:
        tape.watch(y)
        total = tf.reduce_sum(loss(x, y))
    assert np.abs(tape.gradient(total, y)).max() > 0


def test_training_with_it_leaves_the_network_as_it_is():
    shown = network()
    before = shown.get_weights()
    model = small_glo(loss=Perceptual(shown, ("mix", "pool")))
    model.compile()
    model.fit(blocks(), batch_size=8, epochs=2, verbose=0)
    for weight, old in zip(shown.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)


def test_float16_leaves_images_and_loss_in_floats():
    """Differences of less than 1/2048 would vanish, and sums of many pixels overflow."""
    x = np.full([1, 4, 4, 3], 0.9, np.float32)
    y = x + np.float32(1e-5)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        loss = Perceptual(network(), ("mix",), pixel=AbsoluteError(), pixel_weight=1.0)(x, y)
    finally:
        keras.config.set_dtype_policy(before)
    assert loss.dtype == tf.float32 and loss.numpy()[0] >= 0.9e-5


BAD_ARGUMENTS = {
    "no layers": {"layer_names": ()},
    "a layer that is not there": {"layer_names": ("mix", "mixed")},
    "too few weights": {"layer_names": ("mix", "pool"), "feature_weights": (1.0,)},
    "a negative weight": {"layer_names": ("mix", "pool"), "feature_weights": (2.0, -1.0)},
    "a negative pixel weight": {"layer_names": ("mix",), "pixel_weight": -0.5},
    "all weights zero": {
        "layer_names": ("mix",), "feature_weights": (0.0,), "pixel_weight": 0.0
    },
    "NaN": {"layer_names": ("mix",), "feature_weights": (float("nan"),)},
    "infinity": {"layer_names": ("mix",), "pixel_weight": float("inf")},
}  # fmt: skip


@pytest.mark.parametrize("arguments", BAD_ARGUMENTS.values(), ids=BAD_ARGUMENTS)
def test_bad_arguments(arguments):
    with pytest.raises(ValueError, match=COMPLAINT):
        Perceptual(network(), **arguments)


def test_the_error_lists_the_layers():
    with pytest.raises(ValueError, match=r"'mix', .*'pool'\]. Received: \['block9'\]"):
        Perceptual(network(), ("block9",))


def test_balanced_layers_count_alike():
    images = pair(8, 4, 4, 3)[0]
    loss = Perceptual.balanced(network(), ("mix", "pool"), images, scale=2.0, pixel_weight=0.5)
    sizes = [np.abs(f).mean() for f in features(2 * images)]
    np.testing.assert_allclose(loss.feature_weights, 1 / np.array(sizes), rtol=1e-5)
    assert (loss.scale, loss.pixel_weight) == (2.0, 0.5)


@pytest.mark.parametrize("x, y", [((2, 4, 4, 2), (2, 4, 4, 2)), ((2, 4, 4, 3), (2, 4, 4, 1))])
def test_images_that_do_not_fit(x, y):
    with pytest.raises(ValueError, match="Expected .*Received: "):
        Perceptual(network(), ("mix",))(tf.zeros(x), tf.zeros(y))


def test_vgg16_without_a_network_connection(monkeypatch):
    def fail(**kwargs):
        raise Exception("URL fetch failure on https://...: None -- [Errno -2]")

    monkeypatch.setattr(keras.applications, "VGG16", fail)
    with pytest.raises(RuntimeError) as error:
        vgg16_features()
    for text in ("vgg16_weights_tf_dim", "~/.keras/models", "another network", "URL fetch failure"):
        assert text in str(error.value)


@pytest.fixture
def vgg16(monkeypatch):
    """VGG16 without its weights, and what it is asked for, in place of the one with them."""
    asked = {}

    def without_weights(**kwargs):
        asked.update(kwargs)
        keras.utils.set_random_seed(0)
        return made(weights=None, include_top=False)

    made = keras.applications.VGG16
    monkeypatch.setattr(keras.applications, "VGG16", without_weights)
    return asked


def test_vgg16_layers(vgg16):
    loss = vgg16_features(pixel_weight=2.0)
    assert vgg16 == {"weights": "imagenet", "include_top": False}
    assert loss.layer_names == VGG16_LAYERS and loss.pixel_weight == 2.0
    shapes = [tuple(f.shape) for f in loss.features(tf.zeros([2, 28, 28, 1]))]
    assert shapes == [(2, 32, 32, 64), (2, 16, 16, 128), (2, 8, 8, 256)]
    # Black, which is what the images are padded with.
    shown = loss._shown(tf.zeros([1, 28, 28, 1])).numpy()
    assert shown.shape == (1, 32, 32, 3) and (shown == -IMAGENET_MEAN).all()
    assert vgg16_features(layer_names=("block5_conv3",)).layer_names == ("block5_conv3",)


def test_vgg16_sees_images_as_its_weights_expect(vgg16):
    images = RNG.uniform(size=(2, 32, 32, 3)).astype(np.float32)
    network = keras.applications.VGG16()
    body = keras.Model(network.input, network.get_layer("block2_conv2").output)
    expected = body(keras.applications.vgg16.preprocess_input(255 * images)).numpy()
    found = vgg16_features().features(images)[1].numpy()
    # Keras takes a mean from each channel, up to 12 from the one that is taken here from all.
    assert np.abs(found - expected).mean() < 0.15 * np.abs(expected).mean()
    swapped = vgg16_features().features(images[..., ::-1])[1].numpy()
    assert np.abs(swapped - expected).mean() > 0.3 * np.abs(expected).mean()
