"""The numbers of weights of the published networks, counted by hand."""

import numpy as np
import pytest

from tfgen import networks

CASES = {
    # Kernels 4 x 4 x 1 x 64, 4 x 4 x 64 x 128, 7 x 7 x 128 x 1024 and 1024 x 1, each with biases.
    "infogan_d": (
        networks.InfoGANDiscriminator,
        (None, 28, 28, 1),
        (1024 + 64) + (131_072 + 128) + (6_422_528 + 1024) + (1024 + 1),
    ),
    # Scales and shifts in the place of two biases.
    "infogan_d_bn": (
        lambda: networks.InfoGANDiscriminator(batch_norm=True),
        (None, 28, 28, 1),
        (1024 + 64) + (131_072 + 256) + (6_422_528 + 2048) + (1024 + 1),
    ),
    # As the discriminator, but for 1024 x 64 and 64 biases at the end.
    "infogan_e": (
        lambda: networks.InfoGANEncoder(64),
        (None, 28, 28, 1),
        (1024 + 64) + (131_072 + 128) + (6_422_528 + 1024) + (65_536 + 64),
    ),
    # The two convolutions, 6272 x 64 to the code, 64 x 6272 from it, and the generator's two.
    "infogan_ae": (
        lambda: networks.InfoGANAutoencoder((28, 28, 1)),
        (None, 28, 28, 1),
        (1024 + 64)
        + (131_072 + 128)
        + (401_408 + 64)
        + (401_408 + 6272)
        + (131_072 + 64)
        + (1024 + 1),
    ),
    # 100 x 4 x 4 x 512 = 819,200, then 16 x 512 x 256 = 2,097,152, 16 x 256 x 128 = 524,288,
    # 16 x 128 x 64 = 131,072 and 16 x 64 x 3 = 3,072; normalisation 2 (512 + 256 + 128 + 64) =
    # 1,920. That is 3,576,704, and three biases of the image.
    "dcgan_g": (lambda: networks.DCGANGenerator((64, 64, 3)), (None, 100), 3_576_704 + 3),
    # 16 x 3 x 64 = 3,072, then 131,072, 524,288, 2,097,152 and 16 x 512 = 8,192; normalisation
    # 2 (128 + 256 + 512) = 1,792. That is 2,765,568, and the biases of the first and the last.
    "dcgan_d": (
        lambda: networks.DCGANDiscriminator((64, 64, 3)),
        (None, 64, 64, 3),
        2_765_568 + 64 + 1,
    ),
    # One level less: 100 x 4 x 4 x 256 = 409,600, 524,288, 131,072, 3,072; 2 (256 + 128 + 64).
    "dcgan_g_32": (
        lambda: networks.DCGANGenerator((32, 32, 3)),
        (None, 100),
        409_600 + 524_288 + 131_072 + 3072 + 896 + 3,
    ),
    # 128 x 4096 and biases; three blocks of two 3 x 3 x 256 x 256, a 256 x 256 and two
    # normalisations of 2 x 256; the last normalisation; 3 x 3 x 256 x 3 and biases. With the
    # 2,304 biases that the normalisations take away it would be 4,276,739.
    "resnet_g": (
        lambda: networks.ResNetGenerator((32, 32, 3)),
        (None, 128),
        (524_288 + 4096) + 3 * (2 * 589_824 + 65_536 + 1024) + 512 + (6912 + 3),
    ),
    # A 3 x 3 x 3 x 128, a 3 x 3 x 128 x 128, a 3 x 128; then two 3 x 3 x 128 x 128 and a
    # 128 x 128; then twice two 3 x 3 x 128 x 128; then 128 x 1; biases everywhere.
    "resnet_d": (
        networks.ResNetDiscriminator,
        (None, 32, 32, 3),
        (3456 + 128 + 147_456 + 128 + 384 + 128)
        + (2 * (147_456 + 128) + 16_384 + 128)
        + 2 * 2 * (147_456 + 128)
        + (128 + 1),
    ),
    # The convolutions; 100 x 512 for z; (6272 + 512) x 1024 for both; 1024 x 1; with biases.
    "joint": (
        networks.JointDiscriminator,
        ((None, 28, 28, 1), (None, 100)),
        (1024 + 64) + (131_072 + 128) + (51_200 + 512) + (6784 * 1024 + 1024) + (1024 + 1),
    ),
    # The discriminator, and an embedding of 128 numbers for each of ten classes.
    "projection": (
        lambda: networks.ProjectionDiscriminator(networks.ResNetDiscriminator(), 10),
        ((None, 32, 32, 3), (None,)),
        1_053_825 + 10 * 128,
    ),
    # The generator for 100 + 28 numbers, and an embedding of 28 for each of ten classes.
    "conditional": (
        lambda: networks.ConditionalGenerator(networks.DCGANGenerator((64, 64, 3)), 10, 28),
        ((None, 100), (None,)),
        3_576_707 + 28 * 8192 + 10 * 28,
    ),
}


@pytest.mark.parametrize(("create", "shape", "expected"), CASES.values(), ids=CASES)
def test_number_of_weights(create, shape, expected):
    network = create()
    network.build(shape)
    assert sum(int(np.prod(v.shape)) for v in network.trainable_variables) == expected
