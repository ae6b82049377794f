"""Latent optimisation and nearest neighbours: GLO, IMLE and GLANN."""

from tfgen.latent.glann import GLANN
from tfgen.latent.glo import GLO
from tfgen.latent.imle import IMLE
from tfgen.latent.initial_codes import PrincipalComponents
from tfgen.latent.neighbours import Cosine, RunningNearest, SquaredEuclidean, nearest
from tfgen.latent.spaces import Ball, Euclidean, Sphere
from tfgen.latent.table import LatentTable
from tfgen.model.inversion import Encoding
from tfgen.training.row_optimizers import RowAdam, RowSGD

__all__ = [
    "GLANN",
    "GLO",
    "IMLE",
    "Ball",
    "Cosine",
    "Encoding",
    "Euclidean",
    "LatentTable",
    "PrincipalComponents",
    "RowAdam",
    "RowSGD",
    "RunningNearest",
    "Sphere",
    "SquaredEuclidean",
    "nearest",
]
