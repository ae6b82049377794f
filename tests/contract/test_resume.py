"""A run that is killed, once or twice, ends with the bits of one that is not."""

import pickle
import re
import signal

import numpy as np
import pytest

from tests.contract import processes

WORKER = ("-m", "tests.contract.workers.train")
# GLANN: the third of four epochs of three batches; the fourth of five of two batches, which is
# the second of a round of two, so that the assignment is an old one.
KILLS = {
    "glann": (("glo", 8), ("imle", 7)),
    "gan_conditional": (("all", 2), ("all", 5)),
    "began": (("all", 5),),
    "bigan": (("all", 5),),
}
SHEETS = {"glann": 4 + 5, "gan_conditional": 4, "began": 2, "bigan": 2}


@pytest.fixture(scope="module", params=KILLS)
def name(request):
    """The name of a case."""
    return request.param


@pytest.fixture(scope="module")
def runs(name, tmp_path_factory):
    """What an uninterrupted run and one that was killed ended with."""
    folder = tmp_path_factory.mktemp("resume")
    killed = (*WORKER, name, folder / "killed", folder / "killed.pickle")
    with processes.start(*WORKER, name, folder / "whole", folder / "whole.pickle") as whole:
        for stage, batches in KILLS[name]:
            processes.run(*killed, stage, str(batches), status=-signal.SIGKILL)
            assert not (folder / "killed.pickle").exists()
        processes.run(*killed)
        processes.finish(whole)
    return [
        pickle.loads((folder / f"{run}.pickle").read_bytes())
        | {"sheets": {path.name: path.read_bytes() for path in folder.glob(f"{run}_sheets/*")}}
        for run in ("whole", "killed")
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
    "began": {"step": 1, "balance": 1, "iteration": 2, "momentum": 2, "moving_mean": 2 * 3},
    "bigan": {"step": 1, "iteration": 3, "momentum": 3, "moving_mean": 2 * 3 + 2 * 2},
}


def test_state_holds_every_part(name, runs):
    for part, count in PARTS[name].items():
        found = [value for key, value in runs[0]["state"].items() if re.search(part, key)]
        assert sum(np.any(value != 0) for value in found) >= count, part
