"""Requests and responses of TensorFlow Serving's REST interface: JSON to arrays and back.

Source: https://www.tensorflow.org/tfx/serving/api_rest, "Predict API".
"""

import base64
import binascii
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tfgen.core.checks import expected
from tfgen.serving.batching import Arrays

DEFAULT_SIGNATURE = "serving_default"


def parse(body: bytes) -> dict[str, Any]:
    """Returns the object that the body of a request is.

    Raises:
        ValueError: when it is not an object in JSON.
    """
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"JSON Parse error: {error}") from error
    if not isinstance(request, dict):
        raise ValueError(expected("a JSON object", type(request).__name__))
    return request


def signature_of(request: dict[str, Any]) -> str:
    """Returns the name of the signature that a request asks for."""
    name = request.get("signature_name", DEFAULT_SIGNATURE)
    if not isinstance(name, str):
        raise ValueError(expected("`signature_name`, a text", repr(name)))
    return name or DEFAULT_SIGNATURE


def inputs_of(request: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """Returns the inputs of a request by name, as nested lists; base64 is decoded.

    Args:
        request: with "instances", a list of rows, or "inputs", a column for each name.
        wanted: the TensorInfo of each input of the signature.

    Raises:
        ValueError, TypeError: when it has neither or both, or they are of another form.
    """
    if ("instances" in request) == ("inputs" in request):
        raise ValueError(expected("one of the keys 'instances' and 'inputs'", sorted(request)))
    inputs = _columns(request, wanted)
    return {
        name: _decoded(value, tf.as_dtype(wanted[name].dtype), name) if name in wanted else value
        for name, value in inputs.items()
    }


def _columns(request: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """Returns the value of each input for all rows."""
    if "inputs" in request:
        inputs = request["inputs"]
        return inputs if _is_named(inputs) else {_only(wanted): inputs}
    rows = request["instances"]
    if not isinstance(rows, list) or not rows:
        raise ValueError(expected("`instances`, a list of at least one row", rows))
    if not any(map(_is_named, rows)):
        return {_only(wanted): rows}
    for i, row in enumerate(rows):
        if not _is_named(row) or row.keys() != wanted.keys():
            received = sorted(row) if _is_named(row) else type(row).__name__
            what = f"each of `instances` to be an object with the keys {sorted(wanted)}"
            raise ValueError(expected(what, f"{received} in row {i}"))
    return {name: [row[name] for row in rows] for name in wanted}


def _is_named(value: Any) -> bool:
    """Tells whether a value is an object with names, not one of base64."""
    return isinstance(value, dict) and value.keys() != {"b64"}


def _only(wanted: dict[str, Any]) -> str:
    if len(wanted) != 1:
        raise ValueError(expected(f"values by the names {sorted(wanted)}", "values without names"))
    return next(iter(wanted))


def _decoded(value: Any, dtype: tf.DType, name: str) -> Any:
    """Returns nested lists whose leaves are of the kind of a type."""
    if isinstance(value, list):
        return [_decoded(part, dtype, name) for part in value]
    if dtype == tf.string:
        return _text(value, name)
    if isinstance(value, bool) != (dtype == tf.bool) or not isinstance(value, int | float):
        raise TypeError(expected(f"`{name}` of type {dtype.name}", json.dumps(value)))
    return value


def _text(value: Any, name: str) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if not isinstance(value, dict) or value.keys() != {"b64"}:
        raise TypeError(expected(f"`{name}` of texts, or of base64", json.dumps(value)))
    try:
        return base64.b64decode(value["b64"], validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise ValueError(expected(f"`{name}` in base64", json.dumps(value))) from error


def response(request: dict[str, Any], outputs: Arrays) -> dict[str, Any]:
    """Returns the response to a request, in rows or columns as it was.

    Bytes are in base64 where the name of the output ends with "_bytes", and text elsewhere.

    Args:
        request: as it was parsed.
        outputs: arrays by name.
    """
    plain = {name: _plain(value, name) for name, value in outputs.items()}
    if "inputs" in request:
        return {"outputs": plain if len(plain) > 1 else next(iter(plain.values()))}
    if len(plain) == 1:
        return {"predictions": next(iter(plain.values()))}
    return {"predictions": list(_rows(plain))}


def _rows(columns: dict[str, list]) -> Iterator[dict[str, Any]]:
    for values in zip(*columns.values(), strict=True):
        yield dict(zip(columns, values, strict=True))


def _plain(value: np.ndarray, name: str) -> Any:
    """Returns an array as nested lists; numbers have as many digits as their type needs."""
    if value.dtype == np.float32:
        return value.astype("U16").astype(np.float64).tolist()
    listed = value.tolist()
    return _texts(listed, name.endswith("_bytes")) if value.dtype == object else listed


def _texts(value: Any, are_bytes: bool) -> Any:
    if isinstance(value, list):
        return [_texts(part, are_bytes) for part in value]
    if are_bytes:
        return {"b64": base64.b64encode(value).decode()}
    return value.decode(errors="replace")


def described(signatures: dict[str, Any]) -> dict[str, Any]:
    """Returns the metadata of signatures, as TensorFlow Serving words it.

    Args:
        signatures: the SignatureDef of each, by name.
    """
    return {
        name: {
            "inputs": {key: _tensor(info) for key, info in signature.inputs.items()},
            "outputs": {key: _tensor(info) for key, info in signature.outputs.items()},
            "method_name": signature.method_name,
        }
        for name, signature in signatures.items()
    }


def _tensor(info: Any) -> dict[str, Any]:
    shape, types = info.tensor_shape, info.DESCRIPTOR.fields_by_name["dtype"].enum_type
    return {
        "dtype": types.values_by_number[info.dtype].name,
        "tensor_shape": {
            "dim": [{"size": str(dim.size), "name": dim.name} for dim in shape.dim],
            "unknown_rank": shape.unknown_rank,
        },
        "name": info.name,
    }
