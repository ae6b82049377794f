"""The contract of all models: `GenerativeModel`, its verbs, stages, inversion and paths."""

from tfgen.model.inversion import Encoding
from tfgen.model.model import GenerativeModel
from tfgen.model.saving import load_model

__all__ = ["Encoding", "GenerativeModel", "load_model"]
