"""What the recipes of flows are made of."""

from collections.abc import Sequence
from typing import Any

import keras

from tfgen.bijectors import (
    ActNorm,
    AffineMap,
    Bijector,
    Chain,
    ChannelMask,
    Coupling,
    Flatten,
    Half,
    InvertibleLinear,
    Logit,
    Mask,
    MaskedAutoregressive,
    MultiScale,
    Reverse,
    Squeeze,
    Transform,
)
from tfgen.core.checks import check_integer, expected
from tfgen.distributions import UniformDequantization
from tfgen.flows.flow import Flow
from tfgen.layers.initial import spread

Optimizer = keras.optimizers.Optimizer


def dense(num_inputs: int, hidden_units: Sequence[int]) -> keras.layers.Layer:
    """Returns a network of vectors: dense layers with ReLU."""
    initial = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
    layers = [
        keras.layers.Dense(units, "relu", True, initial.clone(), spread(inputs))
        for inputs, units in zip([num_inputs, *hidden_units], hidden_units, strict=False)
    ]
    return keras.Sequential(layers)


def glow_steps(
    event_shape: Sequence[int],
    num_scales: int,
    depth: int,
    filters: int,
    transform: Transform,
    linear: bool = True,
) -> list[Bijector]:
    """Returns the steps of a Glow: vectors, or images in several levels.

    Without linear maps, couplings move one half of the numbers and the other in turn.
    """
    at_least(1 if linear else 2, "depth", depth)
    is_image = len(event_shape) > 1

    def network() -> keras.layers.Layer:
        if not is_image:
            return dense(event_shape[0] // 2, (filters, filters))
        convolution = keras.layers.Conv2D
        layers = [convolution(filters, size, padding="same", activation="relu") for size in (3, 1)]
        return keras.Sequential(layers)

    def mask(number: int) -> Mask:
        if linear:
            return Half()
        if is_image:
            return Half(swap=number % 2 == 1)
        dim = at_least(2, "the size of a vector", event_shape[0])
        return ChannelMask(range(number % 2, dim, 2))

    def steps() -> list[Bijector]:
        made = []
        for number in range(depth):
            mixed = [InvertibleLinear()] if linear else []
            made += [ActNorm(), *mixed, Coupling(network(), transform, mask(number))]
        return made

    if not is_image:
        return steps()
    levels = []
    for number in range(at_least(1, "num_scales", num_scales)):
        # The prior of what is factored out is a convolution of what goes on.
        is_last = number == num_scales - 1
        prior = [] if is_last else [Coupling(keras.layers.Identity(), transform)]
        levels.append(Chain([Squeeze(), *steps(), *prior]))
    return [AffineMap(-0.5, 1.0), MultiScale(levels)]


def autoregressive(
    num_layers: int,
    hidden_units: Sequence[int],
    transform: Transform | None,
    kernel_initializer: str | keras.initializers.Initializer,
) -> list[Bijector]:
    steps = []
    for _ in range(at_least(1, "num_layers", num_layers)):
        layer = MaskedAutoregressive(hidden_units, transform, kernel_initializer=kernel_initializer)
        steps += [ActNorm(), layer, Reverse()]
    return steps[:-1]


def as_vector(event_shape: Sequence[int], alpha: float) -> list[Bijector]:
    return [] if len(event_shape) == 1 else [Logit(alpha), Flatten()]


def compiled(
    steps: list[Bijector], event_shape: Sequence[int], optimizer: Optimizer, **kwargs: Any
) -> Flow:
    """Returns a compiled flow; images are dequantised unless it is said otherwise."""
    if len(event_shape) not in (1, 3):
        what = "`event_shape` of a vector [dim] or an image [height, width, channels]"
        raise ValueError(expected(what, tuple(event_shape)))
    if len(event_shape) == 3 and "dequantization" not in kwargs:
        kwargs["dequantization"] = UniformDequantization()
    model = Flow(Chain(steps), event_shape, **kwargs)
    model.compile(optimizer)
    return model


def warmed_up(rate: float, steps: int) -> Any:
    """Returns a learning rate that rises to a constant over a number of steps."""
    if not steps:
        return rate
    return keras.optimizers.schedules.CosineDecay(
        0.0, 1, alpha=1.0, warmup_target=rate, warmup_steps=steps
    )


def at_least(minimum: int, name: str, value: int) -> int:
    check_integer(name, value, minimum)
    return value
