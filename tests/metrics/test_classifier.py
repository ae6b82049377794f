import keras
import numpy as np
import pytest

from tfgen.metrics import build_classifier, feature_levels, train_classifier


def bars(number, seed=0, side=8, channels=1):
    """Noisy images of which half have a bright row, half a bright column."""
    random = np.random.default_rng(seed)
    images = 0.3 * random.random((number, side, side, channels), np.float32)
    labels = random.integers(0, 2, number)
    for image, label, place in zip(images, labels, random.integers(0, side, number), strict=True):
        image[(place, slice(None)) if label else (slice(None), place)] += 0.5
    return images, labels


@pytest.fixture(scope="module")
def trained():
    return train_classifier(*bars(500), num_classes=2, width=8, epochs=20, held_out=0.2)


def test_learns(trained):
    assert trained.num_held_out == 100
    assert trained.accuracy > 0.9
    images, labels = bars(200, seed=1)
    assert np.mean(trained.model.predict(images, verbose=0).argmax(axis=1) == labels) > 0.9


def test_the_same_seed_trains_the_same_classifier():
    first, second = (
        train_classifier(*bars(64), num_classes=2, width=2, epochs=1, seed=3).model.get_weights()
        for _ in range(2)
    )
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    kernels = [build_classifier((8, 8, 1), 2, seed=seed).get_weights()[0] for seed in (3, 4)]
    assert not np.array_equal(*kernels)


def test_progress_is_shown_when_asked_for(capsys):
    for verbose, shown in ((0, False), (2, True)):
        train_classifier(*bars(64), num_classes=2, width=2, epochs=1, verbose=verbose)
        assert ("loss: " in capsys.readouterr().out) == shown


def test_a_layer_computes_one_function(trained):
    images, _ = bars(5)
    in_training = trained.model(images, training=True)
    np.testing.assert_array_equal(trained.model(images, training=False), in_training)


@pytest.mark.parametrize(
    ("shape", "levels"),
    [
        ((8, 8, 1), ("block_1", "block_2", "features")),
        ((28, 28, 1), ("block_1", "block_2", "block_3", "features")),
        ((32, 48, 3), ("block_1", "block_2", "block_3", "features")),
        ((64, 64, 3), ("block_1", "block_2", "block_3", "block_4", "features")),
    ],
)
def test_levels_from_pixels_upwards(shape, levels):
    model = build_classifier(shape, num_classes=10, width=4)
    assert feature_levels(model) == levels
    assert model.output_shape == (None, 10)
    assert model.get_layer("block_1").output.shape == (None, *shape[:2], 4)
    outputs = keras.Model(model.input, [model.get_layer(name).output for name in levels])
    assert outputs(np.zeros((2, *shape), np.float32))[-1].shape == (2, 64)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": np.zeros(3, int)}, r"shape \(64,\)"),
        ({"labels": np.zeros(64)}, "`labels` to be integers"),
        ({"labels": np.full(64, 2)}, r"\[0, 2\)"),
        ({"num_classes": 1}, "num_classes"),
        ({"held_out": 0.0}, "held_out"),
        ({"held_out": 1.0}, "held_out"),
        ({"epochs": 0}, "epochs"),
        ({"images": np.zeros((64, 3, 3, 1), np.float32)}, "sides of at least 4"),
        ({"images": np.zeros((64, 8, 8), np.float32)}, "rank 4"),
        ({"images": np.full((64, 8, 8, 1), 255.0)}, r"in \[0, 1\]"),
        ({"seed": -1}, "seed"),
    ],
)
def test_what_cannot_be_trained_on(change, message):
    images, labels = bars(64)
    with pytest.raises((TypeError, ValueError), match=message):
        train_classifier(**({"images": images, "labels": labels, "num_classes": 2} | change))
