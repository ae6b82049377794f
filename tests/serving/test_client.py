"""The client ends with one line, and writes nothing, whatever a server answers."""

import gzip
import json
import re
import socket

import pytest

from tests import programs
from tests.serving.bad_server import (
    PNG,
    answer,
    bad_server,
    dripping,
    flooding,
    pictures,
    prediction,
    predictions,
    resetting,
    silent,
)

CLIENT = programs.ROOT / "export" / "client.py"
OK = b"HTTP/1.1 200 OK\r\n"
MANY = OK + b"Content-Length: 100000\r\n\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
HTML = "<html><head><style>p {color: red}</style></head>\n<body>\n<p>Bad\tgateway</p></body></html>"

LATE = "has not answered within 1 seconds"
NO_HTTP = "does not speak HTTP: "
UNREACHED = "could not be reached: "
NO_JSON = "answered with what is not JSON: "
NO_LIST = "answered without a list of predictions: "
NO_BASE64 = "answered with what is not base64 as prediction 1$"
NO_PNG = "answered with what is not a whole PNG file as prediction 1$"

BAD = {
    # The connection.
    "reset": (resetting(b""), UNREACHED),
    "reset in the body": (resetting(MANY + b"{"), UNREACHED),
    "closed": (b"", UNREACHED),
    "closed in the head": (b"HTTP/1.1 200 OK\r\nContent-", "answered "),
    "closed in the body": (MANY + b'{"predictions": [', f"{NO_JSON}{{"),
    "silent": (silent, LATE),
    "a dripping head": (dripping(OK, b"A: b\r\n"), f"{LATE}|{NO_HTTP}"),
    "a dripping line": (dripping(OK, b"x"), LATE),
    "a dripping body": (dripping(MANY, b" "), LATE),
    "a body without end": (dripping(OK + b"\r\n", b" "), LATE),
    "dripping chunks": (dripping(CHUNKED, b"1\r\n \r\n"), LATE),
    "go on": (dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), LATE),
    "600 MB": (flooding(OK + b"Content-Length: 629145600\r\n\r\n", 600 << 20), "than 64 MiB"),
    "600 MB without a length": (flooding(OK + b"\r\n", 600 << 20), "than 64 MiB"),
    "a line of 600 MB": (flooding(OK + b"A: ", 600 << 20), NO_HTTP),
    # HTTP.
    "another protocol": (b"SSH-2.0-OpenSSH_9.6\r\n", NO_HTTP),
    "random bytes": (bytes(range(256)), NO_HTTP),
    "no status": (b"HTTP/1.1 abc\r\n\r\n", NO_HTTP),
    "many headers": (OK + b"A: b\r\n" * 200 + b"\r\n", NO_HTTP),
    "bad chunks": (CHUNKED + b"zz\r\n\r\n", NO_HTTP),
    "closed between chunks": (CHUNKED + b"5\r\n12345\r\n", f"{NO_HTTP}|{NO_JSON}"),
    "no such model": (answer('{"error": "Servable not found"}', "404 Not Found"),
                      "answered 404 Not Found: Servable not found$"),
    "no such signature": (answer('{"error": "no\\nsignature"}', "400 Bad Request"),
                          "answered 400 Bad Request: no signature$"),
    "an error in HTML": (answer(HTML, "502 Bad Gateway"),
                         "answered 502 Bad Gateway: Bad gateway$"),
    "an error without a word": (answer("", "503 Service Unavailable"),
                                r"answered 503 Service Unavailable: \(nothing\)$"),
    "an error in bytes": (answer(bytes(range(256)), "500 Internal"), "answered 500 Internal: "),
    "an error in colours": (answer('{"error": "\\u001b[31mred"}', "500 No"), r"500 No: \[31mred$"),
    "an error of a megabyte": (answer("x" * 2**20, "500 No"), r"500 No: x+\.\.\.$"),
    "an error that is a list": (answer("[]", "500 No"), r"500 No: \[\]$"),
    "a redirection to itself": (answer("", "302 Found", "Location: /\r\n"), "answered 302 Found"),
    "a redirection to a file": (answer("", "301 Moved", "Location: file:///etc/passwd\r\n"),
                                "answered 301 Moved"),
    "a password": (answer("", "401 Unauthorized"), "answered 401 Unauthorized"),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", "answered 204 No Content"),
    # JSON.
    "a page": (answer(HTML), f"{NO_JSON}Bad gateway"),
    "nothing": (answer(""), rf"{NO_JSON}\(nothing\)$"),
    "half of it": (answer('{"predictions": [{"b64": "iVB'), NO_JSON),
    "no text": (answer(b"\xff\xfe\x00"), NO_JSON),
    "compressed": (answer(gzip.compress(b"{}"), headers="Content-Encoding: gzip\r\n"), NO_JSON),
    "very deep": (answer("[" * 200_000), NO_JSON),
    "a number of 5000 digits": (answer("1" * 5000), NO_JSON),
    "a list": (answer("[]"), NO_LIST),
    "null": (answer("null"), NO_LIST),
    "an error that is fine": (answer('{"error": "overloaded"}'), f"{NO_LIST}overloaded$"),
    "columns": (answer(json.dumps({"outputs": [prediction()] * 2})), NO_LIST),
    "predictions by name": (answer('{"predictions": {"png_bytes": []}}'), NO_LIST),
    # Predictions.
    "none": (predictions(), "answered 0 predictions for 2 samples$"),
    "one": (predictions(prediction()), "answered 1 predictions for 2 samples$"),
    "three": (predictions(*[prediction()] * 3), "answered 3 predictions for 2 samples$"),
    "text": (predictions(prediction(), "iVBO"), NO_BASE64),
    "a null": (predictions(prediction(), None), NO_BASE64),
    "numbers": (predictions(prediction(), [0.5]), NO_BASE64),
    "another key": (predictions(prediction(), {"png": ""}), NO_BASE64),
    "a number for base64": (predictions(prediction(), {"b64": 5}), NO_BASE64),
    "bad base64": (predictions(prediction(), {"b64": "abc$"}), NO_BASE64),
    "letters beyond ASCII": (predictions(prediction(), {"b64": "\u00e9\u00e9\u00e9="}), NO_BASE64),
    "no bytes": (pictures(b""), NO_PNG),
    "a JPEG": (pictures(b"\xff\xd8\xff\xe0" + bytes(100)), NO_PNG),
    "a page for a picture": (pictures(HTML.encode()), NO_PNG),
    "a signature alone": (pictures(PNG[:8]), NO_PNG),
    "a picture that is cut": (pictures(PNG[:-13]), NO_PNG),
    "a picture that is cut in its end": (pictures(PNG[:-1]), NO_PNG),
    "a changed bit": (pictures(PNG[:40] + bytes([PNG[40] ^ 1]) + PNG[41:]), NO_PNG),
    "more behind the picture": (pictures(PNG + b"\0"), NO_PNG),
    "an end alone": (pictures(PNG[:8] + PNG[-12:]), NO_PNG),
}  # fmt: skip


