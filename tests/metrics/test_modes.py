"""Modes of a known mixture that samples reach."""

import numpy as np
import pytest

from tfgen.data import toy
from tfgen.metrics import mode_coverage

MEANS = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])


def at(*modes: int, offset: float = 0.0) -> np.ndarray:
    """Returns samples at modes, so far to the right of them."""
    return MEANS[list(modes)] + [offset, 0.0]


def test_counts_by_hand():
    samples = np.concatenate([at(0, 0, 0, offset=0.29), at(1, offset=-0.29), at(1, 1, offset=0.31)])
    score = mode_coverage(samples, MEANS, std=0.1)
    assert score.covered == 2
    assert score.high_quality == pytest.approx(4 / 6)
    np.testing.assert_allclose(score.shares, [1 / 2, 1 / 2, 0])
    assert score.reverse_kl == pytest.approx(np.log(3 / 2))


def test_a_mode_needs_samples_of_high_quality():
    score = mode_coverage(at(0, 1, 2, offset=1.0), MEANS, std=0.1)
    assert (score.covered, score.high_quality) == (0, 0.0)
    assert score.reverse_kl == pytest.approx(0, abs=1e-12)


def test_min_samples_and_radius():
    samples = np.concatenate([at(0, 0, 1), at(2, 2, offset=0.4)])
    assert mode_coverage(samples, MEANS, 0.1).covered == 2
    assert mode_coverage(samples, MEANS, 0.1, min_samples=2).covered == 1
    assert mode_coverage(samples, MEANS, 0.1, radius=5.0, min_samples=2).covered == 2


def test_reverse_kl_is_from_the_true_weights():
    weights = [0.5, 0.25, 0.25]
    assert mode_coverage(at(0, 0, 1, 2), MEANS, 0.1, weights).reverse_kl == pytest.approx(0)
    # All samples at a mode of weight 1/4.
    assert mode_coverage(at(1, 1), MEANS, 0.1, weights).reverse_kl == pytest.approx(np.log(4))


def test_the_mixture_itself_is_covered():
    mixture = toy.grid()
    score = mode_coverage(mixture.sample(2500, seed=0), mixture.means, mixture.std, min_samples=20)
    assert score.covered == 25
    # Within three deviations in the plane lie 1 - exp(-9 / 2).
    assert score.high_quality == pytest.approx(0.9889, abs=0.01)
    assert 0 < score.reverse_kl < 0.02


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"samples": np.zeros([0, 2])}, "`samples` with at least one row"),
        ({"samples": np.zeros([3, 3])}, "samples and means of the same dimension"),
        ({"samples": np.full([3, 2], np.nan)}, "`samples` to be finite"),
        ({"std": 0.0}, "`std`"),
        ({"radius": -1.0}, "`radius`"),
        ({"min_samples": 0}, "`min_samples` >= 1"),
        ({"weights": [0.5, 0.5]}, "3 `weights` > 0 that sum to one"),
        ({"weights": [0.5, 0.6, -0.1]}, "3 `weights` > 0 that sum to one"),
        ({"weights": [0.5, 0.5, 0.5]}, "3 `weights` > 0 that sum to one"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=f"Expected .*{message}.* Received: "):
        mode_coverage(**{"samples": at(0, 1), "means": MEANS, "std": 0.1, **arguments})
