"""Maps that are linear, or affine, in x: normalisation, matrices, permutations and shapes."""

from tests.contract.bijector_cases.case import BijectorCase
from tfgen import bijectors

CASES = (
    BijectorCase("actnorm", lambda **k: bijectors.ActNorm(0.1, **k), (3,), constant=True),
    BijectorCase("actnorm_image", lambda **k: bijectors.ActNorm(**k), (2, 3, 2), constant=True),
    BijectorCase("linear", lambda **k: bijectors.InvertibleLinear(**k), (4,), constant=True),
    BijectorCase(
        "linear_plain", lambda **k: bijectors.InvertibleLinear(lu=False, **k), (4,), constant=True
    ),
    BijectorCase(
        "convolution", lambda **k: bijectors.InvertibleLinear(**k), (2, 3, 3), constant=True
    ),
    BijectorCase("permute", lambda **k: bijectors.Permute([2, 0, 1], **k), (3,), constant=True),
    BijectorCase(
        "random_permutation",
        lambda **k: bijectors.RandomPermutation(seed=7, **k),
        (2, 2, 4),
        constant=True,
    ),
    BijectorCase("squeeze", lambda **k: bijectors.Squeeze(3, **k), (3, 6, 2), constant=True),
)
