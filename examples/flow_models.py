"""The flows that train_flow.py can train, and the flags that choose among them."""

from collections.abc import Callable
from typing import Any

import image_levels
import keras
import runner
from absl import flags

import tfgen
from tfgen import bijectors, distributions
from tfgen.core.checks import expected
from tfgen.flows import Flow, HybridFlow, recipes
from tfgen.flows.base import FlowModel

FLAGS = flags.FLAGS

TRANSFORMS = {
    "additive": bijectors.Additive(),
    "sigmoid": bijectors.Affine(bijectors.SigmoidScale(minimum=0.0)),
    "tanh": bijectors.Affine(bijectors.TanhScale()),
}

flags.DEFINE_integer(
    "depth",
    None,
    "Couplings or layers of a flow of vectors (8), or steps of each scale of an image (4).",
    1,
)
flags.DEFINE_integer("scales", 2, "Of a flow of images.", 1)
flags.DEFINE_integer("filters", 64, "Of convolutions inside couplings, and units of spline's.", 1)
flags.DEFINE_integer("blocks", 2, "Of the residual networks of realnvp, for images.", 1)
runner.define_sizes("hidden_units", ["128", "128"], "Of networks of vectors.")
flags.DEFINE_integer(
    "warmup_steps", 100, "Over which the learning rate of glow and residual_flow rises.", 0
)
flags.DEFINE_enum(
    "transform", "tanh", sorted(TRANSFORMS), "Of glow's couplings; sigmoid as published."
)
flags.DEFINE_float("ema_decay", 0.99, "Of the average of the weights; 0 for none.", 0.0, 1.0)
flags.DEFINE_bool("conditional", False, "Give the flow the labels of the data.")
flags.DEFINE_bool("hybrid", False, "Train a linear classifier of the latents with the flow.")
flags.DEFINE_float(
    "likelihood_weight",
    None,
    "Of --hybrid: of log p(x), in nats, beside log p(y | x); 1 / D, of D numbers, unless given.",
    0.0,
)
flags.DEFINE_integer(
    "num_classes", None, "Of --conditional or --hybrid; as many as the data have labels.", 2
)
flags.adopt_module_key_flags(image_levels)
flags.register_multi_flags_validator(
    ["conditional", "hybrid", "num_classes"],
    lambda given: given["conditional"] or given["hybrid"] or given["num_classes"] is None,
    "--num_classes goes with --conditional or --hybrid",
)
flags.register_multi_flags_validator(
    ["hybrid", "likelihood_weight"],
    lambda given: given["hybrid"] or given["likelihood_weight"] is None,
    "--likelihood_weight goes with --hybrid",
)
flags.register_multi_flags_validator(
    ["conditional", "hybrid"],
    lambda given: not (given["conditional"] and given["hybrid"]),
    "--hybrid is not --conditional: what is given the labels cannot tell them",
)


def _sizes() -> list[int]:
    return [int(size) for size in FLAGS.hidden_units]


def _depth(shape: tuple[int, ...]) -> int:
    return FLAGS.depth or (8 if len(shape) == 1 else 4)


def _glow(shape: tuple[int, ...], **options: Any) -> Flow:
    sizes = (FLAGS.scales, _depth(shape), FLAGS.filters)
    transform = TRANSFORMS[FLAGS.transform]
    return recipes.glow(shape, *sizes, transform, FLAGS.warmup_steps, **options)


def _realnvp(shape: tuple[int, ...], **options: Any) -> Flow:
    convolutions = (FLAGS.scales, FLAGS.filters, FLAGS.blocks)
    return recipes.realnvp(shape, _depth(shape), _sizes(), *convolutions, **options)


def _spline(shape: tuple[int, ...], **options: Any) -> Flow:
    return recipes.spline(shape, FLAGS.scales, _depth(shape), FLAGS.filters, **options)


def _residual_flow(shape: tuple[int, ...], **options: Any) -> Flow:
    sizes = (FLAGS.scales, _depth(shape), FLAGS.filters)
    return recipes.residual_flow(shape, *sizes, warmup_steps=FLAGS.warmup_steps, **options)


RECIPES: dict[str, Callable[..., Flow]] = {
    "nice": lambda shape, **k: recipes.nice(shape, _depth(shape), _sizes(), **k),
    "realnvp": _realnvp,
    "glow": _glow,
    "spline": _spline,
    "maf": lambda shape, **k: recipes.maf(shape, _depth(shape), _sizes(), **k),
    "iaf": lambda shape, **k: recipes.iaf(shape, _depth(shape), _sizes(), **k),
    "planar": lambda shape, **k: recipes.planar(shape, 4 * _depth(shape), **k),
    "radial": lambda shape, **k: recipes.radial(shape, 4 * _depth(shape), **k),
    "residual_flow": _residual_flow,
}
OF_VECTORS = ("planar", "radial")
"""Recipes that take no images."""

flags.DEFINE_enum("recipe", "glow", sorted(RECIPES), "The bijectors and their order.")


def make_flow(train: tfgen.data.Examples) -> FlowModel:
    """Returns the flow that the flags describe, compiled.

    Raises:
        ValueError: when the data do not suit it.
    """
    shape = train.event_shape
    options: dict[str, Any] = {"seed": FLAGS.seed}
    if len(shape) not in (1, 3):
        raise ValueError(expected("images, or points [num_examples, dim] of floats", train))
    if FLAGS.recipe in OF_VECTORS and len(shape) == 3:
        what = f"points, an .npy file of floats [num_examples, dim], for --recipe={FLAGS.recipe}"
        raise ValueError(expected(what, train))
    if (FLAGS.conditional or FLAGS.hybrid) and train.num_classes is None:
        raise ValueError(expected("data with labels", train))
    if FLAGS.conditional:
        options["num_classes"] = FLAGS.num_classes or train.num_classes
    if not FLAGS.hybrid:
        options["ema_decay"] = FLAGS.ema_decay or None
    if len(shape) == 3:
        options["dequantization"] = distributions.UniformDequantization(
            image_levels.num_levels(train)
        )
    flow = RECIPES[FLAGS.recipe](shape, **options)
    if FLAGS.hybrid:
        flow = _hybrid(flow, FLAGS.num_classes or train.num_classes)
    if FLAGS.learning_rate is not None:
        flow.compile(keras.optimizers.Adam(FLAGS.learning_rate), jit_compile=FLAGS.jit_compile)
    elif FLAGS.jit_compile is not None:
        flow.compile(flow.optimizer, jit_compile=FLAGS.jit_compile)
    return flow


def _hybrid(flow: Flow, num_classes: int) -> HybridFlow:
    """Returns a flow that classifies, of the parts and with the optimizer of another."""
    made = HybridFlow(
        flow.bijector,
        flow.event_shape,
        num_classes,
        likelihood_weight=FLAGS.likelihood_weight,
        base=flow.base,
        dequantization=flow.dequantization,
        ema_decay=FLAGS.ema_decay or None,
        seed=FLAGS.seed,
    )
    made.compile(type(flow.optimizer).from_config(flow.optimizer.get_config()))
    return made
