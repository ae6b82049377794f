"""The table of likelihoods and posteriors, tiny."""

from collections.abc import Callable
from dataclasses import dataclass

from tfgen import bijectors, distributions, variational


@dataclass(frozen=True)
class LikelihoodCase:
    """A likelihood of four numbers, an image of 2 x 2 or four tokens, of so many values each.

    Args:
        name: of the case.
        create: returns it, not built.
        num_values: of each number; None of one over real numbers.
        event_shape: of an example.
    """

    name: str
    create: Callable[[], distributions.Likelihood]
    num_values: int | None
    event_shape: tuple[int, ...] = (2, 2, 1)


LIKELIHOODS = (
    LikelihoodCase("bernoulli", lambda: distributions.Bernoulli(name="head"), 2),
    LikelihoodCase("normal", lambda: distributions.Normal(0.3, name="head"), None),
    LikelihoodCase(
        "normal_of_a_trained_scale",
        lambda: distributions.Normal(0.3, trained=True, min_scale=0.2, name="head"),
        None,
    ),
    LikelihoodCase(
        "normal_by_feature", lambda: distributions.Normal(0.4, by_feature=True, min_scale=0.1), None
    ),
    LikelihoodCase("categorical", lambda: distributions.Categorical(3, name="head"), 3, (4,)),
    LikelihoodCase("categorical_of_levels", lambda: distributions.Categorical(3, levels=True), 3),
    LikelihoodCase("discretized_logistic", lambda: distributions.DiscretizedLogistic(4), 4),
    LikelihoodCase(
        "discretized_logistic_mixture", lambda: distributions.DiscretizedLogisticMixture(3, 3), 3
    ),
    LikelihoodCase(
        "mixture_of_two_channels",
        lambda: distributions.DiscretizedLogisticMixture(2, 3),
        3,
        (2, 1, 2),
    ),
)


@dataclass(frozen=True)
class PosteriorCase:
    """A posterior of vectors of three numbers, not built."""

    name: str
    create: Callable[[], variational.Posterior]


POSTERIORS = (
    PosteriorCase("diagonal", lambda: variational.DiagonalPosterior(1e-3, name="head")),
    PosteriorCase("full_covariance", lambda: variational.FullCovariancePosterior(1e-3)),
    PosteriorCase("planar", lambda: variational.posteriors.planar(2, condition_dim=4)),
    PosteriorCase("radial", lambda: variational.posteriors.radial(2, condition_dim=4)),
    PosteriorCase("iaf", lambda: variational.posteriors.iaf(2, (8,), condition_dim=4)),
    PosteriorCase(
        "coupling_without_condition",
        lambda: variational.FlowPosterior(
            bijectors.InvertibleLinear(), condition_dim=0, min_scale=1e-2
        ),
    ),
)
