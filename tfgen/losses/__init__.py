"""Losses: tensors in, one number per example out."""

from tfgen.losses.perceptual import Perceptual, vgg16_features
from tfgen.losses.pyramid import LaplacianPyramid, gaussian_blur, laplacian_pyramid
from tfgen.losses.reconstruction import (
    AbsoluteError,
    SquaredError,
    WeightedSum,
    mean_absolute_error,
    squared_error,
)

__all__ = [
    "AbsoluteError",
    "LaplacianPyramid",
    "Perceptual",
    "SquaredError",
    "WeightedSum",
    "gaussian_blur",
    "laplacian_pyramid",
    "mean_absolute_error",
    "squared_error",
    "vgg16_features",
]
