"""Networks and noise that several cases share."""

from tests.contract.noise import SameNoise
from tfgen import distributions, networks
from tfgen.model import Inversion

ENCODE = {"inversion": Inversion(5, 2)}


def image_net(batch_norm: bool) -> networks.InfoGANGenerator:
    return networks.InfoGANGenerator(
        (8, 8, 1), hidden_units=16, filters=(8, 4), batch_norm=batch_norm, slope=0.1
    )


def noise(dim: int, exact: bool) -> distributions.StandardNormal:
    return SameNoise(dim) if exact else distributions.StandardNormal(dim)
