"""Compares Gaussians and their mixtures with scikit-learn's, on images as vectors.

    python examples/benchmarks/gaussians.py

Both begin from the same parameters and take as many iterations of EM. Prints, for each form of the
covariance and number of components, the mean log-likelihood of held-out images in nats, of both;
the largest difference between their means; how far the likelihood of the training images falls in
an iteration at most; and the seconds of an iteration. Columns called "its" are scikit-learn's.
"""

import os
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[1]))  # What programs share is one folder up.

import data_flags
import numpy as np
from absl import app, flags, logging
from sklearn import mixture
from sklearn.exceptions import ConvergenceWarning

import tfgen
from tfgen import variational

FLAGS = flags.FLAGS

KINDS = {
    "full": variational.FullCovariance(),
    "diag": variational.DiagonalCovariance(),
    "spherical": variational.IsotropicCovariance(),
}
"""By scikit-learn's names."""

COLUMNS = ("covariance", "components", "held out", "its", "means", "fall", "its", "s", "its")

data_flags.define("digits")
flags.DEFINE_multi_integer("components", [1, 10], "Of the mixtures, one run each.", 1)
flags.DEFINE_integer("iterations", 30, "Of EM.", 2)
flags.DEFINE_float("regularization", 1e-3, "Added to the variances.", 0.0)


def main(argv: Sequence[str]) -> None:
    if argv[1:]:
        raise app.UsageError(f"Expected flags only. Received: {argv[1:]}")
    logging.set_verbosity(logging.ERROR)
    train, heldout = data_flags.load_both()
    train = train.with_batch_size(min(128, len(train)))
    x = np.reshape(heldout.as_float(), [len(heldout), -1]).astype(np.float64)
    print(f"| {' | '.join(COLUMNS)} |")
    print(f"|{'---|' * len(COLUMNS)}")
    for kind in KINDS:
        for num_components in FLAGS.components:
            model = variational.MixtureModel(
                train.event_shape,
                num_components,
                KINDS[kind],
                FLAGS.regularization,
                seed=FLAGS.seed,
            )
            model.compile()
            model.prepare_once(train)
            peer = peer_of(model, kind)
            ours, seconds = fitted(model, train)
            theirs, peer_seconds = peer_fitted(peer, train)
            scores = model.log_prob(heldout.as_float()).numpy().mean(), peer.score(x)
            apart = np.abs(model.means.numpy() - peer.means_).max()
            falls = [max(0.0, -np.diff(values).min()) for values in (ours, theirs)]
            numbers = [
                *(f"{score:.2f}" for score in scores),
                *(f"{value:.1e}" for value in (apart, *falls)),
                *(f"{value:.3f}" for value in (seconds, peer_seconds)),
            ]
            print(f"| {kind} | {num_components} | {' | '.join(numbers)} |", flush=True)


def fitted(model: variational.MixtureModel, train: tfgen.data.Examples) -> tuple[list, float]:
    """Fits a model; returns the log-likelihoods before each iteration, and the seconds of one."""
    model.fit(train, epochs=1, verbose=0)  # Makes the graph.
    first = model.history.history["log_likelihood"]
    start = time.perf_counter()
    history = model.fit(train, epochs=FLAGS.iterations, initial_epoch=1, verbose=0).history
    seconds = (time.perf_counter() - start) / (FLAGS.iterations - 1)
    return first + history["log_likelihood"], seconds


def peer_of(model: variational.MixtureModel, kind: str) -> mixture.GaussianMixture:
    """Returns scikit-learn's mixture, which begins where a model is."""
    precisions: Any = np.linalg.inv(model.covariance_matrices())
    if kind != "full":
        precisions = np.diagonal(precisions, axis1=1, axis2=2)
    if kind == "spherical":
        precisions = precisions[:, 0]
    return mixture.GaussianMixture(
        model.num_components,
        covariance_type=kind,
        tol=0,
        reg_covar=FLAGS.regularization,
        max_iter=1,
        weights_init=model.component_weights,
        means_init=model.means.numpy(),
        precisions_init=precisions,
        warm_start=True,
    )


def peer_fitted(
    peer: mixture.GaussianMixture, train: tfgen.data.Examples
) -> tuple[list[float], float]:
    """Does the same with scikit-learn's, one iteration a call."""
    x = np.reshape(train.as_float(), [len(train), -1]).astype(np.float64)
    found, seconds = [], 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for _ in range(FLAGS.iterations):
            start = time.perf_counter()
            peer.fit(x)
            seconds += time.perf_counter() - start
            found.append(peer.score(x))
    return found, seconds / FLAGS.iterations


if __name__ == "__main__":
    app.run(main)
