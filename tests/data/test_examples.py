"""The random subset that a round of epochs passes over."""

import numpy as np
import pytest

from tests.small_models import COMPLAINT
from tfgen.data.examples import Examples


def examples(num_examples=10, batch_size=2):
    return Examples(np.ones([num_examples, 2, 2, 1], np.float32), batch_size=batch_size, seed=3)


def test_all_are_members_unless_restricted():
    assert examples().members(4).tolist() == list(range(10))


def test_members_are_the_same_within_a_round_and_others_in_the_next():
    restricted = examples().in_rounds(subset_size=6, num_epochs=3)
    members = [restricted.members(epoch).tolist() for epoch in range(9)]
    assert all(len(set(m)) == 6 and set(m) <= set(range(10)) for m in members)
    rounds = [members[first : first + 3] for first in (0, 3, 6)]
    assert all(r[0] == r[1] == r[2] for r in rounds)
    assert len({tuple(sorted(r[0])) for r in rounds}) > 1


def test_an_epoch_passes_over_the_members_once():
    restricted = examples().in_rounds(subset_size=6, num_epochs=2)
    assert restricted.steps_per_epoch == 3
    for first_epoch in (0, 1, 2):
        batches = restricted.dataset(first_epoch).take(3)
        seen = np.concatenate([batch["index"] for batch in batches])
        assert sorted(seen) == sorted(restricted.members(first_epoch))


def test_the_original_is_not_restricted():
    original = examples()
    original.in_rounds(subset_size=6, num_epochs=2)
    assert original.steps_per_epoch == 5


@pytest.mark.parametrize("subset_size", [0, 1, 11])
def test_bad_subset(subset_size):
    with pytest.raises(ValueError, match=COMPLAINT):
        examples().in_rounds(subset_size, 1)
