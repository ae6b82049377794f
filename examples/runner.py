"""What every runner shares: flags, strategy, data, checkpoints, history, and how a run ends."""

import csv
import io
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags, logging

import tfgen
from tfgen import metrics
from tfgen.core.checkpoint import check_writable

FLAGS = flags.FLAGS

STRATEGIES = ("none", "mirrored", "multiworker")
PRECISIONS = ("none", "bfloat16", "float16")

# Flags that may differ between a run and the run that resumes it.
_FREE_FLAGS = frozenset({"workdir", "overwrite", "data_dir", "export", "verbose"})


def define_flags(
    dataset: str, workdir: str, epochs: int, batch_size: int, learning_rate: float
) -> None:
    """Defines the flags that all runners share, with a runner's own defaults."""
    flags.DEFINE_string(
        "dataset",
        dataset,
        "digits (embedded), any TFDS name, a folder of images, an .npy/.npz file.",
    )
    flags.DEFINE_string("data_dir", None, "Where TFDS data are; $TFDS_DATA_DIR unless given.")
    flags.DEFINE_integer("num_examples", None, "Use this many training examples only.", 1)
    flags.DEFINE_integer("image_size", None, "Crop to a square and resize to this many pixels.", 4)
    flags.DEFINE_string("workdir", workdir, "Where the run writes, and what it resumes from.")
    flags.DEFINE_bool("overwrite", False, "Remove what an earlier run left in --workdir.")
    flags.DEFINE_integer("epochs", epochs, "Passes over the training data.", 1)
    flags.DEFINE_integer("batch_size", batch_size, "Examples in a batch, over all replicas.", 1)
    flags.DEFINE_float("learning_rate", learning_rate, "Of the generator's optimizer.", 0.0)
    flags.DEFINE_integer("seed", 0, "Of initial weights, order of the data, and noise.", 0)
    flags.DEFINE_bool(
        "deterministic", True, "Use deterministic operations only, so that runs repeat bit for bit."
    )
    flags.DEFINE_enum(
        "strategy",
        "none",
        STRATEGIES,
        "mirrored: all devices of this machine; multiworker: the processes that TF_CONFIG names.",
    )
    flags.DEFINE_integer(
        "logical_cpus", 1, "Split the CPU into devices, to try --strategy=mirrored without GPUs.", 1
    )
    flags.DEFINE_enum("mixed_precision", "none", PRECISIONS, "Compute in 16 bits.")
    flags.DEFINE_bool(
        "jit_compile",
        None,
        "Compile training steps with XLA; the model's own "
        "default, which is what was measured to be faster, unless given.",
    )
    flags.DEFINE_string(
        "features",
        "classifier",
        "For scores: classifier (trained on the data), "
        "inception (the FID network; needs --inception_weights), keras_inception, "
        "or a .keras classifier file. Several are separated by commas.",
    )
    flags.DEFINE_list(
        "scores", ["fid"], "fid, and any of kid, precision_recall and inception_score."
    )
    flags.DEFINE_string("inception_weights", None, "The .npz file of the FID network's weights.")
    flags.DEFINE_integer("inception_dimension", 768, "64, 192, 768, 1280 or 2048 features.")
    flags.DEFINE_bool("export", True, "Write the sampler to --workdir/serving.")
    flags.DEFINE_bool("skip_unreadable", False, "Skip images of a folder that cannot be read.")
    flags.DEFINE_integer("verbose", 1, "Keras progress: 0 none, 1 bars, 2 a line an epoch.", 0, 2)


def run(main: Callable[[Path, tf.distribute.Strategy], None]) -> None:
    """Parses the flags and runs `main(workdir, strategy)`, unless the run in it is finished."""

    def parsed(argv: Sequence[str]) -> None:
        if len(argv) > 1:
            sys.exit(f"Expected flags only. Received: {argv[1:]}")
        check_features()
        workdir = Path(FLAGS.workdir)
        check_workdir(workdir)
        if (workdir / "finished").exists() and not FLAGS.overwrite:
            print(f"{workdir} is finished; --overwrite starts anew.")
        else:
            main(workdir, set_up())

    app.run(parsed)


