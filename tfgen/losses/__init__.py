"""Losses: tensors in, one number per example out."""

from tfgen.losses.adversarial import (
    FGAN,
    AdversarialLoss,
    Hinge,
    LeastSquares,
    Minimax,
    NonSaturating,
    Relativistic,
    RelativisticAverage,
    Wasserstein,
)
from tfgen.losses.critic import Critic
from tfgen.losses.f_divergences import (
    KL,
    FDivergence,
    JensenShannon,
    PearsonChiSquared,
    ReverseKL,
    SquaredHellinger,
    TotalVariation,
)
from tfgen.losses.mmd import (
    RBF,
    InverseMultiquadratic,
    Kernel,
    median_bandwidth,
    squared_mmd,
)
from tfgen.losses.orthogonal import Orthogonal
from tfgen.losses.penalties import (
    DRAGAN,
    R1,
    R2,
    Consistency,
    GradientPenalty,
    Lazy,
    Penalty,
)
from tfgen.losses.perceptual import Perceptual, vgg16_features
from tfgen.losses.pyramid import LaplacianPyramid, gaussian_blur, laplacian_pyramid
from tfgen.losses.reconstruction import (
    AbsoluteError,
    SquaredError,
    WeightedSum,
    mean_absolute_error,
    mean_squared_error,
    summed_squared_error,
)
from tfgen.losses.weight_clip import WeightClip

__all__ = [
    "DRAGAN",
    "FGAN",
    "KL",
    "R1",
    "R2",
    "RBF",
    "AbsoluteError",
    "AdversarialLoss",
    "Consistency",
    "Critic",
    "FDivergence",
    "GradientPenalty",
    "Hinge",
    "InverseMultiquadratic",
    "JensenShannon",
    "Kernel",
    "LaplacianPyramid",
    "Lazy",
    "LeastSquares",
    "Minimax",
    "NonSaturating",
    "Orthogonal",
    "PearsonChiSquared",
    "Penalty",
    "Perceptual",
    "Relativistic",
    "RelativisticAverage",
    "ReverseKL",
    "SquaredError",
    "SquaredHellinger",
    "TotalVariation",
    "Wasserstein",
    "WeightClip",
    "WeightedSum",
    "gaussian_blur",
    "laplacian_pyramid",
    "mean_absolute_error",
    "mean_squared_error",
    "median_bandwidth",
    "squared_mmd",
    "summed_squared_error",
    "vgg16_features",
]
