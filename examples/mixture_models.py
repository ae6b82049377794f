"""The models that learn toy mixtures, all with the same networks and as many steps."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from gan_models import LOSSES

import tfgen
from tfgen import adversarial, distributions, latent, losses, metrics, networks
from tfgen.data import toy

MIXTURES = {"ring": toy.ring(), "grid": toy.grid(), "line": toy.line()}

NUM_EXAMPLES = 25_600
BATCH_SIZE = 128
HIDDEN_UNITS = (64, 64, 64)
LATENT_DIM = 2
LEARNING_RATE = 3e-3

NUM_FEW = 1_280
"""Points that IMLE and GLANN are trained on."""
IMLE_STEPS = 5
"""Steps of IMLE for one of a discriminator."""

NUM_SAMPLES = 2_500
MIN_SAMPLES = 20
"""Samples of high quality, of so many, that cover a mode."""

Train = Callable[..., tfgen.GenerativeModel]
"""(points, steps, seed, callbacks=()) -> a trained model."""


def generator() -> networks.MLP:
    """Returns a new generator of points in the plane."""
    return networks.MLP((2,), HIDDEN_UNITS)


def discriminator() -> networks.MLP:
    """Returns a new discriminator of such points."""
    return networks.MLP((1,), HIDDEN_UNITS, activation="leaky_relu")


def adam(steps: int, rate: float = LEARNING_RATE) -> keras.optimizers.Optimizer:
    """Returns Adam whose rate falls to zero as a cosine over so many steps."""
    rate = keras.optimizers.schedules.CosineDecay(rate, steps)
    return keras.optimizers.Adam(rate, beta_1=0.5)


@dataclass(frozen=True)
class Game:
    """How a GAN is trained.

    Args:
        loss: of both sides.
        options: more arguments of the model.
        slower: how many times slower the discriminator learns.
    """

    loss: losses.AdversarialLoss
    options: dict[str, Any]
    slower: float = 1.0

    def __call__(self, x: np.ndarray, steps: int, seed: int, callbacks: Sequence = ()) -> Any:
        """Returns a GAN whose discriminator took so many steps on batches of points."""
        gan = adversarial.GAN(
            generator(),
            discriminator(),
            self.loss,
            prior=distributions.StandardNormal(LATENT_DIM),
            seed=seed,
            **self.options,
        )
        updates = steps // gan.discriminator_steps
        gan.compile(
            generator_optimizer=adam(updates),
            discriminator_optimizer=adam(steps, LEARNING_RATE / self.slower),
            jit_compile=True,
            steps_per_execution=20,
        )
        fit(gan, x, updates, gan.discriminator_steps * BATCH_SIZE, callbacks)
        return gan


def fit(
    model: tfgen.GenerativeModel, x: np.ndarray, steps: int, batch_size: int, callbacks: Sequence
) -> None:
    """Trains a model for so many steps."""
    epochs = -(-steps // (len(x) // batch_size))
    model.fit(x, batch_size=batch_size, epochs=epochs, verbose=0, callbacks=list(callbacks))


def bayesian_gan(num_generators: int, num_discriminators: int, batch_size: int) -> Train:
    """Returns how a Bayesian GAN is trained, on batches that its generators divide."""

    def train(x: np.ndarray, steps: int, seed: int, callbacks: Sequence = ()) -> Any:
        gan = adversarial.recipes.bayesian_gan(
            [generator() for _ in range(num_generators)],
            [discriminator() for _ in range(num_discriminators)],
            num_examples=len(x),
            prior=distributions.StandardNormal(LATENT_DIM),
            learning_rate=keras.optimizers.schedules.CosineDecay(1e-3, steps),
            seed=seed,
        )
        fit(gan, x, steps, batch_size, callbacks)
        return gan

    return train


def imle(x: np.ndarray, steps: int, seed: int, callbacks: Sequence = ()) -> latent.IMLE:
    """Trains IMLE on few of the points, whose nearest samples it seeks anew in each epoch."""
    x = x[:NUM_FEW]
    model = _imle(generator(), len(x), seed)
    model.compile(optimizer=_imle_adam(steps), jit_compile=True, steps_per_execution=10)
    fit(model, x, IMLE_STEPS * steps, BATCH_SIZE, callbacks)
    return model


def _imle(network: networks.MLP, count: int, seed: int) -> latent.IMLE:
    # Fewer candidates than examples: with more, most samples are nobody's nearest, and free.
    return latent.IMLE(network, count, LATENT_DIM, num_candidates=3 * count // 10, seed=seed)


def _imle_adam(steps: int) -> keras.optimizers.Optimizer:
    rate = keras.optimizers.schedules.CosineDecay(5e-3, IMLE_STEPS * steps)
    return keras.optimizers.Adam(rate)


def glann(x: np.ndarray, steps: int, seed: int, callbacks: Sequence = ()) -> latent.GLANN:
    """Trains GLO on the same points, and IMLE on their latents."""
    x = x[:NUM_FEW]
    loss, space = losses.SquaredError(), latent.Ball()
    glo = latent.GLO(generator(), len(x), LATENT_DIM, loss, space, seed=seed)
    mapping = networks.MLP((LATENT_DIM,), HIDDEN_UNITS)
    model = latent.GLANN(glo, _imle(mapping, len(x), seed), seed=seed)
    model.compile(
        glo_generator_optimizer=adam(steps),
        imle_optimizer=_imle_adam(steps),
        jit_compile=True,
        steps_per_execution=10,
    )
    epochs = -(-steps // (len(x) // BATCH_SIZE))
    model.fit(
        x,
        batch_size=BATCH_SIZE,
        epochs={"glo": epochs, "imle": IMLE_STEPS * epochs},
        callbacks=list(callbacks),
        verbose=0,
    )
    return model


PLAIN = {name: Game(loss, {}) for name, loss in LOSSES.items() if name != "wasserstein"}
"""Every loss of the library on its own; that of Wasserstein needs a Lipschitz critic."""

CONSTRAINED = {
    "wgan": Game(
        losses.Wasserstein(), {"weight_clip": losses.WeightClip(0.1), "discriminator_steps": 5}
    ),
    "wgan_gp": Game(
        losses.Wasserstein(), {"penalties": [losses.GradientPenalty(1.0)], "discriminator_steps": 5}
    ),
    "dragan": Game(losses.NonSaturating(), {"penalties": [losses.DRAGAN(1.0)]}),
    "non_saturating_r1": Game(losses.NonSaturating(), {"penalties": [losses.R1(0.1)]}),
    "relativistic_r1_r2": Game(
        LOSSES["relativistic"], {"penalties": [losses.R1(0.1), losses.R2(0.1)]}
    ),
}

MODELS: dict[str, Train] = {
    "imle": imle,
    "glann": glann,
    **PLAIN,
    **CONSTRAINED,
    "bayesian_1x1": bayesian_gan(1, 1, BATCH_SIZE),
    "bayesian_1x1_large": bayesian_gan(1, 1, 5 * BATCH_SIZE),
    "bayesian_5x2": bayesian_gan(5, 2, 5 * BATCH_SIZE),
}


def reached(mixture: toy.Mixture, samples: np.ndarray) -> dict[str, float]:
    """Returns which modes of a mixture samples reach."""
    score = metrics.mode_coverage(
        samples, mixture.means, mixture.std, mixture.weights, min_samples=MIN_SAMPLES
    )
    return {
        "covered": score.covered,
        "high_quality": score.high_quality,
        "reverse_kl": score.reverse_kl,
    }
