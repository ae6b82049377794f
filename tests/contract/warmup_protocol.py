"""The requests in a warm-up file, read from the wire format of protocol buffers by hand.

Field numbers are those of tensorflow_serving/apis: prediction_log.proto, predict.proto and
model.proto.
"""

import os
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

LENGTH_DELIMITED = 2


class Request(NamedTuple):
    """One request: the model, the signature and the inputs."""

    model: str
    signature: str
    inputs: dict[str, np.ndarray]


def read_requests(path: str | os.PathLike) -> list[Request]:
    """Returns the requests of a TFRecord of PredictionLog."""
    records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    return [_request(record) for record in records]


def _request(log: bytes) -> Request:
    predict_log = _only(log, 6)
    request = _only(predict_log, 1)
    spec = _only(request, 1)
    entries = [(_only(entry, 1).decode(), _only(entry, 2)) for entry in _all(request, 2)]
    inputs = {
        name: tf.make_ndarray(tensor_pb2.TensorProto.FromString(tensor)) for name, tensor in entries
    }
    return Request(_only(spec, 1).decode(), _only(spec, 3).decode(), inputs)


def _only(message: bytes, number: int) -> bytes:
    (payload,) = _all(message, number)
    return payload


def _all(message: bytes, number: int) -> list[bytes]:
    return [payload for field, payload in _fields(message) if field == number]


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yields the number and the payload of each field; all of them have a length."""
    while message:
        key, message = _varint(message)
        assert key & 7 == LENGTH_DELIMITED
        length, message = _varint(message)
        yield key >> 3, message[:length]
        message = message[length:]


def _varint(message: bytes) -> tuple[int, bytes]:
    """Returns a number, seven bits a byte and the least first, and what follows it."""
    value = 0
    for i, byte in enumerate(message):
        value |= (byte & 0x7F) << 7 * i
        if byte < 0x80:
            return value, message[i + 1 :]
    raise ValueError("a number without an end")
