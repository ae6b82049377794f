"""Trains a variational model by the name of its recipe, measures it, draws it and exports it.

    python examples/train_vae.py --recipe=iaf --dataset=mnist --binarize --num_examples=10000
    python examples/train_vae.py --recipe=vae --dataset=points.npy --latent_dim=2

Without flags it trains a VAE on scikit-learn's embedded digits and needs no network. Points are
floats [num_examples, dim], in an .npy file. The run writes samples.png, interpolation.png,
manifold.png where there are two latents, metrics.json with the bound on log p(x) of held-out
examples in nats, by one draw and by 500, and the FID, history.csv, model.keras and serving/1/
under --workdir, and goes on where it stopped when started again.
"""

from pathlib import Path
from typing import Any

import console

console.prepare()  # Before TensorFlow is imported.

import data_flags
import judges
import numpy as np
import point_files
import runner
import scoring
import tensorflow as tf
import vae_models
from absl import flags
from drawing import sheet
from history import HistoryFile, progress, training_seconds
from pictures import draw_unseen, labels_of, picture

import tfgen
from tfgen.callbacks.sample_grid import image_grid
from tfgen.core import specs

FLAGS = flags.FLAGS

EPOCHS, BATCH_SIZE = 200, 64
FEW, MANY = 1, 500
"""Draws of latents that the bound is worked out by."""

runner.define_flags("digits", "vae", EPOCHS, BATCH_SIZE, learning_rate=None)
flags.adopt_module_key_flags(runner)
flags.adopt_module_key_flags(scoring)
flags.adopt_module_key_flags(vae_models)
flags.DEFINE_integer("num_bounded", 1_000, "At most so many held-out examples have a bound.", 1)


def main(workdir: Path, strategy: tf.distribute.Strategy) -> None:
    """Trains, measures, draws and exports one model."""
    with runner.errors_as_messages():
        train, heldout = map(vae_models.binarized, point_files.load_both())
        scorer = scoring.Scorer(train, heldout) if len(train.event_shape) == 3 else None
        with strategy.scope():
            model = vae_models.make_model(train)
        size = data_flags.batch_size(FLAGS.batch_size, BATCH_SIZE, len(train))
        train = train.with_batch_size(size)
        model.checked_data(train)
    runner.claim_workdir(workdir, strategy)
    print(f"{train}\n{heldout}")
    epochs = data_flags.num_epochs(FLAGS.epochs, EPOCHS, data_flags.STEPS, size, len(train))
    classifiers = judges.Classifiers(workdir, train)
    if scorer:
        scorer.prepare(classifiers)
    if FLAGS.recipe == "perceptual":
        distance = vae_models.perceptual_distance(classifiers, train)
        with strategy.scope():
            model = vae_models.make_model(train, distance)
    verbose, bars = progress(epochs)
    drawn = specs.is_image(model.event_spec) or model.event_shape == (2,)
    sheets = tfgen.callbacks.SampleGrid(workdir / "sheets", every=max(1, epochs // 10))
    history = workdir / "history.csv"
    with runner.errors_as_messages():
        model.fit(
            train,
            epochs=epochs,
            callbacks=[
                *bars,
                HistoryFile(history),
                *([sheets] if drawn else []),
                tfgen.callbacks.Checkpoint(workdir / "checkpoints", every=max(1, epochs // 50)),
            ],
            verbose=verbose,
        )
    if not runner.is_chief():
        return
    report: dict[str, Any] = {"recipe": FLAGS.recipe, **likelihood(model, heldout)}
    if scorer:
        images = generate(model, train, heldout)
        report |= scoring.report(scorer.score(images))
    report["training_seconds"] = training_seconds(history)
    draw(workdir, model, train, heldout)
    runner.finish(workdir, model, report)


def likelihood(model: Any, heldout: tfgen.data.Examples) -> dict[str, Any]:
    """Returns, and prints, the mean of what bounds log p(x) of held-out examples, or is it."""
    able = model.capabilities() & {"log_prob", "log_prob_bound"}
    rows = np.arange(min(len(heldout), FLAGS.num_bounded))
    x, condition = heldout.as_float(rows), labels_of(model, heldout, rows)
    found: dict[str, Any] = {}
    if "log_prob_bound" in able:
        found["log_prob_bound"] = {
            str(count): float(np.mean(model.log_prob_bound(x, count, FLAGS.seed, condition)))
            for count in (FEW, MANY)
        }
    if "log_prob" in able:
        found["log_prob"] = float(np.mean(model.log_prob(x, condition)))
    if found:
        print("nats of held-out examples:", found)
    return found


def generate(
    model: Any, train: tfgen.data.Examples, heldout: tfgen.data.Examples
) -> dict[str, np.ndarray]:
    """Returns samples, and reconstructions of held-out images, beside training images."""
    count = min(FLAGS.num_scored, heldout.num_examples)
    labels = np.arange(count) % model.num_classes if model.condition_specs else None
    images = {
        "train_vs_heldout": train.as_float(scoring.chosen_rows(train, count)),
        "samples": np.asarray(model.sample(count, FLAGS.seed, labels)),
    }
    if "reconstruct" in model.capabilities():
        rows = np.arange(count)
        condition = labels_of(model, heldout, rows)
        rebuilt = model.reconstruct(heldout.as_float(rows), condition)
        images["reconstructions"] = np.asarray(rebuilt)
    return images


def draw(
    workdir: Path, model: Any, train: tfgen.data.Examples, heldout: tfgen.data.Examples
) -> None:
    """Draws samples.png, interpolation.png, and manifold.png of two latents."""
    count = 64 if len(model.event_shape) == 3 else 1000
    labels = np.arange(count) % model.num_classes if model.condition_specs else None
    rows = np.arange(min(count, len(train)))
    panels = {
        "data": picture(model, train.as_float(rows)),
        FLAGS.recipe: picture(model, np.asarray(model.sample(count, FLAGS.seed, labels))),
    }
    sheet(workdir / "samples.png", panels)
    if "encode" not in model.capabilities():
        return
    draw_unseen(workdir / "interpolation.png", model, heldout)
    is_plane = getattr(model.latent_spec, "shape", None) == (2,)
    if is_plane and len(model.event_shape) == 3 and not model.condition_specs:
        sheet(workdir / "manifold.png", {"latents in the plane": manifold(model)})


def manifold(model: Any, side: int = 15) -> np.ndarray:
    """Returns the images of latents at the quantiles of N(0, I) in the plane."""
    levels = (np.arange(side) + 0.5) / side
    axis = np.sqrt(2.0) * tf.math.erfinv(2.0 * levels - 1.0).numpy()
    z = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2).astype(np.float32)
    return image_grid(np.asarray(model.decode(z)), side)


if __name__ == "__main__":
    runner.run(main, "vae")
