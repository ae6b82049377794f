"""Log-likelihoods in the unit that models of images are compared in."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfgen.core.checks import check_integer, expected


def bits_per_dim(
    log_prob: Any, event_shape: Sequence[int], num_levels: int | None = None
) -> np.ndarray:
    """Returns log-likelihoods, in nats, as bits per dimension: lower is better.

        bits = -log_prob / (D log 2)                       of a probability, or a bound on it
        bits = -log_prob / (D log 2) + log2(num_levels)    of a density of examples in [0, 1]

    A density of [0, 1] becomes that of [0, num_levels], on which published numbers of 8-bit images
    are, when D log(num_levels) is subtracted from its logarithm. A bound on the probability of an
    example on levels, such as `log_prob_bound` of a flow with a dequantisation, has that in it.

    Args:
        log_prob: in nats, of any shape: of each example, or their mean.
        event_shape: of one example, of D numbers.
        num_levels: to which examples in [0, 1] are scaled, 256 for 8-bit images, where `log_prob`
            is a density of them; None where it is a probability, or of data of their own scale.

    Returns:
        float64, of the shape of `log_prob`.

    Raises:
        TypeError, ValueError: when `num_levels` is not an integer >= 2, or an event has no numbers.

    >>> float(bits_per_dim(-16 * math.log(2), (2, 2, 1)))
    4.0
    """
    size = math.prod(event_shape)
    if size < 1:
        raise ValueError(expected("`event_shape` of at least one number", tuple(event_shape)))
    bits = -np.asarray(log_prob, np.float64) / (size * math.log(2.0))
    if num_levels is None:
        return bits
    check_integer("num_levels", num_levels, minimum=2)
    return bits + math.log2(num_levels)
