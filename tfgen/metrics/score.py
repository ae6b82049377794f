"""What a metric reports, and the checks and state that all metrics share."""

import abc
import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np

from tfgen.core.checks import check_rank, expected
from tfgen.core.config import Configurable, register

if TYPE_CHECKING:
    from tfgen.metrics.features import FeatureExtractor


@register
@dataclasses.dataclass(frozen=True)
class Score(Configurable):
    """One number of an evaluation, with all that a reader needs to compare it with another.

    >>> print(Score("FID", 12.3, "classifier[64]", 64, num_real=1000, num_fake=1000, split="test"))
    FID 12.3 (classifier[64], 1000 real test vs 1000 fake)

    Args:
        metric: name of the metric, such as "FID".
        value: the number; `float(score)` returns it.
        extractor: name of the feature extractor.
        dimension: number of features, or of classes where the metric reads probabilities.
        num_real: number of real images; 0 where the metric looks at generated images alone.
        num_fake: number of generated images.
        split: which part of the data the real images are, such as "test".
        std: standard deviation over subsets or splits, where the metric has one.
        settings: the metric's own settings, such as "k=3".
    """

    metric: str
    value: float
    extractor: str
    dimension: int
    num_real: int
    num_fake: int
    split: str = ""
    std: float | None = None
    settings: str = ""

    def __float__(self) -> float:
        return float(self.value)

    def __str__(self) -> str:
        spread = "" if self.std is None else f" ± {self.std:.2g}"
        real = f"{self.num_real} real {self.split}".rstrip() + " vs " if self.num_real else ""
        details = [self.extractor, self.settings, f"{real}{self.num_fake} fake"]
        return f"{self.metric} {self.value:.4g}{spread} ({', '.join(filter(None, details))})"

    def asdict(self) -> dict[str, Any]:
        """Returns the fields as plain numbers and strings, ready for `json.dump`."""
        return dataclasses.asdict(self)


def checked_features(name: str, features: Any) -> np.ndarray:
    """Returns `features` as an array [number, dimension].

    Args:
        name: what the error messages call them.
        features: anything that NumPy makes such an array of.

    Raises:
        ValueError: unless it is [number, dimension], not empty, and all finite.
    """
    features = np.asarray(features)
    check_rank(name, features.shape, 2, "[number, dimension]")
    if features.size == 0:
        raise ValueError(expected(f"`{name}` with at least one row", f"shape {features.shape}"))
    if not np.isfinite(features).all():
        raise ValueError(expected(f"`{name}` to be finite", "NaN or infinite values"))
    return features


def check_same_dimension(real: np.ndarray, fake: np.ndarray) -> None:
    """Raises ValueError unless both feature arrays have rows of one length."""
    if real.shape[1] != fake.shape[1]:
        received = f"{real.shape[1]} real and {fake.shape[1]} fake"
        raise ValueError(expected("real and fake features of the same dimension", received))


class Side(Protocol):
    """What a metric keeps of the images of one side, real or fake."""

    @property
    def count(self) -> int:
        """Number of images seen."""

    def update(self, features: np.ndarray) -> None:
        """Takes in features [number, dimension]."""

    def merge(self, other: Any) -> None:
        """Takes in what another of the same kind has seen."""


SideKind = TypeVar("SideKind", bound=Side)


class FeatureStore:
    """Keeps every feature vector, for metrics that compare images one by one."""

    def __init__(self) -> None:
        self._batches: list[np.ndarray] = []

    @property
    def count(self) -> int:
        """Number of vectors kept."""
        return sum(len(batch) for batch in self._batches)

    def update(self, features: np.ndarray) -> None:
        """Keeps the rows of `features`, [number, dimension]."""
        self._batches.append(features)

    def merge(self, other: "FeatureStore") -> None:
        """Keeps what `other` keeps, after what is here."""
        self._batches += other._batches

    def features(self) -> np.ndarray:
        """Returns all vectors, [count, dimension], in the order they came."""
        return np.concatenate(self._batches)


class StreamingMetric(abc.ABC, Generic[SideKind]):
    """Compares generated images with real ones that arrive batch by batch.

    Args:
        extractor: turns images into features.
        split: which part of the data the real images are, such as "test"; printed with the score.
    """

    needs_real: ClassVar[bool] = True
    """Whether it compares; a metric that does not looks at generated images alone."""

    @property
    def min_fake(self) -> int:
        """How many generated images it needs at least."""
        return 1

    def __init__(self, extractor: "FeatureExtractor", split: str = "") -> None:
        self.extractor = extractor
        self.split = split
        self.reset()

    @property
    def num_real(self) -> int:
        """How many real images it has seen."""
        return self._real.count

    def update_real(self, images: Any) -> None:
        """Takes in real images.

        Args:
            images: as for `FeatureExtractor.extract`.

        Raises:
            TypeError: when images are neither floats nor uint8.
            ValueError: when there are none, or they are not images in [0, 1].
        """
        self.update_real_features(self.extractor.extract(images))

    def update_fake(self, images: Any) -> None:
        """Takes in generated images, as `update_real` takes in real ones."""
        self.update_fake_features(self.extractor.extract(images))

    def update_real_features(self, features: Any) -> None:
        """Takes in features that the extractor made of real images.

        Args:
            features: [number, dimension], at least one row, all finite.

        Raises:
            ValueError: when they are anything else.
        """
        self._real.update(self._checked(features))

    def update_fake_features(self, features: Any) -> None:
        """Takes in features of generated images, as `update_real_features` those of real ones."""
        self._fake.update(self._checked(features))

    def merge(self, other: "StreamingMetric") -> None:
        """Takes in all that `other`, a metric with the same extractor, has seen.

        Raises:
            TypeError: when `other` is another metric.
            ValueError: when `other` has another extractor.
        """
        if type(other) is not type(self):
            raise TypeError(expected(f"a {type(self).__name__}", type(other).__name__))
        if other.extractor.name != self.extractor.name:
            raise ValueError(expected(f"extractor {self.extractor.name}", other.extractor.name))
        self._real.merge(other._real)
        self._fake.merge(other._fake)

    def reset(self, keep_real: bool = False) -> None:
        """Forgets all images, or only the generated ones when `keep_real`."""
        if not keep_real:
            self._real = self._new_side()
        self._fake = self._new_side()

    @abc.abstractmethod
    def result(self) -> Score | tuple[Score, ...]:
        """Returns the score of what has been seen so far."""

    @abc.abstractmethod
    def _new_side(self) -> SideKind:
        """Returns an empty memory of one side."""

    def _checked(self, features: Any) -> np.ndarray:
        features = checked_features("features", features)
        if features.shape[1] != self.extractor.dimension:
            what = f"features of {self.extractor.name}, dimension {self.extractor.dimension}"
            raise ValueError(expected(what, f"shape {features.shape}"))
        return features

    def _check_both_sides(self) -> None:
        if not (self._real.count and self._fake.count):
            received = f"{self._real.count} real and {self._fake.count} fake"
            raise ValueError(expected("real and generated images before `result`", received))

    def _score(
        self, metric: str, value: float, std: float | None = None, settings: str = ""
    ) -> Score:
        return Score(
            metric=metric,
            value=float(value),
            extractor=self.extractor.name,
            dimension=self.extractor.dimension,
            num_real=self._real.count,
            num_fake=self._fake.count,
            split=self.split,
            std=std,
            settings=settings,
        )
