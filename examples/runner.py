"""What every runner shares: flags, strategy, the directory of a run, export, and how a run ends."""

import contextlib
import json
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import console
import data_flags
import keras
import numpy as np
import tensorflow as tf
from absl import app, flags, logging

import tfgen
from tfgen.core import specs
from tfgen.core.files import check_writable, write_text, written_whole
from tfgen.serving.versions import versions

FLAGS = flags.FLAGS

STRATEGIES = ("none", "mirrored", "multiworker")
PRECISIONS = ("none", "bfloat16", "float16")

# Flags that may differ between a run and the run that resumes it.
_FREE_FLAGS = frozenset({"workdir", "overwrite", "data_dir", "export", "verbose", "in_memory"})


def define_flags(
    dataset: str, kind: str, epochs: int, batch_size: int, learning_rate: float | None
) -> None:
    """Defines the flags that all runners share, with a runner's own defaults.

    Args:
        dataset, learning_rate: the defaults of these flags.
        kind: of the runs, which their directories are called by.
        epochs, batch_size: what these flags stand for where they are not given, and there are not
            too few examples.
    """
    data_flags.define(dataset)
    flags.adopt_module_key_flags(data_flags)
    flags.DEFINE_string(
        "workdir",
        None,
        f"Where the run writes, and what it resumes from; runs/{kind}_<dataset> unless given.",
    )
    flags.DEFINE_bool("overwrite", False, "Remove what an earlier run left in --workdir.")
    flags.DEFINE_integer(
        "epochs",
        None,
        f"Passes over the training data; {epochs}, and more where there are few, unless given.",
        1,
    )
    flags.DEFINE_integer(
        "batch_size",
        None,
        f"Examples in a batch, over all replicas; {batch_size}, and fewer where there are few, "
        "unless given.",
        1,
    )
    flags.DEFINE_float("learning_rate", learning_rate, "Of the (generator's) optimizer.", 0.0)
    flags.DEFINE_bool("export", True, "Export the model to --workdir/serving.")
    _define_machine_flags()


def _define_machine_flags() -> None:
    """Defines the flags that say what computes, and how."""
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


def run(main: Callable[[Path, tf.distribute.Strategy], None], kind: str) -> None:
    """Parses the flags and runs `main(workdir, strategy)`, unless the run in it is finished.

    Args:
        main: trains, and writes what there is to be written.
        kind: as for `define_flags`.
    """

    def parsed(argv: Sequence[str]) -> None:
        if len(argv) > 1:
            sys.exit(f"Expected flags only. Received: {argv[1:]}")
        workdir = Path(FLAGS.workdir or f"runs/{kind}_{data_flags.short_name(FLAGS.dataset)}")
        strategy = set_up()
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
        raise SystemExit(data_flags.with_flags(str(error))) from error


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
    console.end_with(lambda: f"; {_how_to_go_on(workdir)}.")


def _how_to_go_on(workdir: Path) -> str:
    """Returns what the same command does when this process ends now."""
    found = list(workdir.glob("checkpoints/**/ckpt-*.index"))
    if not found:
        return "the same command begins anew"
    latest = max(found, key=lambda index: index.stat().st_mtime)
    return f"the same command goes on after epoch {latest.stem.removeprefix('ckpt-')}"


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


def export_and_check(model: tfgen.GenerativeModel, path: Path, numbers: dict[str, Any]) -> None:
    """Exports a model once, compares it with what a server loads, and says how to call it."""
    *_, version = versions(path).values() or [tfgen.serving.export(model, path, numbers)]
    given = {name: specs.rows(spec, 4).numpy() for name, spec in model.condition_specs.items()}
    with tfgen.serving.SessionLoader(version) as served:
        seeds = [FLAGS.seed + (row << 32) for row in range(4)]
        plain = {"temperature": np.ones(4, np.float32)} if model.has_temperature else {}
        found = served("sample", seed=seeds, **plain, **given)[model.event_spec.name]
    difference = float(np.abs(found - model.sample(4, FLAGS.seed, given or None)).max())
    served_as = type(model).__name__.lower()
    inputs = plain | given
    instance = {"seed": 0} | {name: rows[0].tolist() for name, rows in inputs.items()}
    signature = "sample_png" if specs.is_image(model.event_spec) else "sample"
    request = json.dumps({"signature_name": signature, "instances": [instance]})
    if difference > (1e-4 if FLAGS.mixed_precision == "none" else 2e-2):  # Of values in [0, 1].
        raise RuntimeError(f"{version} differs from the model by {difference}")
    print(
        f"{version} through the C++ loader: 4 samples, largest difference from the model "
        f"{difference:.1e}. With a server, such as\n"
        f"tfgen serve --path={shlex.quote(str(path))} --model_name={served_as}\n"
        f"curl -s localhost:8501/v1/models/{served_as}:predict -d '{request}'"
    )