def set_up() -> tf.distribute.Strategy:
    """Seeds everything, and returns the strategy that --strategy names.

    Devices and workers can only be set up before TensorFlow has done anything else.
    """
    logging.set_verbosity(logging.ERROR)
    if FLAGS.logical_cpus > 1:
        cpu = tf.config.list_physical_devices("CPU")[0]
        devices = [tf.config.LogicalDeviceConfiguration()] * FLAGS.logical_cpus
        tf.config.set_logical_device_configuration(cpu, devices)
    strategy = _strategy()
    keras.utils.set_random_seed(FLAGS.seed)
    if FLAGS.deterministic:
        tf.config.experimental.enable_op_determinism()
    if FLAGS.mixed_precision != "none":
        keras.mixed_precision.set_global_policy(f"mixed_{FLAGS.mixed_precision}")
    return strategy


def _strategy() -> tf.distribute.Strategy:
    if FLAGS.strategy == "none":
        return tf.distribute.get_strategy()
    if FLAGS.strategy == "multiworker":
        return tf.distribute.MultiWorkerMirroredStrategy()
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    return tf.distribute.MirroredStrategy([d.name for d in tf.config.list_logical_devices(kind)])


def is_chief() -> bool:
    """Whether this process writes what a run leaves: the first worker, or the only process."""
    task = json.loads(os.environ.get("TF_CONFIG", "{}")).get("task", {})
    return task.get("index", 0) == 0


def load_data(split: str) -> tfgen.data.Examples:
    """Loads the split "train" or "test" of --dataset; --num_examples cuts the first."""
    return tfgen.data.load(
        FLAGS.dataset,
        split=split,
        batch_size=FLAGS.batch_size if split == "train" else 1,
        image_size=FLAGS.image_size,
        num_examples=FLAGS.num_examples if split == "train" else None,
        data_dir=FLAGS.data_dir,
        seed=FLAGS.seed,
        skip_unreadable=FLAGS.skip_unreadable,
    )


def check_workdir(workdir: Path) -> None:
    """Exits with a message unless the directory can hold the run that the flags ask for."""
    check_writable(workdir)
    record = workdir / "flags.json"
    if not record.exists():
        if any(workdir.iterdir()) and is_chief():
            sys.exit(
                f"{workdir} is neither empty nor a run of this program. Give another --workdir."
            )
    elif not FLAGS.overwrite:
        chosen, before = _chosen_flags(), json.loads(record.read_text())
        changed = sorted(name for name in chosen | before if chosen.get(name) != before.get(name))
        if changed:
            sys.exit(
                f"{workdir} holds a run with other values of {', '.join(changed)}. Give another "
                "--workdir, or --overwrite to remove that run."
            )


def claim_workdir(workdir: Path) -> None:
    """Makes the directory that of this run, once its data are known to be good."""
    if not is_chief():
        return
    if FLAGS.overwrite:
        shutil.rmtree(workdir)
        workdir.mkdir(parents=True)
    write_text(workdir / "flags.json", json.dumps(_chosen_flags(), indent=2) + "\n")


def finish(workdir: Path) -> None:
    """Marks the run in a working directory as finished."""
    write_text(workdir / "finished", "")


def _chosen_flags() -> dict[str, Any]:
    """Returns the values of the flags that decide what a run computes."""
    flags_of_runner = FLAGS.get_key_flags_for_module(sys.argv[0])
    return {flag.name: flag.value for flag in flags_of_runner if flag.name not in _FREE_FLAGS}


