"""A sampler fitted to the codes of an autoencoder, once they are learned."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfgen.core import specs
from tfgen.core.checks import Shaped, expected
from tfgen.core.config import register
from tfgen.data.batches import as_event
from tfgen.data.examples import Examples
from tfgen.model.inversion import latents
from tfgen.model.model import GenerativeModel
from tfgen.model.rows import Conditions
from tfgen.model.stages import DEFAULT_BATCH_SIZE, Stage, StagedModel

ENCODED_TOGETHER = 1920
"""Examples that are read, and encoded, at a time."""


@register
class FittedSampler(StagedModel):
    """A model that decodes what a second one draws, learned in two stages:

        the autoencoder, on examples x;
        the sampler p(z), on their codes z(x), all of them,

    so that x = decode(z), z ~ p(z). Any autoencoder can sample so; of a VAE, whose codes together
    rarely follow its prior, samples become better. The codes of a VAE are the means of q(z | x).

    Both may depend on labels, or one of them alone: with a sampler of labels, codes of each label
    are drawn from a density of their own.

    Args:
        autoencoder: a model that encodes and decodes vectors: `Autoencoder`, `WAE`, `VAE`, a BiGAN.
        sampler: a model that samples vectors of as many numbers: a `Flow`, a mixture of Gaussians,
            `IMLE`.
        seed, name: as for every model.

    Raises:
        TypeError: when one is not a model, or is trained in stages itself.
        ValueError: when one lacks these verbs, vectors differ in size, or conditions of one name
            differ.

    Example:
        model = FittedSampler(Autoencoder(encoder, decoder, latent_dim=16), Flow(...))
        model.compile()
        model.fit(data, epochs={"autoencoder": 50, "sampler": 50})
        images = model.sample(64, seed=0)

    Reference: Ghosh, Sajjadi, Vergari, Black and Schoelkopf, "From Variational to Deterministic
        Autoencoders", 2020, https://arxiv.org/abs/1903.12436, section 4; Dai and Wipf, "Diagnosing
        and Enhancing VAE Models", 2019, https://arxiv.org/abs/1903.05789.
    """

    traced_verbs = frozenset({"sample"})

    def __init__(
        self,
        autoencoder: GenerativeModel,
        sampler: GenerativeModel,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(seed=seed, name=name)
        _check_able("autoencoder", autoencoder, ("encode", "decode"))
        _check_able("sampler", sampler, ("sample",))
        codes, drawn = autoencoder.latent_spec, sampler.event_spec
        if not isinstance(codes, tf.TensorSpec) or codes.shape.rank != 1:
            raise ValueError(expected("an autoencoder whose latents are one vector", codes))
        if drawn.shape != codes.shape or drawn.dtype != codes.dtype:
            size = codes.shape[0]
            raise ValueError(expected(f"a sampler of vectors of {size} numbers", drawn))
        self.autoencoder = autoencoder
        self.sampler = sampler
        theirs = [dict(part.condition_specs) for part in (autoencoder, sampler)]
        for name in theirs[0].keys() & theirs[1].keys():
            if len({_meaning(specs_of[name]) for specs_of in theirs}) > 1:
                raise ValueError(expected(f"the same condition {name!r} of both", theirs))

    def warn_before_use(self) -> None:
        """Warns as the sampler does, of what it has not seen."""
        self.sampler.warn_before_use()

    def stages(self) -> list[Stage]:
        """Returns the autoencoder, then the sampler of its codes."""
        return [
            Stage("autoencoder", self.autoencoder),
            Stage("sampler", self.sampler, self._codes_of),
        ]

    def _codes_of(self, data: Any) -> Examples | np.ndarray:
        """Returns the codes of all examples, with the conditions of the sampler.

        Args:
            data: `Examples`, a dataset that ends, or a bare array.

        Raises:
            ValueError: when a dataset has no end.
        """
        if isinstance(data, Shaped):
            return self._encoded({"x": data})
        if isinstance(data, tf.data.Dataset) and data.cardinality() == tf.data.INFINITE_CARDINALITY:
            what = "a dataset that ends, as the codes of all examples are worked out"
            raise ValueError(expected(what, "one without end"))
        batches = _parts(data) if isinstance(data, Examples) else map(self._as_batch, data)
        names = list(self.sampler.condition_specs)
        rows = [(self._encoded(batch), *(np.asarray(batch[n]) for n in names)) for batch in batches]
        codes, *columns = (np.concatenate(parts) for parts in zip(*rows, strict=True))
        given = dict(zip(names, columns, strict=True))
        labels, size = given.pop("label", None), min(DEFAULT_BATCH_SIZE, len(codes))
        return Examples(codes, labels, size, self.sampler.seed, columns=given)

    def _encoded(self, batch: Mapping[str, Any]) -> np.ndarray:
        """Returns the codes of some examples, float32 [num_examples, latent_dim]."""
        given = self._given_to(self.autoencoder, batch)
        x = as_event(batch["x"], self.event_spec)
        return latents(self.autoencoder.encode(x, given or None)).numpy()

    # What it is about.

    @property
    def event_spec(self) -> tf.TensorSpec:
        """What the autoencoder decodes."""
        return self.autoencoder.event_spec

    @property
    def latent_spec(self) -> tf.TensorSpec:
        """The codes."""
        return self.autoencoder.latent_spec

    @property
    def condition_specs(self) -> Mapping[str, tf.TensorSpec]:
        """The conditions of the autoencoder and of the sampler."""
        return {**self.autoencoder.condition_specs, **self.sampler.condition_specs}

    @property
    def has_temperature(self) -> bool:
        """Whether the sampler heeds a temperature."""
        return self.sampler.has_temperature

    @property
    def slow_verbs(self) -> frozenset[str]:
        """Those of the autoencoder, and `sample` where the sampler's is slow."""
        return self.autoencoder.slow_verbs | (self.sampler.slow_verbs & {"sample"})

    # The verbs.

    def sample_rows(
        self,
        row_seeds: tf.Tensor,
        condition: Conditions | None = None,
        temperature: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns the decoded draw of the sampler of each row seed, int32 [batch, 2]."""
        given = self._given_to(self.sampler, condition)
        z = self.sampler.sample_rows(row_seeds, given, temperature)
        return self.decode_rows(z, condition)

    def decode_rows(self, z: tf.Tensor, condition: Conditions | None = None) -> tf.Tensor:
        """Returns the examples [batch, *event] of codes [batch, latent_dim]."""
        return self.autoencoder.decode_rows(z, self._given_to(self.autoencoder, condition))

    def encode_rows(
        self, x: tf.Tensor, condition: Conditions | None = None, **settings: Any
    ) -> Any:
        """Returns the codes [batch, latent_dim] of examples, as the autoencoder does."""
        given = self._given_to(self.autoencoder, condition)
        return self.autoencoder.encode_rows(x, given, **settings)

    def _given_to(self, part: GenerativeModel, condition: Mapping | None) -> Conditions:
        """Returns those of some conditions that a part takes."""
        return {name: condition[name] for name in part.condition_specs}


def _parts(data: Examples) -> Iterator[dict[str, Any]]:
    """Yields all examples in their order, with their columns, some at a time."""
    for first in range(0, data.num_examples, ENCODED_TOGETHER):
        rows = np.arange(first, min(first + ENCODED_TOGETHER, data.num_examples))
        yield {name: column[rows] for name, column in data.columns.items()} | {
            "x": data.as_float(rows)
        }


def _meaning(spec: tf.TensorSpec) -> tuple:
    """Returns what two conditions of one name have to agree in."""
    return tuple(spec.shape), spec.dtype, specs.bounds(spec)


def _check_able(role: str, model: Any, verbs: Sequence[str]) -> None:
    """Raises TypeError or ValueError unless a part is a model of one stage that has some verbs."""
    if not isinstance(model, GenerativeModel) or isinstance(model, StagedModel):
        what = f"`{role}`, a model that is trained in one stage"
        raise TypeError(expected(what, type(model).__name__))
    if lacking := set(verbs) - model.capabilities():
        what = f"`{role}` with {' and '.join(verbs)}"
        raise ValueError(expected(what, f"{type(model).__name__} without {sorted(lacking)}"))
