"""Densities with weights in Keras layers, and TFP distributions built from them per call."""

from tfgen.distributions.base import BaseDensity, DiagonalGaussian, DiagonalMixture
from tfgen.distributions.categorical import Categorical
from tfgen.distributions.density import Density, FittedDensity, VectorDensity
from tfgen.distributions.dequantisation import (
    Dequantization,
    UniformDequantization,
    VariationalDequantization,
)
from tfgen.distributions.gaussian import Gaussian, GaussianMixture
from tfgen.distributions.likelihoods import Bernoulli, Likelihood, Normal
from tfgen.distributions.logistics import DiscretizedLogistic, DiscretizedLogisticMixture
from tfgen.distributions.noise import Blockwise, Logistic, StandardNormal, Uniform
from tfgen.distributions.perceptual import PerceptualLikelihood

__all__ = [
    "BaseDensity",
    "Bernoulli",
    "Blockwise",
    "Categorical",
    "Density",
    "Dequantization",
    "DiagonalGaussian",
    "DiagonalMixture",
    "DiscretizedLogistic",
    "DiscretizedLogisticMixture",
    "FittedDensity",
    "Gaussian",
    "GaussianMixture",
    "Likelihood",
    "Logistic",
    "Normal",
    "PerceptualLikelihood",
    "StandardNormal",
    "Uniform",
    "UniformDequantization",
    "VariationalDequantization",
    "VectorDensity",
]
