"""Published flows by name: each returns a `Flow`, compiled with the optimizer of its paper.

`compile` it again for another optimizer. Defaults are the published sizes; give smaller ones for
smaller data. Images, events [height, width, channels], get uniform dequantisation of 256 levels
unless `dequantization` is given, None for none. `ActNorm` stands where papers have batch
normalisation.

Args of all, beside their own:
    event_shape: of one example: a vector [dim], or an image where the recipe has a form for images.
    **kwargs: of `Flow`, such as `base`, `num_classes`, `condition_shapes`, `dequantization`,
        `ema_decay` or `seed`.

Each raises what `Flow` and its bijectors raise.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras

from tfgen.bijectors import (
    ActNorm,
    Additive,
    Affine,
    Bijector,
    Chain,
    ChannelMask,
    Checkerboard,
    Coupling,
    Flatten,
    Half,
    Invert,
    InvertibleResidual,
    Logit,
    MaskedAutoregressive,
    MultiScale,
    Planar,
    Radial,
    RandomPermutation,
    RationalQuadraticSpline,
    Squeeze,
    Transform,
)
from tfgen.flows.convolutions import ResidualConvolutions
from tfgen.flows.flow import Flow
from tfgen.flows.recipe_parts import (
    as_vector,
    at_least,
    autoregressive,
    compiled,
    dense,
    glow_steps,
    warmed_up,
)
from tfgen.layers import lipschitz_conv, lipschitz_dense


def nice(
    event_shape: Sequence[int],
    num_couplings: int = 4,
    hidden_units: Sequence[int] = (1000,) * 5,
    **kwargs: Any,
) -> Flow:
    """Dinh, Krueger and Bengio, 2015, https://arxiv.org/abs/1410.8516: additive couplings.

    Images are vectors of pixels in a random order. The last map scales each number. Its
    log-determinant is constant, so that samples at a temperature are exact for a Gaussian base. The
    other base of the paper, for data such as MNIST, is `base=tfgen.distributions.Logistic(dim)`.

    Args:
        num_couplings: > 1, so that all numbers move.
        hidden_units: of the network of each coupling.
    """
    steps = [Flatten(), RandomPermutation()] if len(event_shape) > 1 else []
    half = math.prod(event_shape) // 2
    for number in range(at_least(2, "num_couplings", num_couplings)):
        steps.append(Coupling(dense(half, hidden_units), Additive(), Half(swap=number % 2 == 1)))
    return compiled([*steps, ActNorm()], event_shape, keras.optimizers.Adam(1e-3), **kwargs)


def realnvp(
    event_shape: Sequence[int],
    num_couplings: int = 10,
    hidden_units: Sequence[int] = (100, 100),
    num_scales: int = 3,
    filters: int = 64,
    num_blocks: int = 8,
    alpha: float = 0.05,
    transform: Transform | None = None,
    **kwargs: Any,
) -> Flow:
    """Dinh, Sohl-Dickstein and Bengio, 2017, https://arxiv.org/abs/1605.08803.

    Images: at each level three couplings with a checkerboard, a squeeze, three over channels, and
    half of the channels is done; the last level has four with a checkerboard. Vectors: couplings
    that move entries of odd and of even indices in turn, as in the comparison of MAF.

    Args:
        num_couplings: of vectors, > 1.
        hidden_units: of the network of each coupling of vectors.
        num_scales: of images, > 0.
        filters, num_blocks: of the residual network of each coupling of images.
        alpha: of the logit of images.
        transform: of couplings, `Affine()` unless given; `Affine(SoftScale(2.0))` fits small tables
            better.
    """
    transform = transform or Affine()
    if len(event_shape) == 1:
        dim = at_least(2, "the size of a vector", event_shape[0])
        steps = []
        for number in range(at_least(2, "num_couplings", num_couplings)):
            network, mask = dense(dim // 2, hidden_units), ChannelMask(range(number % 2, dim, 2))
            steps += [ActNorm(), Coupling(network, transform, mask)]
        return compiled(steps, event_shape, keras.optimizers.Adam(1e-3), **kwargs)

    def couplings(mask: Callable[..., Any], count: int) -> list[Bijector]:
        steps = []
        for number in range(count):
            network = ResidualConvolutions(filters, num_blocks)
            steps += [ActNorm(), Coupling(network, transform, mask(swap=number % 2 == 1))]
        return steps

    levels = [
        Chain([*couplings(Checkerboard, 3), Squeeze(), *couplings(Half, 3)])
        for _ in range(at_least(1, "num_scales", num_scales) - 1)
    ]
    levels.append(Chain(couplings(Checkerboard, 4)))
    steps = [Logit(alpha), MultiScale(levels)]
    return compiled(steps, event_shape, keras.optimizers.Adam(1e-3, clipnorm=50.0), **kwargs)


def glow(
    event_shape: Sequence[int],
    num_scales: int = 3,
    depth: int = 32,
    filters: int = 512,
    transform: Transform | None = None,
    warmup_steps: int = 4000,
    **kwargs: Any,
) -> Flow:
    """Kingma and Dhariwal, 2018, https://arxiv.org/abs/1807.03039: its sizes for CIFAR-10.

    Each step is ActNorm, an invertible 1x1 convolution and a coupling; the half that is factored
    out at a level has a learned prior given the other. Vectors have one level.

    Args:
        num_scales: of images, > 0, each of which halves height and width.
        depth: steps of each level, > 0.
        filters: of the hidden layers of each coupling.
        transform: of couplings, `Affine()` unless given, whose scales learn flat parts of images
            faster than the published `Affine(SigmoidScale(minimum=0.0))` and do not overflow;
            `Additive()` makes samples at a temperature exact, but for the learned priors.
        warmup_steps: over which the learning rate rises to 1e-3, >= 0.
    """
    steps = glow_steps(event_shape, num_scales, depth, filters, transform or Affine())
    return compiled(
        steps, event_shape, keras.optimizers.Adamax(warmed_up(1e-3, warmup_steps)), **kwargs
    )


def spline(
    event_shape: Sequence[int],
    num_scales: int = 3,
    depth: int = 7,
    filters: int = 96,
    num_bins: int = 8,
    bound: float = 3.0,
    linear: bool = True,
    **kwargs: Any,
) -> Flow:
    """Durkan, Bekasov, Murray and Papamakarios, 2019, https://arxiv.org/abs/1906.04032 (NSF).

    Couplings whose numbers move by rational-quadratic splines, between linear maps; images as in
    Glow. Vectors have one level. A linear map mixes numbers, and a mixture of many looks Gaussian:
    where each number has a density of its own that splines fit, such as levels with uniform noise,
    couplings without linear maps do better.

    Args:
        num_scales, depth, filters: as for `glow`; of vectors, two hidden layers of `filters` units.
            Without linear maps the depth is > 1, so that all numbers move.
        num_bins: of each spline.
        bound: of the interval of each spline.
        linear: whether linear maps stand between couplings. Without, couplings move entries of odd
            and of even indices in turn; of images, halves of the channels.
    """
    transform = RationalQuadraticSpline(num_bins, bound)
    steps = glow_steps(event_shape, num_scales, depth, filters, transform, linear)
    return compiled(steps, event_shape, keras.optimizers.Adam(5e-4, clipnorm=5.0), **kwargs)


def maf(
    event_shape: Sequence[int],
    num_layers: int = 5,
    hidden_units: Sequence[int] = (512, 512),
    transform: Transform | None = None,
    alpha: float = 1e-6,
    kernel_initializer: str | keras.initializers.Initializer = "he_uniform",
    **kwargs: Any,
) -> Flow:
    """Papamakarios, Pavlakou and Murray, 2017, https://arxiv.org/abs/1705.07057.

    Each layer is autoregressive in the reverse order of the one before; its density takes one pass,
    a sample as many as an example has numbers. Images are vectors of logits of pixels.

    Args:
        num_layers: > 0.
        hidden_units: of the masked network of each layer.
        transform: of each number, affine unless given; `RationalQuadraticSpline()` makes it the
            autoregressive NSF.
        alpha: of the logit of images.
        kernel_initializer: of the networks, as for `tfgen.layers.MADE`.
    """
    layers = autoregressive(num_layers, hidden_units, transform, kernel_initializer)
    steps = [*as_vector(event_shape, alpha), *layers]
    return compiled(steps, event_shape, keras.optimizers.Adam(1e-4), **kwargs)


def iaf(
    event_shape: Sequence[int],
    num_layers: int = 5,
    hidden_units: Sequence[int] = (512, 512),
    transform: Transform | None = None,
    alpha: float = 1e-6,
    kernel_initializer: str | keras.initializers.Initializer = "he_uniform",
    **kwargs: Any,
) -> Flow:
    """Kingma et al., 2016, https://arxiv.org/abs/1606.04934: MAF turned round.

    A sample takes one pass, and a density as many as an example has numbers, which makes maximum
    likelihood slow for more than a few.

    Args:
        num_layers, hidden_units, transform, alpha, kernel_initializer: as for `maf`.
    """
    layers = autoregressive(num_layers, hidden_units, transform, kernel_initializer)
    turned = [Invert(b) if isinstance(b, MaskedAutoregressive) else b for b in layers]
    steps = [*as_vector(event_shape, alpha), *turned]
    return compiled(steps, event_shape, keras.optimizers.Adam(1e-4), **kwargs)


def planar(event_shape: Sequence[int], num_layers: int = 32, **kwargs: Any) -> Flow:
    """Rezende and Mohamed, 2015, https://arxiv.org/abs/1505.05770: z = x + u tanh(w x + b).

    After ActNorm, which standardises the vectors, each layer moves them along one direction, so
    that many numbers need many layers. A density takes one pass. A sample finds a root for each
    layer, to the precision of the numbers or with an error. Posteriors, for which the paper has
    them, are drawn in one pass from `Invert(Planar())`.

    Args:
        num_layers: > 0; the paper has 2 to 32 on points, and up to 80 on MNIST.
    """
    steps = [Planar() for _ in range(at_least(1, "num_layers", num_layers))]
    return compiled([ActNorm(), *steps], event_shape, keras.optimizers.Adam(1e-3), **kwargs)


def radial(event_shape: Sequence[int], num_layers: int = 32, **kwargs: Any) -> Flow:
    """Rezende and Mohamed, 2015, https://arxiv.org/abs/1505.05770: z = x + h(r) (x - x_0).

    After ActNorm, each layer moves vectors to or from a point x_0, by their distance r to it, with
    h(r) = beta / (alpha + r). Densities and samples take one pass each. It suits few dimensions: a
    layer has one centre and two numbers.

    Args:
        num_layers: > 0.
    """
    steps = [Radial() for _ in range(at_least(1, "num_layers", num_layers))]
    return compiled([ActNorm(), *steps], event_shape, keras.optimizers.Adam(1e-3), **kwargs)


def residual_flow(
    event_shape: Sequence[int],
    num_scales: int = 3,
    depth: int = 16,
    filters: int = 512,
    coefficient: float = 0.98,
    alpha: float = 0.05,
    warmup_steps: int = 1000,
    **kwargs: Any,
) -> Flow:
    """Chen, Behrmann, Duvenaud and Jacobsen, 2019, https://arxiv.org/abs/1906.02735.

    Blocks x + g(x), each after ActNorm, with a squeeze from one level to the next. In training
    log-determinants are unbiased estimates. `log_prob` is exact for vectors; for images it is an
    estimate, by a series that is cut off, whose probes are always the same.

    Args:
        num_scales: of images, > 0.
        depth: blocks of each level, > 0. Vectors have one level.
        filters: of the hidden layers of each block, of which there are two.
        coefficient: bound of the Lipschitz constant of each layer, in (0, 1).
        alpha: of the logit of images.
        warmup_steps: over which the learning rate rises to 1e-3, >= 0.
    """
    at_least(1, "depth", depth)
    is_image = len(event_shape) == 3
    steps: list[Bijector] = [Logit(alpha)] if is_image else []
    channels = event_shape[-1]
    for level in range(at_least(1, "num_scales", num_scales) if is_image else 1):
        if level:
            steps.append(Squeeze())
            channels *= 4
        for block in range(depth):
            first = level == block == 0  # Whose input is the data, which no activation bends.
            if is_image:
                network = lipschitz_conv(
                    channels, filters, coefficient=coefficient, first_activation=not first
                )
            else:
                network = lipschitz_dense(
                    channels, (filters,) * 2, coefficient, first_activation=not first
                )
            steps += [ActNorm(), InvertibleResidual(network)]
    optimizer = keras.optimizers.Adam(warmed_up(1e-3, warmup_steps), beta_2=0.99)
    return compiled(steps, event_shape, optimizer, **kwargs)
