"""Ready networks. Each is a Keras model that one of ours builds; none knows a model."""

from tfgen.networks.conditional import ConditionalGenerator, ProjectionDiscriminator
from tfgen.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from tfgen.networks.infogan import (
    InfoGANAutoencoder,
    InfoGANDiscriminator,
    InfoGANEncoder,
    InfoGANGenerator,
)
from tfgen.networks.joint import JointDiscriminator
from tfgen.networks.mlp import MLP
from tfgen.networks.resnet import ResNetDiscriminator, ResNetGenerator
from tfgen.networks.stack import Network, Residual, Stack

__all__ = [
    "MLP",
    "ConditionalGenerator",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "InfoGANAutoencoder",
    "InfoGANDiscriminator",
    "InfoGANEncoder",
    "InfoGANGenerator",
    "JointDiscriminator",
    "Network",
    "ProjectionDiscriminator",
    "ResNetDiscriminator",
    "ResNetGenerator",
    "Residual",
    "Stack",
]
