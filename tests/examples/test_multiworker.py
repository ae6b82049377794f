"""Two processes of one machine, as `--strategy=multiworker` runs them."""

import json
import os
import socket
import subprocess
import sys

import numpy as np

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
    imle_epochs=2,
    imle_batch_size=16,
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


def test_both_workers_end_with_equal_weights(tmp_path):
    addresses = [f"localhost:{free_port()}" for _ in range(2)]
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    workers = []
    for index in range(2):
        task = {"type": "worker", "index": index}
        cluster = json.dumps({"cluster": {"worker": addresses}, "task": task})
        arguments = [str(script), str(tmp_path / f"{index}.npz"), str(tmp_path / "checkpoints")]
        workers.append(
            subprocess.Popen(
                [sys.executable, *arguments],
                env={**os.environ, "TF_CONFIG": cluster},
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    try:
        for worker in workers:
            _, errors = worker.communicate(timeout=300)
            assert worker.returncode == 0, errors
    finally:
        for worker in workers:
            worker.kill()
    first, second = (np.load(tmp_path / f"{index}.npz") for index in range(2))
    assert first.files == second.files
    for name in first.files:
        np.testing.assert_array_equal(first[name], second[name], name)
    assert first["losses"].shape == (4,)
    assert np.isfinite(first["losses"]).all()
    assert (tmp_path / "checkpoints" / "imle" / "checkpoint").exists()
