"""A run that is killed, twice, ends with the bits of one that is not."""

import pickle
import re
import signal

import numpy as np
import pytest

from tests.contract import processes

WORKER = ("-m", "tests.contract.workers.train")
# The third of four epochs of three batches; the fourth of five epochs of two batches, which is
# the second of a round of two, so that the assignment is an old one.
KILLS = (("glo", 8), ("imle", 7))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """What an uninterrupted run and one that was killed twice ended with."""
    folder = tmp_path_factory.mktemp("resume")
    killed = (*WORKER, folder / "killed", folder / "killed.pickle")
    with processes.start(*WORKER, folder / "whole", folder / "whole.pickle") as whole:
        for stage, batches in KILLS:
            processes.run(*killed, stage, str(batches), status=-signal.SIGKILL)
            assert not (folder / "killed.pickle").exists()
        processes.run(*killed)
        processes.finish(whole)
    return [
        pickle.loads((folder / f"{name}.pickle").read_bytes())
        | {"sheets": {path.name: path.read_bytes() for path in folder.glob(f"{name}_sheets/*")}}
        for name in ("whole", "killed")
    ]


def test_state_is_equal_bit_for_bit(runs):
    whole, killed = (run["state"] for run in runs)
    assert whole.keys() == killed.keys()
    for name, value in whole.items():
        np.testing.assert_array_equal(killed[name], value, err_msg=name)


def test_samples_are_equal_bit_for_bit(runs):
    np.testing.assert_array_equal(runs[1]["samples"], runs[0]["samples"])


def test_sheets_are_equal_byte_for_byte(runs):
    """The density that GLO samples is fitted anew for each sheet, whatever a checkpoint holds."""
    assert len(runs[0]["sheets"]) == 4 + 5
    assert runs[1]["sheets"] == runs[0]["sheets"]


@pytest.mark.parametrize(
    "part",
    [
        "glo/.*step",
        "codes",
        "assigned_noise",
        "moment",
        "iteration",
        "moving_mean",
        "kernel",
        "imle/.*step",
        "scale",
    ],
)
def test_state_holds_every_part(runs, part):
    found = [value for name, value in runs[0]["state"].items() if re.search(part, name)]
    assert any(np.any(value != 0) for value in found)
