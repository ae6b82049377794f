"""`import tfgen` costs little beyond TensorFlow, and refuses another backend clearly."""

import json

import pytest

from tests.contract import processes

HEAVY = {
    "tensorflow_probability",
    "tensorflow_datasets",
    "matplotlib",
    "sklearn",
    "faiss",
    "scipy",
    "tf_keras",
}
LIST_MODULES = """
import json, sys
import keras, tensorflow
before = {name.partition(".")[0] for name in sys.modules}
import tfgen
after = {name.partition(".")[0] for name in sys.modules}
print(json.dumps([sorted(before), sorted(after), tfgen.__all__]))
"""


def test_import_loads_no_heavy_package():
    out = processes.run("-c", LIST_MODULES)
    before, after, public = json.loads(out.splitlines()[-1])
    assert "latent" in public
    assert sorted((set(after) - set(before)) & HEAVY) == []


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_another_backend_is_refused_whether_it_is_installed_or_not(backend):
    process = processes.start("-c", "import tfgen", KERAS_BACKEND=backend)
    with process:
        _, err = process.communicate(timeout=processes.TIMEOUT)
    assert process.returncode == 1
    last = err.strip().splitlines()[-1]
    assert last.startswith("ImportError: ")
    assert "Expected KERAS_BACKEND=tensorflow" in last
    assert f"Received: {backend}" in last
