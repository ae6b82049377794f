"""How manifolds of real and generated features overlap: precision, recall, density, coverage."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tfgen.core.checks import check_integer, expected
from tfgen.core.config import Configurable, register
from tfgen.metrics.features import FeatureExtractor
from tfgen.metrics.score import (
    FeatureStore,
    Score,
    StreamingMetric,
    check_same_dimension,
    checked_features,
)

CHUNK_ENTRIES = 2**23
"""Distances held at a time, 64 MiB of float64."""

MANY = 100
"""One pair in this many; where more need differences, equal pairs are compared once."""

TIE = 1e-12
"""Squared distances closer than this, relative to themselves, count as equal."""


class PrecisionRecallScore(NamedTuple):
    """The two scores of `PrecisionRecall`.

    Attributes:
        precision: fraction of generated images on the manifold of the real ones.
        recall: fraction of real images on the manifold of the generated ones.
    """

    precision: Score
    recall: Score

    def __str__(self) -> str:
        return f"{self.precision}, {self.recall}"


class DensityCoverageScore(NamedTuple):
    """The two scores of `DensityCoverage`.

    Attributes:
        density: mean number of balls of real images that a generated one lies in, divided by k.
        coverage: fraction of real images with a generated one in their ball.
    """

    density: Score
    coverage: Score

    def __str__(self) -> str:
        return f"{self.density}, {self.coverage}"


def precision_recall(real: Any, fake: Any, k: int = 3) -> tuple[float, float]:
    """Returns how much of each set of features lies on the manifold of the other.

    A set's manifold is the union of balls about its members that reach to their k-th nearest
    neighbour in the set. They are closed, as in the paper: a point on the rim is within. (Where
    features are equal, code that takes them to be open counts fewer.) Precision is the fraction of
    `fake` on the manifold of `real`, recall the fraction of `real` on that of `fake`. Comparisons
    are those of differences in float64. Distances are computed a chunk at a time, so
    that memory grows with the number of examples and not with its square.

    Args:
        real: features [num_real, dimension], num_real > k.
        fake: features [num_fake, dimension], num_fake > k.
        k: which neighbour sets the radius.

    Returns:
        Precision and recall, each in [0, 1].

    Raises:
        TypeError: when `k` is not an integer.
        ValueError: when a side has no more than k examples, or dimensions differ, or a value is not
            finite.

    Reference: Kynkäänniemi et al., "Improved Precision and Recall Metric for Assessing Generative
        Models", 2019, https://arxiv.org/abs/1904.06991.
    """
    real, fake = _checked(real, fake, k)
    real_radii, fake_radii = _squared_radii(real, k), _squared_radii(fake, k)
    precise, recalled = np.zeros(len(fake), bool), np.zeros(len(real), bool)
    for pairs in _pairs(fake, real):
        precise[pairs.rows] = pairs.within(real_radii).any(axis=1)
        recalled |= pairs.within(fake_radii[pairs.rows, np.newaxis]).any(axis=0)
    return float(precise.mean()), float(recalled.mean())


def density_coverage(real: Any, fake: Any, k: int = 5) -> tuple[float, float]:
    """Returns how densely, and how widely, generated features lie about the real ones.

    Each real example has a ball that reaches to its k-th nearest neighbour among them, and is
    closed, as those of `precision_recall`; the authors' code takes them to be open.
    Density is the mean number of balls that an example of `fake` lies in, divided by k. Coverage is
    the fraction of balls that any of them lies in. Generated outliers, which widen the manifold
    that recall is measured on, raise neither.

    Args:
        real: features [num_real, dimension], num_real > k.
        fake: features [num_fake, dimension], num_fake > k, the fewest to judge by.
        k: which neighbour sets the radius.

    Returns:
        Density, >= 0, and coverage, in [0, 1]. Of two large sets of one distribution and one size
        they are 1 and nearly 1 - 2^-k.

    Raises:
        TypeError: when `k` is not an integer.
        ValueError: when a side has no more than k examples, or dimensions differ, or a value is not
            finite.

    Reference: Naeem et al., "Reliable Fidelity and Diversity Metrics for Generative Models", 2020,
        https://arxiv.org/abs/2002.09797.
    """
    real, fake = _checked(real, fake, k)
    radii = _squared_radii(real, k)
    count, covered = 0, np.zeros(len(real), bool)
    for pairs in _pairs(fake, real):
        within = pairs.within(radii)
        count += np.count_nonzero(within)
        covered |= within.any(axis=0)
    return float(count / (k * len(fake))), float(covered.mean())


class _ManifoldMetric(Configurable, StreamingMetric[FeatureStore]):
    """Keeps the features of all images, and the number of neighbours."""

    def __init__(self, extractor: FeatureExtractor, split: str, k: int) -> None:
        check_integer("k", k)
        super().__init__(extractor, split)
        self.k = k

    @property
    def min_fake(self) -> int:
        """One more than there are neighbours to look at."""
        return self.k + 1

    def _new_side(self) -> FeatureStore:
        return FeatureStore()

    def _scores(self, function: Callable, *names: str) -> list[Score]:
        """Returns what a function of both sides' features and k returns, under these names."""
        self._check_both_sides()
        values = function(self._real.features(), self._fake.features(), self.k)
        return [
            self._score(name, value, settings=f"k={self.k}")
            for name, value in zip(names, values, strict=True)
        ]


