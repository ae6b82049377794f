"""A server that answers wrongly, each model in its own way."""

import base64
import contextlib
import json
import re
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator

DRIPS = 300.0  # Seconds, by which a caller that waits for all of it is known.


def chunk(kind: bytes, content: bytes) -> bytes:
    """Returns a chunk of a PNG file."""
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


PNG = b"".join(
    [
        b"\x89PNG\r\n\x1a\n",
        chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)),
        chunk(b"IDAT", zlib.compress(b"\0\x80")),
        chunk(b"IEND", b""),
    ]
)


def answer(body: bytes | str, status: str = "200 OK", headers: str = "") -> bytes:
    """Returns a whole answer."""
    body = body.encode() if isinstance(body, str) else body
    return f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


def prediction(content: bytes = PNG) -> dict[str, str]:
    return {"b64": base64.b64encode(content).decode()}


def predictions(*each: object) -> bytes:
    """Returns an answer with predictions."""
    return answer(json.dumps({"predictions": list(each)}))


def pictures(content: bytes) -> bytes:
    """Returns an answer whose second picture is something else."""
    return predictions(prediction(), prediction(content))


def silent(connection: socket.socket) -> None:
    """Waits until the caller hangs up, or for very long."""
    connection.settimeout(DRIPS)
    with contextlib.suppress(OSError):
        connection.recv(1)


def dripping(start: bytes, drop: bytes) -> Callable[[socket.socket], None]:
    """Sends a little now and then for very long."""

    def behave(connection: socket.socket) -> None:
        connection.sendall(start)
        for _ in range(int(DRIPS / 0.05)):
            connection.sendall(drop)
            time.sleep(0.05)

    return behave


def flooding(start: bytes, size: int) -> Callable[[socket.socket], None]:
    """Sends very much."""

    def behave(connection: socket.socket) -> None:
        connection.sendall(start)
        block = b" " * 2**20
        for _ in range(size >> 20):
            connection.sendall(block)

    return behave


def resetting(start: bytes) -> Callable[[socket.socket], None]:
    """Sends a part and resets the connection."""

    def behave(connection: socket.socket) -> None:
        connection.sendall(start)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return behave


Behaviour = bytes | Callable[[socket.socket], None]


@contextlib.contextmanager
def bad_server(behaviours: dict[str, Behaviour]) -> Iterator[int]:
    """Yields the port of a server that answers for each model with bytes, or by a function.

    The same names say what models there are: the path of a request names one of them.
    """
    with socket.create_server(("localhost", 0)) as listening:
        threading.Thread(target=_accept, args=[listening, behaviours], daemon=True).start()
        yield listening.getsockname()[1]


def _accept(listening: socket.socket, behaviours: dict[str, Behaviour]) -> None:
    with contextlib.suppress(OSError):  # It is closed.
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=_serve, args=[connection, behaviours], daemon=True).start()


def _serve(connection: socket.socket, behaviours: dict[str, Behaviour]) -> None:
    with connection, contextlib.suppress(OSError):
        request = b""
        while b"\r\n\r\n" not in request:
            request += connection.recv(65536)
        head, _, body = request.partition(b"\r\n\r\n")
        while len(body) < int(re.search(rb"Content-Length: (\d+)", head)[1]):
            body += connection.recv(65536)
        name = re.search(rb"/v1/models/([^:]+):predict", head)[1].decode().replace("%20", " ")
        behave = behaviours[name]
        if callable(behave):
            behave(connection)
        else:
            connection.sendall(behave)