@pytest.fixture(scope="module")
def port():
    behaviours = {name: behave for name, (behave, _) in BAD.items()}
    with bad_server(behaviours | {"good": predictions(prediction(), prediction())}) as number:
        yield number


def ask(directory, *arguments):
    """Runs the client; returns its exit status and what it printed."""
    return programs.run(CLIENT, f"--directory={directory}", *arguments)


def complaint(done):
    """Returns the one line that the client says when it fails."""
    assert done.returncode == 1 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert len(line) <= 300
    return line


@pytest.mark.parametrize("name, message", [(n, m) for n, (_, m) in BAD.items()], ids=BAD)
def test_a_bad_answer_is_one_line(port, tmp_path, name, message):
    directory = tmp_path / "samples"
    seconds = 1 if LATE in message else 60
    where = (f"--port={port}", f"--model_name={name}", f"--timeout={seconds}")
    line = complaint(ask(directory, "--num_samples=2", *where))
    assert line.startswith(f"{name} at localhost:{port} ")
    assert re.search(message, line), line
    assert not directory.exists()


def test_a_good_answer_is_written(port, tmp_path):
    done = ask(tmp_path, f"--port={port}", "--num_samples=2", "--model_name=good")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"wrote 2 samples to {tmp_path}/\n"
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["sample_0000.png", "sample_0001.png"]
    assert (tmp_path / "sample_0001.png").read_bytes() == PNG


def test_nobody_listens(tmp_path):
    with socket.create_server(("localhost", 0)) as free:
        port = free.getsockname()[1]
    for extra in ((), ("--grpc",)):
        line = complaint(ask(tmp_path / "samples", f"--port={port}", *extra))
        assert line.startswith(f"glann at localhost:{port} ")
        assert "could not be reached" in line or "UNAVAILABLE" in line
    assert not (tmp_path / "samples").exists()


def test_no_such_host(tmp_path):
    line = complaint(ask(tmp_path / "samples", f"--host={'a' * 70}.invalid", "--timeout=30"))
    assert "could not be reached" in line or "not answered" in line


@pytest.mark.parametrize("earlier", [False, True])
def test_what_cannot_be_written_is_one_line(port, tmp_path, earlier):
    """And leaves the samples of an earlier call as they were."""
    directory = tmp_path / "samples"
    if earlier:  # A directory in the place of the second picture.
        (directory / "sample_0001.png" / "x").mkdir(parents=True)
    else:
        directory.write_text("")
    done = ask(directory, f"--port={port}", "--num_samples=2", "--model_name=good")
    assert f"{directory} cannot be written: " in complaint(done)
    if earlier:
        assert not [p for p in directory.iterdir() if p.name.startswith(".")]


FLAGS = {
    "no number": (["--label=three"], "Received: label=three$"),
    "no value": (["--label="], "Received: label=$"),
    "NaN": (["--condition=z=NaN"], "Received: z=NaN$"),
    "no name": (["--condition=3"], "name=value, each once. Received: 3$"),
    "a name twice": (["--label=3", "--condition=label=4"], "each once. Received: label=3$"),
    "the seed": (["--condition=seed=4"], "each once. Received: seed=4$"),
    "two for three": (["--label=3,5", "--num_samples=3"],
                      "one value of label, or one for each of 3 samples. Received: 2$"),
    "two and three": (["--label=3,5", "--condition=z=1,2,3"],
                      "one value of label, or one for each of 3 samples. Received: 2$"),
    "no flag": (["3"], r"Expected flags only. Received: \['3'\]$"),
}  # fmt: skip


@pytest.mark.parametrize("flags, message", FLAGS.values(), ids=FLAGS)
def test_wrong_conditions_are_one_line(tmp_path, flags, message):
    assert re.search(message, complaint(ask(tmp_path / "samples", *flags)))
    assert not (tmp_path / "samples").exists()


@pytest.mark.parametrize("flag", ["--timeout=0", "--timeout=nan", "--timeout=inf", "--port=70000"])
def test_numbers_out_of_range_are_refused(tmp_path, flag):
    done = ask(tmp_path / "samples", flag)
    assert done.returncode == 1 and flag[2:6] in done.stderr and "Traceback" not in done.stderr
