"""A run that is killed, once or twice, ends with the bits of one that is not."""

import pickle
import re
import signal

import numpy as np
import pytest

from tests.contract import processes

pytestmark = pytest.mark.ci

WORKER = ("-m", "tests.contract.workers.train")
# By case: after how many batches of which stage. GLANN: the third of four epochs of three batches;
# the fourth of five of two batches, which is the second of a round of two, so that the assignment
# is an old one.
KILLS = {
    "glann": (("glo", 8), ("imle", 7)),
    "gan_conditional": (("all", 2), ("all", 5)),
    "gan_regularized": (("all", 5),),
    "began": (("all", 5),),
    "bigan": (("all", 5),),
    "levels_vae": (("all", 5),),
    "fitted_sampler": (("autoencoder", 4), ("sampler", 5)),
    "vaegan": (("all", 5),),
    "flow_images": (("all", 5),),
    "flow_residual": (("all", 7),),
    "tokens": (("all", 4),),
    "codebook": (("codes", 5), ("prior", 4)),
    "mixture": (("all", 2), ("all", 10)),
}
SHEETS = {
    "glann": 4 + 5,
    "gan_conditional": 4,
    "gan_regularized": 2,
    "began": 2,
    "bigan": 2,
    "levels_vae": 2,
    "fitted_sampler": 2 + 3,
    "vaegan": 2,
    "flow_images": 2,
    "flow_residual": 3,
    "tokens": 0,
    "codebook": 3 + 3,
    "mixture": 5,
}


@pytest.fixture(scope="module", params=KILLS)
def name(request):
    """The name of a case."""
    return request.param


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Where an uninterrupted process and several that were killed wrote what they ended with."""
    folder = tmp_path_factory.mktemp("resume")
    whole, killed = folder / "whole", folder / "killed"
    with processes.start(*WORKER, whole) as process:
        for case, kills in KILLS.items():
            for stage, batches in kills:
                kill = (case, stage, str(batches))
                processes.run(*WORKER, killed, *kill, status=-signal.SIGKILL)
                assert not (killed / f"{case}.pickle").exists()
        processes.run(*WORKER, killed)
        processes.finish(process)
    return whole, killed


@pytest.fixture(scope="module")
def runs(name, folders):
    """What both ended with, for a case."""
    return [
        pickle.loads((folder / f"{name}.pickle").read_bytes())
        | {"sheets": {p.name: p.read_bytes() for p in folder.glob(f"{name}_sheets/*")}}
        for folder in folders
    ]


def test_state_is_equal_bit_for_bit(runs):
    whole, killed = (run["state"] for run in runs)
    assert whole.keys() == killed.keys()
    for name, value in whole.items():
        np.testing.assert_array_equal(killed[name], value, err_msg=name)


def test_samples_are_equal_bit_for_bit(runs):
    np.testing.assert_array_equal(runs[1]["samples"], runs[0]["samples"])


def test_sheets_are_equal_byte_for_byte(name, runs):
    """The density that GLO samples is fitted anew for each sheet, whatever a checkpoint holds."""
    assert len(runs[0]["sheets"]) == SHEETS[name]
    assert runs[1]["sheets"] == runs[0]["sheets"]


# How many variables of each part there are, at least; a network and its average have one each.
PARTS = {
    "glann": {
        "glo/.*step": 1,
        "codes": 1,
        "assigned_noise": 1,
        "moment": 1,
        "iteration": 3,
        "moving_mean": 1,
        "kernel": 1,
        "imle/.*step": 1,
        "scale": 1,
    },
    "gan_conditional": {"step": 1, "iteration": 2, "momentum": 2, "moving_mean": 2 * 3, "/u$": 1},
    "gan_regularized": {"step": 1, "iteration": 2, "generator_state": 2},
    "began": {"step": 1, "balance": 1, "iteration": 2, "momentum": 2, "moving_mean": 2 * 3},
    "bigan": {"step": 1, "iteration": 3, "momentum": 3, "moving_mean": 2 * 3 + 2 * 2},
    "levels_vae": {"step": 1, "prepared": 1, "iteration": 1, "momentum": 8, "kernel": 4 + 2},
    "fitted_sampler": {"autoencoder/.*step": 1, "sampler/.*step": 1, "iteration": 2, "kernel": 5},
    "vaegan": {"step": 1, "iteration": 3, "momentum": 3 * 2, "moving_mean": 2 * 2},
    "flow_images": {"step": 1, "prepared": 1, "iteration": 1, "momentum": 8, "scale": 4},
    "flow_residual": {"step": 1, "prepared": 1, "iteration": 1, "momentum": 8, "/u$": 4},
    "tokens": {"step": 1, "prepared": 1, "iteration": 1, "places": 3},
    "codebook": {"codes/.*step": 1, "prior/.*step": 1, "iteration": 2, "counts": 1, "sums": 1},
    "mixture": {"step": 1, "prepared": 1, "means": 2, "roots": 1, "counts": 1, "logits": 1},
}


def test_state_holds_every_part(name, runs):
    for part, count in PARTS[name].items():
        found = [value for key, value in runs[0]["state"].items() if re.search(part, key)]
        assert sum(np.any(value != 0) for value in found) >= count, part
