"""Layers and differentiable augmentations: tensors in, tensors out."""

from tfgen.layers.augmentation import Color, Cutout, DiffAugment, Flip, Translate
from tfgen.layers.choice import EachOf, OneOf
from tfgen.layers.contraction import Contraction, lipschitz_conv, lipschitz_dense
from tfgen.layers.lipschitz import Lipschitz, LipSwish
from tfgen.layers.masked import MADE
from tfgen.layers.masked_conv import MaskedConv2D
from tfgen.layers.spectral_norm import SpectralNormalization

__all__ = [
    "Color",
    "Contraction",
    "Cutout",
    "DiffAugment",
    "EachOf",
    "Flip",
    "LipSwish",
    "Lipschitz",
    "MADE",
    "MaskedConv2D",
    "OneOf",
    "SpectralNormalization",
    "Translate",
    "lipschitz_conv",
    "lipschitz_dense",
]