@register
class PrecisionRecall(_ManifoldMetric):
    """Improved precision and recall of images that arrive in batches; see `precision_recall`.

    It keeps the features of all images.

    Args:
        extractor: turns images into features.
        split: which part of the data the real images are, such as "test"; printed with the score.
        k: which neighbour sets the radius, > 0.

    Raises:
        TypeError: when `k` is not an integer.
        ValueError: when it is out of range.
    """

    def __init__(self, extractor: FeatureExtractor, split: str = "", k: int = 3) -> None:
        super().__init__(extractor, split, k)

    def result(self) -> PrecisionRecallScore:
        """Returns precision and recall of all images seen so far.

        Raises:
            ValueError: when a side has no more than k images.
        """
        return PrecisionRecallScore(*self._scores(precision_recall, "precision", "recall"))


@register
class DensityCoverage(_ManifoldMetric):
    """Density and coverage of images that arrive in batches; see `density_coverage`.

    It keeps the features of all images.

    Args:
        extractor: turns images into features.
        split: which part of the data the real images are, such as "test"; printed with the score.
        k: which neighbour sets the radius, > 0.

    Raises:
        TypeError: when `k` is not an integer.
        ValueError: when it is out of range.
    """

    def __init__(self, extractor: FeatureExtractor, split: str = "", k: int = 5) -> None:
        super().__init__(extractor, split, k)

    def result(self) -> DensityCoverageScore:
        """Returns density and coverage of all images seen so far.

        Raises:
            ValueError: when a side has no more than k images.
        """
        return DensityCoverageScore(*self._scores(density_coverage, "density", "coverage"))


