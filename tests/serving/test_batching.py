"""Requests that wait at the same time are run as one, and answered each for itself."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.small_models import COMPLAINT
from tfgen.serving.batching import Batcher, Batching

FAR = 3600.0  # Seconds: a window that only a full batch closes.


class Doubling:
    """Doubles the rows of "x", which must be >= 0, and notes how many it is given at a time."""

    def __init__(self):
        self.sizes = []
        self.is_asked = threading.Event()
        self.may_run = threading.Event()
        self.may_run.set()

    def __call__(self, signature, inputs):
        self.is_asked.set()
        self.may_run.wait()
        self.sizes.append((signature, len(inputs["x"])))
        if np.min(inputs["x"]) < 0:
            raise ValueError("Expected `x` >= 0.")
        if signature == "sum":
            return {"y": np.sum(inputs["x"], keepdims=True)}
        return {"y": 2 * inputs["x"]}


def ask_all(batcher, requests):
    """Returns the answer to each request, all asked at once."""
    with ThreadPoolExecutor(len(requests)) as pool:
        asked = [pool.submit(batcher, name, {"x": np.array(x)}) for name, x in requests]
        return [each.exception() or each.result()["y"].tolist() for each in asked]


def test_requests_are_joined_up_to_the_largest_batch():
    run = Doubling()
    answers = ask_all(Batcher(run, Batching(6, FAR)), [("s", [i, i + 10]) for i in range(6)])
    assert answers == [[2 * i, 2 * i + 20] for i in range(6)]
    assert run.sizes == [("s", 6), ("s", 6)]


def test_one_that_does_not_fit_begins_another_batch():
    run = Doubling()
    answers = ask_all(Batcher(run, Batching(3, 0.01)), [("s", [1, 2]), ("s", [3, 4, 5])])
    assert answers == [[2, 4], [6, 8, 10]]
    assert sorted(run.sizes) == [("s", 2), ("s", 3)]


def test_a_request_that_is_larger_is_run_alone():
    run = Doubling()
    assert ask_all(Batcher(run, Batching(2, FAR)), [("s", [1, 2, 3])]) == [[2, 4, 6]]
    assert run.sizes == [("s", 3)]


def test_what_waits_for_a_thread_is_joined():
    run = Doubling()
    run.may_run.clear()
    batcher = Batcher(run, Batching(64, 0.0, threads=1))
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(batcher, "s", {"x": np.array([1])})
        run.is_asked.wait()
        others = [pool.submit(batcher, "s", {"x": np.array([i])}) for i in range(3)]
        while [group.num_rows for group in list(batcher._open.values())] != [3]:
            time.sleep(0.001)
        run.may_run.set()
        assert [each.result()["y"].tolist() for each in (first, *others)] == [[2], [0], [2], [4]]
    assert run.sizes == [("s", 1), ("s", 3)]


def test_other_signatures_and_shapes_are_not_joined():
    run = Doubling()
    requests = [("s", [1]), ("t", [1]), ("s", [[1]]), ("s", [[1, 2]])]
    assert ask_all(Batcher(run, Batching(64, 0.0)), requests) == [[2], [2], [[2]], [[2, 4]]]
    assert len(run.sizes) == 4


def test_a_wrong_request_fails_alone():
    run = Doubling()
    answers = ask_all(Batcher(run, Batching(3, FAR)), [("s", [1]), ("s", [-1]), ("s", [3])])
    assert answers[0] == [2] and answers[2] == [6]
    assert isinstance(answers[1], ValueError)
    assert run.sizes[0] == ("s", 3) and sorted(run.sizes[1:]) == [("s", 1)] * 3


def test_a_signature_that_mixes_rows_is_run_one_by_one():
    run = Doubling()
    assert ask_all(Batcher(run, Batching(2, FAR)), [("sum", [1]), ("sum", [5])]) == [[1], [5]]


def test_what_has_no_rows_is_run_as_it_is():
    batcher = Batcher(lambda name, inputs: {"y": inputs["x"] + inputs["z"]}, Batching(2, FAR))
    assert batcher("s", {"x": np.array(1), "z": np.arange(3)})["y"].tolist() == [1, 2, 3]


@pytest.mark.parametrize("numbers", [(0,), (1.5,), (1, -1.0), (1, float("nan")), (1, 0.0, 0)])
def test_numbers_out_of_range(numbers):
    with pytest.raises((TypeError, ValueError), match=COMPLAINT):
        Batching(*numbers)
