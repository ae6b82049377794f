"""Export of models as SavedModels that TensorFlow Serving loads, and a server to try them out."""

from tfgen.serving.batching import Batching
from tfgen.serving.endpoints import Endpoint, endpoints
from tfgen.serving.export import export
from tfgen.serving.local_server import LocalServer, serve
from tfgen.serving.session import SessionLoader

__all__ = [
    "Batching",
    "Endpoint",
    "LocalServer",
    "SessionLoader",
    "endpoints",
    "export",
    "serve",
]
