"""Small tables of real data, with noise that gives them a density, and mixtures fitted to them."""

from collections.abc import Callable

import numpy as np

Noisy = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def digits() -> tuple[np.ndarray, Noisy]:
    """Returns the levels of the digits, and what adds noise to them."""
    from sklearn.datasets import load_digits

    return load_digits().data, lambda x, rng: (x + rng.uniform(size=x.shape)) / 17


def breast_cancer() -> tuple[np.ndarray, Noisy]:
    """Returns the measurements, standardised, and what adds noise to them."""
    from sklearn.datasets import load_breast_cancer

    x = load_breast_cancer().data
    x = (x - x.mean(0)) / x.std(0)
    return x, lambda x, rng: x + 0.2 * rng.standard_normal(x.shape)


TABLES = {"digits": digits, "breast_cancer": breast_cancer}


def split(x: np.ndarray, noisy: Noisy) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns rows to train on, ten times with other noise, and rows to validate and to test."""
    rng = np.random.default_rng(0)
    rows = x[rng.permutation(len(x))]
    fifth = len(rows) // 5
    validation, test, train = np.split(rows, [fifth, 2 * fifth])
    parts = [noisy(part, rng) for part in (np.tile(train, (10, 1)), validation, test)]
    mean, std = parts[0].mean(0), parts[0].std(0)
    return tuple(np.float32((part - mean) / std) for part in parts)


def mixture(train: np.ndarray, validation: np.ndarray, test: np.ndarray) -> float:
    """Returns the mean log density by the Gaussian mixture that is best on the validation rows."""
    from sklearn.mixture import GaussianMixture

    fitted = [
        GaussianMixture(count, covariance_type=kind, reg_covar=1e-3, random_state=0).fit(train)
        for kind in ("full", "diag")
        for count in (1, 2, 4, 8, 16, 32)
    ]
    return float(max(fitted, key=lambda model: model.score(validation)).score(test))
