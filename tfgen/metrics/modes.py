"""How many modes of a known mixture samples reach."""

from typing import Any, NamedTuple

import numpy as np

from tfgen.core.checks import check_integer, check_positive, expected
from tfgen.metrics.score import checked_features


class ModeScore(NamedTuple):
    """What `mode_coverage` returns.

    Args:
        covered: the number of modes with high-quality samples.
        high_quality: the fraction of samples that lie at a mode, in [0, 1].
        reverse_kl: KL divergence, in nats, of the modes' shares among the samples from their true
            weights; 0 when they are equal.
        shares: of the samples nearest to each mode, [num_modes].
    """

    covered: int
    high_quality: float
    reverse_kl: float
    shares: np.ndarray


def mode_coverage(
    samples: Any,
    means: Any,
    std: float,
    weights: Any = None,
    radius: float = 3.0,
    min_samples: int = 1,
) -> ModeScore:
    """Counts the modes of a mixture that samples reach.

    A sample is of high quality when it lies within `radius` standard deviations of the nearest
    mode, and a mode is covered when it has such samples.

    Args:
        samples: [num_samples, dim].
        means: of the modes, [num_modes, dim].
        std: of each mode, > 0.
        weights: true weights of the modes, [num_modes], > 0, that sum to one; equal unless given.
        radius: in standard deviations, > 0.
        min_samples: how many samples of high quality cover a mode, > 0.

    Raises:
        TypeError: when `min_samples` is not an integer.
        ValueError: when there are no samples, dimensions differ, a value is not finite, or a number
            is out of its range.

    Reference: Srivastava et al., "VEEGAN: Reducing Mode Collapse in GANs using Implicit Variational
        Learning", 2017, https://arxiv.org/abs/1705.07761, section 4.1, and for the divergence Lin
        et al., "PacGAN: The Power of Two Samples in Generative Adversarial Networks", 2018,
        https://arxiv.org/abs/1712.04086, section 4.1.
    """
    from scipy.spatial import KDTree

    samples, means = checked_features("samples", samples), checked_features("means", means)
    if samples.shape[1] != means.shape[1]:
        received = f"{samples.shape[1]} and {means.shape[1]}"
        raise ValueError(expected("samples and means of the same dimension", received))
    check_positive("std", std)
    check_positive("radius", radius)
    check_integer("min_samples", min_samples)
    weights = np.full(len(means), 1 / len(means)) if weights is None else np.asarray(weights)
    if weights.shape != (len(means),) or not (weights > 0).all() or abs(weights.sum() - 1) > 1e-6:
        raise ValueError(expected(f"{len(means)} `weights` > 0 that sum to one", weights))
    distances, nearest = KDTree(means).query(samples)
    good = distances <= radius * std
    counts = np.bincount(nearest[good], minlength=len(means))
    shares = np.bincount(nearest, minlength=len(means)) / len(samples)
    present = shares > 0
    reverse_kl = np.sum(shares[present] * np.log(shares[present] / weights[present]))
    return ModeScore(
        covered=int(np.sum(counts >= min_samples)),
        high_quality=float(good.mean()),
        reverse_kl=float(reverse_kl),
        shares=shares,
    )
