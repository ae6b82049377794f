"""The contract of all models: `GenerativeModel`, its verbs, stages, inversion and paths."""

from tfgen.model.inversion import Encoding, Inversion
from tfgen.model.model import GenerativeModel
from tfgen.model.saving import load_model
from tfgen.model.stages import Stage, StagedModel

__all__ = ["Encoding", "GenerativeModel", "Inversion", "Stage", "StagedModel", "load_model"]
