"""A normalizing flow, trained by maximum likelihood."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfgen.bijectors.bijector import Bijector
from tfgen.core.config import register
from tfgen.data.examples import Batch
from tfgen.distributions.base import BaseDensity
from tfgen.distributions.dequantisation import Dequantization
from tfgen.flows.base import FlowModel
from tfgen.flows.conditions import condition_specs
from tfgen.training.averages import Averages


@register
class Flow(FlowModel):
    """x = f^-1(z), z ~ base: maximises log p(x) = log base(f(x)) + log |det df/dx|.

    With a dequantisation of L levels, it maximises the bound E[log p(v) - log q(v | x)] on the
    probability of an example, and `log_prob_bound` returns it; `log_prob` is the density of x as a
    continuous number. `fit` logs "bits_per_dim" beside the loss: of images it is bits at 256
    levels, or at those of the dequantisation.

    Sampling at temperature t scales the noise by sqrt(t) about its mean. That is exact, samples
    are of p(x)^(1/t), for a Gaussian base and a bijector of constant log-determinant
    (`bijector.log_det_is_constant`), such as additive couplings; for others it is the usual
    scaling of latents.

    Args:
        bijector: f, from data to noise. A conditional flow gives it all conditions as one vector a
            row: labels one-hot, floats flattened.
        event_shape: of one example.
        base: what z is drawn from, over vectors of as many numbers as z has; N(0, I) unless given.
        event_name: "images", "points" and so on, as for `tfgen.core.specs.event_spec`.
        num_classes: of labels that the flow is conditioned on, >= 2; None for no labels.
        condition_shapes: of other conditions, floats, by name.
        dequantization: of examples on levels, such as images; None for continuous examples.
        ema_decay: of the average of weights that the verbs use, in [0, 1); None for no average.
        seed: of the training noise, in [0, 2**31).
        name: of the model.

    Raises:
        TypeError: when a part is not what it has to be.
        ValueError: when parts do not fit each other, or a number is out of range.

    Reference: Rezende and Mohamed, "Variational Inference with Normalizing Flows", 2015,
        https://arxiv.org/abs/1505.05770; Papamakarios et al., "Normalizing Flows for Probabilistic
        Modeling and Inference", 2021, https://arxiv.org/abs/1912.02762.
    """

    def __init__(
        self,
        bijector: Bijector,
        event_shape: Sequence[int],
        base: BaseDensity | None = None,
        event_name: str | None = None,
        num_classes: int | None = None,
        condition_shapes: Mapping[str, Sequence[int]] | None = None,
        dequantization: Dequantization | None = None,
        ema_decay: float | None = None,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(
            bijector,
            event_shape,
            base,
            event_name,
            condition_specs(num_classes, condition_shapes),
            dequantization,
            ema_decay,
            seed,
            name,
        )
        self.num_classes = num_classes
        self.condition_shapes = condition_shapes

    @property
    def averages(self) -> Averages:
        """The averages of all parts, where they are kept."""
        return self.flow_averages

    def objective(self, x: Batch, seed: tf.Tensor, training: bool) -> dict[str, tf.Tensor]:
        """Returns minus the log density, or its bound, in nats, and bits per dimension."""
        log_prob, _ = self.likelihood(x, seed, training)
        return {"loss": -log_prob, "bits_per_dim": self.bits_per_dim(log_prob)}
