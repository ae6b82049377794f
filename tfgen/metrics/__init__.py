"""How good samples are: scores of generated images, divergences between distributions."""

from tfgen.metrics.bits_per_dim import bits_per_dim
from tfgen.metrics.classifier import (
    TrainedClassifier,
    build_classifier,
    feature_levels,
    train_classifier,
)
from tfgen.metrics.discrete import Discrete
from tfgen.metrics.divergences import (
    jensen_shannon,
    kl_divergence,
    maximum_mean_discrepancy,
    total_variation,
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
from tfgen.metrics.manifold import (
    DensityCoverage,
    DensityCoverageScore,
    PrecisionRecall,
    PrecisionRecallScore,
    density_coverage,
    precision_recall,
)
from tfgen.metrics.modes import ModeScore, mode_coverage
from tfgen.metrics.outliers import (
    auroc,
    complexity_corrected,
    outlier_scores,
    png_bits_per_dim,
    typicality,
)
from tfgen.metrics.score import Score, StreamingMetric
from tfgen.metrics.wasserstein import sliced_wasserstein, wasserstein

__all__ = [
    "ClassifierFeatures",
    "DensityCoverage",
    "DensityCoverageScore",
    "Discrete",
    "FeatureExtractor",
    "FeatureStatistics",
    "FrechetInceptionDistance",
    "Inception2015Features",
    "InceptionScore",
    "KerasInceptionFeatures",
    "KernelInceptionDistance",
    "ModeScore",
    "PrecisionRecall",
    "PrecisionRecallScore",
    "Score",
    "StreamingMetric",
    "TrainedClassifier",
    "auroc",
    "bits_per_dim",
    "build_classifier",
    "complexity_corrected",
    "convert_frozen_graph",
    "density_coverage",
    "feature_levels",
    "fid",
    "frechet_distance",
    "inception_score",
    "jensen_shannon",
    "kid",
    "kl_divergence",
    "maximum_mean_discrepancy",
    "mode_coverage",
    "outlier_scores",
    "png_bits_per_dim",
    "precision_recall",
    "sliced_wasserstein",
    "total_variation",
    "train_classifier",
    "typicality",
    "wasserstein",
]
