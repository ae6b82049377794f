"""Asks a TensorFlow Serving server for samples, over REST or gRPC, and writes them as PNG files.

python export/client.py --num_samples=8 --seed=0 --directory=samples
python export/client.py --label=3,5 --condition=temperature=0.7
python export/client.py --grpc --port=8500 --num_samples=8
"""

import base64
import contextlib
import http.client
import json
import os
import re
import shutil
import sys
import tempfile
import threading
import urllib.parse
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from absl import app, flags

FLAGS = flags.FLAGS
flags.DEFINE_string("host", "localhost", "Of the server.")
flags.DEFINE_integer("port", None, "Of the server; 8501, or 8500 for gRPC, unless given.", 1, 65535)
flags.DEFINE_string("model_name", "glann", "As the server knows it.")
flags.DEFINE_string("signature", "sample_png", "The signature that gives PNG files.")
flags.DEFINE_bool("grpc", False, "Speak gRPC.")
flags.DEFINE_integer(
    "num_samples", None, "How many; as many as there are values of a condition, or 8.", 1
)
flags.DEFINE_integer(
    "seed", 0, "Sample i is row i of model.sample(num_samples, seed).", 0, 2**31 - 1
)
flags.DEFINE_string(
    "label", None, "--condition=label=...: one for all samples, or 3,5,... for each."
)
flags.DEFINE_multi_string(
    "condition",
    [],
    "Another input of the model, name=value: in JSON, one for all, or one for each.",
)
flags.DEFINE_float("timeout", 60.0, "Seconds in which all has to be answered.")
flags.register_validator("timeout", lambda value: 0 < value <= 86400, "expected up to a day, > 0")
flags.DEFINE_string("directory", "samples", "Where to write.")

_LARGEST_ANSWER = 64 * 2**20
_PNG = b"\x89PNG\r\n\x1a\n"

Columns = dict[str, list]
"""Inputs by name, a value for each sample."""


class Failed(Exception):
    """Why there are no samples."""


def checked(pictures: list[bytes], count: int) -> list[bytes]:
    """Returns pictures that are PNG files, one for each sample, or raises Failed."""
    if len(pictures) != count:
        raise Failed(f"answered {len(pictures)} predictions for {count} samples")
    for row, picture in enumerate(pictures):
        if not is_png(picture):
            raise Failed(f"answered with what is not a whole PNG file as prediction {row}")
    return pictures


