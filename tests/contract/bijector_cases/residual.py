"""Invertible residual blocks, with log-determinants that are exact or nearly so."""

from tests.contract.bijector_cases.case import BijectorCase
from tfgen.bijectors import (
    ExactLogDet,
    GeometricTerms,
    InvertibleResidual,
    PoissonTerms,
    PowerSeries,
    RussianRoulette,
)
from tfgen.layers import lipschitz_conv, lipschitz_dense

CASES = (
    BijectorCase(
        "residual",
        lambda **kwargs: InvertibleResidual(
            lipschitz_dense(3, [5], 0.8, tolerance=1e-3),
            RussianRoulette(1, GeometricTerms(0.4), 2, by_row=True),
            ExactLogDet(),
            tolerance=1e-14,
            max_iterations=300,
            **kwargs,
        ),
        (3,),
        noisy=0.03,
    ),
    BijectorCase(
        "residual_image",
        lambda **kwargs: InvertibleResidual(
            lipschitz_conv(2, 3, (3, 1), 0.7, first_activation=False),
            RussianRoulette(3, PoissonTerms(1.5)),
            PowerSeries(40, None),
            **kwargs,
        ),
        (2, 3, 2),
        conditional=True,
        noisy=0.03,
    ),
)
