"""Adversarial models: generators that learn from a discriminator of real and generated examples."""

from tfgen.adversarial import recipes
from tfgen.adversarial.began import BEGAN
from tfgen.adversarial.bigan import BiGAN
from tfgen.adversarial.gan import GAN
from tfgen.training.sghmc import SGHMC

__all__ = ["BEGAN", "BiGAN", "GAN", "SGHMC", "recipes"]
