"""Layers and differentiable augmentations: tensors in, tensors out."""

from tfgen.layers.augmentation import Color, Cutout, DiffAugment, Flip, Translate
from tfgen.layers.choice import EachOf, OneOf
from tfgen.layers.masked import MADE
from tfgen.layers.spectral_norm import SpectralNormalization

__all__ = [
    "Color",
    "Cutout",
    "DiffAugment",
    "EachOf",
    "Flip",
    "MADE",
    "OneOf",
    "SpectralNormalization",
    "Translate",
]
