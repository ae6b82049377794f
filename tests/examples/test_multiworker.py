"""Two processes of one machine, as `--strategy=multiworker` runs them."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.examples.test_train_glann import ARTIFACTS, SCRIPT, SMALL

pytestmark = pytest.mark.ci

WORKER = """
import sys
import numpy as np
import tensorflow as tf

strategy = tf.distribute.MultiWorkerMirroredStrategy()

import keras

from tfgen import latent, losses, networks
from tfgen.callbacks import Checkpoint

keras.utils.set_random_seed(0)
images = np.random.default_rng(0).random((64, 8, 8, 1), dtype=np.float32)
with strategy.scope():
    glann = latent.GLANN(
        latent.GLO(
            networks.InfoGANGenerator((8, 8, 1), 16, (8, 4)), 64, 4, loss=losses.AbsoluteError()
        ),
        latent.IMLE(networks.MLP((4,), (8,)), 64, noise_dim=4),
    )
    glann.compile()
history = glann.fit(
    images,
    batch_size=16,
    epochs=2,
    verbose=0,
    callbacks=[Checkpoint(sys.argv[2])],
).history
state = [np.asarray(v) for part in (glann.glo, glann.imle) for v in part.training_state]
np.savez(sys.argv[1], *state, losses=history["glo_loss"] + history["imle_loss"])
"""


def free_addresses(count):
    """Returns addresses of this machine that nothing listens at."""
    with contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(socket.socket()) for _ in range(count)]
        for listener in listeners:
            listener.bind(("localhost", 0))
        return [f"localhost:{listener.getsockname()[1]}" for listener in listeners]


def run_two(folder, *arguments, head_start=0):
    """Runs Python in two processes that know of each other; returns what each printed.

    When one fails, the other, which would wait for it, is ended.

    Args:
        folder: where what they print is kept.
        arguments: of Python; "{index}" in one is the number of the process.
        head_start: seconds by which the first begins after the second.
    """
    addresses = free_addresses(2)
    outputs = [[folder / f"{name}_{index}" for name in ("out", "err")] for index in range(2)]

    def start(index):
        task = {"type": "worker", "index": index}
        cluster = json.dumps({"cluster": {"worker": addresses}, "task": task})
        with outputs[index][0].open("w") as out, outputs[index][1].open("w") as err:
            return subprocess.Popen(
                [sys.executable, *(str(each).format(index=index) for each in arguments)],
                env={**os.environ, "TF_CONFIG": cluster},
                stdout=out,
                stderr=err,
            )

    second = start(1)
    time.sleep(head_start)
    workers = [start(0), second]
    try:
        while None in [worker.poll() for worker in workers]:
            if any(worker.poll() for worker in workers):
                break
            time.sleep(0.05)
        status = [worker.poll() for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    printed, errors = zip(*[[path.read_text() for path in paths] for paths in outputs], strict=True)
    assert status == [0, 0], errors
    return printed


def test_both_workers_end_with_equal_weights(tmp_path):
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    run_two(tmp_path, script, tmp_path / "{index}.npz", tmp_path / "checkpoints")
    first, second = (np.load(tmp_path / f"{index}.npz") for index in range(2))
    assert first.files == second.files
    for name in first.files:
        np.testing.assert_array_equal(first[name], second[name], name)
    assert first["losses"].shape == (4,)
    assert np.isfinite(first["losses"]).all()
    assert list((tmp_path / "checkpoints" / "imle").glob("ckpt-*.index"))


def test_workers_of_a_runner_agree_on_what_is_overwritten_and_finished(tmp_path):
    """A worker that reads anything of the earlier run before the first removes it fails."""
    workdir = tmp_path / "run"
    for name in ("flags.json", "finished", "judge.keras", "checkpoints/glo/checkpoint"):
        (workdir / name).parent.mkdir(parents=True, exist_ok=True)
        (workdir / name).write_text("{}")
    small = ("--epochs=1", "--imle_epochs=1", "--loss=l1")
    arguments = [SCRIPT, f"--workdir={workdir}", "--strategy=multiworker", *SMALL, *small]
    first, second = run_two(tmp_path, *arguments, "--overwrite", head_start=5)
    assert "\nglann " in first and "\nglann " not in second
    assert [name for name in ARTIFACTS if not (workdir / name).is_file()] == []
    assert not list(workdir.glob(".*"))
    lines = (workdir / "history.csv").read_text().splitlines()
    terms = [line.rpartition(",")[0] for line in lines]
    assert len(set(terms)) == len(terms)
    first, second = run_two(tmp_path, *arguments)
    assert "is finished" in first and second == ""
