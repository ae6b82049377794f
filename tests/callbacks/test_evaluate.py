"""Scores in the logs: which, when, of what, and metrics that cannot be asked."""

import numpy as np
import pytest
import tensorflow as tf

from tests.metrics.helpers import Pixels
from tests.small_models import COMPLAINT, blocks, compiled_glo
from tfgen.callbacks import Evaluate
from tfgen.metrics import (
    FrechetInceptionDistance,
    InceptionScore,
    KernelInceptionDistance,
    PrecisionRecall,
)

PIXELS = Pixels(16)


def ready(kind, **kwargs):
    metric = kind(PIXELS, **kwargs)
    brightness = np.linspace(0.5, 1.0, 32, dtype=np.float32)[:, None, None, None]
    metric.update_real(blocks(32) * brightness)
    return metric


def test_scores_of_the_same_seed_every_so_many_epochs():
    model, fid = compiled_glo(), ready(FrechetInceptionDistance)
    evaluate = Evaluate({"fid": fid}, num_samples=40, every=2, seed=3, batch_size=16)
    history = model.fit(blocks(), batch_size=8, epochs=5, verbose=0, callbacks=[evaluate])
    assert len(history.epoch) == 5 and len(history.history["fid"]) == 2
    again = {}
    evaluate.on_epoch_end(5, again)
    fid.reset(keep_real=True)
    fid.update_fake(model.sample(40, seed=3).numpy())
    assert again["fid"] == pytest.approx(fid.result().value, rel=1e-5)


def test_a_metric_of_two_scores_and_one_without_real_images():
    evaluate = Evaluate(
        {"manifold": ready(PrecisionRecall), "is": InceptionScore(PIXELS, splits=2)}, num_samples=20
    )
    evaluate.set_model(compiled_glo())
    logs = {}
    evaluate.on_epoch_end(0, logs)
    assert set(logs) == {"manifold_precision", "manifold_recall", "is"}


@pytest.mark.parametrize(
    "metrics, options, error",
    [
        ({}, {}, ValueError),
        ({"fid": FrechetInceptionDistance(PIXELS)}, {}, ValueError),
        ({"fid": "fid"}, {}, TypeError),
        ({"is": InceptionScore(PIXELS)}, {"every": 0}, ValueError),
        ({"is": InceptionScore(PIXELS)}, {"num_samples": 1.5}, TypeError),
        ({"is": InceptionScore(PIXELS)}, {"batch_size": 0}, ValueError),
    ],
)
def test_bad_arguments(metrics, options, error):
    with pytest.raises(error, match=COMPLAINT):
        Evaluate(metrics, **options)


@pytest.mark.parametrize(
    "metric, few",
    [
        (ready(PrecisionRecall, k=3), 3),
        (InceptionScore(PIXELS, splits=5), 4),
        (ready(KernelInceptionDistance, subset_size=20), 19),
    ],
    ids=lambda value: type(value).__name__,
)
def test_fewer_samples_than_a_metric_needs(metric, few):
    with pytest.raises(ValueError, match=f"`num_samples` >= {few + 1}.*Received: {few}"):
        Evaluate({"score": metric}, num_samples=few)
    evaluate = Evaluate({"score": metric}, num_samples=few + 1)
    evaluate.set_model(compiled_glo())
    logs = {}
    evaluate.on_epoch_end(0, logs)
    assert logs
    with pytest.raises(ValueError, match=r"`num_samples` >= 2.*Received: 1"):
        Evaluate({"fid": ready(FrechetInceptionDistance)}, num_samples=1)


@pytest.mark.parametrize("kind", [FrechetInceptionDistance, InceptionScore])
def test_images_of_another_size_are_refused_before_training(kind):
    metric = kind(Pixels(9))
    if metric.needs_real:
        metric.update_real(np.random.default_rng(0).random([8, 3, 3, 1], np.float32))
    model = compiled_glo()
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        model.fit(blocks(), batch_size=8, verbose=0, callbacks=[Evaluate({"score": metric})])
    assert model.training_steps == 0
