"""Variational models: an encoder beside the decoder, bounds on the likelihood, and closed forms."""

from tfgen.variational import posteriors
from tfgen.variational.autoencoder import Autoencoder
from tfgen.variational.bounds import ELBO, Bound, ImportanceWeighted
from tfgen.variational.covariance import DiagonalCovariance, FullCovariance, IsotropicCovariance
from tfgen.variational.fitted_sampler import FittedSampler
from tfgen.variational.gaussian import GaussianModel
from tfgen.variational.grid_prior import AutoregressiveGrid
from tfgen.variational.hierarchical import HierarchicalVAE
from tfgen.variational.levels import Level
from tfgen.variational.mixture import MixtureModel
from tfgen.variational.posteriors import (
    DiagonalPosterior,
    FlowPosterior,
    FullCovariancePosterior,
    Posterior,
)
from tfgen.variational.vae import VAE
from tfgen.variational.vaegan import VAEGAN
from tfgen.variational.vamp import VampPrior
from tfgen.variational.wae import WAE

__all__ = [
    "ELBO",
    "VAE",
    "VAEGAN",
    "WAE",
    "Autoencoder",
    "AutoregressiveGrid",
    "Bound",
    "DiagonalCovariance",
    "DiagonalPosterior",
    "FittedSampler",
    "FlowPosterior",
    "FullCovariance",
    "FullCovariancePosterior",
    "GaussianModel",
    "HierarchicalVAE",
    "ImportanceWeighted",
    "IsotropicCovariance",
    "Level",
    "MixtureModel",
    "Posterior",
    "VampPrior",
    "posteriors",
]
