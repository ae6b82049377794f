"""Variational models: an encoder beside the decoder, and bounds on the likelihood."""

from tfgen.variational import posteriors
from tfgen.variational.bounds import ELBO, Bound, ImportanceWeighted
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
    "DiagonalPosterior",
    "FlowPosterior",
    "FullCovariancePosterior",
    "ImportanceWeighted",
    "Posterior",
    "VampPrior",
    "posteriors",
]
