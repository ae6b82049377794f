"""Densities with weights in Keras layers, and TFP distributions built from them per call."""

from tfgen.distributions.density import Density, FittedDensity, VectorDensity
from tfgen.distributions.gaussian import Gaussian, GaussianMixture
from tfgen.distributions.noise import Blockwise, StandardNormal, Uniform

__all__ = [
    "Blockwise",
    "Density",
    "FittedDensity",
    "Gaussian",
    "GaussianMixture",
    "StandardNormal",
    "Uniform",
    "VectorDensity",
]
