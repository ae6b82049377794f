"""TensorFlow Serving's prediction service over gRPC, to one model."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import tensorflow as tf

from tfgen.core.checks import expected
from tfgen.serving.messages import SERVICE, SIGNATURES_TYPE, message_class
from tfgen.serving.rest import LARGEST_MESSAGE
from tfgen.serving.rest_format import DEFAULT_SIGNATURE
from tfgen.serving.served_model import RequestError, ServedModel

_THREADS = 32
"""How many requests may wait for each other to be joined."""


def start(model: ServedModel, address: str) -> tuple[Any, int]:
    """Returns a gRPC server that has started, and its port.

    Args:
        model: that is asked for.
        address: "host:port"; port 0 is any free one.

    Raises:
        OSError: when the port is not free.
    """
    import grpc

    options = [
        ("grpc.so_reuseport", 0),  # Two servers would share the port, and the requests.
        ("grpc.max_receive_message_length", LARGEST_MESSAGE),
        ("grpc.max_send_message_length", -1),
    ]
    server = grpc.server(ThreadPoolExecutor(_THREADS), options=options)
    methods = {"Predict": _predict, "GetModelMetadata": _metadata}
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(
            _answering(method, model),
            request_deserializer=message_class(f"{name}Request").FromString,
            response_serializer=lambda response: response.SerializeToString(),
        )
        for name, method in methods.items()
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    try:
        port = server.add_insecure_port(address)
    except RuntimeError as error:
        raise OSError(expected("a free port for gRPC", address)) from error
    server.start()
    return server, port


def _answering(method: Callable[[ServedModel, Any], Any], model: ServedModel) -> Callable:
    """Returns what gRPC calls, which turns errors into status codes."""
    import grpc

    def answer(request: Any, context: Any) -> Any:
        try:
            return method(model, request)
        except RequestError as error:
            return context.abort(grpc.StatusCode[error.code], str(error))

    return answer


def _predict(model: ServedModel, request: Any) -> Any:
    """Returns the response to a PredictRequest."""
    spec = request.model_spec
    signatures, version = _signatures(model, spec)
    name = spec.signature_name or DEFAULT_SIGNATURE
    if name not in signatures:
        message = f'Serving signature key "{name}" not found; there are {sorted(signatures)}'
        raise RequestError("INVALID_ARGUMENT", message)
    wanted = signatures[name].inputs
    inputs = {key: _array(value, wanted.get(key), key) for key, value in request.inputs.items()}
    outputs = model.predict(spec.name, version, name, inputs)
    if unknown := sorted(set(request.output_filter) - set(outputs)):
        message = expected(f"an `output_filter` of outputs among {sorted(outputs)}", unknown)
        raise RequestError("INVALID_ARGUMENT", message)
    response = message_class("PredictResponse")()
    _set_spec(response.model_spec, model, name)
    for key in request.output_filter or outputs:
        response.outputs[key].CopyFrom(tf.make_tensor_proto(outputs[key]))
    return response


def _metadata(model: ServedModel, request: Any) -> Any:
    """Returns the response to a GetModelMetadataRequest."""
    signatures, _ = _signatures(model, request.model_spec)
    if list(request.metadata_field) != ["signature_def"]:
        message = expected("`metadata_field`, signature_def alone", list(request.metadata_field))
        raise RequestError("INVALID_ARGUMENT", message)
    described = message_class("SignatureDefMap")()
    for name, signature in signatures.items():
        described.signature_def[name].CopyFrom(signature)
    response = message_class("GetModelMetadataResponse")()
    _set_spec(response.model_spec, model, "")
    response.metadata["signature_def"].type_url = SIGNATURES_TYPE
    response.metadata["signature_def"].value = described.SerializeToString()
    return response


def _signatures(model: ServedModel, spec: Any) -> tuple[dict[str, Any], int | None]:
    """Returns the signatures of the model that a request asks for, and the version it names."""
    if spec.version_label:
        raise RequestError("UNIMPLEMENTED", "labels of versions are not served, numbers are")
    version = spec.version.value if spec.HasField("version") else None
    return model.signatures(spec.name, version), version


def _set_spec(spec: Any, model: ServedModel, signature: str) -> None:
    spec.name = model.name
    spec.version.value = model.version
    spec.signature_name = signature


def _array(tensor: Any, wanted: Any, name: str) -> np.ndarray:
    """Returns the array of an input; its type must be that of the signature, as for a server."""
    if wanted is not None and tensor.dtype != wanted.dtype:
        try:
            received = tf.as_dtype(tensor.dtype).name
        except TypeError:
            received = f"type {tensor.dtype}"
        message = expected(f"`{name}` of type {tf.as_dtype(wanted.dtype).name}", received)
        raise RequestError("INVALID_ARGUMENT", message)
    try:
        return tf.make_ndarray(tensor)
    except (TypeError, ValueError) as error:
        message = expected(f"`{name}`, a tensor with the values of its shape", error)
        raise RequestError("INVALID_ARGUMENT", message) from error