def write_text(path: Path, text: str) -> None:
    """Writes a file whole or not at all."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_text(text)
    unfinished.replace(path)


def save_model(model: keras.Model, path: Path) -> None:
    """Writes a `.keras` file whole or not at all."""
    unfinished = path.with_name(f".{os.getpid()}.{path.name}")
    model.save(unfinished)
    unfinished.replace(path)


class HistoryFile(keras.callbacks.Callback):
    """Keeps the mean of every logged term at each epoch, and its seconds, in a CSV file.

    A resumed run replaces the lines of the epochs that it does again.

    Args:
        path: of the file.
        stage: what the lines of this training are called.
    """

    def __init__(self, path: Path, stage: str = "training") -> None:
        super().__init__()
        self.path = path
        self.stage = stage

    def within(self, stage: str) -> "HistoryFile":
        """Returns the like for one stage of several."""
        return HistoryFile(self.path, stage)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        # An epoch's seconds run from here, as a model may work before its first batch.
        self._began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if not is_chief():
            return
        now = time.perf_counter()
        logs = (logs or {}) | {"seconds": now - self._began}
        self._began = now
        rows = [
            row
            for row in read_history(self.path)
            if row["stage"] != self.stage or int(row["epoch"]) <= epoch
        ]
        for term, value in logs.items():
            rows.append(
                {
                    "stage": self.stage,
                    "epoch": epoch + 1,
                    "term": term,
                    "value": float(np.mean(value)),
                }
            )
        text = io.StringIO()
        writer = csv.DictWriter(text, ["stage", "epoch", "term", "value"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(self.path, text.getvalue())


def read_history(path: Path) -> list[dict[str, str]]:
    """Returns the lines that `HistoryFile` wrote: stage, epoch, term, value."""
    if not path.exists():
        return []
    with path.open() as lines:
        return list(csv.DictReader(lines))


def training_seconds(path: Path) -> dict[str, float]:
    """Returns the seconds of all epochs of each stage in a history, whichever process ran them."""
    seconds: dict[str, float] = {}
    for row in read_history(path):
        if row["term"] == "seconds":
            seconds[row["stage"]] = seconds.get(row["stage"], 0.0) + float(row["value"])
    return {stage: round(value, 1) for stage, value in seconds.items()}


def in_batches(
    function: Callable[[tf.Tensor], tf.Tensor], rows: Any, batch_size: int = 256
) -> np.ndarray:
    """Applies a function to rows, batch by batch, and joins the results."""
    return np.concatenate([np.asarray(function(batch)) for batch in _slices(rows, batch_size)])


def _slices(rows: Any, batch_size: int) -> Iterator[Any]:
    for first in range(0, len(rows), batch_size):
        yield rows[first : first + batch_size]


def sheet(path: Path, panels: dict[str, np.ndarray]) -> None:
    """Draws images side by side, each under its name, into a PNG file, whole or not at all.

    Args:
        path: of the file.
        panels: images [height, width, channels] in [0, 1], by name.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(panels), figsize=(3.4 * len(panels), 3.7), squeeze=False)
    for axis, (name, image) in zip(axes[0], panels.items(), strict=True):
        image = np.repeat(image, 3, axis=-1) if image.shape[-1] == 1 else image
        axis.imshow(image)
        axis.set_title(name, fontsize=10)
        axis.axis("off")
    figure.tight_layout()
    unfinished = path.with_name(f".{os.getpid()}.{path.name}")
    figure.savefig(unfinished, dpi=150, bbox_inches="tight")
    pyplot.close(figure)
    unfinished.replace(path)


class Classifiers:
    """The classifiers of a run, trained on its data when they are first needed and kept on disk.

    Two are never the same: the one whose layers a perceptual loss compares must not be the one
    whose features judge the result.

    Args:
        workdir: where they are kept.
        train: labelled examples.
    """

    def __init__(self, workdir: Path, train: tfgen.data.Examples) -> None:
        self.workdir = workdir
        self.train = train

    def perceptual(self) -> keras.Model:
        """Returns the classifier for a perceptual loss."""
        return self._classifier("perceptual", FLAGS.seed + 1, width=16, feature_dim=128).model

    def judge(self) -> metrics.ClassifierFeatures:
        """Returns the features of the classifier for scores."""
        return self._classifier("judge", FLAGS.seed + 2, width=32, feature_dim=64)

    def _classifier(
        self, name: str, seed: int, width: int, feature_dim: int
    ) -> metrics.ClassifierFeatures:
        path = self.workdir / f"{name}.keras"
        if path.exists():
            return metrics.ClassifierFeatures.load(path)
        if self.train.labels is None:
            sys.exit(
                f"{FLAGS.dataset} has no labels to train a classifier on. Give "
                "--features=inception or a .keras classifier, and another --loss than perceptual."
            )
        trained = metrics.train_classifier(
            self.train.as_float(),
            self.train.labels,
            self.train.num_classes,
            width=width,
            feature_dim=feature_dim,
            seed=seed,
        )
        print(
            f"{name} classifier: right on {trained.accuracy:.1%} of {trained.num_held_out} images "
            "that were kept out of its training"
        )
        features = metrics.ClassifierFeatures(trained.model)
        features.save(path)
        return features


def check_features() -> None:
    """Exits with a message unless the files that --features needs are named and there."""
    for name in FLAGS.features.split(","):
        if name == "inception" and FLAGS.inception_weights is None:
            sys.exit("--features=inception needs --inception_weights, an .npz file.")
        path = FLAGS.inception_weights if name == "inception" else name
        if name not in ("classifier", "keras_inception") and not Path(path).is_file():
            sys.exit(f"--features: expected a file. Received: {path}")


