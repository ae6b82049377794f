"""The networks' formulas, put together from TensorFlow's operations."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.small_models import COMPLAINT
from tfgen import networks

RNG = np.random.default_rng(0)


def filled(layer, shape):
    """Returns a network with weights of some size, and those."""
    layer.build(shape)
    layer.set_weights([RNG.normal(size=w.shape) / 2 for w in layer.weights])
    return layer, [tf.constant(w) for w in layer.get_weights()]


def uniform(*shape):
    return tf.constant(RNG.uniform(size=shape), tf.float32)


def leaky(x):
    return tf.nn.leaky_relu(x, 0.3)


def down(x, kernel, bias, stride=2):
    return tf.nn.conv2d(x, kernel, stride, "SAME") + bias


def up(x, kernel, bias):
    batch, height, width, _ = x.shape
    shape = [batch, 2 * height, 2 * width, kernel.shape[2]]
    return tf.nn.conv2d_transpose(x, kernel, shape, 2) + bias


def flat(x):
    return tf.reshape(x, [x.shape[0], -1])


def agree(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "network",
    [
        networks.InfoGANDiscriminator(5, (3, 4), slope=0.3),
        networks.InfoGANEncoder(2, 5, (3, 4), slope=0.3),
    ],
    ids=["discriminator", "encoder"],
)
def test_infogan_discriminator_and_encoder(network):
    layer, w = filled(network, (None, 6, 8, 2))
    x = uniform(3, 6, 8, 2)
    first = leaky(down(x, w[0], w[1]))
    second = leaky(down(first, w[2], w[3]))
    third = leaky(flat(second) @ w[4] + w[5])
    agree(layer(x), third @ w[6] + w[7])
    for found, expected in zip(layer.features(x), [first, second, third], strict=True):
        agree(found, expected)


def test_infogan_autoencoder():
    layer, w = filled(networks.InfoGANAutoencoder((8, 8, 1), 2, (3, 4), slope=0.3), (None, 8, 8, 1))
    x = uniform(3, 8, 8, 1)
    maps = leaky(down(leaky(down(x, w[0], w[1])), w[2], w[3]))
    code = flat(maps) @ w[4] + w[5]
    maps = tf.reshape(leaky(code @ w[6] + w[7]), [3, 2, 2, 4])
    maps = leaky(up(maps, w[8], w[9]))
    agree(layer(x), tf.sigmoid(up(maps, w[10], w[11])))


def test_dcgan_generator():
    layer, w = filled(networks.DCGANGenerator((16, 16, 1), 2, batch_norm=False), (None, 3))
    z = uniform(3, 3)
    maps = tf.reshape(tf.nn.relu(z @ w[0] + w[1]), [3, 4, 4, 4])
    maps = tf.nn.relu(up(maps, w[2], w[3]))
    agree(layer(z), (1 + tf.tanh(up(maps, w[4], w[5]))) / 2)


def test_dcgan_discriminator():
    network = networks.DCGANDiscriminator((16, 16, 1), 2, batch_norm=False, slope=0.3)
    layer, w = filled(network, (None, 16, 16, 1))
    x = uniform(3, 16, 16, 1)
    maps = leaky(down(2 * x - 1, w[0], w[1]))
    maps = leaky(down(maps, w[2], w[3]))
    assert maps.shape == (3, 4, 4, 4)
    agree(layer(x), flat(maps) @ w[4] + w[5])


@pytest.mark.parametrize(
    ("network", "shape"),
    [
        (networks.DCGANGenerator((32, 32, 3), 16), (None, 100)),
        (networks.DCGANDiscriminator((32, 32, 3), 16), (None, 32, 32, 3)),
    ],
    ids=["generator", "discriminator"],
)
def test_dcgan_begins_small_and_is_normalised_inside(network, shape):
    network.build(shape)
    kernels = [v.numpy() for v in network.trainable_variables if v.name == "kernel"]
    for kernel in kernels:
        assert kernel.mean() == pytest.approx(0, abs=2e-3)
        assert kernel.std() == pytest.approx(0.02, rel=0.1)
    biases = [v for v in network.trainable_variables if v.name == "bias"]
    is_generator = isinstance(network, networks.DCGANGenerator)
    assert len(biases) == (1 if is_generator else 2)
    norms = [v for v in network.trainable_variables if v.name == "gamma"]
    assert len(norms) == len(kernels) - len(biases)


def repeated(x):
    return tf.repeat(tf.repeat(x, 2, axis=1), 2, axis=2)


def test_resnet_generator():
    """Doubles before the shortcut's convolution, as the paper does."""
    network = networks.ResNetGenerator((4, 6, 1), 2, 1, batch_norm=False)
    layer, w = filled(network, (None, 3))
    z = uniform(3, 3)
    maps = tf.reshape(z @ w[0] + w[1], [3, 2, 3, 2])
    main = down(repeated(tf.nn.relu(maps)), w[2], w[3], 1)
    main = down(tf.nn.relu(main), w[4], w[5], 1)
    maps = main + down(repeated(maps), w[6], w[7], 1)
    image = down(tf.nn.relu(maps), w[8], w[9], 1)
    agree(layer(z), (1 + tf.tanh(image)) / 2)


