"""How well the likelihood of a flow of images tells other images from its own, plain and mended.

    python examples/benchmarks/flow_images.py --datasets=fashion_mnist --recipes=glow
    python examples/benchmarks/flow_outliers.py \\
        --model=runs/flow_images/fashion_mnist_glow/model.keras

Prints the area under the ROC curve of held-out images of --dataset against those of --others,
against uniform noise, and against held-out images upside down: by the likelihood, which is known
to fail where the others are simpler (below 0.5 the flow likes them better), by typicality, and by
the likelihood less the length of the image as a PNG. Draws histograms of both in outliers.png
beside the model. A minute on one core, and longer for residual flows.

Reference: Nalisnick, Matsukawa, Teh and Lakshminarayanan, "Detecting Out-of-Distribution Inputs to
Deep Generative Models Using Typicality", 2019, https://arxiv.org/abs/1906.02994; Serra et al.,
"Input complexity and out-of-distribution detection with likelihood-based generative models", 2020,
https://arxiv.org/abs/1909.11480.
"""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[1]))  # What programs share is one folder up.

import data_flags
import numpy as np
from absl import app, flags, logging

import tfgen
from tfgen import metrics
from tfgen.core.files import write_text, written_whole

FLAGS = flags.FLAGS

data_flags.define("fashion_mnist")
flags.DEFINE_string("model", None, "The .keras file of a flow of images of --dataset.")
flags.DEFINE_list("others", ["mnist"], "Data of images of the same size.")
flags.DEFINE_integer("num_scored", 1_000, "Images of each kind.", 1)
flags.mark_flag_as_required("model")


def main(argv: Sequence[str]) -> None:
    del argv
    logging.set_verbosity(logging.ERROR)
    path = Path(FLAGS.model)
    flow = tfgen.load_model(path)
    train, heldout = data_flags.load_both()
    inside = some(heldout)
    outside = {name: some(data_flags.load_heldout(name)[0]) for name in FLAGS.others}
    outside["noise"] = noise(inside.shape)
    outside["upside down"] = inside[:, ::-1]
    scored = {"train": log_prob(flow, some(train)), "held out": log_prob(flow, inside)}
    images = {"held out": inside, **outside}
    rows = {}
    for name, x in outside.items():
        scored[name] = log_prob(flow, x)
        rows[name] = metrics.outlier_scores(
            scored["train"], scored["held out"], scored[name], inside, x
        )
    print_table(rows, scored, flow.event_shape)
    draw(path.with_name("outliers.png"), scored, images)
    write_text(path.with_name("outliers.json"), json.dumps(rows, indent=2) + "\n")


def some(examples: tfgen.data.Examples) -> np.ndarray:
    """Returns the first of some images, floats in [0, 1]."""
    return examples.as_float(np.arange(min(FLAGS.num_scored, len(examples))))


def noise(shape: Sequence[int]) -> np.ndarray:
    """Returns images of 256 levels, each pixel with equal probability."""
    levels = np.random.default_rng(FLAGS.seed).integers(0, 256, shape)
    return np.float32(levels / 255)


def log_prob(flow: tfgen.flows.Flow, x: np.ndarray) -> np.ndarray:
    """Returns a draw of the bound on the log-probability of each image, [n]."""
    return flow.log_prob_bound(x, 1, FLAGS.seed).numpy()


def print_table(
    rows: dict[str, dict[str, float]], scored: dict[str, np.ndarray], shape: Sequence[int]
) -> None:
    """Prints bits per dimension and the areas under the ROC curves, as Markdown."""
    bits = {name: metrics.bits_per_dim(values.mean(), shape) for name, values in scored.items()}
    print("| images | bits per dimension | likelihood | typicality | complexity |")
    print("|---|---|---|---|---|")
    for name in scored:
        areas = [f"{area:.3f}" for area in rows[name].values()] if name in rows else [""] * 3
        print(f"| {name} | {bits[name]:.2f} | {' | '.join(areas)} |")


def draw(path: Path, scored: dict[str, np.ndarray], images: dict[str, np.ndarray]) -> None:
    """Draws histograms of bits per dimension, plain and less those of the image as a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4))
    plain, corrected = figure.subplots(1, 2)
    bits = {n: metrics.bits_per_dim(scored[n], x.shape[1:]) for n, x in images.items()}
    less = {n: metrics.complexity_corrected(scored[n], x) for n, x in images.items()}
    for axis, values in ((plain, bits), (corrected, less)):
        bins = np.linspace(*np.percentile(np.concatenate([*values.values()]), [0.1, 99.9]), 80)
        for name, each in values.items():
            axis.hist(each, bins, density=True, alpha=0.5, label=name)
    plain.set(xlabel="bits per dimension", ylabel="density", title="likelihood")
    corrected.set(xlabel="bits per dimension less PNG's", title="complexity")
    plain.legend()
    figure.tight_layout()
    with written_whole(path) as unfinished:
        figure.savefig(unfinished, dpi=100)


if __name__ == "__main__":
    app.run(main)
