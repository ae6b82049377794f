"""Models that match moments, and estimators of ratios."""

from tests.contract.models import parts
from tests.contract.noise import SameNoise
from tfgen import distributions, implicit, losses, networks


def matching(exact: bool = False) -> implicit.MomentMatching:
    return implicit.MomentMatching(
        parts.image_net(batch_norm=not exact),
        implicit.Moments([implicit.Mean(), implicit.Covariance()]),
        prior=parts.noise(4, exact),
        seed=4,
    )


def mmd(exact: bool = False) -> implicit.MomentMatching:
    return implicit.MomentMatching(
        networks.MLP((2,), (16,), activation="tanh"),
        implicit.SquaredMMD(losses.RBF((0.5, 2.0)), unbiased=False),
        prior=parts.noise(3, exact),
    )


def ratio(exact: bool = False) -> implicit.RatioEstimator:
    base = SameNoise(2) if exact else distributions.Uniform(2, -4.0, 4.0)
    classifier = networks.MLP((1,), (16,), activation="tanh")
    return implicit.RatioEstimator(classifier, base, num_proposals=7, seed=6)
