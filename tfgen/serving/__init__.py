"""Export of models as SavedModels that TensorFlow Serving loads."""

from tfgen.serving.endpoints import Endpoint, endpoints
from tfgen.serving.export import export
from tfgen.serving.session import SessionLoader

__all__ = ["Endpoint", "SessionLoader", "endpoints", "export"]
