"""Invertible maps with known log-determinants: Keras layers, and TFP bijectors per call."""

from tfgen.bijectors.actnorm import ActNorm
from tfgen.bijectors.autoregressive import MaskedAutoregressive
from tfgen.bijectors.bijector import Bijector
from tfgen.bijectors.chain import Chain, Invert
from tfgen.bijectors.coupling import Coupling
from tfgen.bijectors.elementwise import AffineMap, Logit, Sigmoid
from tfgen.bijectors.linear import InvertibleLinear, Permute, RandomPermutation, Reverse
from tfgen.bijectors.masks import ChannelMask, Checkerboard, Half, Mask
from tfgen.bijectors.multiscale import MultiScale
from tfgen.bijectors.planar import Planar, Radial
from tfgen.bijectors.residual import InvertibleResidual
from tfgen.bijectors.shapes import Flatten, Reshape, Squeeze
from tfgen.bijectors.spline import RationalQuadraticSpline
from tfgen.bijectors.trace import (
    ExactLogDet,
    GeometricTerms,
    LogDet,
    NumTerms,
    PoissonTerms,
    PowerSeries,
    RussianRoulette,
)
from tfgen.bijectors.transforms import (
    Additive,
    Affine,
    SigmoidScale,
    SoftScale,
    TanhScale,
    Transform,
)

__all__ = [
    "ActNorm",
    "Additive",
    "Affine",
    "AffineMap",
    "Bijector",
    "Chain",
    "ChannelMask",
    "Checkerboard",
    "Coupling",
    "ExactLogDet",
    "Flatten",
    "GeometricTerms",
    "Half",
    "Invert",
    "InvertibleLinear",
    "InvertibleResidual",
    "LogDet",
    "Logit",
    "Mask",
    "MaskedAutoregressive",
    "MultiScale",
    "NumTerms",
    "Permute",
    "Planar",
    "PoissonTerms",
    "PowerSeries",
    "Radial",
    "RandomPermutation",
    "RationalQuadraticSpline",
    "Reshape",
    "Reverse",
    "RussianRoulette",
    "Sigmoid",
    "SigmoidScale",
    "Squeeze",
    "TanhScale",
    "Transform",
    "SoftScale",
]
