"""Augmentations: golden and hand-computed values, gradients, seeds, graphs, ranges."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.contract import values
from tests.contract.cases import by_name
from tests.small_models import COMPLAINT
from tfgen.layers import Color, Cutout, DiffAugment, Flip, Translate
from tfgen.layers.augmentation import cutout, translate

GOLDEN = Path(__file__).parents[1] / "golden" / "tensorflow_addons-0.23.0.npz"
SEED = (3, 5)

cases = pytest.mark.parametrize("case", **by_name(values.AUGMENTATIONS))


def noise(*shape: int, seed: int = 0) -> tf.Tensor:
    return tf.constant(np.random.default_rng(seed).uniform(0.1, 1, size=shape).astype(np.float32))


def same(number: int, batch: int = 2) -> tf.Tensor:
    return tf.fill([batch], number)


def test_golden_translation():
    golden = np.load(GOLDEN)
    found = translate(tf.constant(golden["image"]), down=same(-2), right=same(3))
    np.testing.assert_array_equal(found, golden["translate_dx3_dy-2_constant0"])


def test_golden_cutout():
    golden = np.load(GOLDEN)
    found = cutout(tf.constant(golden["image"]), same(4), same(9), 6, 6)
    np.testing.assert_array_equal(found, golden["cutout_6x6_offset_4_9"])


@pytest.mark.parametrize("down", [-5, -4, -1, 0, 2, 4, 9])
@pytest.mark.parametrize("right", [-6, 0, 1, 5])
def test_translations_equal_numpy(down, right):
    images = noise(2, 4, 5, 3)
    padded = np.pad(images, [(0, 0), (10, 10), (10, 10), (0, 0)])
    expected = padded[:, 10 - down : 14 - down, 10 - right : 15 - right]
    # The second image stays where it is.
    found = translate(images, tf.constant([down, 0]), tf.constant([right, 0]))
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], images[1])


@pytest.mark.parametrize(
    ("row", "column", "height", "width", "hole"),
    [
        (2, 2, 2, 2, (slice(1, 3), slice(1, 3))),
        (2, 2, 3, 1, (slice(1, 4), slice(2, 3))),
        (0, 5, 2, 4, (slice(0, 1), slice(3, 5))),
        (4, 0, 4, 5, (slice(2, 4), slice(0, 3))),
        (1, 1, 0, 3, (slice(0, 0), slice(0, 0))),
    ],
)
def test_cutouts_by_hand(row, column, height, width, hole):
    images = noise(1, 4, 5, 3)
    expected = images.numpy()
    expected[0, hole[0], hole[1]] = 0
    found = cutout(images, same(row, 1), same(column, 1), height, width)
    np.testing.assert_array_equal(found, expected)


@cases
def test_shapes_and_dtypes(case):
    augment = case.create()
    for dtype in (tf.float16, tf.float32, tf.float64):
        for channels in (1, 3):
            images = tf.cast(noise(3, 6, 5, channels), dtype)
            found = augment(images, SEED)
            assert found.shape == images.shape
            assert found.dtype == dtype
            assert np.isfinite(found).all()


@cases
def test_rows_are_functions_of_the_seed_and_their_place(case):
    augment = case.create()
    images = tf.repeat(noise(1, 8, 8, 3), 33, axis=0)
    found = augment(images, SEED).numpy()
    np.testing.assert_array_equal(augment(images, SEED), found)
    np.testing.assert_array_equal(augment(images[:7], SEED), found[:7])
    assert not np.array_equal(augment(images, (3, 6)), found)
    assert not np.array_equal(augment(images, (4, 5)), found)
    assert len(np.unique(found.reshape(33, -1), axis=0)) > 1
    mixed = tf.concat([images[:4], noise(1, 8, 8, 3, seed=1), images[5:]], axis=0)
    others = [i for i in range(33) if i != 4]
    np.testing.assert_array_equal(augment(mixed, SEED).numpy()[others], found[others])


@cases
@pytest.mark.parametrize("jit_compile", [False, True])
def test_in_a_function_of_any_batch(case, jit_compile):
    augment, images = case.create(), noise(9, 8, 7, 3)
    signature = [
        tf.TensorSpec([None, None if not jit_compile else 8, 7, 3], tf.float32),
        tf.TensorSpec([2], tf.int32),
    ]
    compiled = tf.function(augment, input_signature=signature, jit_compile=jit_compile)
    expected = augment(images, SEED)
    np.testing.assert_allclose(compiled(images, tf.constant(SEED)), expected, rtol=1e-5, atol=1e-6)


@cases
@pytest.mark.parametrize("jit_compile", [False, True])
def test_gradients_are_those_of_the_linear_map(case, jit_compile):
    """With the seed fixed, f(x + d) - f(x) = A d; the gradient of <w, f(x)> has to be A^T w."""
    augment = case.create()
    images, weights = noise(2, 4, 3, 3), noise(2, 4, 3, 3, seed=1)

    @tf.function(jit_compile=jit_compile)
    def slope(x: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = augment(x, SEED)
        return tape.gradient(y, x, output_gradients=weights)

    pixels = tf.reshape(tf.eye(36), [36, 1, 4, 3, 3])
    at_zero = augment(tf.zeros_like(images), SEED)
    columns = [augment(tf.tile(pixel, [2, 1, 1, 1]), SEED) - at_zero for pixel in pixels]
    expected = [tf.reduce_sum(column * weights, [1, 2, 3]) for column in columns]
    expected = np.transpose(expected).reshape(2, 4, 3, 3)
    np.testing.assert_allclose(slope(images), expected, rtol=1e-4, atol=1e-5)


@cases
def test_second_order(case):
    """A slope penalty of a critic of augmented images: d/dx |d/dx sum f(x)^3|^2."""
    augment = case.create()
    x = tf.cast(noise(2, 4, 4, 3), tf.float64)

    def penalty(x: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.reduce_sum(augment(x, SEED) ** 3)
        return tf.reduce_sum(tape.gradient(y, x) ** 2)

    with tf.GradientTape() as tape:
        tape.watch(x)
        value = penalty(x)
    slope = tape.gradient(value, x)
    direction = tf.cast(noise(2, 4, 4, 3, seed=2), tf.float64)
    h = 1e-5
    expected = (penalty(x + h * direction) - penalty(x - h * direction)) / (2 * h)
    np.testing.assert_allclose(tf.reduce_sum(slope * direction), expected, rtol=1e-6)


def test_moves_are_uniform_up_to_the_ratio():
    images = np.zeros([4000, 8, 16, 1], np.float32)
    images[:, 4, 8] = 1
    moved = Translate(0.25)(tf.constant(images), SEED).numpy()
    rows, columns = (moved.sum(axes)[..., 0] for axes in ((0, 2), (0, 1)))
    np.testing.assert_array_equal(np.flatnonzero(rows), np.arange(2, 7))
    np.testing.assert_array_equal(np.flatnonzero(columns), np.arange(4, 13))
    np.testing.assert_allclose(rows[2:7], 4000 / 5, rtol=0.15)
    np.testing.assert_allclose(columns[4:13], 4000 / 9, rtol=0.2)


@pytest.mark.parametrize(("ratio", "sides"), [(0.5, (4, 3)), (0.2, (2, 1)), (1.0, (8, 6))])
def test_holes_have_their_size_and_all_places(ratio, sides):
    holes = 1 - Cutout(ratio)(tf.ones([4000, 8, 6, 1]), SEED).numpy()[..., 0]
    heights, widths = holes.max(2).sum(1), holes.max(1).sum(1)
    assert (heights.max(), widths.max()) == sides
    np.testing.assert_array_equal(heights * widths, holes.sum((1, 2)))
    # An odd side has its centre on each pixel alike, an even one on each border between them.
    centres = [8 + 1 - sides[0] % 2, 6 + 1 - sides[1] % 2]
    for size, side, count, lengths in zip((8, 6), sides, centres, (heights, widths), strict=True):
        first = np.arange(count) - side // 2
        expected = np.minimum(first + side, size) - np.maximum(first, 0)
        np.testing.assert_allclose(lengths.mean(), expected.mean(), rtol=0.05)


def test_half_are_mirrored():
    images = noise(2000, 2, 3, 1)
    found = Flip()(images, SEED).numpy()
    mirrored = (found == images.numpy()[:, :, ::-1]).all((1, 2, 3))
    np.testing.assert_array_equal(found[~mirrored], images.numpy()[~mirrored])
    assert 900 < mirrored.sum() < 1100


def test_brightness_alone():
    images = noise(4000, 2, 2, 3)
    added = (Color(0.3, 0, 0)(images, SEED) - images).numpy().reshape(4000, -1)
    np.testing.assert_allclose(added, np.repeat(added[:, :1], 12, axis=1), atol=1e-6)
    assert -0.3 <= added.min() < -0.29 and 0.29 < added.max() <= 0.3 + 1e-6
    np.testing.assert_allclose(added.mean(), 0, atol=0.01)


@pytest.mark.parametrize(
    ("augment", "axes"), [(Color(0, 0.8, 0), (3,)), (Color(0, 0, 0.8), (1, 2, 3))]
)
def test_saturation_and_contrast_alone(augment, axes):
    """Differences from the mean, over channels or over all, are scaled; the mean stays."""
    images = noise(4000, 2, 2, 3).numpy()
    found = augment(tf.constant(images), SEED).numpy()
    mean = images.mean(axes, keepdims=True)
    np.testing.assert_allclose(found.mean(axes, keepdims=True), mean, atol=1e-5)
    inner = np.sum((found - mean) * (images - mean), axis=(1, 2, 3))
    factors = inner / np.sum((images - mean) ** 2, axis=(1, 2, 3))
    np.testing.assert_allclose(
        found, (images - mean) * factors[:, None, None, None] + mean, atol=1e-4
    )
    assert 0.199 < factors.min() < 0.21 and 1.79 < factors.max() < 1.801
    np.testing.assert_allclose(factors.mean(), 1, atol=0.03)


def test_colours_default_to_the_ranges_of_the_paper():
    assert Color() == Color(brightness=0.25, saturation=1.0, contrast=0.5)
    # On [-1, 1] the paper adds U(-0.5, 0.5).
    black, bright = np.zeros([20000, 1, 1, 1], np.float32), Color(saturation=0, contrast=0)
    moves = (2 * bright(black, SEED) - 1) - (2 * black - 1)
    np.testing.assert_allclose([np.min(moves), np.max(moves)], [-0.5, 0.5], atol=1e-3)
    grey = Color(0, 1, 0)
    images = noise(4, 3, 3, 1)
    np.testing.assert_allclose(grey(images, SEED), images, rtol=1e-6)


def test_the_mean_effect_of_colour_is_none():
    image = noise(1, 4, 4, 3)
    mean = tf.reduce_mean(Color()(tf.repeat(image, 20000, axis=0), SEED), axis=0)
    np.testing.assert_allclose(mean, image[0], atol=0.02)


def test_parts_of_a_chain_have_seeds_of_their_own():
    images = tf.ones([64, 16, 16, 1])
    twice = DiffAugment((Translate(0.5), Translate(0.5)))(images, SEED).numpy()
    once = Translate(0.5)(images, SEED).numpy()
    assert not np.array_equal(twice, once)
    # Two moves by the same pixels would leave a rectangle that is narrower by an even number.
    narrower = 16 - twice.max((0, 2, 3)).sum(), 16 - twice.max(2)[..., 0].sum(1)
    assert len(np.unique(narrower[1] % 2)) == 2


def test_a_chain_is_its_parts_in_order():
    images = noise(5, 8, 8, 3)
    recorded = []

    def double(x: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        recorded.append(tuple(seed.numpy()))
        return 2 * x

    def increase(x: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        recorded.append(tuple(seed.numpy()))
        return x + 1

    found = DiffAugment((double, increase, double))(images, SEED)
    np.testing.assert_allclose(found, 2 * (2 * images + 1), rtol=1e-6)
    assert len(set(recorded)) == 3


@pytest.mark.parametrize("kind", [Translate, Cutout])
@pytest.mark.parametrize("ratio", [0.0, -0.5, 1.01, float("nan"), float("inf")])
def test_bad_ratios(kind, ratio):
    with pytest.raises(ValueError, match=COMPLAINT):
        kind(ratio)


@pytest.mark.parametrize("name", ["brightness", "saturation", "contrast"])
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_bad_colours(name, value):
    with pytest.raises(ValueError, match=COMPLAINT):
        Color(**{name: value})


@pytest.mark.parametrize("name", ["saturation", "contrast"])
def test_factors_do_not_turn_negative(name):
    with pytest.raises(ValueError, match=COMPLAINT):
        Color(**{name: 1.1})


def test_a_chain_of_nothing():
    with pytest.raises(ValueError, match=COMPLAINT):
        DiffAugment(())


@cases
def test_other_inputs_are_refused(case):
    augment = case.create()
    with pytest.raises(ValueError, match=COMPLAINT):
        augment(tf.zeros([8, 8, 3]), SEED)
    with pytest.raises(TypeError, match=COMPLAINT):
        augment(tf.zeros([2, 8, 8, 3], tf.uint8), SEED)
