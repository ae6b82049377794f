"""How a training step is carried out: updates, optimizers, averages, checkpoints, replicas."""

from tfgen.training.row_optimizers import RowAdam, RowSGD
from tfgen.training.sghmc import SGHMC

__all__ = ["SGHMC", "RowAdam", "RowSGD"]
