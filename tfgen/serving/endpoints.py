"""The signatures a model is served by, all made alike from its verbs and specifications."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import keras
import tensorflow as tf

from tfgen.core import specs
from tfgen.core.checks import expected
from tfgen.core.random import row_seeds_from_int64
from tfgen.model.inversion import Encoding
from tfgen.model.model import GenerativeModel
from tfgen.model.rows import VERBS, Verb
from tfgen.model.verbs import TEMPERATURE

Tensors = dict[str, tf.Tensor]
PLAIN = {
    "seed": tf.TensorSpec([], tf.int64, "seed"),
    "temperature": TEMPERATURE,
}
"""Inputs that are the same for all models."""


@dataclass(frozen=True)
class Endpoint:
    """One signature: named tensors in, named tensors out, all with a leading batch axis.

    A batching server joins requests along axis 0 and refuses scalars.

    Args:
        name: of the signature.
        function: named inputs to named outputs.
        inputs: the specification of a batch of each input.
        example: one row of each input.
        ranges: the interval of the values of each input and output that has one.
        warms_up: whether a server warms up with the example.
    """

    name: str
    function: Callable[..., Tensors]
    inputs: dict[str, tf.TensorSpec]
    example: Tensors = field(default_factory=dict)
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    warms_up: bool = True


def endpoints(model: GenerativeModel, num_importance: int = 1) -> list[Endpoint]:
    """Returns the signatures of a model, one for each of its verbs; `sample` comes first.

    What they take and give is called by the noun of the model's examples (images, audio, tokens,
    points or examples), "z" for latents (`z_0`, `z_1`, ... where there are several), and otherwise
    as the arguments of the verbs; conditions go by their own names. All have to be given.

    - `sample(seed int64 [batch]) -> images`, with `temperature` of models that have one, and
      `sample_png(seed) -> png_bytes`;
    - `decode(z) -> images`, `encode(images) -> z`, and the `distance` of models that search for it;
    - `reconstruct(images) -> images`, `log_prob(images) -> log_prob`, `log_prob_bound(images, seed)
      -> log_prob_bound`, `complete(images, mask, seed) -> images`, `translate(images) -> images`,
      `classify(images) -> probabilities`.

    Rows that are out of range or not finite are refused by an error that names the input.

    Args:
        model: to serve.
        num_importance: draws over which `log_prob_bound` averages.

    Raises:
        ValueError: when it has none of these verbs.
    """
    able = model.capabilities()
    if "decode" in able and model.latent_spec is None:
        what = "a property `latent_spec` of a model with decode"
        raise NotImplementedError(expected(what, f"{type(model).__name__}, which has none"))
    specs.check_names(model.event_spec, model.condition_specs)
    made = [_endpoint(model, verb, num_importance) for verb in VERBS if verb in able]
    if not made:
        what = f"a model with one of the capabilities {list(VERBS)}"
        raise ValueError(expected(what, f"{type(model).__name__}, which has none of them"))
    if "sample" in able and specs.is_image(model.event_spec):
        made.insert(1, _as_png(made[0], model.event_spec.name))
    return made


def _endpoint(model: GenerativeModel, name: str, num_importance: int) -> Endpoint:
    """Returns the signature of one verb."""
    verb = VERBS[name]
    inputs = _inputs(model, verb)
    fixed = {"num_importance": num_importance} if name == "log_prob_bound" else {}
    answer = getattr(model, f"{name}_rows")

    def function(**given: tf.Tensor) -> Tensors:
        with tf.control_dependencies(_row_checks(given)):
            rows = {key: _checked(given[key], spec, key) for key, spec in inputs.items()}
        condition = {key: rows[key] for key in model.condition_specs}
        takes = {what: _argument(model, what, rows) for what in verb.takes}
        settings = {what: takes.pop(what) for what in ("temperature",) if what in takes}
        result = answer(*takes.values(), condition=condition, **settings, **fixed)
        return _named(model, verb, model.checked_result(name, result))

    return Endpoint(
        name,
        function,
        {key: specs.batched(spec, key) for key, spec in inputs.items()},
        {key: _example(spec, key) for key, spec in inputs.items()},
        _ranges(inputs | _gives(model, verb)),
        not model.is_slow(name),
    )


def _inputs(model: GenerativeModel, verb: Verb) -> dict[str, tf.TensorSpec]:
    """Returns the specification of a row of each input of a verb."""
    found: dict[str, tf.TensorSpec] = {}
    for what in verb.takes:
        if what == "x":
            found[model.event_spec.name] = model.event_spec
        elif what == "z":
            found |= specs.by_name(model.latent_spec, "z")
        elif what == "mask":
            found["mask"] = model.mask_spec
        elif what == "seed" or model.has_temperature:
            found[what] = PLAIN[what]
    return found | dict(model.condition_specs)


def _row_checks(given: Tensors) -> list[tf.Operation]:
    """Returns operations that fail unless all inputs have as many rows, and at least one."""
    names = sorted(given)
    counts = tf.stack([tf.shape(given[name])[0] for name in names])
    quoted = ", ".join(f"`{name}`" for name in names)
    checks = {
        f"as many rows of each of {quoted}": tf.reduce_all(tf.equal(counts, counts[0])),
        f"at least one row of {quoted}": tf.reduce_all(counts > 0),
    }
    return [
        tf.debugging.Assert(holds, [f"Expected {what}. Received:", counts])
        for what, holds in checks.items()
    ]


def _checked(value: tf.Tensor, spec: tf.TensorSpec, name: str) -> tf.Tensor:
    return row_seeds_from_int64(value) if name == "seed" else specs.checked(value, spec, name)


def _argument(model: GenerativeModel, what: str, rows: Tensors) -> tf.Tensor | None:
    """Returns what the method of a verb is given for one of the things that it takes."""
    if what == "x":
        return rows[model.event_spec.name]
    if what == "z":
        names = specs.by_name(model.latent_spec, "z")
        return specs.like_nest(model.latent_spec, [rows[name] for name in names])
    return rows.get(what)


def _example(spec: tf.TensorSpec, name: str) -> tf.Tensor:
    return tf.ones([1]) if name == "temperature" else specs.rows(spec, 1)


def _gives(model: GenerativeModel, verb: Verb) -> dict[str, tf.TensorSpec]:
    """Returns the specifications of what a verb gives, as far as their ranges are known."""
    if verb.gives == "x":
        return {model.event_spec.name: model.event_spec}
    if verb.gives == "z":
        return specs.by_name(model.latent_spec, "z")
    unit = specs.BoundedSpec([None], tf.float32, verb.gives, 0.0, 1.0)
    return {verb.gives: unit} if verb.gives == "probabilities" else {}


def _ranges(named: dict[str, tf.TensorSpec]) -> dict[str, tuple[float, float]]:
    return {name: specs.bounds(spec) for name, spec in named.items() if specs.bounds(spec)}


def _named(model: GenerativeModel, verb: Verb, result: tf.Tensor) -> Tensors:
    """Returns what a verb gives by the names of the outputs."""
    if verb.gives == "x":
        return {model.event_spec.name: result}
    if verb.gives != "z":
        return {verb.gives: result}
    z = result.z if isinstance(result, Encoding) else result
    names = list(specs.by_name(model.latent_spec, "z"))
    named = dict(zip(names, keras.tree.flatten(z), strict=True))
    return named | {"distance": result.distance} if isinstance(result, Encoding) else named


def _as_png(sample: Endpoint, noun: str) -> Endpoint:
    """Returns the signature that samples pictures as files."""

    def sample_png(**given: tf.Tensor) -> Tensors:
        images = sample.function(**given)[noun]
        pixels = tf.cast(tf.round(tf.clip_by_value(images, 0.0, 1.0) * 255.0), tf.uint8)
        encode = lambda image: tf.io.encode_png(image)  # noqa: E731
        return {"png_bytes": tf.map_fn(encode, pixels, fn_output_signature=tf.string)}

    return replace(sample, name="sample_png", function=sample_png)
