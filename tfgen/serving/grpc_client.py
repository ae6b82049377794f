"""One prediction asked of TensorFlow Serving over gRPC, in plain lists."""

import time
from typing import Any

import grpc
import tensorflow as tf
from google.protobuf.message import DecodeError

from tfgen.core.checks import expected
from tfgen.serving.messages import SERVICE, message_class, predict_request
from tfgen.serving.served_model import RequestError


def predict(
    address: str,
    model_name: str,
    signature: str,
    inputs: dict[str, list],
    timeout: float,
    max_bytes: int,
) -> Any:
    """Returns the PredictResponse of a server, which is asked first for the types of its inputs.

    Args:
        address: "host:port".
        model_name, signature: by which the server knows them.
        inputs: by name, lists [batch, ...].
        timeout: seconds in which all is to be answered.
        max_bytes: of an answer.

    Raises:
        RequestError: with the code of the server, or with that of what it would not take.
    """
    deadline = time.monotonic() + timeout

    def call(method: str, request: Any) -> Any:
        remote = channel.unary_unary(f"/{SERVICE}/{method}")
        answer = remote(request.SerializeToString(), timeout=deadline - time.monotonic())
        return message_class(f"{method}Response").FromString(answer)

    asked = message_class("GetModelMetadataRequest")(metadata_field=["signature_def"])
    asked.model_spec.name = model_name
    options = [("grpc.max_receive_message_length", max_bytes)]
    try:
        with grpc.insecure_channel(address, options) as channel:
            described = call("GetModelMetadata", asked).metadata["signature_def"].value
            signatures = message_class("SignatureDefMap").FromString(described).signature_def
            tensors = _tensors(inputs, signature, dict(signatures))
            return call("Predict", predict_request(model_name, signature, tensors))
    except grpc.RpcError as error:
        raise RequestError(error.code().name, error.details()) from error
    except DecodeError as error:
        raise RequestError("INTERNAL", f"the answer is not such a message: {error}") from error


def _tensors(inputs: dict[str, list], name: str, signatures: dict[str, Any]) -> dict[str, Any]:
    """Returns inputs as tensors of the types that a signature takes."""
    if name not in signatures:
        raise _refused(f"a signature of {sorted(signatures)}", name)
    wanted = signatures[name].inputs
    if inputs.keys() != set(wanted):
        raise _refused(f"inputs {sorted(wanted)}", sorted(inputs))
    try:
        return {key: tf.constant(rows, wanted[key].dtype) for key, rows in inputs.items()}
    except (TypeError, ValueError) as error:
        types = {key: tf.as_dtype(info.dtype).name for key, info in wanted.items()}
        raise _refused(f"inputs of types {types}", error) from error


def _refused(what: str, received: Any) -> RequestError:
    return RequestError("INVALID_ARGUMENT", expected(what, received))
