import json

import numpy as np
import pytest

from tests.metrics.helpers import Pixels, random_images
from tfgen.metrics import (
    DensityCoverage,
    FrechetInceptionDistance,
    KernelInceptionDistance,
    PrecisionRecall,
    Score,
)


def test_says_all_that_is_needed_to_compare_it():
    score = Score("KID", 0.01234, "classifier[64]", 64, 1000, 900, "test", 0.0021, "k=3")
    assert str(score) == "KID 0.01234 ± 0.0021 (classifier[64], k=3, 1000 real test vs 900 fake)"
    assert float(score) == 0.01234


def test_becomes_json():
    metric = FrechetInceptionDistance(Pixels(4), split="test")
    metric.update_real(random_images(20, seed=0))
    metric.update_fake(random_images(30, seed=1))
    score = metric.result()
    fields = json.loads(json.dumps(score.asdict()))
    assert Score(**fields) == score
    assert fields["metric"] == "FID" and fields["num_real"] == 20 and fields["num_fake"] == 30


@pytest.mark.parametrize(
    "metric",
    [FrechetInceptionDistance, KernelInceptionDistance, PrecisionRecall, DensityCoverage],
)
def test_features_of_another_dimension(metric):
    with pytest.raises(ValueError, match=r"dimension 4.*\(10, 3\)"):
        metric(Pixels(4)).update_fake_features(np.zeros((10, 3)))


def test_merging_what_does_not_fit():
    metric = FrechetInceptionDistance(Pixels(4))
    with pytest.raises(TypeError, match="FrechetInceptionDistance"):
        metric.merge(PrecisionRecall(Pixels(4)))
    with pytest.raises(ValueError, match=r"pixels\[4\].*pixels\[5\]"):
        metric.merge(FrechetInceptionDistance(Pixels(5)))
