"""Fixed maps of each number by itself."""

from tests.contract.bijector_cases.case import BijectorCase
from tfgen.bijectors import AffineMap, Logit, Sigmoid

CASES = (
    BijectorCase("logit", lambda **kwargs: Logit(0.02, **kwargs), (2, 2, 1), low=0.0, high=1.0),
    BijectorCase("sigmoid", lambda **kwargs: Sigmoid(**kwargs), (3,)),
    BijectorCase(
        "affine map",
        lambda **kwargs: AffineMap(-0.5, [2.0, -3.0, 0.1], **kwargs),
        (2, 3),
        constant=True,
    ),
)
