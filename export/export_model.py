"""Exports a trained model for TensorFlow Serving.

python export/export_model.py --model=runs/glann_digits/model.keras --path=serving/glann
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "examples"))  # In a checkout.

import console

console.prepare()  # Before TensorFlow is imported.

from absl import app, flags, logging

import tfgen

FLAGS = flags.FLAGS
flags.DEFINE_string("model", None, "The .keras file of a tfgen model.", required=True)
flags.DEFINE_string("path", None, "The base path that a server is given.", required=True)


def main(argv: list[str]) -> None:
    """Loads the model and writes the next version under the base path."""
    if len(argv) > 1:
        sys.exit(f"Expected flags only. Received: {argv[1:]}")
    logging.set_verbosity(logging.ERROR)
    try:
        model = tfgen.load_model(FLAGS.model, tfgen.GenerativeModel)
        version = tfgen.serving.export(model, FLAGS.path)
    except (OSError, TypeError, ValueError) as error:
        sys.exit(str(error))
    with tfgen.serving.SessionLoader(version) as served:
        print(f"{version} holds the signatures {', '.join(sorted(served.signatures))}")


if __name__ == "__main__":
    app.run(main)
