"""The verbs that users call: checked once, by the specifications of the model."""

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

import keras
import tensorflow as tf

from tfgen.core import random, specs
from tfgen.core.checks import check_integer, expected, failed_check
from tfgen.model.inversion import in_batches
from tfgen.model.paths import linear
from tfgen.model.rows import VERBS, Conditions, Rows
from tfgen.model.traces import Traces

TEMPERATURE = specs.positive_spec("temperature")

BATCH_SIZE = 192
"""Rows that a verb works out at a time, which bounds its memory.

Libraries of matrix products take rows in blocks of 4 to 48, and add up otherwise in what is left
over: a multiple of 48 gives every row the bits that it has in one pass over all rows.
"""


class Verbs(Rows):
    """The verbs, final: each asks the method `<verb>_rows` of the model, if it has one.

    `batch_size`, > 0, says how many rows are worked out at a time, 192 unless given. Rows are the
    same for each, bit for bit for multiples of 48 on CPUs, and else up to rounding. In a graph, all
    rows are worked out at once.

    Raises:
        UnsupportedCapability: by a verb that the model does not have.
        TypeError, ValueError: by a verb whose inputs do not agree with the specifications; in a
            graph, tf.errors.InvalidArgumentError for values, when it runs.
    """

    # What users call.

    def sample(
        self,
        num_samples: int,
        seed: Any = None,
        condition: Any = None,
        temperature: float | tf.Tensor | None = None,
        *,
        batch_size: int = BATCH_SIZE,
    ) -> tf.Tensor:
        """Draws samples; the same seed gives the same samples.

        Args:
            num_samples: how many, > 0.
            seed: in [0, 2**31), or None for other samples at each call; or row seeds, int32
                [num_samples, 2], such as some rows of `tfgen.core.random.row_seeds`.
            condition: what to condition on, [num_samples, ...] by name, or bare where there is one
                condition. Labels, and other single integers, are drawn for each row if not given.
            temperature: > 0, a number or [num_samples], for models that have one; 1 unless given.
            batch_size: how many are drawn at a time, > 0, which bounds the memory.

        Returns:
            [num_samples, *event]; images are float32 in [0, 1].
        """
        self.require("sample")
        seeds = random.row_seeds(num_samples, seed)
        given = specs.as_conditions(condition, self.condition_specs, seeds.shape[0])
        given = self._with_drawn(given, seeds)
        temperatures = self._temperatures(temperature, seeds)
        return self._answer("sample", batch_size, seeds, given, temperatures)

    def decode(self, z: Any, condition: Any = None, *, batch_size: int = BATCH_SIZE) -> tf.Tensor:
        """Returns the examples [batch, *event] of latents.

        Args:
            z: a nest like `latent_spec`, of tensors [batch, ...].
            condition: as for `sample`; it has to be given by a conditional model's user.
            batch_size: as for `sample`.
        """
        self.require("decode")
        z = self._checked_latents(z)
        given = self._given(condition, keras.tree.flatten(z)[0])
        return self._answer("decode", batch_size, z, given)

    def encode(
        self, x: Any, condition: Any = None, *, batch_size: int = BATCH_SIZE, **settings: Any
    ) -> Any:
        """Returns the latents of examples.

        Args:
            x: [batch, *event].
            condition: as for `decode`.
            batch_size: as for `sample`.
            **settings: of the model's own encoder, e.g. `inversion=` of a GLO or a GAN.

        Returns:
            A nest like `latent_spec`, of tensors [batch, ...], or an `Encoding` of it.
        """
        self.require("encode")
        x = self._checked_examples(x)
        return self._answer("encode", batch_size, x, self._given(condition, x), **settings)

    def reconstruct(
        self, x: Any, condition: Any = None, *, batch_size: int = BATCH_SIZE, **settings: Any
    ) -> tf.Tensor:
        """Returns the decoded latents of examples, [batch, *event].

        Args:
            x, condition, batch_size, **settings: as for `encode`.
        """
        self.require("reconstruct")
        x = self._checked_examples(x)
        return self._answer("reconstruct", batch_size, x, self._given(condition, x), **settings)

    def log_prob(self, x: Any, condition: Any = None, *, batch_size: int = BATCH_SIZE) -> tf.Tensor:
        """Returns the exact log density of each example, [batch], in nats.

        Args:
            x, condition, batch_size: as for `encode`.
        """
        self.require("log_prob")
        x = self._checked_examples(x)
        return self._answer("log_prob", batch_size, x, self._given(condition, x))

    def log_prob_bound(
        self,
        x: Any,
        num_importance: int = 1,
        seed: Any = None,
        condition: Any = None,
        *,
        batch_size: int = BATCH_SIZE,
    ) -> tf.Tensor:
        """Returns a lower bound on the log density of each example, [batch], in nats.

        Args:
            x, condition, batch_size: as for `encode`.
            num_importance: draws of the latents that the bound averages over, > 0.
            seed: of the draws, as for `sample`.
        """
        self.require("log_prob_bound")
        check_integer("num_importance", num_importance)
        x = self._checked_examples(x)
        seeds = self._seeds(seed, x)
        rows = (x, seeds, self._given(condition, x))
        return self._answer("log_prob_bound", batch_size, *rows, num_importance=num_importance)

    def complete(
        self,
        x: Any,
        mask: Any,
        seed: Any = None,
        condition: Any = None,
        temperature: float | tf.Tensor | None = None,
        *,
        batch_size: int = BATCH_SIZE,
    ) -> tf.Tensor:
        """Returns examples [batch, *event] whose entries under `mask` == 0 are drawn anew.

        Args:
            x: [batch, *event], of which the entries under `mask` != 0 are given.
            mask: which entries are given, of the shape of `x`, integers, floats or booleans.
            seed, condition, temperature, batch_size: as for `sample`; a condition has to be given.
        """
        self.require("complete")
        mask = specs.checked(tf.cast(mask, tf.float32), self.mask_spec, "mask")
        x = specs.with_shape(x, self.event_spec, self.event_spec.name)
        specs.check_same_rows({self.event_spec.name: x, "mask": mask})
        # What is not given may be anything, such as NaN.
        x = self._checked_examples(tf.where(mask == 0, specs.rows(self.event_spec, 1), x))
        seeds = self._seeds(seed, x)
        temperature = self._temperatures(temperature, seeds)
        given = self._given(condition, x)
        return self._answer("complete", batch_size, x, mask, seeds, given, temperature)

    def translate(
        self, x: Any, condition: Any = None, *, batch_size: int = BATCH_SIZE
    ) -> tf.Tensor:
        """Returns the examples of another domain that belong to examples of one.

        Args:
            x, condition, batch_size: as for `encode`.
        """
        self.require("translate")
        x = self._checked_examples(x)
        return self._answer("translate", batch_size, x, self._given(condition, x))

    def classify(self, x: Any, condition: Any = None, *, batch_size: int = BATCH_SIZE) -> tf.Tensor:
        """Returns the probability of each class, [batch, num_classes].

        Args:
            x, condition, batch_size: as for `encode`.
        """
        self.require("classify")
        x = self._checked_examples(x)
        return self._answer("classify", batch_size, x, self._given(condition, x))

    def interpolate(
        self,
        start: Any,
        end: Any,
        num_points: int = 8,
        path: Callable = linear,
        condition: Any = None,
        *,
        batch_size: int = BATCH_SIZE,
    ) -> tf.Tensor:
        """Decodes points on paths between latents.

        Args:
            start, end: the latents at both ends, nests like `latent_spec` of floats [batch, ...].
            num_points: on each path, both ends counted, >= 2.
            path: `tfgen.model.paths.linear` or `spherical`.
            condition: of each path, as for `decode`.
            batch_size: as for `sample`, counting points.

        Returns:
            [batch, num_points, *event].
        """
        self.require("decode")
        check_integer("num_points", num_points, minimum=2)
        start, end = self._float_latents(start), self._float_latents(end)
        first, last = keras.tree.flatten(start)[0], keras.tree.flatten(end)[0]
        specs.check_same_rows({"start": first, "end": last})
        fractions = tf.linspace(0.0, 1.0, num_points)

        def merged(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
            return tf.reshape(path(a, b, fractions), [-1, *a.shape[1:]])

        points = keras.tree.map_structure(merged, start, end)
        given = self._given(condition, first)
        given = {name: tf.repeat(value, num_points, axis=0) for name, value in given.items()}
        decoded = self._answer("decode", batch_size, points, given)
        return tf.reshape(decoded, [-1, num_points, *decoded.shape[1:]])

    def latent_arithmetic(
        self, a: Any, b: Any, c: Any, condition: Any = None, *, batch_size: int = BATCH_SIZE
    ) -> tf.Tensor:
        """Decodes a - b + c, the analogy "a is to b as the result is to c".

        Args:
            a, b, c: latents, nests like `latent_spec` of floats [batch, ...].
            condition: of the results, as for `decode`.
            batch_size: as for `sample`.

        Returns:
            [batch, *event].
        """
        self.require("decode")
        parts = (self._float_latents(z) for z in (a, b, c))
        z = keras.tree.map_structure(lambda a, b, c: a - b + c, *parts)
        return self.decode(z, condition, batch_size=batch_size)

    def _answer(self, verb: str, batch_size: int, *rows: Any, **settings: Any) -> Any:
        """Returns what the method of a verb returns, asked `batch_size` rows at a time."""
        check_integer("batch_size", batch_size)
        self.warn_before_use()
        ask = partial(getattr(self, f"{verb}_rows"), **settings)
        if verb in self.traced_verbs and tf.executing_eagerly():
            ask = self._traces.of(ask, rows, (verb, *sorted(settings.items())))
        try:
            return self.checked_result(verb, in_batches(ask, rows, batch_size))
        except tf.errors.InvalidArgumentError as error:
            if message := failed_check(error):
                raise ValueError(message) from None
            raise

    @cached_property
    def _traces(self) -> Traces:
        return Traces()

    def checked_result(self, verb: str, result: tf.Tensor) -> tf.Tensor:
        """Returns what the method of a verb returned, if its shape and type are right, or raises.

        Raises:
            TypeError, ValueError: naming the method.
        """
        gives = VERBS[verb].gives
        if gives in ("x", "log_prob", "log_prob_bound"):
            number = tf.TensorSpec([], tf.float32)
            specs.check_result(result, self.event_spec if gives == "x" else number, f"{verb}_rows")
        return result

    # How inputs are checked.

    def _checked_examples(self, x: Any) -> tf.Tensor:
        x = specs.checked(x, self.event_spec, self.event_spec.name)
        specs.check_some_rows(x, self.event_spec.name)
        return x

    def _checked_latents(self, z: Any) -> Any:
        if self.latent_spec is None:
            what = "a property `latent_spec`, e.g. tfgen.core.specs.latent_spec(64)"
            raise NotImplementedError(expected(what, f"{type(self).__name__}, which has none"))
        named = specs.by_name(self.latent_spec, "z")
        try:
            keras.tree.assert_same_structure(self.latent_spec, z)
        except (ValueError, TypeError) as error:
            kind = type(self.latent_spec).__name__
            what = f"latents {list(named)}, a {kind} of them"
            raise ValueError(expected(what, type(z).__name__)) from error
        parts = zip(keras.tree.flatten(z), named.items(), strict=True)
        found = {name: specs.checked(part, spec, name) for part, (name, spec) in parts}
        specs.check_same_rows(found)
        for name, part in found.items():
            specs.check_some_rows(part, name)
        return specs.like_nest(self.latent_spec, list(found.values()))

    def _float_latents(self, z: Any) -> Any:
        """Returns latents, checked, between which there are others."""
        whole = [s.dtype.name for s in keras.tree.flatten(self.latent_spec) if s.dtype.is_integer]
        if whole:
            raise TypeError(expected("latents of floats", whole[0]))
        return self._checked_latents(z)

    def _given(self, condition: Any, rows: tf.Tensor) -> Conditions:
        """Returns all conditions, checked."""
        given = specs.as_conditions(condition, self.condition_specs, rows.shape[0])
        specs.check_all_given(given, self.condition_specs)
        return given

    def _with_drawn(self, given: Conditions, row_seeds: tf.Tensor) -> Conditions:
        """Returns conditions with those drawn that are not given and are single integers."""
        for name, spec in self.condition_specs.items():
            single = specs.bounds(spec) and spec.dtype.is_integer and not spec.shape.rank
            if name not in given and single:
                unit = random.uniform(random.stream(row_seeds, f"condition {name}"), ())
                given[name] = tf.cast(unit * spec.num_values, spec.dtype)
        specs.check_all_given(given, self.condition_specs)
        return given

    def _seeds(self, seed: Any, x: tf.Tensor) -> tf.Tensor:
        return random.row_seeds(tf.shape(x)[0] if x.shape[0] is None else x.shape[0], seed)

    def _temperatures(self, temperature: Any, row_seeds: tf.Tensor) -> tf.Tensor | None:
        """Returns a temperature for each row, if the model has one."""
        if not self.has_temperature:
            if temperature is not None:
                what = f"no `temperature`: {type(self).__name__} has none"
                raise ValueError(expected(what, temperature))
            return None
        count = tf.shape(row_seeds)[:1]
        temperature = tf.cast(1.0 if temperature is None else temperature, tf.float32)
        if not temperature.shape.rank:
            temperature = tf.fill(count, temperature)
        temperature = specs.checked(temperature, TEMPERATURE, "temperature")
        specs.check_same_rows({"temperature": temperature, "seed": row_seeds})
        return temperature
