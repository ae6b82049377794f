"""Asks a TensorFlow Serving server for samples, over REST or gRPC, and writes them as PNG files.

python export/client.py --num_samples=8 --seed=0 --directory=samples
python export/client.py --grpc --port=8500 --num_samples=8
"""

import base64
import json
import sys
import urllib.error
import urllib.request
from pathlib import Path

import grpc
import tensorflow as tf
from absl import app, flags

from tfgen.serving.messages import message_class, predict_request

FLAGS = flags.FLAGS
flags.DEFINE_string("host", "localhost", "Of the server.")
flags.DEFINE_integer("port", None, "Of the server; 8501 for REST and 8500 for gRPC unless given.")
flags.DEFINE_string("model_name", "glann", "As the server knows it.")
flags.DEFINE_bool("grpc", False, "Speak gRPC.")
flags.DEFINE_integer("num_samples", 8, "How many.", 1)
flags.DEFINE_integer("seed", 0, "Sample i is row i of model.sample(num_samples, seed).", 0)
flags.DEFINE_float("timeout", 60.0, "Seconds to wait for an answer.", 0.0)
flags.DEFINE_string("directory", "samples", "Where to write.")

_PREDICT = "/tensorflow.serving.PredictionService/Predict"
_LARGEST_MESSAGE = 64 * 2**20


def served_seeds(seed: int, num_samples: int) -> list[int]:
    """Returns the served seeds of the rows of one in-process seed."""
    return [seed + (row << 32) for row in range(num_samples)]


def ask_rest(address: str, model_name: str, seeds: list[int]) -> list[bytes]:
    """Returns PNG files, one for each seed, over REST."""
    body = {"signature_name": "sample_png", "instances": [{"seed": seed} for seed in seeds]}
    url = f"http://{address}/v1/models/{model_name}:predict"
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=FLAGS.timeout) as response:
            predictions = json.load(response)["predictions"]
    except urllib.error.HTTPError as error:
        sys.exit(f"{url} answered {error.code}: {error.read().decode(errors='replace')}")
    except OSError as error:
        sys.exit(f"{url} could not be reached: {error}")
    return [base64.b64decode(prediction["b64"]) for prediction in predictions]


def ask_grpc(address: str, model_name: str, seeds: list[int]) -> list[bytes]:
    """Returns PNG files, one for each seed, over gRPC."""
    options = [("grpc.max_receive_message_length", _LARGEST_MESSAGE)]
    with grpc.insecure_channel(address, options) as channel:
        predict = channel.unary_unary(
            _PREDICT,
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=message_class("PredictResponse").FromString,
        )
        inputs = {"seed": tf.constant(seeds, tf.int64)}
        try:
            response = predict(
                predict_request(model_name, "sample_png", inputs), timeout=FLAGS.timeout
            )
        except grpc.RpcError as error:
            sys.exit(f"{address} answered {error.code().name}: {error.details()}")
    return list(tf.make_ndarray(response.outputs["png_bytes"]))


def main(argv: list[str]) -> None:
    """Asks, and writes sample_0000.png, ..."""
    if len(argv) > 1:
        sys.exit(f"Expected flags only. Received: {argv[1:]}")
    ask, port = (ask_grpc, 8500) if FLAGS.grpc else (ask_rest, 8501)
    address = f"{FLAGS.host}:{FLAGS.port or port}"
    pictures = ask(address, FLAGS.model_name, served_seeds(FLAGS.seed, FLAGS.num_samples))
    directory = Path(FLAGS.directory)
    directory.mkdir(parents=True, exist_ok=True)
    for row, picture in enumerate(pictures):
        (directory / f"sample_{row:04d}.png").write_bytes(picture)
    print(f"wrote {len(pictures)} samples to {directory}/")


if __name__ == "__main__":
    app.run(main)