def test_resnet_discriminator():
    network = networks.ResNetDiscriminator(2, 4, spectral_norm=False)
    layer, w = filled(network, (None, 8, 4, 1))

    def pool(x):
        return tf.nn.avg_pool2d(x, 2, 2, "VALID")

    def path(x, i):
        return down(tf.nn.relu(down(x, w[i], w[i + 1], 1)), w[i + 2], w[i + 3], 1)

    x = uniform(3, 8, 4, 1)
    maps = 2 * x - 1
    first = pool(path(maps, 0)) + down(pool(maps), w[4], w[5], 1)
    second = pool(path(tf.nn.relu(first), 6)) + pool(down(first, w[10], w[11], 1))
    third = second + path(tf.nn.relu(second), 12)
    fourth = third + path(tf.nn.relu(third), 16)
    last = tf.nn.relu(fourth)
    agree(layer(x), tf.reduce_sum(last, axis=[1, 2]) @ w[20] + w[21])
    expected = [first, second, third, fourth, last]
    for found, wanted in zip(layer.features(x), expected, strict=True):
        agree(found, wanted)


@pytest.mark.parametrize(("size", "num_blocks"), [(32, 3), (48, 3), (64, 4)])
def test_resnets_of_the_papers_sizes(size, num_blocks):
    generator = networks.ResNetGenerator((size, size, 3), 2, num_blocks)
    images = generator(uniform(1, 3))
    assert images.shape == (1, size, size, 3)
    discriminator = networks.ResNetDiscriminator(2, 4 if size == 32 else 5)
    assert discriminator(images).shape == (1, 1)
    assert discriminator.features(images)[-1].shape[1] in (6, 8, 12)


def test_residual_is_a_sum():
    main = [keras.layers.Dense(3), keras.layers.LeakyReLU(0.3)]
    layer, w = filled(networks.Residual(main, [keras.layers.Dense(3)]), (None, 2))
    x = uniform(4, 2)
    agree(layer(x), leaky(x @ w[0] + w[1]) + x @ w[2] + w[3])
    layer, w = filled(networks.Residual([keras.layers.Dense(2)]), (None, 2))
    agree(layer(x), x @ w[0] + w[1] + x)
    with pytest.raises(ValueError, match=COMPLAINT):
        networks.Residual([keras.layers.Dense(3)]).build((None, 2))


def test_joint_discriminator():
    layer, w = filled(
        networks.JointDiscriminator((2, 3), (4,), (5,), slope=0.3), ((None, 8, 8, 1), (None, 2))
    )
    x, z = uniform(3, 8, 8, 1), uniform(3, 2)
    first = leaky(down(x, w[0], w[1]))
    second = leaky(down(first, w[2], w[3]))
    of_z = leaky(z @ w[4] + w[5])
    both = leaky(tf.concat([flat(second), of_z], axis=1) @ w[6] + w[7])
    agree(layer((x, z)), both @ w[8] + w[9])
    expected = [first, second, of_z, both]
    for found, wanted in zip(layer.features((x, z)), expected, strict=True):
        agree(found, wanted)


