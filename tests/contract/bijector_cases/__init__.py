"""The table of bijectors that the contract tests run over, tiny: a file for each kind."""

from tests.contract.bijector_cases import (
    autoregressive,
    couplings,
    elementwise,
    linear_maps,
    multiscale,
    planar,
    residual,
)
from tests.contract.bijector_cases.case import BijectorCase

BIJECTORS: tuple[BijectorCase, ...] = (
    *couplings.CASES,
    *linear_maps.CASES,
    *multiscale.CASES,
    *autoregressive.CASES,
    *elementwise.CASES,
    *planar.CASES,
    *residual.CASES,
)
