"""What every runner shares: flags, strategy, data, drawing, export, and how a run ends."""

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags, logging

import tfgen
from tfgen.core import specs
from tfgen.core.files import check_writable, write_text, written_whole
from tfgen.data.tfds import UnknownSplit
from tfgen.serving.versions import versions

FLAGS = flags.FLAGS

STRATEGIES = ("none", "mirrored", "multiworker")
PRECISIONS = ("none", "bfloat16", "float16")

# Flags that may differ between a run and the run that resumes it.
_FREE_FLAGS = frozenset({"workdir", "overwrite", "data_dir", "export", "verbose"})


def define_data_flags(dataset: str) -> None:
    """Defines the flags of every program that loads data, with its own default of --dataset."""
    flags.DEFINE_string(
        "dataset",
        dataset,
        "digits (embedded), any TFDS name, a folder of images, an .npy/.npz file.",
    )
    flags.DEFINE_string("data_dir", None, "Where TFDS data are; $TFDS_DATA_DIR unless given.")
    flags.DEFINE_integer("num_examples", None, "Use this many training examples only.", 1)
    flags.DEFINE_integer("image_size", None, "Crop to a square and resize to this many pixels.", 4)
    flags.DEFINE_bool("skip_unreadable", False, "Skip images of a folder that cannot be read.")
    flags.DEFINE_integer("seed", 0, "Of initial weights, order of the data, and noise.", 0)
    flags.DEFINE_integer("verbose", 1, "Keras progress: 0 none, 1 bars, 2 a line an epoch.", 0, 2)


def define_flags(
    dataset: str, workdir: str, epochs: int, batch_size: int, learning_rate: float
) -> None:
    """Defines the flags that all runners share, with a runner's own defaults."""
    define_data_flags(dataset)
    flags.DEFINE_string("workdir", workdir, "Where the run writes, and what it resumes from.")
    flags.DEFINE_bool("overwrite", False, "Remove what an earlier run left in --workdir.")
    flags.DEFINE_integer("epochs", epochs, "Passes over the training data.", 1)
    flags.DEFINE_integer("batch_size", batch_size, "Examples in a batch, over all replicas.", 1)
    flags.DEFINE_float("learning_rate", learning_rate, "Of the generator's optimizer.", 0.0)
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
        "Compile training steps with XLA, which needs --nodeterministic; the model's own "
        "default, which is what was measured to be faster, unless given.",
    )
    flags.register_multi_flags_validator(
        ["jit_compile", "deterministic"],
        lambda given: not (given["jit_compile"] and given["deterministic"]),
        "--jit_compile needs --nodeterministic",
    )
    flags.DEFINE_bool("export", True, "Write the sampler to --workdir/serving.")


def run(main: Callable[[Path, tf.distribute.Strategy], None]) -> None:
    """Parses the flags and runs `main(workdir, strategy)`, unless the run in it is finished."""

    def parsed(argv: Sequence[str]) -> None:
        if len(argv) > 1:
            sys.exit(f"Expected flags only. Received: {argv[1:]}")
        workdir, strategy = Path(FLAGS.workdir), set_up()
        # Only the first worker looks, when all have begun: --overwrite removes what is there.
        with errors_as_messages():
            is_wanted = decided_by_chief(strategy, lambda: is_to_do(workdir))
        if is_wanted:
            main(workdir, strategy)

    app.run(parsed)


@contextlib.contextmanager
def errors_as_messages() -> Iterator[None]:
    """Ends the program with the message alone of an error that bad input causes."""
    try:
        yield
    except (ValueError, TypeError, OSError, RuntimeError) as error:
        raise SystemExit(str(error)) from error


def define_sizes(name: str, default: Sequence[str], meaning: str) -> None:
    """Defines a flag that lists the sizes of layers."""
    flags.DEFINE_list(name, default, meaning)
    flags.register_validator(
        name,
        lambda sizes: all(size.isdecimal() and int(size) > 0 for size in sizes),
        "expected integers > 0, separated by commas",
    )


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
    strategy = getattr(FLAGS, "strategy", "none")  # Not every program has the flag.
    return strategy != "multiworker" or task.get("index", 0) == 0


def decided_by_chief(strategy: tf.distribute.Strategy, decide: Callable[[], bool]) -> bool:
    """Returns what the first worker decides, on all workers, which wait for it.

    When it raises an error or exits instead, the others exit too.
    """
    decision, error = 0.0, SystemExit("The first worker has ended, and says why.")
    if is_chief():
        try:
            decision = float(decide())
        except (Exception, SystemExit) as raised:
            decision, error = -1.0, raised
    # All replicas but the first of the first worker add nothing.
    numbers = strategy.experimental_distribute_values_from_function(
        lambda replica: tf.constant(0.0 if replica.replica_id_in_sync_group else decision)
    )
    decision = strategy.reduce(tf.distribute.ReduceOp.SUM, numbers, axis=None)
    if decision < 0:
        raise error
    return bool(decision)


