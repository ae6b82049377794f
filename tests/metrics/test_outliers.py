"""Outliers: ranks by hand, and a model that likes simple images too much."""

import numpy as np
import pytest

from tfgen import metrics


def test_auroc_by_hand():
    assert metrics.auroc([1, 2, 3], [4, 5]) == 1.0
    assert metrics.auroc([4, 5], [1, 2, 3]) == 0.0
    assert metrics.auroc([1, 3], [2]) == 0.5
    assert metrics.auroc([1, 1], [1]) == 0.5
    assert metrics.auroc([0, 1, 2, 3], [1, 9]) == pytest.approx((1.5 + 4) / 8)


def test_likelihood_fails_where_outliers_are_simpler_and_the_others_mend_it():
    """Noise under a model of noise, and constant images, which it likes better."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 64, (60, 8, 8, 1)).astype(np.uint8)
    flat = np.full((30, 8, 8, 1), 7, np.uint8)
    train, inside = rng.normal(-266, 4, 200), rng.normal(-266, 4, 60)
    outside = rng.normal(-200, 4, 30)
    scores = metrics.outlier_scores(train, inside, outside, noise, flat)
    assert scores["likelihood"] == 0.0
    assert scores["typicality"] == 1.0
    assert scores["complexity"] == 1.0
    assert set(metrics.outlier_scores(train, inside, outside)) == {"likelihood", "typicality"}


def test_typicality_and_complexity_by_hand():
    np.testing.assert_allclose(metrics.typicality([1.0, 5.0], [2.0, 4.0]), [2.0, 2.0])
    images = np.zeros((2, 4, 4, 1), np.float32)
    png = metrics.png_bits_per_dim(images)
    np.testing.assert_array_equal(png, metrics.png_bits_per_dim(np.uint8(images)))
    found = metrics.complexity_corrected([-16 * np.log(2), 0.0], images)
    np.testing.assert_allclose(found, [1.0 - png[0], -png[1]])


@pytest.mark.parametrize("bad", [[], [[1.0]], [np.nan], 1.0], ids=str)
def test_vectors_that_are_none_are_refused(bad):
    with pytest.raises(ValueError, match="Expected `train_log_prob`, a vector of finite numbers"):
        metrics.outlier_scores(bad, [1.0], [2.0])


def test_images_have_to_be_as_many_and_have_channels():
    with pytest.raises(ValueError, match="Expected 2 images. Received: 3 images"):
        metrics.complexity_corrected([1.0, 2.0], np.zeros((3, 4, 4, 1)))
    with pytest.raises(ValueError, match="Expected images"):
        metrics.png_bits_per_dim(np.zeros((3, 4, 4)))
