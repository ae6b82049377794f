"""Planar and radial flows."""

from tests.contract.bijector_cases.case import BijectorCase
from tfgen.bijectors import Planar, Radial

CASES = (
    BijectorCase("planar", lambda **kwargs: Planar(**kwargs), (3,), noisy=1.0),
    BijectorCase(
        "planar given a condition", lambda **kwargs: Planar(**kwargs), (2, 2), conditional=True
    ),
    BijectorCase("radial", lambda **kwargs: Radial(**kwargs), (2, 1, 2), noisy=1.0),
    BijectorCase(
        "radial given a condition", lambda **kwargs: Radial(**kwargs), (1,), conditional=True
    ),
)
