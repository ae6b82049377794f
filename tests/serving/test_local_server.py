"""The local server answers as TensorFlow Serving does, over REST and gRPC."""

import base64
import http.client
import json
import re
import shutil
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
import tensorflow as tf

from tests import programs
from tests.faults import cut
from tests.small_models import COMPLAINT, small_glo
from tfgen.model.inversion import Inversion
from tfgen.serving import Batching, LocalServer, SessionLoader, export, serve
from tfgen.serving.messages import SERVICE, message_class, predict_request
from tfgen.serving.served_model import usual_name

GLO = "/v1/models/glo"
IMAGE = np.full([4, 4, 1], 0.25).tolist()


@pytest.fixture(scope="module")
def model():
    return small_glo(inversion=Inversion(2, 1))


@pytest.fixture(scope="module")
def base(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("serving")
    export(model, folder)
    (folder / "1.bak").mkdir()
    (folder / "²").mkdir()
    return folder


@pytest.fixture(scope="module")
def server(base):
    with LocalServer("glo", base) as started:
        yield started


def call(server, method, path, body=None):
    """Returns the status and the JSON of an answer."""
    connection = http.client.HTTPConnection("localhost", server.rest_port, timeout=600)
    text = body if isinstance(body, str | bytes | None) else json.dumps(body)
    connection.request(method, path, text)
    response = connection.getresponse()
    assert response.getheader("Content-Type") == "application/json"
    answer = response.status, json.loads(response.read())
    connection.close()
    return answer


def predict(server, **request):
    return call(server, "POST", f"{GLO}:predict", request)


# REST.


def test_rows(server, model):
    seeds = [3, 3 + 2**32]
    status, answer = predict(
        server, signature_name="sample", instances=[{"seed": s} for s in seeds]
    )
    images = np.float32(answer["predictions"])
    assert status == 200
    np.testing.assert_allclose(images, model.sample(2, seed=3), rtol=1e-6)
    # The only input has no need of a name; the default is to sample; a version may be named.
    assert predict(server, instances=seeds) == (200, answer)
    path = f"{GLO}/versions/1:predict"
    assert call(server, "POST", path, {"instances": seeds}) == (200, answer)
    assert predict(server, inputs=seeds) == (200, {"outputs": answer["predictions"]})
    assert predict(server, inputs={"seed": seeds}) == (200, {"outputs": answer["predictions"]})


def test_numbers_are_as_short_as_their_type_allows(server):
    _, answer = predict(server, signature_name="decode", instances=[[0, 1, 2]])
    digits = [len(f"{number}") for number in np.ravel(answer["predictions"])]
    assert max(digits) <= 12


def test_several_outputs(server):
    _, rows = predict(server, signature_name="encode", instances=[{"images": IMAGE}] * 2)
    _, columns = predict(server, signature_name="encode", inputs=[IMAGE, IMAGE])
    assert [set(row) for row in rows["predictions"]] == [{"z", "distance"}] * 2
    assert {name: [row[name] for row in rows["predictions"]] for name in ("z", "distance")} == (
        columns["outputs"]
    )


def test_pictures_are_in_base64(server, model):
    _, answer = predict(server, signature_name="sample_png", instances=[{"seed": 7}])
    ((key, text),) = answer["predictions"][0].items()
    assert key == "b64"
    expected = np.round(model.sample(1, seed=7)[0] * 255)
    np.testing.assert_array_equal(tf.io.decode_png(base64.b64decode(text)), expected)


def test_status_and_metadata(server):
    status, answer = call(server, "GET", GLO)
    fine = {"error_code": "OK", "error_message": ""}
    known = {"version": "1", "state": "AVAILABLE", "status": fine}
    assert (status, answer) == (200, {"model_version_status": [known]})
    assert call(server, "GET", f"{GLO}/versions/1") == (status, answer)
    status, answer = call(server, "GET", f"{GLO}/metadata")
    assert answer["model_spec"] == {"name": "glo", "signature_name": "", "version": "1"}
    decode = answer["metadata"]["signature_def"]["signature_def"]["decode"]
    assert decode["method_name"] == "tensorflow/serving/predict"
    z = decode["inputs"]["z"]
    assert z["dtype"] == "DT_FLOAT" and z["name"].startswith("decode_z")
    sizes = [{"size": "-1", "name": ""}, {"size": "3", "name": ""}]
    assert z["tensor_shape"] == {"dim": sizes, "unknown_rank": False}


NAN = [[[float("nan")]] * 4] * 4
INFINITY = float("inf")
REFUSED = {
    "no such model": ("/v1/models/gl:predict", {"instances": [1]}, 404, r"Latest\(gl\)"),
    "no such version": (f"{GLO}/versions/2:predict", {"instances": [1]}, 404, r"ic\(glo, 2\)"),
    "classify": (f"{GLO}:classify", {"examples": []}, 501, "classify is not served"),
    "another path": ("/v2/glo", {}, 400, "Malformed request: POST /v2/glo"),
    "no method": (GLO, {}, 400, "Malformed request: POST /v1/models/glo$"),
    "no signature": ({"signature_name": "x", "instances": [1]}, 400, 'name: "x" not found'),
    "a signature of numbers": ({"signature_name": 3, "instances": [1]}, 400, "`signature_name`"),
    "no JSON": (b"{", 400, "JSON Parse error: "),
    "no UTF-8": (b"\xff", 400, "JSON Parse error: "),
    "too deep": (b"[" * 10**5, 400, "JSON Parse error: "),
    "no body": (b"", 400, "JSON Parse error: "),
    "a list": ([], 400, "Expected a JSON object"),
    "no inputs": ({"instance": [1]}, 400, "keys 'instances' and 'inputs'"),
    "both": ({"instances": [1], "inputs": [1]}, 400, "keys 'instances' and 'inputs'"),
    "no rows": ({"instances": []}, 400, "at least one row"),
    "no list": ({"instances": {"seed": 1}}, 400, "a list of at least one row"),
    "no columns": ({"inputs": {"seed": []}}, 400, "at least one row of `seed`"),
    "another name": ({"instances": [{"sed": 1}]}, 400, r"keys \['seed'\]. Received: \['sed'\]"),
    "some names": ({"instances": [{"seed": 1}, 2]}, 400, "Received: int in row 1"),
    "another column": ({"inputs": {"sed": [1]}}, 400, r"inputs \['seed'\]. Received: \['sed'\]"),
    "half a seed": ({"instances": [1.5]}, 400, "`seed` of type int64. Received: float64"),
    "a text": ({"instances": ["1"]}, 400, '`seed` of type int64. Received: "1"'),
    "a truth": ({"instances": [True]}, 400, "`seed` of type int64. Received: true"),
    "bytes": ({"instances": [{"b64": "AAAA"}]}, 400, "`seed` of type int64. Received: {"),
    "a null": ({"instances": [None]}, 400, "`seed` of type int64. Received: null"),
    "many bits": ({"instances": [2**63]}, 400, "`seed` that int64 can hold"),
    "two axes": ({"instances": [[1]]}, 400, "`seed` of shape"),
    "ragged": ({"signature_name": "decode", "inputs": [[0, 1, 2], [3]]}, 400, "`z`, an array"),
    "NaN": ({"signature_name": "encode", "instances": [NAN]}, 400, r"`images` in \[0, 1\]"),
    "infinity": ({"signature_name": "decode", "inputs": [[0, 0, INFINITY]]}, 400, "`z` to be f"),
}  # fmt: skip


@pytest.mark.parametrize("refused", REFUSED.values(), ids=REFUSED)
def test_refused(server, refused):
    *path, body, status, message = refused
    found, answer = call(server, "POST", path[0] if path else f"{GLO}:predict", body)
    assert found == status and list(answer) == ["error"]
    assert re.search(message, answer["error"]), answer


@pytest.mark.parametrize(
    "path, status", [("/v1/models/x", 404), ("/", 400), (f"{GLO}:predict", 400)]
)
def test_refused_to_be_shown(server, path, status):
    assert call(server, "GET", path)[0] == status


def test_a_connection_carries_requests_after_a_refused_one(server):
    connection = http.client.HTTPConnection("localhost", server.rest_port, timeout=600)
    for body, status in (("{", 400), ('{"instances": [1]}', 200)):
        connection.request("POST", f"{GLO}:predict", body)
        response = connection.getresponse()
        assert response.status == status and response.read()
    connection.close()


@pytest.mark.parametrize("header, status", [("", 411), ("Content-Length: 9999999999", 413),
                                            ("Content-Length: -1", 413)])  # fmt: skip
def test_a_body_of_unknown_or_huge_length_is_not_read(server, header, status):
    with socket.create_connection(("localhost", server.rest_port)) as connection:
        head = f"POST {GLO}:predict HTTP/1.1\r\nHost: x\r\n" + (header and f"{header}\r\n")
        connection.sendall(f"{head}\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(4096), b""))  # Until it hangs up.
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())


# gRPC.


def ask(server, method, request):
    """Returns the response to a message, by the wire format that tfgen describes itself."""
    with grpc.insecure_channel(f"localhost:{server.grpc_port}") as channel:
        call = channel.unary_unary(f"/{SERVICE}/{method}")
        answer = call(request.SerializeToString(), timeout=600)
    return message_class(f"{method}Response").FromString(answer)


def test_predict_over_grpc(server, model):
    seeds = np.array([3, 3 + 2**32])
    response = ask(server, "Predict", predict_request("glo", "", {"seed": seeds}))
    images = tf.make_ndarray(response.outputs["images"])
    np.testing.assert_allclose(images, model.sample(2, seed=3), rtol=1e-6)
    spec = response.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("glo", 1, "serving_default")


def test_outputs_may_be_chosen(server):
    request = predict_request("glo", "encode", {"images": np.float32([IMAGE])})
    request.model_spec.version.value = 1
    assert set(ask(server, "Predict", request).outputs) == {"z", "distance"}
    request.output_filter.append("z")
    assert set(ask(server, "Predict", request).outputs) == {"z"}


def request_with(**changes):
    request = predict_request("glo", "decode", {"z": np.zeros([1, 3], np.float32)})
    for name, value in changes.items():
        target = request.model_spec if name != "output_filter" else request
        if name == "version":
            target.version.value = value
        elif name == "output_filter":
            target.output_filter.append(value)
        elif name == "z":
            request.inputs["z"].CopyFrom(tf.make_tensor_proto(value))
        else:
            setattr(target, name, value)
    return request


def with_other_values():
    request = request_with()
    request.inputs["z"].tensor_content = b"1"
    return request


GRPC_REFUSED = {
    "no such model": (request_with(name="gl"), "NOT_FOUND", r"Latest\(gl\)"),
    "no such version": (request_with(version=7), "NOT_FOUND", r"Specific\(glo, 7\)"),
    "a label": (request_with(version_label="stable"), "UNIMPLEMENTED", "labels"),
    "no signature": (request_with(signature_name="x"), "INVALID_ARGUMENT", 'key "x" not found'),
    "an input more": (predict_request("glo", "sample", {"seed": [1], "z": [1]}),
                      "INVALID_ARGUMENT", r"`seed` of type int64. Received: int32"),
    "no input": (predict_request("glo", "sample", {}), "INVALID_ARGUMENT", r"inputs \['seed'\]"),
    "doubles": (request_with(z=np.zeros([1, 3])), "INVALID_ARGUMENT", "`z` of type float32. Rec"),
    "another shape": (request_with(z=np.float32([[1]])), "INVALID_ARGUMENT", "`z` of shape"),
    "NaN": (request_with(z=np.float32([[np.nan] * 3])), "INVALID_ARGUMENT", "`z` to be finite"),
    "no rows": (request_with(z=np.zeros([0, 3], np.float32)), "INVALID_ARGUMENT", "one row of `z`"),
    "another output": (request_with(output_filter="x"), "INVALID_ARGUMENT", "`output_filter`"),
    "other values": (with_other_values(), "INVALID_ARGUMENT", "`z`, a tensor with the values"),
}  # fmt: skip


@pytest.mark.parametrize("request_, code, message", GRPC_REFUSED.values(), ids=GRPC_REFUSED)
def test_refused_over_grpc(server, request_, code, message):
    with pytest.raises(grpc.RpcError) as error:
        ask(server, "Predict", request_)
    assert error.value.code().name == code and re.search(message, error.value.details())


def test_the_service_of_the_package(server, model):
    """Whose messages and stubs are TensorFlow Serving's own."""
    predict_pb2 = pytest.importorskip("tensorflow_serving.apis.predict_pb2")
    from tensorflow_serving.apis import get_model_metadata_pb2, prediction_service_pb2_grpc

    request = predict_pb2.PredictRequest()
    request.model_spec.name = "glo"
    request.model_spec.signature_name = "sample"
    request.inputs["seed"].CopyFrom(tf.make_tensor_proto([3], tf.int64))
    asked = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    asked.model_spec.name = "glo"
    with grpc.insecure_channel(f"localhost:{server.grpc_port}") as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        response = stub.Predict(request, timeout=600)
        metadata = stub.GetModelMetadata(asked, timeout=600)
    images = tf.make_ndarray(response.outputs["images"])
    np.testing.assert_allclose(images, model.sample(1, seed=3), rtol=1e-6)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert metadata.metadata["signature_def"].Unpack(signatures)
    assert signatures.signature_def["decode"].inputs["z"].dtype == tf.float32.as_datatype_enum


# Requests that come together.


def test_requests_of_both_kinds_are_run_together(base, model, monkeypatch):
    run, sizes = SessionLoader.__call__, []

    def noting(loader, signature, **inputs):
        sizes.append(len(inputs["seed"]))
        return run(loader, signature, **inputs)

    monkeypatch.setattr(SessionLoader, "__call__", noting)
    batching = Batching(max_rows=8, window=3600.0)  # Only a full batch is run.
    with LocalServer("glo", base, batching=batching) as server, ThreadPoolExecutor(4) as pool:
        seeds = [[row << 32, (row + 1) << 32] for row in range(0, 8, 2)]
        rest = [pool.submit(predict, server, instances=pair) for pair in seeds[:2]]
        messages = [predict_request("glo", "", {"seed": np.array(pair)}) for pair in seeds[2:]]
        remote = [pool.submit(ask, server, "Predict", message) for message in messages]
        images = [np.float32(each.result()[1]["predictions"]) for each in rest]
        images += [tf.make_ndarray(each.result().outputs["images"]) for each in remote]
    assert sizes == [8]
    np.testing.assert_allclose(np.concatenate(images), model.sample(8, seed=0), rtol=1e-6)


# Versions.


def test_a_newer_version_is_served_when_it_is_there(base, tmp_path, capsys):
    shutil.copytree(base / "1", tmp_path / "1")
    with LocalServer("glo", tmp_path, grpc_port=None) as server:
        shutil.copytree(base / "1", tmp_path / "copy")
        (tmp_path / "copy").rename(tmp_path / "12")
        assert call(server, "GET", f"{GLO}/versions/12")[0] == 404
        server.model.refresh()
        assert call(server, "GET", f"{GLO}/versions/12")[0] == 200
        assert predict(server, instances=[1])[0] == 200
        shutil.copytree(base / "1", tmp_path / "13")
        cut(tmp_path / "13" / "saved_model.pb", 5000)
        for _ in range(2):
            server.model.refresh()
        assert capsys.readouterr().err.count("glo stays at version 12: Expected a whole Saved") == 1
        assert predict(server, instances=[1])[0] == 200


def test_versions_are_looked_for(base, tmp_path):
    shutil.copytree(base / "1", tmp_path / "1")
    with LocalServer("glo", tmp_path, grpc_port=None, poll_seconds=0.01) as server:
        shutil.copytree(base / "1", tmp_path / "copy")
        (tmp_path / "copy").rename(tmp_path / "2")
        while server.model.version != 2:
            threading.Event().wait(0.01)


def test_what_cannot_be_served(base, server, tmp_path):
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ValueError, match=f"Expected a directory of version.*Received: {path}"):
            LocalServer("glo", path)
    with pytest.raises(ValueError, match="which is one itself"):
        LocalServer("glo", base / "1")
    (tmp_path / "1").mkdir()
    with pytest.raises(ValueError, match=r"saved_model\.pb"):
        LocalServer("glo", tmp_path)
    with pytest.raises(OSError, match="Expected a free port for REST"):
        LocalServer("glo", base, rest_port=server.rest_port)
    with pytest.raises(OSError, match="Expected a free port for gRPC"):
        LocalServer("glo", base, grpc_port=server.grpc_port)
    with pytest.raises(ValueError, match=COMPLAINT):
        LocalServer("glo", base, poll_seconds=0.0)


# Programs.


def test_a_model_is_called_by_its_class(base, tmp_path):
    assert usual_name(base) == "glo"
    for name in (tmp_path, tmp_path / "missing"):
        assert usual_name(name) == "model"


def test_it_says_what_it_is_for(base, capsys, monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr("tfgen.serving.local_server._wait", interrupt)
    serve("glo", base, rest_port=0, grpc_port=0)
    printed = capsys.readouterr().out
    assert "for trying out" in printed and "sample_png" in printed and printed.endswith("Ended.\n")


@pytest.mark.ci
def test_the_program_ends_with_one_line(tmp_path):
    done = programs.run(programs.ROOT / "export" / "serve.py", f"--path={tmp_path}")
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("Expected a directory of version directories")
