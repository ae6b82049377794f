"""Two processes of one machine, as `--strategy=multiworker` runs them."""

import json
import os
import socket
import subprocess
import sys
import time

import numpy as np

from tests.examples.test_train_glann import ARTIFACTS, SCRIPT, SMALL

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


def free_port():
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        return listener.getsockname()[1]


def run_two(*arguments, head_start=0):
    """Runs Python in two processes that know of each other; returns what each printed.

    "{index}" in an argument is the number of the process. The first begins `head_start` seconds
    after the second.
    """
    addresses = [f"localhost:{free_port()}" for _ in range(2)]

    def start(index):
        task = {"type": "worker", "index": index}
        return subprocess.Popen(
            [sys.executable, *(str(each).format(index=index) for each in arguments)],
            env={
                **os.environ,
                "TF_CONFIG": json.dumps({"cluster": {"worker": addresses}, "task": task}),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    second = start(1)
    time.sleep(head_start)
    workers = [start(0), second]
    try:
        ended = [(*worker.communicate(timeout=300), worker.returncode) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    assert [status for *_, status in ended] == [0, 0], [errors for _, errors, _ in ended]
    return [printed for printed, *_ in ended]


def test_both_workers_end_with_equal_weights(tmp_path):
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    run_two(script, tmp_path / "{index}.npz", tmp_path / "checkpoints")
    first, second = (np.load(tmp_path / f"{index}.npz") for index in range(2))
    assert first.files == second.files
    for name in first.files:
        np.testing.assert_array_equal(first[name], second[name], name)
    assert first["losses"].shape == (4,)
    assert np.isfinite(first["losses"]).all()
    assert (tmp_path / "checkpoints" / "imle" / "checkpoint").exists()


def test_workers_of_a_runner_agree_on_what_is_overwritten_and_finished(tmp_path):
    """A worker that reads anything of the earlier run before the first removes it fails."""
    for name in ("flags.json", "finished", "judge.keras", "checkpoints/glo/checkpoint"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    small = ("--epochs=1", "--imle_epochs=1", "--loss=l1")
    arguments = [SCRIPT, f"--workdir={tmp_path}", "--strategy=multiworker", *SMALL, *small]
    first, second = run_two(*arguments, "--overwrite", head_start=5)
    assert "\nglann " in first and "\nglann " not in second
    assert [name for name in ARTIFACTS if not (tmp_path / name).is_file()] == []
    assert not list(tmp_path.glob(".*"))
    lines = (tmp_path / "history.csv").read_text().splitlines()
    terms = [line.rpartition(",")[0] for line in lines]
    assert len(set(terms)) == len(terms)
    first, second = run_two(*arguments)
    assert "is finished" in first and second == ""
