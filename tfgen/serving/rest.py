"""TensorFlow Serving's REST interface to one model, over HTTP from Python's own library."""

import json
import re
import sys
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from tfgen.core.checks import expected
from tfgen.serving import rest_format
from tfgen.serving.served_model import RequestError, ServedModel

LARGEST_MESSAGE = 256 * 2**20
"""Bytes of a request."""

_LENGTH = f"a Content-Length of at most {LARGEST_MESSAGE} bytes"

_PATH = re.compile(
    r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>[0-9]+))?"
    r"(?::(?P<method>\w+)|/(?P<what>metadata))?"
)
_STATUS = {
    "INVALID_ARGUMENT": 400,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNIMPLEMENTED": 501,
}
"""The HTTP status of each canonical code, as TensorFlow Serving answers it."""


class RestServer(ThreadingHTTPServer):
    """Answers each connection in a thread of its own.

    Args:
        address: host and port; port 0 is any free one.
        model: that is asked for.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], model: ServedModel) -> None:
        self.model = model
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of callers that hang up."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Asked(NamedTuple):
    """What the path of a request names."""

    name: str
    version: int | None
    method: str | None
    what: str | None


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection, which may carry several requests."""

    protocol_version = "HTTP/1.1"
    timeout = 60
    server: RestServer

    def do_GET(self) -> None:  # noqa: N802
        """Answers what versions and signatures there are."""
        self._answer(self._get)

    def do_POST(self) -> None:  # noqa: N802
        """Answers predictions."""
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch("[0-9]+", length) or int(length[:12]) > LARGEST_MESSAGE:
            self.close_connection = True  # The body is not read, and is no next request.
            self._send(413 if length else 411, {"error": expected(_LENGTH, length or None)})
            return
        body = self.rfile.read(int(length))
        self._answer(lambda asked: self._predict(asked, body))

    def _answer(self, answer: Any) -> None:
        try:
            self._send(200, answer(self._asked()))
        except RequestError as error:
            self._send(_STATUS[error.code], {"error": str(error)})
        except (TypeError, ValueError) as error:
            self._send(400, {"error": str(error)})

    def _asked(self) -> _Asked:
        found = _PATH.fullmatch(self.path)
        if not found:
            raise RequestError("INVALID_ARGUMENT", f"Malformed request: {self.command} {self.path}")
        name, version, method, what = found.group("name", "version", "method", "what")
        name = urllib.parse.unquote(name)
        return _Asked(name, int(version) if version else None, method, what)

    def _get(self, asked: _Asked) -> dict[str, Any]:
        model = self.server.model
        if asked.method:
            raise RequestError("INVALID_ARGUMENT", f"Malformed request: GET {self.path}")
        signatures = model.signatures(asked.name, asked.version)
        version = str(model.version)
        if asked.what:
            spec = {"name": model.name, "signature_name": "", "version": version}
            described = {"signature_def": rest_format.described(signatures)}
            return {"model_spec": spec, "metadata": {"signature_def": described}}
        status = {"error_code": "OK", "error_message": ""}
        known = {"version": version, "state": "AVAILABLE", "status": status}
        return {"model_version_status": [known]}

    def _predict(self, asked: _Asked, body: bytes) -> dict[str, Any]:
        if asked.method in ("classify", "regress"):
            raise RequestError("UNIMPLEMENTED", f"{asked.method} is not served, predict is")
        if asked.method != "predict":
            raise RequestError("INVALID_ARGUMENT", f"Malformed request: POST {self.path}")
        model = self.server.model
        signatures = model.signatures(asked.name, asked.version)
        request = rest_format.parse(body)
        signature = rest_format.signature_of(request)
        if signature not in signatures:
            message = f'Serving signature name: "{signature}" not found in signature def'
            raise RequestError("INVALID_ARGUMENT", f"{message}; there are {sorted(signatures)}")
        inputs = rest_format.inputs_of(request, dict(signatures[signature].inputs))
        outputs = model.predict(asked.name, asked.version, signature, inputs)
        return rest_format.response(request, outputs)

    def _send(self, status: int, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Writes no line for each request."""
