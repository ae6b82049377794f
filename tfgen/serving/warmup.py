"""Warm-up requests: a TFRecord of PredictionLog messages, which a server replays when it loads."""

from pathlib import Path

import tensorflow as tf

from tfgen.serving.endpoints import Endpoint
from tfgen.serving.messages import message_class, predict_request


def write_warmup(served: list[Endpoint], path: Path, model_name: str = "default") -> None:
    """Writes one request of one row for each signature that is quick to answer.

    Args:
        served: the signatures.
        path: of the file, `assets.extra/tf_serving_warmup_requests` in a version directory.
        model_name: in the requests; a server puts its own in its place.

    Raises:
        tf.errors.OpError: when the file cannot be written.
    """
    with tf.io.TFRecordWriter(str(path)) as writer:
        for endpoint in (e for e in served if e.warms_up):
            log = message_class("PredictionLog")()
            request = predict_request(model_name, endpoint.name, endpoint.example)
            log.predict_log.request.CopyFrom(request)
            writer.write(log.SerializeToString())
