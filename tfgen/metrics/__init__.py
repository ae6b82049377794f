"""How good generated images are: FID, KID, Inception score, precision and recall."""

from tfgen.metrics.classifier import (
    TrainedClassifier,
    build_classifier,
    feature_levels,
    train_classifier,
)
from tfgen.metrics.features import ClassifierFeatures, FeatureExtractor
from tfgen.metrics.frechet import (
    FeatureStatistics,
    FrechetInceptionDistance,
    fid,
    frechet_distance,
)
from tfgen.metrics.frozen_graph import convert_frozen_graph
from tfgen.metrics.inception_2015 import Inception2015Features
from tfgen.metrics.inception_score import InceptionScore, inception_score
from tfgen.metrics.keras_inception import KerasInceptionFeatures
from tfgen.metrics.kernel import KernelInceptionDistance, kid
from tfgen.metrics.manifold import PrecisionRecall, PrecisionRecallScore, precision_recall
from tfgen.metrics.score import Score, StreamingMetric

__all__ = [
    "ClassifierFeatures",
    "FeatureExtractor",
    "FeatureStatistics",
    "FrechetInceptionDistance",
    "Inception2015Features",
    "InceptionScore",
    "KerasInceptionFeatures",
    "KernelInceptionDistance",
    "PrecisionRecall",
    "PrecisionRecallScore",
    "Score",
    "StreamingMetric",
    "TrainedClassifier",
    "build_classifier",
    "convert_frozen_graph",
    "feature_levels",
    "fid",
    "frechet_distance",
    "inception_score",
    "kid",
    "precision_recall",
    "train_classifier",
]