def _checked(real: Any, fake: Any, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns both sides' features, when they can be compared."""
    real, fake = checked_features("real", real), checked_features("fake", fake)
    check_same_dimension(real, fake)
    check_integer("k", k)
    if min(len(real), len(fake)) <= k:
        received = f"{len(real)} real and {len(fake)} fake"
        raise ValueError(expected(f"more than k = {k} examples on each side", received))
    return real, fake


@dataclass(frozen=True)
class _Pairs:
    """Some rows of x with all of y, their squared distances, and how far these may be off.

    Attributes:
        x, y: float [rows, dimension] and [num_y, dimension].
        x_kinds, y_kinds: int [rows] and [num_y]; equal for equal vectors of one side.
        rows: which the x are.
        distances: squared, float64 [rows, num_y], from products of matrices.
        x_errors, y_errors: [rows, 1] and [num_y], whose sums distances are off by at most.
    """

    x: np.ndarray
    y: np.ndarray
    x_kinds: np.ndarray
    y_kinds: np.ndarray
    rows: slice
    distances: np.ndarray
    x_errors: np.ndarray
    y_errors: np.ndarray

    def within(self, radii: np.ndarray) -> np.ndarray:
        """Tells which pairs are as near as squared radii, [num_y] or [rows, 1], ties let in."""
        one_a_row = radii.shape == self.x_errors.shape
        of_x, of_y = self.x_errors, self.y_errors
        errors = of_x + of_y.max() if one_a_row else of_x.max() + of_y
        errors = errors + TIE * radii
        within = self.distances <= radii + errors
        unsure = np.nonzero(within & (self.distances >= radii - errors))
        radii = np.broadcast_to(radii, within.shape)[unsure]
        within[unsure] = self.exact(*unsure) <= (1 + TIE) * radii
        return within

    def exact(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        """Returns squared distances of the i-th x to the j-th y, by differences in float64."""
        if len(i) <= self.distances.size // MANY:
            return _squared_differences(self.x, self.y, i, j)
        # Many are so near each other that products cannot tell, maybe as they are the same.
        kinds = self.x_kinds[i] * np.int64(len(self.y)) + self.y_kinds[j]
        _, first, inverse = np.unique(kinds, return_index=True, return_inverse=True)
        return _squared_differences(self.x, self.y, i[first], j[first])[inverse]


def _squared_differences(x: np.ndarray, y: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Returns |x[i] - y[j]|^2, a part of the pairs at a time."""
    found, size = np.empty(len(i)), max(1, CHUNK_ENTRIES // 8 // y.shape[1])
    for start in range(0, len(i), size):
        some = slice(start, start + size)
        difference = np.subtract(x[i[some]], y[j[some]], dtype=np.float64)
        found[some] = np.einsum("nd,nd->n", difference, difference)
    return found


def _kinds(x: np.ndarray) -> np.ndarray:
    """Returns a number for each row, [rows], which equal rows share."""
    numbers: dict[bytes, int] = {}
    return np.array([numbers.setdefault(row.tobytes(), len(numbers)) for row in x])


def _squared_radii(x: np.ndarray, k: int) -> np.ndarray:
    """Returns the squared distance of each row to its k-th nearest other row."""
    radii = np.empty(len(x))
    for pairs in _pairs(x, x):
        near, own = pairs.distances, np.arange(len(pairs.distances))
        near[own, np.arange(len(x))[pairs.rows]] = np.inf
        kth = np.partition(near, k - 1, axis=1)[:, k - 1 : k]
        i, j = np.nonzero(near <= kth + 2 * (pairs.x_errors + pairs.y_errors.max()))
        exact = pairs.exact(i, j)
        exact = exact[np.lexsort((exact, i))]
        radii[pairs.rows] = exact[np.searchsorted(i, own) + k - 1]
    return radii


def _pairs(x: np.ndarray, y: np.ndarray) -> Iterator[_Pairs]:
    """Yields the rows of x, some at a time, with all of y."""
    # About a common centre, where squared norms are least and distances lose fewest digits.
    centre = y.mean(axis=0, dtype=np.float64)
    x_kinds, y_kinds, near = _kinds(x), _kinds(y), y - centre
    norms = np.sum(near * near, axis=1)
    rounding = 2 * (x.shape[1] + 8) * np.finfo(np.float64).eps
    size = max(1, CHUNK_ENTRIES // len(y))
    for start in range(0, len(x), size):
        rows = slice(start, start + size)
        part = x[rows] - centre
        part_norms = np.sum(part * part, axis=1, keepdims=True)
        distances = part @ near.T
        distances *= -2.0
        distances += part_norms
        distances += norms
        distances = np.maximum(distances, 0.0, out=distances)
        errors = rounding * part_norms, rounding * norms
        yield _Pairs(x[rows], y, x_kinds[rows], y_kinds, rows, distances, *errors)
