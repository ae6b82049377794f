"""Variational models: an encoder beside the decoder, bounds on the likelihood, and closed forms."""

from tfgen.variational import posteriors
from tfgen.variational.bounds import ELBO, Bound, ImportanceWeighted
from tfgen.variational.covariance import DiagonalCovariance, FullCovariance, IsotropicCovariance
from tfgen.variational.gaussian import GaussianModel
from tfgen.variational.mixture import MixtureModel
from tfgen.variational.posteriors import (
    DiagonalPosterior,
    FlowPosterior,
    FullCovariancePosterior,
    Posterior,
)
from tfgen.variational.vae import VAE
from tfgen.variational.vamp import VampPrior

__all__ = [
    "ELBO",
    "VAE",
    "Bound",
    "DiagonalCovariance",
    "DiagonalPosterior",
    "FlowPosterior",
    "FullCovariance",
    "FullCovariancePosterior",
    "GaussianModel",
    "ImportanceWeighted",
    "IsotropicCovariance",
    "MixtureModel",
    "Posterior",
    "VampPrior",
    "posteriors",
]
