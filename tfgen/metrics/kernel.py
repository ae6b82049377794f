"""Kernel Inception distance: an unbiased maximum mean discrepancy between feature sets."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfgen.core.checks import check_integer, expected
from tfgen.core.config import Configurable, register
from tfgen.losses.mmd import squared_mmd
from tfgen.metrics.features import FeatureExtractor
from tfgen.metrics.score import (
    FeatureStore,
    Score,
    StreamingMetric,
    check_same_dimension,
    checked_features,
)


def kid(
    real: Any, fake: Any, subset_size: int = 1000, num_subsets: int = 100, seed: int = 0
) -> tuple[float, float]:
    """Returns the kernel Inception distance, a squared MMD averaged over random subsets.

    The kernel is (x·y / dimension + 1)³ and the estimate unbiased: that of equal distributions
    scatters about zero and may be negative.

    Args:
        real: features [num_real, dimension].
        fake: features [num_fake, dimension].
        subset_size: examples in a subset of either side, drawn without replacement, >= 2.
        num_subsets: number of subsets.
        seed: of the draw.

    Returns:
        Mean and standard deviation over the subsets.

    Raises:
        ValueError: when a side has fewer examples than a subset, dimensions differ, or a value is
            not finite.

    Reference: Bińkowski et al., "Demystifying MMD GANs", 2018, https://arxiv.org/abs/1801.01401.
    """
    real, fake = checked_features("real", real), checked_features("fake", fake)
    check_same_dimension(real, fake)
    check_integer("subset_size", subset_size, minimum=2)
    check_integer("num_subsets", num_subsets)
    if min(len(real), len(fake)) < subset_size:
        received = f"{len(real)} real and {len(fake)} fake"
        raise ValueError(expected(f"at least `subset_size` = {subset_size} examples", received))
    random = np.random.default_rng(seed)
    estimates = [
        squared_mmd(
            real[random.choice(len(real), subset_size, replace=False)].astype(np.float64),
            fake[random.choice(len(fake), subset_size, replace=False)].astype(np.float64),
            _cubic,
        )
        for _ in range(num_subsets)
    ]
    return float(np.mean(estimates)), float(np.std(estimates))


@register
class KernelInceptionDistance(Configurable, StreamingMetric[FeatureStore]):
    """Kernel Inception distance of images that arrive in batches, as the function `kid`.

    It keeps the features of all images.

    Args:
        extractor: turns images into features.
        split: which part of the data the real images are, such as "test"; printed with the score.
        subset_size: examples in a subset, >= 2.
        num_subsets: number of subsets, > 0.
        seed: of the draw of subsets.

    Raises:
        TypeError: when a number is not an integer.
        ValueError: when one is out of range.
    """

    def __init__(
        self,
        extractor: FeatureExtractor,
        split: str = "",
        subset_size: int = 1000,
        num_subsets: int = 100,
        seed: int = 0,
    ) -> None:
        check_integer("subset_size", subset_size, minimum=2)
        check_integer("num_subsets", num_subsets)
        super().__init__(extractor, split)
        self.subset_size = subset_size
        self.num_subsets = num_subsets
        self.seed = seed

    @property
    def min_fake(self) -> int:
        """As many as a subset."""
        return self.subset_size

    def result(self) -> Score:
        """Returns the distance between all images seen so far, with its deviation over subsets.

        Raises:
            ValueError: when a side has fewer images than a subset.
        """
        self._check_both_sides()
        sides = self._real.features(), self._fake.features()
        value, std = kid(*sides, self.subset_size, self.num_subsets, self.seed)
        return self._score("KID", value, std, f"{self.num_subsets} subsets of {self.subset_size}")

    def _new_side(self) -> FeatureStore:
        return FeatureStore()


def _cubic(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Returns (x·y / dimension + 1)³ of every row of `x` with every row of `y`."""
    base = tf.matmul(x, y, transpose_b=True) / x.shape[1] + 1.0
    return base * base * base
