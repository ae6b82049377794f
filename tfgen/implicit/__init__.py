"""Models that are known by their samples: densities, moments and ratios."""

from tfgen.implicit.density import OutputDensity
from tfgen.implicit.moments import Covariance, Mean, MomentMatching, Moments, SquaredMMD
from tfgen.implicit.ratio import RatioEstimator

__all__ = [
    "Covariance",
    "Mean",
    "MomentMatching",
    "Moments",
    "OutputDensity",
    "RatioEstimator",
    "SquaredMMD",
]
