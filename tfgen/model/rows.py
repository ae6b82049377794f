"""What a model writes: what it is about, and its verbs by rows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import tensorflow as tf

from tfgen.core.checks import expected
from tfgen.core.config import is_registered
from tfgen.model.inversion import latents

Conditions = dict[str, tf.Tensor]
"""What rows are conditioned on, by name; empty for an unconditional model."""


@dataclass(frozen=True)
class Verb:
    """What a model may be asked for.

    Args:
        takes: beside conditions, some of "x" (examples), "z" (latents), "mask", "seed" and
            "temperature" (of models that have one), in the order of the method that answers.
        gives: "x", "z", or the name of a number or vector for each row.
        lacking: why a model that does not write it lacks it.
        needs: verbs from which the base class makes it, where a model does not write it.
    """

    takes: tuple[str, ...]
    gives: str
    lacking: str
    needs: tuple[str, ...] = ()


VERBS = {
    "sample": Verb(("seed", "temperature"), "x", "it has no sampler"),
    "decode": Verb(("z",), "x", "it has no latent variables"),
    "encode": Verb(("x",), "z", "it has no encoder"),
    "reconstruct": Verb(("x",), "x", "it has no encoder", needs=("encode", "decode")),
    "log_prob": Verb(("x",), "log_prob", "its density is not tractable"),
    "log_prob_bound": Verb(("x", "seed"), "log_prob_bound", "it has no bound on the likelihood"),
    "complete": Verb(
        ("x", "mask", "seed", "temperature"), "x", "it cannot condition on part of an example"
    ),
    "translate": Verb(("x",), "x", "it knows no second domain"),
    "classify": Verb(("x",), "probabilities", "it has no classifier"),
}
"""By name. A model writes the verb `v` as its method `v_rows`."""


class UnsupportedCapability(NotImplementedError):
    """Raised when a model is asked for something that it cannot do."""


class Rows:
    """What a model is about, and the methods `<verb>_rows` of the verbs that it has.

    These take tensors that are checked: rows [batch, ...], row seeds int32 [batch, 2] of which a
    row's draws are a function, all of the model's conditions by name, and temperatures [batch] if
    the model has one. Row i of what they return depends on row i alone.
    """

    has_temperature: ClassVar[bool] = False
    """Whether `sample_rows` and `complete_rows` heed a temperature."""

    slow_verbs: ClassVar[frozenset[str]] = frozenset()
    """Verbs that take long even for one row: a server does not warm up with them."""

    traced_verbs: ClassVar[frozenset[str]] = frozenset()
    """Verbs that take hundreds of operations: a graph, traced at their first call, answers them."""

    # What a model is about.

    @property
    def event_spec(self) -> tf.TensorSpec:
        """The specification of one example, such as `tfgen.core.specs.event_spec` makes."""
        what = "a property `event_spec`, e.g. tfgen.core.specs.event_spec((28, 28, 1))"
        raise NotImplementedError(expected(what, f"{type(self).__name__}, which has none"))

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return tuple(self.event_spec.shape)

    @property
    def latent_spec(self) -> Any:
        """A nest of specifications of one example's latents, None for a model without latents."""
        return None

    @property
    def condition_specs(self) -> Mapping[str, tf.TensorSpec]:
        """The specification of each condition, by name; empty for an unconditional model."""
        return {}

    @property
    def mask_spec(self) -> tf.TensorSpec:
        """The specification of what `complete` is given: 0 where an example is to be drawn."""
        return tf.TensorSpec(self.event_shape, tf.float32, "mask")

    @classmethod
    def writes(cls, verb: str) -> bool:
        """Tells whether a class has a verb, though some instance may lack a part that it needs."""
        name = f"{verb}_rows"
        if getattr(cls, name) is not getattr(Rows, name):
            return True
        needs = VERBS[verb].needs
        return bool(needs) and all(map(cls.writes, needs))

    def lacks(self) -> Mapping[str, str]:
        """Returns verbs that its class has and this model lacks, and why, e.g. without a prior."""
        return {}

    def capabilities(self) -> frozenset[str]:
        """Returns the names of the verbs that this model has."""
        return frozenset(verb for verb in VERBS if self._reason_against(verb) is None)

    def is_slow(self, verb: str) -> bool:
        """Tells whether a verb takes long, itself or one that it is made of."""
        return any(name in self.slow_verbs for name in (verb, *self._made_of(verb)))

    def _made_of(self, verb: str) -> tuple[str, ...]:
        """Returns the verbs of which the base class makes one that the model does not write."""
        own = getattr(type(self), f"{verb}_rows") is not getattr(Rows, f"{verb}_rows")
        return () if own else VERBS[verb].needs

    def _reason_against(self, verb: str) -> str | None:
        """Returns why this model does not have a verb; None if it has it."""
        if not self.writes(verb):
            return VERBS[verb].lacking
        lacking = self.lacks()
        return next((lacking[v] for v in (verb, *self._made_of(verb)) if v in lacking), None)

    def require(self, verb: str) -> None:
        """Raises UnsupportedCapability unless this model has a verb."""
        reason = self._reason_against(verb)
        if reason is not None:
            able = sorted({kind.__name__ for kind in _subclasses(Rows) if kind.writes(verb)})
            raise UnsupportedCapability(
                f"{type(self).__name__} has no {verb} ({reason}); models with {verb}: "
                f"{', '.join(name for name in able if name != type(self).__name__) or 'none yet'}"
            )

    def warn_before_use(self) -> None:
        """Warns of what makes answers meaningless, such as a part that never saw data."""

    # What a model writes.

    def sample_rows(
        self,
        row_seeds: tf.Tensor,
        condition: Conditions | None = None,
        temperature: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns one sample a row seed, [batch, *event] of int32 [batch, 2]."""
        raise NotImplementedError

    def decode_rows(self, z: Any, condition: Conditions | None = None) -> tf.Tensor:
        """Returns the examples [batch, *event] of latents."""
        raise NotImplementedError

    def encode_rows(self, x: tf.Tensor, condition: Conditions | None = None) -> Any:
        """Returns the latents of examples, or an `Encoding` of them."""
        raise NotImplementedError

    def reconstruct_rows(
        self, x: tf.Tensor, condition: Conditions | None = None, **settings: Any
    ) -> tf.Tensor:
        """Returns the decoded latents of examples, [batch, *event]."""
        return self.decode_rows(latents(self.encode_rows(x, condition, **settings)), condition)

    def log_prob_rows(self, x: tf.Tensor, condition: Conditions | None = None) -> tf.Tensor:
        """Returns the exact log density of each example, [batch], in nats."""
        raise NotImplementedError

    def log_prob_bound_rows(
        self,
        x: tf.Tensor,
        row_seeds: tf.Tensor,
        condition: Conditions | None = None,
        num_importance: int = 1,
    ) -> tf.Tensor:
        """Returns a lower bound on the log density of each example, [batch], in nats."""
        raise NotImplementedError

    def complete_rows(
        self,
        x: tf.Tensor,
        mask: tf.Tensor,
        row_seeds: tf.Tensor,
        condition: Conditions | None = None,
        temperature: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns examples whose entries under `mask` == 0 are drawn anew, [batch, *event]."""
        raise NotImplementedError

    def translate_rows(self, x: tf.Tensor, condition: Conditions | None = None) -> tf.Tensor:
        """Returns the examples of another domain that belong to examples of one."""
        raise NotImplementedError

    def classify_rows(self, x: tf.Tensor, condition: Conditions | None = None) -> tf.Tensor:
        """Returns the probability of each class, [batch, num_classes]."""
        raise NotImplementedError


def _subclasses(cls: type) -> Iterator[type]:
    for subclass in cls.__subclasses__():
        if not subclass.__name__.startswith("_") and is_registered(subclass):
            yield subclass
        yield from _subclasses(subclass)
