"""Writes a model as a version directory that TensorFlow Serving loads."""

import json
import math
import os
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfgen.core import specs
from tfgen.core.checks import check_integer, expected
from tfgen.core.files import check_writable, temporary_sibling
from tfgen.core.version import __version__
from tfgen.model.model import GenerativeModel
from tfgen.serving.endpoints import Endpoint, endpoints
from tfgen.serving.versions import next_version
from tfgen.serving.warmup import write_warmup


def export(
    model: GenerativeModel,
    path: str | os.PathLike,
    training_metrics: dict[str, Any] | None = None,
    *,
    num_importance: int = 1,
) -> Path:
    """Writes `<path>/<version>/`, the next free integer, with one signature per capability.

    `sample` is also `serving_default`. Only the variables that the signatures use are written: a
    latent table or an optimizer is not. Beside the graph stand warm-up requests and a model card,
    `assets.extra/model_card.json`. All is written under another name and renamed at the end, so
    that neither a server nor a killed export ever leaves half a version.

    Args:
        model: a built model.
        path: the base path that a server is given.
        training_metrics: numbers for the model card, or nests of them; "NaN", "Infinity" and
            "-Infinity" stand for those that JSON does not have.
        num_importance: draws over which the served `log_prob_bound` averages, > 0.

    Returns:
        The version directory.

    Raises:
        OSError: when `path` cannot be written.
        TypeError: when `model` is not a GenerativeModel, `num_importance` not an integer, or
            `training_metrics` hold what JSON cannot.
        ValueError: when it has no capability that can be served, `num_importance` is not > 0, or no
            version is free.
    """
    if not isinstance(model, GenerativeModel):
        raise TypeError(expected("a tfgen model", type(model).__name__))
    check_integer("num_importance", num_importance)
    metrics = _plain(training_metrics or {})
    base = Path(path)
    check_writable(base)
    next_version(base)
    model.warn_before_use()
    model.fit_sampler()  # As it is, also while `fit` trains it.
    served = endpoints(model, num_importance)
    with temporary_sibling(base / "version") as unfinished:
        outputs = _save(served, unfinished)
        extra = unfinished / "assets.extra"
        extra.mkdir()
        write_warmup(served, extra / "tf_serving_warmup_requests")
        card = _model_card(model, served, outputs) | {"training_metrics": metrics}
        text = json.dumps(_plain(card), indent=2, allow_nan=False)
        (extra / "model_card.json").write_text(text + "\n")
        return _publish(unfinished, base)


def _save(served: list[Endpoint], path: Path) -> dict[str, dict[str, tf.TensorSpec]]:
    """Writes the SavedModel, and returns the specification of what each signature gives."""
    module = tf.Module()
    module.functions = {
        endpoint.name: tf.function(
            endpoint.function, input_signature=None, autograph=False
        ).get_concrete_function(**endpoint.inputs)
        for endpoint in served
    }
    # Variables held by Keras layers are not found by tf.saved_model.save: the module owns them.
    used = {v.ref(): v for f in module.functions.values() for v in f.graph.variables}
    module.used = [ref.deref() for ref in used]
    signatures = {**module.functions, "serving_default": module.functions[served[0].name]}
    tf.saved_model.save(module, str(path), signatures=signatures)
    return {name: function.structured_outputs for name, function in module.functions.items()}


def _publish(unfinished: Path, base: Path) -> Path:
    """Renames to the next free version; tries the one after when another process was faster."""
    version = next_version(base)
    while True:
        try:
            return unfinished.rename(base / str(version))
        except OSError:
            if not (base / str(version)).exists():
                raise
            version += 1


def _model_card(
    model: GenerativeModel, served: list[Endpoint], outputs: dict[str, dict[str, tf.TensorSpec]]
) -> dict[str, Any]:
    return {
        "model": type(model).__name__,
        "name": model.name,
        "capabilities": sorted(model.capabilities()),
        "event_shape": list(model.event_shape),
        "range": specs.bounds(model.event_spec),
        "signatures": {
            endpoint.name: {
                "inputs": _described(endpoint.inputs, endpoint.ranges),
                "outputs": _described(outputs[endpoint.name], endpoint.ranges),
            }
            for endpoint in served
        },
        "seed_contract": "a row is a function of its own seed alone; the served seed "
        "s + i * 2**32 is row i of sample(num_samples, seed=s)",
        "training_steps": model.training_steps,
        "versions": {
            "tfgen": __version__,
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
        },
    }


def _described(
    batches: dict[str, tf.TensorSpec], ranges: dict[str, tuple[float, float]]
) -> dict[str, Any]:
    """Returns the types, shapes and ranges of inputs or outputs, None where there is no range."""
    return {
        name: {
            "dtype": spec.dtype.name,
            "shape": spec.shape.as_list(),
            "range": ranges.get(name),
        }
        for name, spec in batches.items()
    }


def _plain(value: Any) -> Any:
    """Returns what JSON can say of a nest of numbers and texts, or raises TypeError."""
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, np.ndarray | np.generic | tf.Tensor | tf.Variable):
        return _plain(np.asarray(value).tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if not isinstance(value, str | int | float | None):
        raise TypeError(expected("numbers or texts for the model card", repr(value)))
    return value
