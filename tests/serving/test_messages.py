"""Messages of the prediction service against bytes worked out by hand."""

import numpy as np
import tensorflow as tf

from tests.small_models import small_glo
from tfgen.serving import endpoints
from tfgen.serving.messages import message_class, predict_request
from tfgen.serving.warmup import write_warmup


def test_wire_format_of_the_model_specification():
    # Field 1 is the model specification; in it, field 1 is the name and field 3 the signature.
    specification = b"\x0a\x01m\x1a\x06sample"
    expected = b"\x0a" + bytes([len(specification)]) + specification
    assert predict_request("m", "sample", {}).SerializeToString() == expected


def test_wire_format_of_an_input():
    request = predict_request("m", "s", {"z": np.array([7], np.int64)})
    tensor = tf.make_tensor_proto(np.array([7], np.int64)).SerializeToString()
    # An entry of the map, field 2 of the request: field 1 is the key, field 2 the value.
    entry = b"\x0a\x01z\x12" + bytes([len(tensor)]) + tensor
    assert request.SerializeToString().endswith(b"\x12" + bytes([len(entry)]) + entry)


def test_wire_format_of_a_log():
    log = message_class("PredictionLog")()
    log.predict_log.request.CopyFrom(predict_request("m", "s", {}))
    specification = b"\x0a\x01m\x1a\x01s"
    request = b"\x0a\x06" + specification
    predict_log = b"\x0a\x08" + request
    assert log.SerializeToString() == b"\x32\x0a" + predict_log


def test_messages_return():
    request = predict_request("m", "s", {"a": np.eye(2, dtype=np.float32), "b": np.array([b"x"])})
    again = message_class("PredictRequest").FromString(request.SerializeToString())
    assert (again.model_spec.name, again.model_spec.signature_name) == ("m", "s")
    assert tf.make_ndarray(again.inputs["a"]).tolist() == [[1, 0], [0, 1]]
    assert tf.make_ndarray(again.inputs["b"]).tolist() == [b"x"]


def test_warmup_has_one_request_a_signature_that_is_quick(tmp_path):
    served = endpoints(small_glo())
    write_warmup(served, tmp_path / "requests", model_name="glo")
    slow = [endpoint.name for endpoint in served if not endpoint.warms_up]
    assert slow == ["encode", "reconstruct"]  # A search of many steps.
    served = [endpoint for endpoint in served if endpoint.warms_up]
    requests = []
    for record in tf.data.TFRecordDataset(str(tmp_path / "requests")):
        log = message_class("PredictionLog").FromString(record.numpy())
        requests.append(log.predict_log.request)
    assert [r.model_spec.signature_name for r in requests] == [e.name for e in served]
    assert {r.model_spec.name for r in requests} == {"glo"}
    for request, endpoint in zip(requests, served, strict=True):
        for name, value in endpoint.example.items():
            np.testing.assert_array_equal(tf.make_ndarray(request.inputs[name]), value)
