"""A metric is a function of the images it has seen, however they were divided."""

import json

import numpy as np
import pytest

from tests.contract import cases, values

NUM_IMAGES = 24


@pytest.fixture(scope="module")
def images():
    """Real and generated images, [24, 8, 8, 1] each."""
    noise = np.random.default_rng(1).uniform(size=(NUM_IMAGES, 8, 8, 1))
    return cases.images(), noise.astype(np.float32)


def scores(metric) -> list[dict]:
    """Returns a metric's numbers, as what would be written to a file."""
    result = metric.result()
    found = [score.asdict() for score in (result if isinstance(result, tuple) else (result,))]
    return json.loads(json.dumps(found))


def assert_same(found: list[dict], expected: list[dict]) -> None:
    for one, other in zip(found, expected, strict=True):
        numbers = [[score.pop("value"), score.pop("std") or 0.0] for score in (one, other)]
        np.testing.assert_allclose(*numbers, rtol=1e-6, atol=1e-9)
        assert one == other


def updated(metric, real: np.ndarray, fake: np.ndarray):
    metric.update_real(real)
    metric.update_fake(fake)
    return metric


@pytest.mark.parametrize("case", **cases.by_name(values.METRICS))
def test_batches_and_parts_make_no_difference(case, images):
    real, fake = images
    metric = updated(case.create(), real, fake)
    whole = scores(metric)
    assert all(np.isfinite(score["value"]) for score in whole)
    assert all(score["num_fake"] == NUM_IMAGES and score["split"] == "test" for score in whole)
    assert_same(scores(metric), [dict(score) for score in whole])

    batched = like(metric)
    for first in range(0, NUM_IMAGES, 7):
        updated(batched, real[first : first + 7], fake[first : first + 7])
    assert_same(scores(batched), [dict(score) for score in whole])

    parts = [like(metric), like(metric)]
    updated(parts[0], real[:10], fake[:15])
    updated(parts[1], real[10:], fake[15:])
    parts[0].merge(parts[1])
    assert_same(scores(parts[0]), [dict(score) for score in whole])


def like(metric):
    """Returns a new metric with the same arguments and the same extractor."""
    return type(metric)(**{name: getattr(metric, name) for name in metric.get_config()})


@pytest.mark.parametrize("case", **cases.by_name(values.METRICS))
def test_reset_forgets(case, images):
    real, fake = images
    metric = updated(case.create(), real, fake)
    first = scores(metric)
    metric.reset()
    with pytest.raises(ValueError, match=r"Expected .*images before `result`"):
        metric.result()
    updated(metric, real, real[::-1])
    assert scores(metric)[0]["value"] != first[0]["value"]
    metric.reset(keep_real=True)
    metric.update_fake(fake)
    assert_same(scores(metric), first)


@pytest.mark.parametrize("case", **cases.by_name(values.METRICS))
def test_only_the_like_can_be_merged(case):
    others = [other for other in values.METRICS if other is not case]
    with pytest.raises(TypeError, match=r"Expected a .*Received: "):
        case.create().merge(others[0].create())


@pytest.mark.parametrize("case", **cases.by_name(values.METRICS))
def test_what_is_not_finite_is_refused(case):
    with pytest.raises(ValueError, match=r"Expected .*finite"):
        case.create().update_fake_features(np.full([5, 4], np.nan))
