"""Inception score: how sure, and how varied, a classifier is about generated images."""

import dataclasses
from typing import Any

import numpy as np

from tfgen.core.checks import check_integer, expected
from tfgen.core.config import Configurable, register
from tfgen.metrics.features import FeatureExtractor, KnowsClasses, map_batches
from tfgen.metrics.score import FeatureStore, Score, StreamingMetric, checked_features


def inception_score(probabilities: Any, splits: int = 10) -> tuple[float, float]:
    """Returns exp(mean KL(p(class | image) ‖ p(class))), averaged over splits of the images.

    From 1, when every image gets the same answer, to the number of classes, when answers are
    certain and all classes equally frequent.

    Args:
        probabilities: [number, num_classes], rows that sum to one.
        splits: number of consecutive parts, each scored by itself, in [1, number].

    Returns:
        Mean and standard deviation over the splits.

    Raises:
        ValueError: when a row does not sum to one, an entry is negative or not finite, or there are
            fewer rows than splits.

    Reference: Salimans et al., "Improved Techniques for Training GANs", 2016,
        https://arxiv.org/abs/1606.03498.
    """
    probabilities = _checked_probabilities(probabilities)
    check_integer("splits", splits)
    if len(probabilities) < splits:
        raise ValueError(
            expected(f"at least {splits} examples for {splits} splits", len(probabilities))
        )
    bounds = [i * len(probabilities) // splits for i in range(splits + 1)]
    scores = [_score(probabilities[bounds[i] : bounds[i + 1]]) for i in range(splits)]
    return float(np.mean(scores)), float(np.std(scores))


@register
class InceptionScore(Configurable, StreamingMetric[FeatureStore]):
    """Inception score of images that arrive in batches, as the function `inception_score`.

    Args:
        extractor: a feature extractor with `probabilities(images) -> [batch, num_classes]`.
        split: for uniformity with other metrics; the score looks at generated images alone.
        splits: number of consecutive parts, each scored by itself, > 0.

    Raises:
        TypeError: when the extractor gives no probabilities, or `splits` is not an integer.
        ValueError: when `splits` is out of range.
    """

    needs_real = False

    def __init__(self, extractor: FeatureExtractor, split: str = "", splits: int = 10) -> None:
        if not isinstance(extractor, KnowsClasses):
            raise TypeError(expected("an extractor with `probabilities`", extractor.name))
        check_integer("splits", splits)
        super().__init__(extractor, split)
        self.splits = splits

    @property
    def min_fake(self) -> int:
        """One for each split."""
        return self.splits

    def update_real(self, images: Any) -> None:
        """Does nothing: the score looks at generated images alone."""

    def update_real_features(self, features: Any) -> None:
        """Does nothing: the score looks at generated images alone."""

    def update_fake(self, images: Any) -> None:
        """Takes in generated images: an array [batch, height, width, channels], or batches."""
        self.update_fake_features(map_batches(self.extractor.probabilities, images))

    def result(self) -> Score:
        """Returns the score of all generated images seen so far, with its deviation over splits.

        Raises:
            ValueError: when there are fewer images than splits.
        """
        if not self._fake.count:
            raise ValueError(expected("generated images before `result`", "none"))
        probabilities = self._fake.features()
        value, std = inception_score(probabilities, self.splits)
        score = self._score("IS", value, std, f"{self.splits} splits")
        return dataclasses.replace(score, dimension=probabilities.shape[1])

    def _checked(self, features: Any) -> np.ndarray:
        return _checked_probabilities(features)

    def _new_side(self) -> FeatureStore:
        return FeatureStore()


def _score(probabilities: np.ndarray) -> float:
    # Sums and logarithms of the smallest probabilities are numbers where means and ratios are not.
    log_marginal = _log(probabilities.sum(axis=0)) - np.log(len(probabilities))
    divergences = np.sum(probabilities * (_log(probabilities) - log_marginal), axis=1)
    return float(np.exp(divergences.mean()))


def _log(x: np.ndarray) -> np.ndarray:
    """Returns log x, and 0 where x is 0, which p log p needs."""
    return np.log(x, out=np.zeros_like(x), where=x > 0)


def _checked_probabilities(probabilities: Any) -> np.ndarray:
    probabilities = checked_features("probabilities", probabilities).astype(np.float64)
    if probabilities.min() < 0:
        raise ValueError(expected("probabilities >= 0", probabilities.min()))
    furthest = np.abs(probabilities.sum(axis=1) - 1.0).max()
    if furthest > 1e-3:
        raise ValueError(expected("probabilities that sum to one", f"a sum off by {furthest:.3g}"))
    return probabilities