def within(seconds: float, function: Callable[[], Any]) -> Any:
    """Returns what a function returns, or raises Failed when it takes longer.

    Neither slow names nor a byte now and then prolong it: a thread that is late is left behind.
    """
    done: list[Any] = []

    def run() -> None:
        try:
            done.append((function(), None))
        except Exception as error:  # It is raised in the thread that waits.
            done.append((None, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if not done:
        raise Failed(_late(seconds))
    result, error = done[0]
    if error is not None:
        raise error
    return result


def _late(seconds: float) -> str:
    return f"has not answered within {seconds:g} seconds"


def is_png(content: bytes) -> bool:
    """Tells whether bytes are a PNG file with all of its chunks whole."""
    position, kinds = len(_PNG), []
    while content.startswith(_PNG) and position + 12 <= len(content):
        length = int.from_bytes(content[position : position + 4], "big")
        chunk = content[position + 4 : position + 8 + length]
        check = content[position + 8 + length : position + 12 + length]
        if len(check) < 4 or zlib.crc32(chunk) != int.from_bytes(check, "big"):
            return False
        kinds.append(chunk[:4])
        position += 12 + length
    return kinds[:1] == [b"IHDR"] and kinds[-1] == b"IEND" and position == len(content)


# REST.


def ask_rest(columns: Columns) -> list[bytes]:
    """Returns what the server says are PNG files, one for each sample."""
    names = list(columns)
    rows = [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    body = json.dumps({"signature_name": FLAGS.signature, "instances": rows})
    try:
        status, reason, answer = within(FLAGS.timeout, lambda: _posted(body))
    except (OSError, UnicodeError) as error:
        raise Failed(f"could not be reached: {error}") from error
    except http.client.HTTPException as error:
        raise Failed(f"does not speak HTTP: {type(error).__name__} {error}") from error
    if status != 200:
        raise Failed(f"answered {status} {reason}: {_said(answer)}")
    if len(answer) > _LARGEST_ANSWER:
        raise Failed(f"answered with more than {_LARGEST_ANSWER >> 20} MiB; ask for fewer samples")
    return [_decoded(row, prediction) for row, prediction in enumerate(_predictions(answer))]


def _posted(body: str) -> tuple[int, str, bytes]:
    """Returns the status, its name and the body of what the server answers."""
    path = f"/v1/models/{urllib.parse.quote(FLAGS.model_name, safe='')}:predict"
    connection = http.client.HTTPConnection(FLAGS.host, FLAGS.port, timeout=FLAGS.timeout)
    with contextlib.closing(connection):
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.reason, response.read(_LARGEST_ANSWER + 1)


def _predictions(answer: bytes) -> list:
    """Returns the predictions in the body of an answer."""
    try:
        parsed = json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise Failed(f"answered with what is not JSON: {_said(answer)}") from error
    if not isinstance(parsed, dict) or not isinstance(parsed.get("predictions"), list):
        raise Failed(f"answered without a list of predictions: {_said(answer)}")
    return parsed["predictions"]


def _decoded(row: int, prediction: Any) -> bytes:
    try:
        return base64.b64decode(prediction["b64"], validate=True)
    except (KeyError, TypeError, ValueError) as error:
        raise Failed(f"answered with what is not base64 as prediction {row}") from error


def _said(body: bytes) -> str:
    """Returns what the body of an answer says, be it JSON, HTML or text."""
    text = body[:10_000].decode(errors="replace")
    try:
        text = str(json.loads(text)["error"])
    except (KeyError, TypeError, ValueError, RecursionError):
        text = re.sub(r"(?s)<(script|style).*?</\1>|<[^>]*>", " ", text)
    return text.strip() or "(nothing)"


# gRPC.


def ask_grpc(columns: Columns) -> list[bytes]:
    """Returns what the server says are PNG files, one for each sample."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        with _quiet():
            from tfgen.serving import grpc_client
    except ImportError as error:
        raise Failed(f"cannot be asked over gRPC without tfgen: {error}") from error
    host = f"[{FLAGS.host}]" if ":" in FLAGS.host else FLAGS.host
    address, name = f"{host}:{FLAGS.port}", FLAGS.model_name
    try:
        outputs = grpc_client.predict(
            address, name, FLAGS.signature, columns, FLAGS.timeout, _LARGEST_ANSWER
        ).outputs
    except grpc_client.RequestError as error:
        late = error.code == "DEADLINE_EXCEEDED"
        raise Failed(_late(FLAGS.timeout) if late else f"answered {error.code}: {error}") from error
    if "png_bytes" not in outputs:
        raise Failed(f"answered without png_bytes, only {sorted(outputs)}")
    return list(outputs["png_bytes"].string_val)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Drops what goes to the standard error: TensorFlow's import prints lines of its own."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


# What is asked for, and what is written.


def inputs() -> Columns:
    """Returns the inputs that the flags ask for: seeds and conditions."""
    given = list(FLAGS.condition)
    if FLAGS.label is not None:
        given.append(f"label={FLAGS.label}")
    conditions: Columns = {}
    for each in given:
        name, equals, values = each.partition("=")
        if not name or not equals or name in ("seed", *conditions):
            raise Failed(f"Expected a --condition as name=value, each once. Received: {each}")
        conditions[name] = _values(each, values)
    longest = max((len(values) for values in conditions.values()), default=1)
    count = FLAGS.num_samples or (longest if longest > 1 else 8)
    for name, values in conditions.items():
        if len(values) not in (1, count):
            what = f"one value of {name}, or one for each of {count} samples"
            raise Failed(f"Expected {what}. Received: {len(values)}")
        conditions[name] = values * (count // len(values))
    # The served seeds of the rows of one seed.
    return {"seed": [FLAGS.seed + (row << 32) for row in range(count)]} | conditions


def _values(flag: str, text: str) -> list:
    """Returns the values in a flag, one or more JSON values separated by commas."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        values = json.loads(f"[{text}]", parse_constant=refuse)
    except (ValueError, RecursionError):
        values = []
    if not values:
        raise Failed(f"Expected finite numbers, or other JSON, after the =. Received: {flag}")
    return values


def write(pictures: list[bytes], directory: Path) -> None:
    """Writes sample_0000.png, ...: first all under other names, so that none is half there."""
    directory.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=directory))
    try:
        for row, picture in enumerate(pictures):
            (unfinished / f"sample_{row:04d}.png").write_bytes(picture)
        for path in sorted(unfinished.iterdir()):
            path.replace(directory / path.name)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _line(text: str) -> str:
    """Returns a text as one line of at most 300 characters, all of which can be shown."""
    shown = "".join(each if each.isprintable() else " " for each in text)
    words = " ".join(shown.split())
    return words if len(words) <= 300 else f"{words[:297]}..."


def main(argv: list[str]) -> None:
    """Asks, and writes sample_0000.png, ..."""
    if len(argv) > 1:
        sys.exit(f"Expected flags only. Received: {argv[1:]}")
    FLAGS.port = FLAGS.port or (8500 if FLAGS.grpc else 8501)
    directory = Path(FLAGS.directory)
    try:
        columns = inputs()
    except Failed as error:
        sys.exit(_line(str(error)))
    try:
        ask = ask_grpc if FLAGS.grpc else ask_rest
        pictures = checked(ask(columns), len(columns["seed"]))
    except Failed as error:
        sys.exit(_line(f"{FLAGS.model_name} at {FLAGS.host}:{FLAGS.port} {error}"))
    except KeyboardInterrupt:
        sys.exit("Interrupted.")
    try:
        write(pictures, directory)
    except OSError as error:
        sys.exit(_line(f"{directory} cannot be written: {error}"))
    print(f"wrote {len(pictures)} samples to {directory}/")


if __name__ == "__main__":
    app.run(main)