def test_joint_discriminator_without_layers_of_parts():
    layer, w = filled(networks.JointDiscriminator((), (), ()), ((None, 4), (None, 2)))
    x, z = uniform(3, 4), uniform(3, 2)
    agree(layer((x, z)), tf.concat([x, z], axis=1) @ w[0] + w[1])


def test_conditional_generator():
    network = networks.ConditionalGenerator(networks.MLP((2,), ()), 3, 4)
    layer, w = filled(network, ((None, 2), (None,)))
    table = next(v for v in w if v.shape == (3, 4))
    kernel, bias = (v for v in w if v.shape != (3, 4))
    z, labels = uniform(3, 2), tf.constant([2, 0, 2], tf.int64)
    agree(layer((z, labels)), tf.concat([z, tf.gather(table, labels)], axis=1) @ kernel + bias)


class _Patches(networks.Stack):
    """Logits for each place: 1 x 1 convolutions."""

    def __init__(self):
        super().__init__()
        self._assemble()

    def _make_layers(self):
        return [self._convolution(3, 1, 1), *self._activated(False), self._convolution(1, 1, 1)]


@pytest.mark.parametrize(
    ("network", "shape"),
    [
        (networks.MLP((1,), (3,)), (4,)),
        (networks.ResNetDiscriminator(3, 3, spectral_norm=False), (4, 4, 1)),
        (_Patches(), (2, 3, 1)),
    ],
    ids=["vectors", "summed maps", "patches"],
)
def test_projection_discriminator(network, shape):
    layer = networks.ProjectionDiscriminator(network, 3)
    layer, w = filled(layer, ((None, *shape), (None,)))
    table = next(v for v in w if v.shape == (3, 3))
    x, labels = uniform(4, *shape), [2, 0, 2, 1]
    logits, phi = network(x).numpy(), network.features(x)[-1].numpy()
    phi = phi.sum(axis=tuple(range(1, phi.ndim - 1)))
    added = np.array([phi[i] @ table.numpy()[label] for i, label in enumerate(labels)])
    expected = logits + added.reshape([4] + [1] * (logits.ndim - 1))
    agree(layer((x, tf.constant(labels))), expected)


def test_projection_by_a_normalised_embedding():
    layer = networks.ProjectionDiscriminator(networks.MLP((1,), (3,)), 5, spectral_norm=True)
    layer.build(((None, 4), (None,)))
    table = next(v for v in layer.trainable_variables if v.shape == (5, 3)).numpy()
    x, labels = uniform(5, 4), tf.range(5)
    phi = layer.discriminator.features(x)[-1].numpy()
    rows = table / np.linalg.svd(table, compute_uv=False)[0]
    agree(layer((x, labels)), layer.discriminator(x) + (rows * phi).sum(1, keepdims=True))


CONDITIONAL = {
    "generator": lambda: networks.ConditionalGenerator(networks.MLP((2,)), 3, 4),
    "discriminator": lambda: networks.ProjectionDiscriminator(networks.MLP((2,), (5,)), 3),
}


@pytest.mark.parametrize("create", CONDITIONAL.values(), ids=CONDITIONAL)
@pytest.mark.parametrize("label", [-1, 3])
def test_labels_outside_are_refused(create, label):
    network = create()
    for call in (network, tf.function(network)):
        with pytest.raises(tf.errors.InvalidArgumentError, match="Expected labels in"):
            call((uniform(2, 4), tf.constant([0, label])))


@pytest.mark.parametrize("create", CONDITIONAL.values(), ids=CONDITIONAL)
def test_labels_outside_are_no_class_where_checks_are_dropped(create):
    found = tf.function(create(), jit_compile=True)((uniform(2, 4), tf.constant([0, 3]))).numpy()
    assert np.isfinite(found[0]).all() and np.isnan(found[1]).all()


@pytest.mark.parametrize("create", CONDITIONAL.values(), ids=CONDITIONAL)
@pytest.mark.parametrize("labels", [[0.0, 1.0], [[0], [1]]], ids=str)
def test_other_labels_are_refused(create, labels):
    with pytest.raises((TypeError, ValueError), match=COMPLAINT):
        create()((uniform(2, 4), tf.constant(labels)))
