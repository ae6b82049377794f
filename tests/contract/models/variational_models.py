"""Gaussians and mixtures of them, tiny."""

from tfgen import variational


def gaussian(exact: bool = False) -> variational.GaussianModel:
    return variational.GaussianModel((8, 8, 1), regularization=0.01, seed=1)


def labels(exact: bool = False) -> variational.GaussianModel:
    """One Gaussian for each of three classes."""
    return variational.GaussianModel(
        (2,), variational.DiagonalCovariance(), 0.05, num_classes=3, event_name="points"
    )


def mixture(exact: bool = False) -> variational.MixtureModel:
    return variational.MixtureModel((2,), 3, regularization=0.02, event_name="points", seed=2)


def mixture_of_images(exact: bool = False) -> variational.MixtureModel:
    return variational.MixtureModel((8, 8, 1), 2, variational.IsotropicCovariance(), seed=1)
