"""Normalizing flows: exact densities by invertible maps from data to noise."""

from tfgen.flows import recipes
from tfgen.flows.convolutions import ResidualConvolutions
from tfgen.flows.flow import Flow
from tfgen.flows.hybrid import HybridFlow
from tfgen.flows.transformed import Transformed

__all__ = ["Flow", "HybridFlow", "ResidualConvolutions", "Transformed", "recipes"]
