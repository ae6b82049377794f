"""Ready networks. Each is a Keras layer that a model builds; none knows a model."""

from tfgen.networks.infogan import InfoGANGenerator
from tfgen.networks.mlp import MLP

__all__ = ["MLP", "InfoGANGenerator"]
