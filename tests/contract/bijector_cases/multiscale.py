"""Multi-scale chains, and Glow in small."""

import keras

from tests.contract.bijector_cases.case import BijectorCase
from tests.contract.bijector_cases.couplings import convolution, dense
from tfgen import bijectors


def glow(transform: bijectors.Transform, **kwargs: object) -> bijectors.Bijector:
    """Returns two levels of one step each, with a learned prior of what the first factors out."""

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


def vectors(**kwargs: object) -> bijectors.Bijector:
    """Returns three levels of odd sizes."""
    levels = [bijectors.Coupling(dense(), **kwargs) for _ in range(2)]
    return bijectors.MultiScale([*levels, bijectors.ActNorm(**kwargs)], **kwargs)


def reshaped(**kwargs: object) -> bijectors.Bijector:
    """Returns a chain of shapes."""
    return bijectors.Chain(
        [
            bijectors.Reshape([2, 6], **kwargs),
            bijectors.Reverse(**kwargs),
            bijectors.Flatten(**kwargs),
        ],
        **kwargs,
    )


CASES = (
    BijectorCase("multiscale", vectors, (5,), conditional=True),
    BijectorCase("glow", lambda **k: glow(bijectors.Affine(), **k), (4, 4, 1), conditional=True),
    BijectorCase(
        "glow_additive", lambda **k: glow(bijectors.Additive(), **k), (4, 4, 1), constant=True
    ),
    BijectorCase("shapes", reshaped, (2, 2, 3), constant=True),
)
