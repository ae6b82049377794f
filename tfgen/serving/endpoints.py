"""The signatures a model is served by, one for each of its capabilities."""

from collections.abc import Callable
from dataclasses import dataclass, field

import tensorflow as tf

from tfgen.core.checks import expected
from tfgen.core.random import row_seeds_from_int64
from tfgen.model.model import GenerativeModel

Tensors = dict[str, tf.Tensor]


@dataclass(frozen=True)
class Endpoint:
    """One signature: named tensors in, named tensors out, all with a leading batch axis.

    A batching server joins requests along axis 0 and refuses scalars.

    Args:
        name: of the signature.
        function: named inputs to named outputs.
        inputs: the specification of each input.
        example: one row of each input, with which the server warms up.
    """

    name: str
    function: Callable[..., Tensors]
    inputs: dict[str, tf.TensorSpec]
    example: Tensors = field(default_factory=dict)


def endpoints(model: GenerativeModel) -> list[Endpoint]:
    """Returns the signatures of a model, from its capabilities; `sample` comes first.

    - `sample(seed int64 [batch]) -> images` (`examples` when they are not images), and
      `sample_png(seed) -> png_bytes` for images of 1, 3 or 4 channels; a conditional model's also
      take its condition, e.g. `label` int64 [batch], as do the following;
    - `decode(z) -> images`, `encode(images) -> z` and whatever else the model's encoder returns;
    - `reconstruct(images) -> images`, `log_prob(images) -> log_prob`.

    Args:
        model: a built model.

    Raises:
        ValueError: when it has none of these capabilities.
    """
    makers = {
        "sample_rows": _sample,
        "decode": _decode,
        "encode": _encode,
        "reconstruct": _reconstruct,
        "log_prob": _log_prob,
    }
    able = model.capabilities()
    made = [endpoint for name, make in makers.items() if name in able for endpoint in make(model)]
    if not made:
        what = f"a model with one of the capabilities {sorted(makers)}"
        raise ValueError(expected(what, f"{type(model).__name__}, which has none of them"))
    return made


def _is_image(model: GenerativeModel) -> bool:
    shape = model.event_shape
    return len(shape) == 3 and shape[-1] in (1, 3, 4)


def _noun(model: GenerativeModel) -> str:
    return "images" if _is_image(model) else "examples"


def _examples_in(model: GenerativeModel) -> tuple[dict[str, tf.TensorSpec], Tensors]:
    shape = model.event_shape
    spec = tf.TensorSpec([None, *shape], tf.float32, name=_noun(model))
    return {_noun(model): spec}, {_noun(model): tf.fill([1, *shape], 0.5)}


def _condition(model: GenerativeModel) -> tuple[dict[str, tf.TensorSpec], Tensors]:
    """Returns the input that a conditional model takes beside others, and a row of it."""
    spec = model.condition_spec
    if spec is None:
        return {}, {}
    return {spec.name: spec}, {spec.name: tf.zeros([1, *spec.shape[1:]], spec.dtype)}


def _sample(model: GenerativeModel) -> list[Endpoint]:
    conditions, condition = _condition(model)
    inputs = {"seed": tf.TensorSpec([None], tf.int64, name="seed"), **conditions}
    example = {"seed": tf.constant([0], tf.int64), **condition}

    def sample(seed: tf.Tensor, **conditions: tf.Tensor) -> Tensors:
        return {_noun(model): model.sample_rows(row_seeds_from_int64(seed), *conditions.values())}

    def sample_png(seed: tf.Tensor, **conditions: tf.Tensor) -> Tensors:
        return {"png_bytes": _encode_png(sample(seed, **conditions)["images"])}

    served = [Endpoint("sample", sample, inputs, example)]
    if _is_image(model):
        served.append(Endpoint("sample_png", sample_png, inputs, example))
    return served


def _encode_png(images: tf.Tensor) -> tf.Tensor:
    pixels = tf.cast(tf.round(tf.clip_by_value(images, 0.0, 1.0) * 255.0), tf.uint8)
    encode = lambda image: tf.io.encode_png(image)  # noqa: E731
    return tf.map_fn(encode, pixels, fn_output_signature=tf.string)


def _decode(model: GenerativeModel) -> list[Endpoint]:
    shape = [model.latent_dim]
    conditions, condition = _condition(model)

    def decode(z: tf.Tensor, **conditions: tf.Tensor) -> Tensors:
        return {_noun(model): model.decode(z, *conditions.values())}

    inputs = {"z": tf.TensorSpec([None, *shape], tf.float32, name="z"), **conditions}
    return [Endpoint("decode", decode, inputs, {"z": tf.zeros([1, *shape]), **condition})]


def _encode(model: GenerativeModel) -> list[Endpoint]:
    inputs, example = _examples_in(model)
    conditions, condition = _condition(model)

    def encode(**rows: tf.Tensor) -> Tensors:
        encoding = model.encode(rows.pop(_noun(model)), *rows.values())
        return encoding._asdict() if hasattr(encoding, "_asdict") else {"z": encoding}

    return [Endpoint("encode", encode, inputs | conditions, example | condition)]


def _reconstruct(model: GenerativeModel) -> list[Endpoint]:
    inputs, example = _examples_in(model)
    conditions, condition = _condition(model)

    def reconstruct(**rows: tf.Tensor) -> Tensors:
        return {_noun(model): model.reconstruct(rows.pop(_noun(model)), *rows.values())}

    return [Endpoint("reconstruct", reconstruct, inputs | conditions, example | condition)]


def _log_prob(model: GenerativeModel) -> list[Endpoint]:
    inputs, example = _examples_in(model)

    def log_prob(**examples: tf.Tensor) -> Tensors:
        return {"log_prob": model.log_prob(examples[_noun(model)])}

    return [Endpoint("log_prob", log_prob, inputs, example)]
