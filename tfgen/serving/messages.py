"""The messages of TensorFlow Serving's prediction service, as far as they are needed here.

The package tensorflow-serving-api would bring them, and pins TensorFlow's version. The wire format
of protocol buffers knows field numbers only, so the few messages are described here instead.

Source: tensorflow_serving/apis/model.proto, predict.proto and prediction_log.proto,
    https://github.com/tensorflow/serving.
"""

import functools
from typing import Any

import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE = "tfgen.serving"
_TENSOR = tf.make_tensor_proto(0).DESCRIPTOR
_FIELD = descriptor_pb2.FieldDescriptorProto

# Message -> field -> (number, kind); a kind is "string", "tensors" (a map by name), or a message.
_MESSAGES = {
    "ModelSpec": {"name": (1, "string"), "signature_name": (3, "string")},
    "PredictRequest": {"model_spec": (1, "ModelSpec"), "inputs": (2, "tensors")},
    "PredictResponse": {"outputs": (1, "tensors"), "model_spec": (2, "ModelSpec")},
    "PredictLog": {"request": (1, "PredictRequest")},
    "PredictionLog": {"predict_log": (6, "PredictLog")},
}


@functools.cache
def message_class(name: str) -> type:
    """Returns the class of a message: "PredictRequest", "PredictResponse", "PredictionLog", ..."""
    return message_factory.GetMessageClass(_file().message_types_by_name[name])


def predict_request(model_name: str, signature: str, inputs: dict[str, Any]) -> Any:
    """Returns a PredictRequest, what a server's `Predict` takes.

    Args:
        model_name: of the model on the server.
        signature: name of the signature to run.
        inputs: its inputs by name, tensors or arrays [batch, ...].
    """
    request = message_class("PredictRequest")()
    request.model_spec.name = model_name
    request.model_spec.signature_name = signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request


@functools.cache
def _file() -> Any:
    described = descriptor_pb2.FileDescriptorProto(
        name="tfgen/serving.proto", package=_PACKAGE, syntax="proto3"
    )
    described.dependency.append(_TENSOR.file.name)
    for name, fields in _MESSAGES.items():
        message = described.message_type.add(name=name)
        for field_name, (number, kind) in fields.items():
            _add_field(message, field_name, number, kind)
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(described.SerializeToString())
    return pool.FindFileByName(described.name)


def _add_field(message: Any, name: str, number: int, kind: str) -> None:
    if kind == "string":
        message.field.add(
            name=name, number=number, type=_FIELD.TYPE_STRING, label=_FIELD.LABEL_OPTIONAL
        )
        return
    if kind == "tensors":
        entry = message.nested_type.add(name=f"{name.capitalize()}Entry")
        entry.options.map_entry = True
        _add_field(entry, "key", 1, "string")
        _add_message(entry, "value", 2, f".{_TENSOR.full_name}", repeated=False)
        _add_message(message, name, number, f".{_PACKAGE}.{message.name}.{entry.name}", True)
    else:
        _add_message(message, name, number, f".{_PACKAGE}.{kind}", repeated=False)


def _add_message(message: Any, name: str, number: int, type_name: str, repeated: bool) -> None:
    label = _FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL
    message.field.add(
        name=name, number=number, type=_FIELD.TYPE_MESSAGE, type_name=type_name, label=label
    )
