"""Serves an exported model on this machine, to try out what TensorFlow Serving answers.

python export/serve.py --path=runs/glann_digits/serving
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "examples"))  # In a checkout.

import console

console.prepare()  # Before TensorFlow is imported.

from absl import app, flags, logging

import tfgen
from tfgen.serving.served_model import usual_name

FLAGS = flags.FLAGS
flags.DEFINE_string("path", None, "The base path: the parent of the versions.", required=True)
flags.DEFINE_string(
    "model_name", None, "As requests name it; by its class, such as gan, unless given."
)
flags.DEFINE_string("host", "localhost", "Where to listen; 0.0.0.0 for callers elsewhere.")
flags.DEFINE_integer("rest_port", 8501, "For REST.", 0, 65535)
flags.DEFINE_integer("grpc_port", 8500, "For gRPC.", 0, 65535)
flags.DEFINE_integer("max_batch_size", 64, "Rows of requests that are joined.", 1)
flags.DEFINE_float("batch_timeout", 0.002, "Seconds that a request waits for others.", 0.0)
flags.DEFINE_integer("threads", 2, "Batches that run at a time.", 1)
flags.DEFINE_float("poll", None, "Look for a newer version after so many seconds; never if unset.")


def main(argv: list[str]) -> None:
    """Serves until it is interrupted."""
    if len(argv) > 1:
        sys.exit(f"Expected flags only. Received: {argv[1:]}")
    logging.set_verbosity(logging.ERROR)
    try:
        batching = tfgen.serving.Batching(FLAGS.max_batch_size, FLAGS.batch_timeout, FLAGS.threads)
        tfgen.serving.serve(
            FLAGS.model_name or usual_name(Path(FLAGS.path)),
            FLAGS.path,
            host=FLAGS.host,
            rest_port=FLAGS.rest_port,
            grpc_port=FLAGS.grpc_port,
            batching=batching,
            poll_seconds=FLAGS.poll,
        )
    except (OSError, TypeError, ValueError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    app.run(main)
