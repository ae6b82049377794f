"""The client against the local server, over REST and gRPC, and against services that go wrong."""

import contextlib
import json
import re
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
import tensorflow as tf

from tests.contract import cases
from tests.serving.bad_server import PNG
from tests.serving.test_client import ask, complaint
from tfgen.serving import LocalServer, export
from tfgen.serving.messages import SERVICE, SIGNATURES_TYPE, message_class

PROTOCOLS = pytest.mark.parametrize("protocol", ["rest", "grpc"])


@pytest.fixture(scope="module")
def model():
    return cases.named("gan_conditional").create()


@pytest.fixture(scope="module")
def server(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("serving")
    export(model, folder)
    with LocalServer("a gan", folder) as started:
        yield started


def flags(server, protocol):
    """Returns the flags that say which server to ask how."""
    kind = ["--grpc"] if protocol == "grpc" else []
    port = server.grpc_port if kind else server.rest_port
    return [f"--port={port}", "--model_name=a gan", "--timeout=600", *kind]


def pixels(directory):
    return [tf.io.decode_png(p.read_bytes()).numpy() for p in sorted(directory.iterdir())]


@PROTOCOLS
@pytest.mark.parametrize(
    "given, labels",
    [
        (["--label=2"], [2] * 8),
        (["--label=2,0,1"], [2, 0, 1]),
        (["--condition=label=1", "--num_samples=2"], [1, 1]),
    ],
)
def test_conditions(server, model, tmp_path, protocol, given, labels):
    done = ask(tmp_path, "--seed=5", *given, *flags(server, protocol))
    assert (done.returncode, done.stderr) == (0, "")
    images = model.sample(len(labels), seed=5, condition=labels)
    np.testing.assert_array_equal(pixels(tmp_path), np.round(images * 255))


WRONG = {
    "another model": (["--model_name=gan", "--label=2"], r"Latest\(gan\)"),
    "another signature": (["--signature=png", "--label=2"], "png.*sample_png|sample_png.*png"),
    "no pictures": (["--signature=sample", "--label=2"], "not base64|without png_bytes"),
    "no label": ([], "label"),
    "an input more": (["--label=2", "--condition=z=1"], "'z'"),
    "no such class": (["--label=3"], r"`label` in \[0, 3\)"),
    "half a class": (["--label=1.5"], "1.5|float"),
    "a list": (["--label=[1, 2]"], "`label` of shape"),
    "a text": (['--label="cat"'], "label.*cat|inputs of types"),
}


@PROTOCOLS
@pytest.mark.parametrize("given, message", WRONG.values(), ids=WRONG)
def test_what_the_server_refuses_is_one_line(server, tmp_path, protocol, given, message):
    line = complaint(ask(tmp_path / "samples", *flags(server, protocol), *given))
    assert re.search(message, line), line
    assert not (tmp_path / "samples").exists()


# Services that go wrong.


def metadata(**inputs):
    """Returns what says that `sample_png` takes these inputs, by their types."""
    described = message_class("SignatureDefMap")()
    for name, dtype in inputs.items():
        described.signature_def["sample_png"].inputs[name].dtype = dtype.as_datatype_enum
    response = message_class("GetModelMetadataResponse")()
    response.metadata["signature_def"].type_url = SIGNATURES_TYPE
    response.metadata["signature_def"].value = described.SerializeToString()
    return response.SerializeToString()


def pictures(*contents, name="png_bytes"):
    response = message_class("PredictResponse")()
    response.outputs[name].CopyFrom(tf.make_tensor_proto(list(contents), tf.string))
    return response.SerializeToString()


SEED = metadata(seed=tf.int64)
LATE = "has not answered within 2 seconds"
BAD_SERVICES = {
    "bytes for metadata": (b"\xff\xff", b"", "answered INTERNAL: the answer is not such a message"),
    "no metadata": (b"", b"", r"a signature of \[\]. Received: sample_png$"),
    "bytes for signatures": (SEED[:-3], b"", "answered INTERNAL: the answer is not such a message"),
    "another input": (metadata(z=tf.int64), b"", r"inputs \['z'\]. Received: \['seed'\]$"),
    "texts": (metadata(seed=tf.string), b"", "inputs of types {'seed': 'string'}. Received: "),
    "silence": (None, b"", LATE),
    "silence in the end": (SEED, None, LATE),
    "an error": (SEED, grpc.StatusCode.INTERNAL, "answered INTERNAL: first second$"),
    "bytes": (SEED, b"\xff\xff", "answered INTERNAL: the answer is not such a message"),
    "no outputs": (SEED, b"", r"without png_bytes, only \[\]"),
    "other outputs": (SEED, pictures(PNG, name="png"), r"without png_bytes, only \['png'\]"),
    "too few": (SEED, pictures(PNG), "answered 1 predictions for 2 samples"),
    "no picture": (SEED, pictures(PNG, b"GIF89a"), "not a whole PNG file as prediction 1"),
    "100 MB": (SEED, pictures(b"x" * (100 << 20)), "RESOURCE_EXHAUSTED"),
}


@contextlib.contextmanager
def service(answers):
    """Yields the port of a service that answers its two methods with bytes, an error or not."""
    ends = threading.Event()

    def answering(answer):
        def behave(request, context):
            if answer is None:
                ends.wait()
            if isinstance(answer, grpc.StatusCode):
                context.abort(answer, "first\nsecond")
            return answer or b""

        return grpc.unary_unary_rpc_method_handler(behave)

    handlers = dict(zip(("GetModelMetadata", "Predict"), map(answering, answers), strict=True))
    options = [("grpc.max_send_message_length", -1)]
    server = grpc.server(ThreadPoolExecutor(2), options=options)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    port = server.add_insecure_port("localhost:0")
    server.start()
    yield port
    ends.set()
    server.stop(None).wait()


@pytest.mark.parametrize("bad", BAD_SERVICES.values(), ids=BAD_SERVICES)
def test_a_bad_service_is_one_line(tmp_path, bad):
    *answers, message = bad
    seconds = 2 if message == LATE else 600
    with service(answers) as port:
        where = ["--grpc", f"--port={port}", f"--timeout={seconds}"]
        line = complaint(ask(tmp_path / "samples", "--num_samples=2", *where))
    assert re.search(message, line), line
    assert not (tmp_path / "samples").exists()


def test_a_service_of_another_protocol_is_one_line(tmp_path):
    def answer(listening):
        with contextlib.suppress(OSError):  # It is closed.
            while True:
                connection, _ = listening.accept()
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" + json.dumps({}).encode())
                connection.close()

    with socket.create_server(("localhost", 0)) as listening:
        threading.Thread(target=answer, args=[listening], daemon=True).start()
        port = listening.getsockname()[1]
        line = complaint(ask(tmp_path / "samples", "--grpc", f"--port={port}", "--timeout=20"))
    assert "UNAVAILABLE" in line or "not answered" in line
