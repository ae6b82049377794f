"""Flows over real bijectors, tiny."""

from typing import TypeVar

import keras
import numpy as np

from tfgen import bijectors, distributions, flows, layers, networks

Model = TypeVar("Model", bound=keras.Model)


def stirred(model: Model) -> Model:
    """Moves weights that begin at zero: the networks before them would be without a gradient."""
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        if not np.any(variable):
            variable.assign(rng.normal(0.0, 0.05, variable.shape))
    return model


def labels(exact: bool = False) -> flows.Flow:
    """One of points, and of labels, which begin from a mixture of their own."""
    spline = bijectors.RationalQuadraticSpline(3, bound=2.0)
    parts = [
        bijectors.MaskedAutoregressive((6,), activation="tanh"),
        bijectors.Reverse(),
        bijectors.Coupling(keras.layers.Dense(4, "tanh"), spline),
    ]
    return stirred(
        flows.Flow(
            bijectors.Chain(parts if exact else [bijectors.ActNorm(), *parts]),
            (2,),
            distributions.DiagonalMixture(2, 3, conditional=True, spread=0.5, seed=1),
            num_classes=3,
            ema_decay=0.9,
            seed=1,
        )
    )


def on_flow(exact: bool = False) -> flows.Flow:
    """One that inverts by roots, on one that is drawn in one pass."""
    below = bijectors.Invert(bijectors.MaskedAutoregressive((4,), activation="tanh"))
    return stirred(
        flows.Flow(
            bijectors.Chain([bijectors.Planar(), bijectors.Radial(), bijectors.InvertibleLinear()]),
            (2,),
            flows.Transformed(below, distributions.DiagonalGaussian(2), dim=2),
            event_name="points",
        )
    )


def residual(exact: bool = False) -> flows.Flow:
    """One that inverts by fixed points, whose log-determinants are estimates in training."""

    def block() -> bijectors.Bijector:
        network = layers.lipschitz_dense(2, (4,), first_activation=False)
        log_det = bijectors.ExactLogDet() if exact else None
        return bijectors.InvertibleResidual(network, log_det)

    parts = [block(), bijectors.ActNorm(), block()]
    chain = bijectors.Chain(parts)
    return stirred(flows.Flow(chain, (2,), event_name="points", ema_decay=0.9, seed=1))


def images(exact: bool = False) -> flows.Flow:
    """Two levels of Glow."""

    def step() -> bijectors.Bijector:
        network = keras.layers.Conv2D(3, 3, padding="same", activation="relu")
        mixed = [bijectors.InvertibleLinear(), bijectors.Coupling(network)]
        return bijectors.Chain([bijectors.Squeeze(), bijectors.ActNorm(), *mixed])

    noise = bijectors.Coupling(
        keras.layers.Conv2D(2, 3, padding="same"), mask=bijectors.Checkerboard(), kernel_size=1
    )
    dequantization = distributions.VariationalDequantization(
        flows.ResidualConvolutions(3, 1), noise, num_levels=4
    )
    return stirred(
        flows.Flow(
            bijectors.Chain(
                [bijectors.AffineMap(-0.5, 1.0), bijectors.MultiScale([step(), step()])]
            ),
            (8, 8, 1),
            dequantization=None if exact else dequantization,
            ema_decay=0.8,
            seed=2,
        )
    )


def hybrid(exact: bool = False) -> flows.HybridFlow:
    coupling = bijectors.Coupling(keras.layers.Dense(8, "relu"), bijectors.Additive())
    parts = [bijectors.Logit(0.1), bijectors.Flatten(), bijectors.RandomPermutation(1), coupling]
    return stirred(
        flows.HybridFlow(
            bijectors.Chain(parts),
            (8, 8, 1),
            num_classes=3,
            classifier=networks.MLP((3,), (8,)),
            likelihood_weight=0.1,
            base=distributions.DiagonalGaussian(64),
            dequantization=None if exact else distributions.UniformDequantization(4),
            ema_decay=0.8,
        )
    )
