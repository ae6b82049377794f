"""The messages of TensorFlow Serving's prediction service, as far as they are needed here.

The package tensorflow-serving-api brings them, too, with one version of TensorFlow. The wire format
of protocol buffers knows field numbers only, so the few messages are described here instead, and
either side may use the package.

Source: tensorflow_serving/apis/model.proto, predict.proto, get_model_metadata.proto and
    prediction_log.proto, https://github.com/tensorflow/serving.
"""

import functools
from typing import Any

import tensorflow as tf
from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2

SERVICE = "tensorflow.serving.PredictionService"
"""The name of the service; its methods are `Predict` and `GetModelMetadata`."""

SIGNATURES_TYPE = "type.googleapis.com/tensorflow.serving.SignatureDefMap"
"""What the metadata "signature_def" is said to be, a `SignatureDefMap`."""

_PACKAGE = "tfgen.serving"
_FIELD = descriptor_pb2.FieldDescriptorProto
_OTHERS = {
    "tensor": tf.make_tensor_proto(0).DESCRIPTOR,
    "signature": tf.compat.v1.MetaGraphDef.SignatureDefEntry.DESCRIPTOR.fields_by_name[
        "value"
    ].message_type,
    "any": any_pb2.Any.DESCRIPTOR,
    "int64": wrappers_pb2.Int64Value.DESCRIPTOR,
}
"""Messages that others describe, by what they are called below."""

# Message -> field -> (number, kind); a kind is "string", a message, "map KIND" by name, or
# "list KIND".
_MESSAGES = {
    "ModelSpec": {"name": (1, "string"), "version": (2, "int64"), "signature_name": (3, "string"),
                  "version_label": (4, "string")},
    "PredictRequest": {"model_spec": (1, "ModelSpec"), "inputs": (2, "map tensor"),
                       "output_filter": (3, "list string")},
    "PredictResponse": {"outputs": (1, "map tensor"), "model_spec": (2, "ModelSpec")},
    "PredictLog": {"request": (1, "PredictRequest")},
    "PredictionLog": {"predict_log": (6, "PredictLog")},
    "GetModelMetadataRequest": {"model_spec": (1, "ModelSpec"),
                                "metadata_field": (2, "list string")},
    "GetModelMetadataResponse": {"model_spec": (1, "ModelSpec"), "metadata": (2, "map any")},
    "SignatureDefMap": {"signature_def": (1, "map signature")},
}  # fmt: skip


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
    described.dependency.extend(sorted({other.file.name for other in _OTHERS.values()}))
    for name, fields in _MESSAGES.items():
        message = described.message_type.add(name=name)
        for field_name, (number, kind) in fields.items():
            _add_field(message, field_name, number, kind)
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(described.SerializeToString())
    return pool.FindFileByName(described.name)


def _add_field(message: Any, name: str, number: int, kind: str) -> None:
    """Adds a field of a kind to the description of a message."""
    many, _, one = kind.rpartition(" ")
    field = message.field.add(name=name, number=number)
    field.label = _FIELD.LABEL_REPEATED if many else _FIELD.LABEL_OPTIONAL
    if many == "map":
        entry = message.nested_type.add(
            name="".join(map(str.capitalize, name.split("_"))) + "Entry"
        )
        entry.options.map_entry = True
        _add_field(entry, "key", 1, "string")
        _add_field(entry, "value", 2, one)
        one = f"{message.name}.{entry.name}"
    if one == "string":
        field.type = _FIELD.TYPE_STRING
    else:
        field.type = _FIELD.TYPE_MESSAGE
        other = _OTHERS.get(one)
        field.type_name = f".{other.full_name}" if other else f".{_PACKAGE}.{one}"
