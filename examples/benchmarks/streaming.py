"""Measures examples that are streamed from files against the same examples in memory.

    python examples/benchmarks/streaming.py --num_files=200000

Writes PNG files of 64 x 64 pixels to a temporary folder, or to --folder, which is kept and used
again. Then three sections: a, the resident memory of a process over an epoch of streamed batches;
b, images per second; c, the steps of a DCGAN. In b and c both are measured in turn in one process,
and medians are compared: a ratio of 1 says that streaming costs nothing.
"""

import os
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags
from measure import in_new_process, interleaved

import tfgen
from tfgen import networks
from tfgen.adversarial import recipes

FLAGS = flags.FLAGS

flags.DEFINE_list("sections", ["a", "b", "c"], "Which to run.")
flags.DEFINE_integer("num_files", 200_000, "PNG files to write.", 64)
flags.DEFINE_string("folder", None, "Of the files; a temporary one unless given.")
flags.DEFINE_integer("repeats", 5, "How often each candidate is measured.", 1)
flags.DEFINE_integer("batches", 100, "Batches of a measurement of section b.", 1)
flags.DEFINE_integer("steps", 10, "Steps of a measurement of section c.", 2)

SIZE, BATCH_SIZE = 64, 64


def write_files(folder: Path, number: int) -> None:
    """Writes PNG files, smooth pictures with a little noise, unless they are there."""
    folder.mkdir(parents=True, exist_ok=True)
    if len(os.listdir(folder)) == number:
        return

    def write(row: tf.Tensor) -> tf.Tensor:
        seed = tf.stack([row, 0])
        coarse = 255 * tf.random.stateless_uniform([8, 8, 3], seed)
        picture = tf.image.resize(coarse, [SIZE, SIZE])
        picture += tf.random.stateless_normal([SIZE, SIZE, 3], seed)
        name = tf.strings.join([str(folder), "/", tf.strings.as_string(row, width=7, fill="0")])
        content = tf.io.encode_png(tf.saturate_cast(tf.round(picture), tf.uint8))
        tf.io.write_file(name + ".png", content)
        return row

    for _ in tf.data.Dataset.range(number).map(write, num_parallel_calls=os.cpu_count()):
        pass


def resident() -> float:
    """Returns the resident memory of this process in MB (Linux)."""
    return int(re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024


def memory_of_an_epoch(folder: str) -> list[tuple[int, float]]:
    """Returns the resident memory after so many batches of an epoch, a quarter of it apart."""
    examples = tfgen.data.load(folder, "all", BATCH_SIZE, in_memory=False)
    steps = examples.steps_per_epoch
    marks = {steps * quarter // 4 for quarter in (1, 2, 3, 4)} | {min(100, steps)}
    found = []
    for number, _ in enumerate(examples.dataset().take(steps), 1):
        if number in marks:
            found.append((number, resident()))
    return found


def section_a(folder: str) -> None:
    """Prints the resident memory over an epoch, of a process that does nothing else."""
    for batches, megabytes in in_new_process(memory_of_an_epoch, folder):
        print(f"resident after {batches} batches: {megabytes:.0f} MB", flush=True)


def section_b(data: dict[str, tfgen.data.Examples]) -> None:
    """Prints images per second."""

    def reader(examples: tfgen.data.Examples) -> Callable[[], Any]:
        stream = iter(examples.dataset())
        return lambda: [next(stream) for _ in range(FLAGS.batches)]

    seconds = interleaved(
        {kind: reader(examples) for kind, examples in data.items()}, FLAGS.repeats
    )
    for kind, value in seconds.items():
        print(f"{kind}: {FLAGS.batches * BATCH_SIZE / value:.0f} images/s", flush=True)


class Clock(keras.callbacks.Callback):
    """Notes when each step ends."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[float] = []

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self.ends.append(time.perf_counter())


def steps_of(gan: tfgen.adversarial.GAN, examples: tfgen.data.Examples) -> list[float]:
    """Returns the seconds of each step of an epoch but the first, in which the stream begins."""
    clock = Clock()
    gan.fit(examples, callbacks=[clock], verbose=0)
    return np.diff(clock.ends).tolist()


def section_c(data: dict[str, tfgen.data.Examples]) -> None:
    """Prints the seconds of a step of a DCGAN."""
    shape = (SIZE, SIZE, 3)
    seconds = {}
    for kind, examples in data.items():
        gan = recipes.non_saturating_gan(
            networks.DCGANGenerator(shape), networks.DCGANDiscriminator(shape)
        )
        gan.compile()
        part = examples.in_rounds(FLAGS.steps * BATCH_SIZE, 1)
        seconds[kind] = (partial(steps_of, gan, part), [])
        seconds[kind][0]()
    for _ in range(FLAGS.repeats):
        for call, found in seconds.values():
            found.extend(call())
    medians = {kind: statistics.median(found) for kind, (_, found) in seconds.items()}
    for kind, value in medians.items():
        print(f"DCGAN, {kind}: {1e3 * value:.1f} ms a step", flush=True)
    ratio = medians["in memory"] / medians["streamed"]
    print(f"steps a second, streamed / in memory: {ratio:.3f}", flush=True)


def main(_: Sequence[str]) -> None:
    """Runs the sections asked for."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(FLAGS.folder or temporary)
        start = time.perf_counter()
        write_files(folder, FLAGS.num_files)
        print(f"{FLAGS.num_files} files in {time.perf_counter() - start:.0f} s", flush=True)
        if "a" in FLAGS.sections:
            section_a(str(folder))
        data = {}
        for kind, in_memory in {"in memory": True, "streamed": False}.items():
            if {"b", "c"} & set(FLAGS.sections):
                start = time.perf_counter()
                data[kind] = tfgen.data.load(folder, "all", BATCH_SIZE, in_memory=in_memory)
                print(f"{kind}: loaded in {time.perf_counter() - start:.0f} s", flush=True)
        if "b" in FLAGS.sections:
            section_b(data)
        if "c" in FLAGS.sections:
            section_c(data)


if __name__ == "__main__":
    app.run(main)
