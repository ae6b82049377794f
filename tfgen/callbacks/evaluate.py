"""Scores of samples during training."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfgen.core.checks import check_integer, check_seed, expected
from tfgen.core.random import row_seeds
from tfgen.metrics.score import Score, StreamingMetric
from tfgen.training.callback import Callback


class Evaluate(Callback):
    """Scores the samples of the same seed after each so many epochs, and logs the scores.

    The log names are those of the metrics; of a metric with several scores, the name with each
    score's own, such as `manifold_precision`. Callbacks that come later in the list, and the
    `History` that `fit` returns, see them in `logs`.

    Where a model is trained in stages, the samples are those of the stage's own model, if these are
    examples, else of the whole. A model that cannot sample gets no scores.

    Example:
        fid = metrics.FrechetInceptionDistance(extractor, split="test")
        fid.update_real(test_images)
        gan.fit(data, epochs=20, callbacks=[Evaluate({"fid": fid}, num_samples=2000)])

    Args:
        metrics: by name, each of which has seen its real images.
        num_samples: how many samples are scored, > 0.
        every: epochs between scores, > 0.
        seed: of the samples.
        batch_size: how many samples are made at a time, > 0.

    Raises:
        TypeError: when something else is given for a metric, or a number is not an integer.
        ValueError: when there are no metrics, one has seen no real images, a number is not > 0,
            there are fewer samples than a metric needs, or the seed is out of range; when training
            begins, if a metric cannot look at images of the model's size.
    """

    def __init__(
        self,
        metrics: Mapping[str, StreamingMetric],
        num_samples: int = 1000,
        every: int = 1,
        seed: int = 0,
        batch_size: int = 256,
    ) -> None:
        super().__init__()
        if not metrics:
            raise ValueError(expected("at least one metric", metrics))
        for name, metric in metrics.items():
            if not isinstance(metric, StreamingMetric):
                raise TypeError(expected(f"{name!r} to be a metric of `tfgen.metrics`", metric))
            if metric.needs_real and not metric.num_real:
                raise ValueError(expected(f"{name!r} after `update_real`", "no real images"))
        check_integer("num_samples", num_samples)
        check_integer("every", every)
        check_integer("batch_size", batch_size)
        check_seed("seed", seed)
        for name, metric in metrics.items():
            if num_samples < metric.min_fake:
                what = f"`num_samples` >= {metric.min_fake}, which {name!r} needs"
                raise ValueError(expected(what, num_samples))
        self.scored = dict(metrics)
        self.num_samples = num_samples
        self.every = every
        self.seed = seed
        self.batch_size = batch_size

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Shows the metrics a blank image of the model's size: an epoch may take hours."""
        model = self.whole or self.model
        if "sample" in model.capabilities():
            for metric in self.scored.values():
                metric.update_fake(np.zeros([1, *model.event_shape], np.float32))
                metric.reset(keep_real=True)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        model = None if (epoch + 1) % self.every else self.sampler()
        if model is None:
            return
        for metric in self.scored.values():
            metric.reset(keep_real=True)
        seeds = row_seeds(self.num_samples, self.seed)
        for first in range(0, self.num_samples, self.batch_size):
            rows = seeds[first : first + self.batch_size]
            images = model.sample(len(rows), seed=rows)
            for metric in self.scored.values():
                metric.update_fake(images.numpy())
        if logs is not None:
            for name, metric in self.scored.items():
                logs.update(_named(name, metric.result()))


def _named(name: str, result: Score | tuple[Score, ...]) -> dict[str, float]:
    if isinstance(result, Score):
        return {name: result.value}
    return {f"{name}_{score.metric.lower().replace(' ', '_')}": score.value for score in result}
