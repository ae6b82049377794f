"""Densities with weights in Keras layers, and TFP distributions built from them per call."""

from tfgen.distributions.gaussian import Gaussian, GaussianMixture

__all__ = ["Gaussian", "GaussianMixture"]
