"""Writes a model as a version directory that TensorFlow Serving loads."""

import json
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
        training_metrics: numbers for the model card.
        num_importance: draws over which the served `log_prob_bound` averages, > 0.

    Returns:
        The version directory.

    Raises:
        OSError: when `path` cannot be written.
        TypeError: when `model` is not a GenerativeModel, or `num_importance` not an integer.
        ValueError: when it has no capability that can be served, or `num_importance` is not > 0.
    """
    if not isinstance(model, GenerativeModel):
        raise TypeError(expected("a tfgen model", type(model).__name__))
    check_integer("num_importance", num_importance)
    base = Path(path)
    check_writable(base)
    model.fit_sampler()  # As it is, also while `fit` trains it.
    served = endpoints(model, num_importance)
    with temporary_sibling(base / "version") as unfinished:
        outputs = _save(served, unfinished)
        extra = unfinished / "assets.extra"
        extra.mkdir()
        write_warmup(served, extra / "tf_serving_warmup_requests")
        card = _model_card(model, served, training_metrics or {}) | {"outputs": outputs}
        (extra / "model_card.json").write_text(json.dumps(card, indent=2) + "\n")
        return _publish(unfinished, base)


def _save(served: list[Endpoint], path: Path) -> dict[str, dict[str, Any]]:
    """Writes the SavedModel, and returns what each signature gives."""
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
    return {
        name: {key: _described(spec) for key, spec in function.structured_outputs.items()}
        for name, function in module.functions.items()
    }


def _described(spec: tf.TensorSpec) -> dict[str, Any]:
    return {"dtype": spec.dtype.name, "shape": spec.shape.as_list()}


def _publish(unfinished: Path, base: Path) -> Path:
    """Renames to the next free version; tries the one after when another process was faster."""
    versions = [int(child.name) for child in base.iterdir() if child.name.isdigit()]
    version = max(versions, default=0) + 1
    while True:
        try:
            return unfinished.rename(base / str(version))
        except OSError:
            if not (base / str(version)).exists():
                raise
            version += 1


def _model_card(
    model: GenerativeModel, served: list[Endpoint], training_metrics: dict[str, Any]
) -> dict[str, Any]:
    return {
        "model": type(model).__name__,
        "name": model.name,
        "capabilities": sorted(model.capabilities()),
        "event_shape": list(model.event_shape),
        "range": specs.bounds(model.event_spec),
        "signatures": {
            endpoint.name: {name: _described(spec) for name, spec in endpoint.inputs.items()}
            for endpoint in served
        },
        "seed_contract": "a row is a function of its own seed alone; the served seed "
        "s + i * 2**32 is row i of sample(num_samples, seed=s)",
        "condition_ranges": {
            name: specs.bounds(spec) for name, spec in model.condition_specs.items()
        },
        "training_steps": model.training_steps,
        "training_metrics": training_metrics,
        "versions": {
            "tfgen": __version__,
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
        },
    }
