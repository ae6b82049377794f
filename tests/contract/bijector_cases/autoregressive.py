"""Masked autoregressive bijectors, and their inverses."""

from tests.contract.bijector_cases.case import BijectorCase
from tfgen.bijectors import Additive, Affine, Invert, MaskedAutoregressive, RationalQuadraticSpline

CASES = (
    BijectorCase(
        "masked autoregressive",
        lambda **kwargs: MaskedAutoregressive([7, 9], activation="tanh", mask_seed=1, **kwargs),
        (4,),
    ),
    BijectorCase(
        "masked autoregressive given a condition",
        lambda **kwargs: MaskedAutoregressive([8, 8], Affine(), "elu", residual=True, **kwargs),
        (2, 1, 2),
        conditional=True,
    ),
    BijectorCase(
        "masked autoregressive spline",
        lambda **kwargs: MaskedAutoregressive([8], RationalQuadraticSpline(4), **kwargs),
        (3,),
    ),
    BijectorCase(
        "masked autoregressive shift",
        lambda **kwargs: MaskedAutoregressive([6], Additive(), **kwargs),
        (3,),
        constant=True,
    ),
    BijectorCase(
        "inverse autoregressive given a condition",
        lambda **kwargs: Invert(MaskedAutoregressive([8], **kwargs), **kwargs),
        (3,),
        conditional=True,
    ),
)
