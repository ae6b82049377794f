"""Multi-scale chains, and Glow in small."""

import keras

from tests.contract.bijector_cases.case import BijectorCase
from tests.contract.bijector_cases.couplings import convolution, dense
from tfgen import bijectors


def glow(**kwargs: object) -> bijectors.Bijector:
    """Returns two levels of one step each, with a learned prior of what the first factors out."""
    transform = bijectors.Affine(bijectors.SigmoidScale(1.0, minimum=0.1))

    def level(*others: bijectors.Bijector) -> bijectors.Bijector:
        step = [
            bijectors.Squeeze(**kwargs),
            bijectors.ActNorm(**kwargs),
            bijectors.InvertibleLinear(**kwargs),
            bijectors.Coupling(convolution(), transform, **kwargs),
        ]
        return bijectors.Chain([*step, *others], **kwargs)

    prior = bijectors.Coupling(keras.layers.Identity(), transform, **kwargs)
    return bijectors.MultiScale([level(prior), level()], **kwargs)


def additive(**kwargs: object) -> bijectors.Bijector:
    """Returns three levels of vectors, of odd sizes."""
    levels = [bijectors.Coupling(dense(), bijectors.Additive(), **kwargs) for _ in range(2)]
    return bijectors.MultiScale([*levels, bijectors.ActNorm(**kwargs)], **kwargs)


def shapes(**kwargs: object) -> bijectors.Bijector:
    """Returns a chain of shapes."""
    parts = [bijectors.Reshape([2, 6]), bijectors.Reverse(), bijectors.Flatten()]
    return bijectors.Chain(parts, **kwargs)


CASES = (
    BijectorCase("glow", glow, (4, 4, 1), conditional=True),
    BijectorCase("multiscale", additive, (5,), conditional=True, constant=True),
    BijectorCase("shapes", shapes, (2, 2, 3), constant=True),
)
