"""Where latents begin."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tfgen.core.checks import expected
from tfgen.core.config import Configurable, register
from tfgen.data.examples import Examples


@register
@dataclass(frozen=True)
class PrincipalComponents(Configurable):
    """Each latent begins as its example's coordinates along the data's principal components.

    Examples that look alike then begin as neighbours, which spares GLO the epochs in which it would
    sort random latents, and makes its space smoother.

    Args:
        whitening: each coordinate is divided by its standard deviation to this power, in [0, 1]:
            0 keeps the data's distances, 1 makes all coordinates equally wide.
        seed: of the randomised decomposition.

    Raises:
        ValueError: when `whitening` is not in [0, 1].

    Reference: Bojanowski et al., "Optimizing the Latent Space of Generative Networks", 2018,
        https://arxiv.org/abs/1707.05776.
    """

    whitening: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.whitening <= 1:
            raise ValueError(expected("`whitening` in [0, 1]", self.whitening))

    def __call__(self, x: Any, latent_dim: int) -> np.ndarray:
        """Returns latents, float32 [num_examples, latent_dim], of examples [num_examples, *event].

        Of `Examples` that are streamed, the components are those of their `sketch`.

        Raises:
            ValueError: when there are fewer examples, or fewer numbers in one, than `latent_dim`.
        """
        from sklearn.decomposition import PCA

        known = _flat(x.sketch() if isinstance(x, Examples) else x)
        if min(known.shape) < latent_dim:
            raise ValueError(
                expected(
                    f"at least {latent_dim} examples of as many numbers, for that many "
                    "principal components",
                    known.shape,
                )
            )
        pca = PCA(latent_dim, svd_solver="randomized", random_state=self.seed)
        coordinates = pca.fit_transform(known)
        if isinstance(x, Examples):
            coordinates = np.concatenate([pca.transform(_flat(part)) for part in x.parts()])
        deviations = np.maximum(np.sqrt(pca.explained_variance_), np.finfo(np.float32).tiny)
        return (coordinates / deviations**self.whitening).astype(np.float32)


def _flat(x: np.ndarray) -> np.ndarray:
    return np.reshape(x, [len(x), -1])
