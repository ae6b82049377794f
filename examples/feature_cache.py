"""Features kept on disk by what they were made of and with."""

import hashlib
from pathlib import Path

import judges
import numpy as np
import scoring
from absl import flags

from tfgen import metrics
from tfgen.core.files import written_whole

FLAGS = flags.FLAGS


class FeatureCache:
    """Returns features, computed once for the same images and extractor.

    A file is called by the digest of all pixels and of the extractor with its weights.

    Args:
        folder: where the files are; made when the first is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def extract(
        self, judge: metrics.FeatureExtractor, images: scoring.Images, count: int
    ) -> np.ndarray:
        """Returns the features of the first so many images, float32 [count, dimension]."""
        count = min(count, len(images))
        path = self.folder / f"{_digest(judge, images, count)}.npy"
        kept = _read(path)
        if kept is not None and kept.shape == (count, judge.dimension):
            print(f"{judge.name} of {count} images: from {path}")
            return kept
        found = scoring.features(judge, images, count)
        with written_whole(path) as unfinished:
            np.save(unfinished, found)
        return found


def _read(path: Path) -> np.ndarray | None:
    """Returns what a file holds; None where there is none, or a damaged one."""
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None


def _digest(judge: metrics.FeatureExtractor, images: scoring.Images, count: int) -> str:
    found = hashlib.sha256(judge.name.encode())
    if isinstance(judge, metrics.ClassifierFeatures):
        for weight in judge.model.get_weights():
            found.update(np.ascontiguousarray(weight))
    if isinstance(judge, metrics.Inception2015Features):
        found.update(Path(judges.inception_weights(FLAGS.inception_weights)).read_bytes())
    for chunk in scoring.chunks(images, count):
        found.update(str(chunk.shape).encode())
        found.update(np.ascontiguousarray(chunk))
    return found.hexdigest()