def load_data(
    batch_size: int | None = None,
) -> tuple[tfgen.data.Examples, tfgen.data.Examples]:
    """Loads the examples of --dataset to train on, --num_examples of them, and those held out.

    Held out is the split "test", or the last tenth of "train" where there is none.

    Args:
        batch_size: of those to train on; --batch_size unless given.
    """
    batch_size = batch_size or FLAGS.batch_size
    try:
        heldout = _load("test", batch_size=1)
        return _load("train", batch_size, FLAGS.num_examples), heldout
    except UnknownSplit:
        heldout = _load("train[90%:]", batch_size=1)
        return _load("train[:90%]", batch_size, FLAGS.num_examples), heldout


def _load(split: str, batch_size: int, num_examples: int | None = None) -> tfgen.data.Examples:
    return tfgen.data.load(
        FLAGS.dataset,
        split=split,
        batch_size=batch_size,
        image_size=FLAGS.image_size,
        num_examples=num_examples,
        data_dir=FLAGS.data_dir,
        seed=FLAGS.seed,
        skip_unreadable=FLAGS.skip_unreadable,
    )


def is_to_do(workdir: Path) -> bool:
    """Returns whether the run that the flags ask for is not finished.

    Exits with a message when the directory cannot hold it.
    """
    check_writable(workdir)
    record = workdir / "flags.json"
    if not record.exists():
        # The first file of a run that was killed may be left under its temporary name.
        if any(".unfinished-" not in child.name for child in workdir.iterdir()):
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
        if (workdir / "finished").exists():
            print(f"{workdir} is finished; --overwrite starts anew.")
            return False
    return True


def claim_workdir(workdir: Path, strategy: tf.distribute.Strategy) -> None:
    """Makes the directory that of this run, once nothing can refuse the flags any more."""

    def claim() -> bool:
        record = workdir / "flags.json"
        if FLAGS.overwrite:
            # The record goes last, by which the directory is known as a run if this is killed.
            (workdir / "finished").unlink(missing_ok=True)
            for child in workdir.iterdir():
                if child != record:
                    shutil.rmtree(child) if child.is_dir() else child.unlink()
        write_text(record, json.dumps(_chosen_flags(), indent=2) + "\n")
        return True

    decided_by_chief(strategy, claim)


def finish(workdir: Path, model: tfgen.GenerativeModel, report: dict[str, Any]) -> None:
    """Saves and exports a model, writes metrics.json, and marks the run as finished."""
    with written_whole(workdir / "model.keras") as unfinished:
        model.save(unfinished)
    if FLAGS.export:
        export_and_check(model, workdir / "serving", report)
    write_text(workdir / "metrics.json", json.dumps(report, indent=2) + "\n")
    write_text(workdir / "finished", "")
    print(f"{workdir} holds {', '.join(sorted(path.name for path in workdir.iterdir()))}")


def _chosen_flags() -> dict[str, Any]:
    """Returns the values of the flags that decide what a run computes."""
    flags_of_runner = FLAGS.get_key_flags_for_module(sys.argv[0])
    return {flag.name: flag.value for flag in flags_of_runner if flag.name not in _FREE_FLAGS}


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

    widths = [image.shape[1] / image.shape[0] for image in panels.values()]
    figure, axes = pyplot.subplots(
        1, len(panels), figsize=(3.4 * sum(widths), 3.7), width_ratios=widths, squeeze=False
    )
    for axis, (name, image) in zip(axes[0], panels.items(), strict=True):
        axis.imshow(image, cmap="gray", vmin=0, vmax=1)  # Colours are shown as they are.
        axis.set_title(name, fontsize=10)
        axis.axis("off")
    figure.tight_layout()
    with written_whole(path) as unfinished:
        figure.savefig(unfinished, dpi=150, bbox_inches="tight")
    pyplot.close(figure)


def export_and_check(model: tfgen.GenerativeModel, path: Path, numbers: dict[str, Any]) -> None:
    """Exports a model once, compares it with what a server loads, and says how to call it."""
    *_, version = versions(path).values() or [tfgen.serving.export(model, path, numbers)]
    given = {name: specs.rows(spec, 4).numpy() for name, spec in model.condition_specs.items()}
    with tfgen.serving.SessionLoader(version) as served:
        seeds = [FLAGS.seed + (row << 32) for row in range(4)]
        images = served("sample", seed=seeds, **given)["images"]
    difference = float(np.abs(images - model.sample(4, FLAGS.seed, given or None)).max())
    instance = {"seed": 0} | {name: rows[0].tolist() for name, rows in given.items()}
    request = json.dumps({"signature_name": "sample_png", "instances": [instance]})
    if difference > (1e-4 if FLAGS.mixed_precision == "none" else 2e-2):  # Of values in [0, 1].
        raise RuntimeError(f"{version} differs from the model by {difference}")
    print(
        f"{version} through the C++ loader: 4 samples, largest difference from the model "
        f"{difference:.1e}. With a server on its parent directory:\n"
        f"curl -s localhost:8501/v1/models/{type(model).__name__.lower()}:predict -d '{request}'"
    )
