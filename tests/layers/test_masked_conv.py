"""Masked convolutions: each number sees those before it in raster order, and no other."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgen.layers import MaskedConv2D

HEIGHT, WIDTH = 4, 3


def stack(*convolutions: MaskedConv2D, channels: int) -> list[MaskedConv2D]:
    """Builds layers in double precision whose weights all are random."""
    rng = np.random.default_rng(0)
    for convolution in convolutions:
        convolution.build((None, HEIGHT, WIDTH, channels))
        channels = convolution.filters
        for weight in convolution.trainable_weights:
            weight.assign(rng.normal(size=weight.shape))
    return list(convolutions)


def conv(*args, **kwargs) -> MaskedConv2D:
    return MaskedConv2D(*args, **kwargs, dtype="float64")


def dependencies(convolutions, channels: int, groups: int = 1) -> np.ndarray:
    """Returns which numbers the outputs depend on, both in the order (row, column, block)."""
    x = tf.constant(np.random.default_rng(1).normal(size=(5, HEIGHT, WIDTH, channels)))
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = x
        for number, convolution in enumerate(convolutions):
            outputs = convolution(tf.math.softplus(outputs) if number else outputs)
        outputs = tf.reshape(outputs, [5, HEIGHT * WIDTH * groups, -1])
        outputs = tf.reduce_sum(tf.exp(0.1 * outputs), axis=-1)  # Of which no slopes cancel.
    slopes = np.abs(tape.batch_jacobian(outputs, x)).max(axis=0)
    return slopes.reshape(HEIGHT * WIDTH * groups, HEIGHT * WIDTH * groups, -1).max(-1) > 0


@pytest.mark.parametrize(("center", "diagonal"), [(False, -1), (True, 0)])
def test_a_kernel_that_reaches_all_sees_all_that_comes_before(center, diagonal):
    layer = stack(conv(4, 7, center), channels=2)
    expected = np.tril(np.ones((HEIGHT * WIDTH, HEIGHT * WIDTH), bool), diagonal)
    np.testing.assert_array_equal(dependencies(layer, 2), expected)


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("groups", [2, 3])
def test_blocks_of_channels_are_in_order(center, groups):
    layer = stack(conv(2 * groups, 7, center, groups), channels=groups)
    size = HEIGHT * WIDTH * groups
    expected = np.tril(np.ones((size, size), bool), 0 if center else -1)
    np.testing.assert_array_equal(dependencies(layer, groups, groups), expected)


@pytest.mark.parametrize("groups", [1, 3])
def test_a_mask_a_below_masks_b_is_strictly_triangular(groups):
    layers = stack(
        conv(6, 5, False, groups), conv(9, 3, True, groups), conv(3, 1, True, groups), channels=3
    )
    seen = dependencies(layers, 3, groups)
    assert not np.triu(seen).any()
    before = np.tril(np.ones_like(seen), -1)
    assert seen.sum() > 0.7 * before.sum()
    for place in range(HEIGHT * WIDTH):  # All of the position to the left.
        if place % WIDTH:
            last = slice((place - 1) * groups, place * groups)
            assert seen[place * groups : (place + 1) * groups, last].all()


def test_the_blind_spot_is_where_the_documentation_has_it():
    layers = stack(conv(4, 3, False), *[conv(4, 3) for _ in range(4)], channels=1)
    seen = dependencies(layers, 1)
    for place, of in np.ndindex(seen.shape):
        (row, column), (row_of, column_of) = divmod(place, WIDTH), divmod(of, WIDTH)
        reached = column_of - column <= row - row_of
        assert seen[place, of] == (of < place and reached)


def test_it_equals_a_convolution_with_the_masked_kernel():
    (layer,) = stack(conv(2, 3, False), channels=1)
    x = np.random.default_rng(3).normal(size=(1, HEIGHT, WIDTH, 1))
    padded = np.pad(x[0, :, :, 0], 1)
    kernel, bias = layer.kernel.numpy(), layer.bias.numpy()
    for row, column in np.ndindex(HEIGHT, WIDTH):
        around = padded[row : row + 3, column : column + 3]
        seen = [(0, 0), (0, 1), (0, 2), (1, 0)]
        expected = sum(around[at] * kernel[(*at, 0)] for at in seen) + bias
        np.testing.assert_allclose(layer(x)[0, row, column], expected, rtol=1e-12)


def test_masked_weights_do_not_move():
    (layer,) = stack(conv(2, 3), channels=1)
    before = layer.kernel.numpy()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(tf.ones([2, HEIGHT, WIDTH, 1], tf.float64)) ** 2)
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.apply(tape.gradient(loss, layer.trainable_weights), layer.trainable_weights)
    moved = (layer.kernel.numpy() != before).any(axis=(2, 3))
    np.testing.assert_array_equal(moved, [[1, 1, 1], [1, 1, 0], [0, 0, 0]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filters": 0}, "`filters` >= 1"),
        ({"filters": 4, "kernel_size": 4}, "`kernel_size`, odd"),
        ({"filters": 4, "num_groups": 3}, "`filters` divisible by 3 groups"),
        ({"filters": 4, "kernel_size": 1, "center": False}, "`kernel_size` >= 3"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        MaskedConv2D(**arguments)


def test_bad_inputs_are_refused():
    with pytest.raises(ValueError, match="`inputs` of rank 4"):
        MaskedConv2D(4).build((None, 3, 3))
    with pytest.raises(ValueError, match="channels divisible by 2 groups"):
        MaskedConv2D(4, num_groups=2).build((None, 3, 3, 3))
