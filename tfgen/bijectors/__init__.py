"""Invertible maps with known log-determinants: Keras layers, and TFP bijectors per call."""

from tfgen.bijectors.bijector import Bijector
from tfgen.bijectors.chain import Chain, Invert

__all__ = ["Bijector", "Chain", "Invert"]
