"""Couplings: of vectors and images, with each transform and each mask."""

from collections.abc import Callable

import keras

from tests.contract.bijector_cases.case import BijectorCase
from tfgen import bijectors

TANH = bijectors.Affine(bijectors.TanhScale(3.0))
SPLINE = bijectors.RationalQuadraticSpline(4, bound=2.5, min_size=0.02, min_slope=0.01)


def dense(units: int = 5) -> keras.layers.Layer:
    """Returns a network of vectors."""
    return keras.layers.Dense(units, activation="tanh")


def convolution() -> keras.layers.Layer:
    """Returns a network of images."""
    return keras.layers.Conv2D(3, 3, padding="same", activation="tanh")


def _coupling(
    network: Callable[[], keras.layers.Layer], *args: object, **kwargs: object
) -> Callable:
    """Returns what makes a coupling, with a new network each time."""
    return lambda **more: bijectors.Coupling(network(), *args, **kwargs, **more)


CASES = (
    BijectorCase(
        "coupling_additive",
        _coupling(dense, bijectors.Additive()),
        (4,),
        constant=True,
    ),
    BijectorCase(
        "coupling_affine", _coupling(dense, mask=bijectors.Half(swap=True)), (5,), conditional=True
    ),
    BijectorCase(
        "coupling_spline", _coupling(dense, SPLINE), (4,), conditional=True, low=-3.0, high=3.0
    ),
    BijectorCase("coupling_channels", _coupling(dense, TANH, bijectors.ChannelMask([2, 0])), (4,)),
    BijectorCase("coupling_alternate", _coupling(dense, TANH, bijectors.Checkerboard()), (3,)),
    BijectorCase(
        "coupling_image",
        _coupling(convolution, kernel_size=1),
        (2, 3, 4),
        conditional=True,
    ),
    BijectorCase("coupling_image_spline", _coupling(convolution, SPLINE), (2, 2, 2)),
    BijectorCase(
        "coupling_image_additive",
        _coupling(convolution, bijectors.Additive(), bijectors.Checkerboard()),
        (3, 2, 1),
        conditional=True,
        constant=True,
    ),
    BijectorCase(
        "coupling_checkerboard",
        _coupling(convolution, None, bijectors.Checkerboard(swap=True)),
        (3, 2, 2),
    ),
    BijectorCase("coupling_sequence", _coupling(dense, TANH), (3, 4), conditional=True),
)
