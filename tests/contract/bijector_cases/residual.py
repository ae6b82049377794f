"""Invertible residual blocks, with exact log-determinants."""

import keras

from tests.contract.bijector_cases.case import BijectorCase
from tfgen.bijectors import (
    ExactLogDet,
    GeometricTerms,
    InvertibleResidual,
    PoissonTerms,
    PowerSeries,
    RussianRoulette,
)
from tfgen.layers import Lipschitz, lipschitz_conv, lipschitz_dense

CASES = (
    BijectorCase(
        "residual",
        lambda **kwargs: InvertibleResidual(
            lipschitz_dense(3, [5], 0.8, tolerance=1e-4),
            RussianRoulette(1, GeometricTerms(0.4), 2, by_row=True),
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
            PowerSeries(3, 2),
            ExactLogDet(),
            **kwargs,
        ),
        (2, 3, 2),
        conditional=True,
        noisy=0.03,
    ),
    BijectorCase(
        "residual_series",
        lambda **kwargs: InvertibleResidual(
            Lipschitz(keras.layers.Dense(3, activation="tanh"), 0.5),
            RussianRoulette(3, PoissonTerms(1.5)),
            PowerSeries(40, None),
            **kwargs,
        ),
        (3,),
        noisy=0.03,
    ),
)