def extractors(classifiers: Classifiers) -> list[metrics.FeatureExtractor]:
    """Returns the feature extractors that --features names."""
    made = []
    for name in FLAGS.features.split(","):
        if name == "classifier":
            made.append(classifiers.judge())
        elif name == "inception":
            weights, dimension = FLAGS.inception_weights, FLAGS.inception_dimension
            made.append(metrics.Inception2015Features(weights, dimension))
        elif name == "keras_inception":
            made.append(metrics.KerasInceptionFeatures())
        else:
            made.append(metrics.ClassifierFeatures.load(name, title=Path(name).stem))
    return made


Scores = dict[str, list[metrics.Score]]


def score(
    judges: Sequence[metrics.FeatureExtractor],
    heldout: tfgen.data.Examples,
    generated: dict[str, np.ndarray],
    num_inception: int,
) -> Scores:
    """Returns the scores of each kind of images against as many held-out ones, by each extractor.

    FID comes first; --scores adds others. Extractors other than classifiers see `num_inception`
    images at most.
    """
    scores: Scores = {name: [] for name in generated}
    for judge in judges:
        count = min(heldout.num_examples, *(len(images) for images in generated.values()))
        if not isinstance(judge, metrics.ClassifierFeatures):
            count = min(count, num_inception)
        real = judge.extract(heldout.as_float(slice(0, count)))
        meters = _meters(judge, heldout.split, count)
        for meter in meters:
            meter.update_real_features(real)
        for name, images in generated.items():
            fake = judge.extract(images[:count])
            for meter in meters:
                meter.reset(keep_real=True)
                if isinstance(meter, metrics.InceptionScore):
                    meter.update_fake(images[:count])  # It looks at probabilities.
                else:
                    meter.update_fake_features(fake)
                result = meter.result()
                scores[name] += result if isinstance(result, tuple) else [result]
    return scores


def _meters(
    judge: metrics.FeatureExtractor, split: str, count: int
) -> list[metrics.StreamingMetric]:
    made = [metrics.FrechetInceptionDistance(judge, split)]
    if "kid" in FLAGS.scores:
        size = min(1000, count)
        made.append(metrics.KernelInceptionDistance(judge, split, subset_size=size))
    if "precision_recall" in FLAGS.scores:
        made.append(metrics.PrecisionRecall(judge, split))
    if "inception_score" in FLAGS.scores and isinstance(judge, metrics.ClassifierFeatures):
        made.append(metrics.InceptionScore(judge, split))
    return made


def print_table(scores: Scores) -> None:
    """Prints one line for each kind of images, and what the numbers are below."""
    columns = next(iter(scores.values()))
    print("\n" + " " * 20 + "".join(f"{score.metric:>12}" for score in columns))
    print(" " * 20 + "".join(f"{score.extractor.split('[')[0][:10]:>12}" for score in columns))
    for name, row in scores.items():
        print(f"{name:<20}" + "".join(f"{score.value:12.3f}" for score in row))
    for score in columns:
        print(
            f"{score.metric} in {score.extractor}: {score.num_fake} images against "
            f"{score.num_real} of split {score.split!r} of {FLAGS.dataset}"
        )


def report(scores: Scores) -> dict[str, Any]:
    """Returns what metrics.json holds: the FIDs by the first extractor, and all of the protocol."""
    return {
        "fid": {name: row[0].value for name, row in scores.items()},
        "protocol": {name: [score.asdict() for score in row] for name, row in scores.items()},
    }


def export_and_check(model: tfgen.GenerativeModel, path: Path, numbers: dict[str, Any]) -> None:
    """Exports a model once, compares it with what a server loads, and says how to call it."""
    versions = sorted(path.glob("[0-9]*"), key=lambda version: int(version.name))
    version = versions[-1] if versions else tfgen.serving.export(model, path, numbers)
    with tfgen.serving.SessionLoader(version) as served:
        seeds = [FLAGS.seed + (row << 32) for row in range(4)]
        images = served("sample", seed=seeds)["images"]
    difference = float(np.abs(images - model.sample(4, seed=FLAGS.seed)).max())
    if difference > (1e-4 if FLAGS.mixed_precision == "none" else 2e-2):  # Of values in [0, 1].
        raise RuntimeError(f"{version} differs from the model by {difference}")
    print(
        f"{version} through the C++ loader: 4 samples, largest difference from the model "
        f"{difference:.1e}. With a server on its parent directory:\n"
        f"curl -s localhost:8501/v1/models/{type(model).__name__.lower()}:predict -d "
        """'{"signature_name": "sample_png", "instances": [{"seed": 0}]}'"""
    )
