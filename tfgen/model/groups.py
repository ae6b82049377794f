"""Which optimizer moves which parts of a model."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import keras

from tfgen.core.checks import expected
from tfgen.core.config import check_kept, is_registered
from tfgen.training import keras_compat
from tfgen.training.optimize import Parts, scales, without_scale
from tfgen.training.optimizers import Optimizers

Optimizer = keras.optimizers.Optimizer

_SEED = "seed_"  # Before the numbers of seeds in files; variables go by numbers alone.


def optimizer_name(group: str) -> str:
    """Returns the name of a group's optimizer: of `compile`'s argument and of the attribute."""
    return f"{group}_optimizer" if group else "optimizer"


def copied(optimizer: Any) -> Any:
    """Returns another optimizer of the same settings, or the name that was given."""
    if isinstance(optimizer, Optimizer):
        return type(optimizer).from_config(optimizer.get_config())
    return optimizer


class Groups(keras.Model):
    """A model whose parts are optimised in groups.

    `groups` maps the name of each group to the names of the attributes that hold its layers; group
    `g` is optimised by the attribute `g_optimizer`, the group of no name by `optimizer`. A group
    without layers is all that the model holds, which is the default.
    """

    groups: ClassVar[Mapping[str, tuple[str, ...]]] = {"": ()}
    default_optimizers: ClassVar[Mapping[str, Callable[[], Optimizer]]] = {}
    default_jit_compile: ClassVar[bool] = False

    def group(self, name: str) -> Parts:
        """Returns the layers of a group.

        Raises:
            ValueError: when the model has no such group, or the group no such layer.
        """
        if not isinstance(self.groups, Mapping) or any(map(_is_text, self.groups.values())):
            what = 'groups such as {"generator": ("generator",)}'
            raise TypeError(expected(what, repr(self.groups)))
        if name not in self.groups:
            raise ValueError(expected(f"a group among {sorted(self.groups)}", repr(name)))
        attributes = self.groups[name]
        if not attributes:
            return Parts([self])
        found = {attribute: getattr(self, attribute, None) for attribute in attributes}
        for attribute, layer in found.items():
            if not isinstance(layer, keras.layers.Layer):
                what = f"the group {name!r} to name layers of {type(self).__name__}"
                raise ValueError(expected(what, f"{attribute!r}, {type(layer).__name__}"))
        return Parts(list(found.values()))

    def optimizer_of(self, group: str) -> Optimizer:
        """Returns the optimizer of a group."""
        return getattr(self, optimizer_name(group))

    def compile(
        self,
        optimizer: Optimizer | str | None = None,
        *,
        jit_compile: bool | None = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        **optimizers: Optimizer | str,
    ) -> None:
        """Makes and builds the optimizers.

        Args:
            optimizer: a Keras optimizer or its name, of which each group gets a copy of its own.
            jit_compile: whether XLA compiles the training step; None takes the class's default,
                which is what was measured to be faster, and has XLA compile at least the steps of
                optimizers with a million weights or more; False has it compile nothing.
            run_eagerly: whether the step runs eagerly, to debug it.
            steps_per_execution: how many batches one call of the compiled function trains on.
            **optimizers: `g_optimizer=` for a group g in `groups`, in place of `optimizer`. A group
                without either takes its default.

        Raises:
            TypeError: when an optimizer is of no group.
            ValueError: when one is neither a Keras optimizer nor the name of one, or a part that is
                to be trained is not built.
        """
        if is_registered(type(self)):
            check_kept(self)  # Before training: what a file could not hold is known now.
        chosen = self._chosen(optimizer, optimizers)
        built = {group: self._built_optimizer(group, chosen[group]) for group in self.groups}
        self._check_groups()
        jit = self.default_jit_compile if jit_compile is None else jit_compile
        self._chosen_jit_compile = jit_compile
        super().compile(
            optimizer=None,
            jit_compile=jit and not run_eagerly,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
        )
        for group, made in built.items():
            setattr(self, optimizer_name(group), made)
        if built and "" not in built:
            self.optimizer = Optimizers({g: without_scale(made) for g, made in built.items()})

    def finish_optimizers(self) -> None:
        """Gives weights the averages of optimizers with `use_ema`, as Keras does with its own."""
        for group in filter(None, self.groups):
            variables = self.group(group).trainable_variables
            self.optimizer_of(group).finalize_variable_values(variables)

    def _chosen(self, common: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the optimizer, or its name, or None, of each group."""
        names = {optimizer_name(group): group for group in self.groups}
        if unknown := sorted(set(given) - set(names)):
            raise TypeError(expected(f"optimizers among {sorted({'optimizer', *names})}", unknown))
        shared = len(self.groups) > 1
        default = copied if shared else (lambda optimizer: optimizer)
        chosen = {group: given.get(name) or default(common) for name, group in names.items()}
        made = [id(o) for o in chosen.values() if isinstance(o, Optimizer)]
        if len(set(made)) < len(made):
            raise ValueError(expected("an optimizer of its own for each group", sorted(given)))
        return chosen

    def _check_groups(self) -> None:
        """Raises ValueError unless each trainable variable is in one group."""
        held = [id(v) for group in self.groups for v in self.group(group).trainable_variables]
        if len(set(held)) < len(held):
            raise ValueError(expected("groups that share no layer", dict(self.groups)))
        elsewhere = {id(v) for v in self.trained_elsewhere()}
        left = [v.path for v in self.trainable_variables if id(v) not in elsewhere.union(held)]
        if left:
            what = "each part in a group, or frozen by `trainable = False`"
            raise ValueError(expected(what, f"{left[0]}, which no group trains"))

    def trained_elsewhere(self) -> Sequence[keras.Variable]:
        """Returns variables that the model holds and another stage of training trains."""
        return ()

    def _built_optimizer(self, group: str, given: Any) -> Optimizer:
        """Returns the optimizer of a group with its variables made.

        An optimizer that is built later crashes MirroredStrategy and is missing from checkpoints.
        """
        default = self.default_optimizers.get(group, keras.optimizers.Adam)
        optimizer = default() if given is None else _optimizer(optimizer_name(group), given)
        if keras.config.dtype_policy().name == "mixed_float16" and not scales(optimizer):
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        self.check_optimizer(group, without_scale(optimizer))
        if not optimizer.built:
            parts = self.group(group)
            for layer in parts.layers:
                _check_built(layer)
            optimizer.build(parts.trainable_variables)
        return optimizer

    def check_optimizer(self, group: str, optimizer: Optimizer) -> None:
        """Raises when an optimizer cannot train a group, and tells it what it has to know.

        Args:
            group: its name.
            optimizer: without the loss scale that float16 puts around it.
        """

    def get_compile_config(self) -> dict[str, Any]:
        """Returns the arguments of `compile`, serialised."""
        if not self.compiled:
            return {}
        optimizers = {optimizer_name(group): self.optimizer_of(group) for group in self.groups}
        arguments = {
            "jit_compile": self._chosen_jit_compile,
            "run_eagerly": self.run_eagerly,
            "steps_per_execution": self.steps_per_execution,
        }
        return keras.saving.serialize_keras_object(optimizers | arguments)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles the model as `get_compile_config` says."""
        self.compile(**keras.saving.deserialize_keras_object(config))

    @property
    def training_state(self) -> list[keras.Variable]:
        """All variables that training depends on: weights, seeds and the optimizers' variables.

        A constant learning rate is not one of them: it is what `compile` says.
        """
        optimizers = [self.optimizer_of(group) for group in self.groups]
        rates = {id(keras_compat.learning_rate_variable(o)) for o in optimizers}
        variables = [variable for o in optimizers for variable in o.variables]
        kept = [variable for variable in variables if id(variable) not in rates]
        return [*self.weights, *self.seed_states, *kept]

    def save_own_variables(self, store: Any) -> None:
        """Saves the model's own variables, and the seeds of its layers, which Keras leaves out."""
        super().save_own_variables(store)
        for i, state in enumerate(self.seed_states):
            store[f"{_SEED}{i}"] = state.numpy()

    def load_own_variables(self, store: Any) -> None:
        """Loads what `save_own_variables` saved; seeds stay as they are if there are none."""
        super().load_own_variables({k: store[k] for k in store.keys() if _SEED not in k})
        for i, state in enumerate(self.seed_states):
            if f"{_SEED}{i}" in store.keys():
                state.assign(store[f"{_SEED}{i}"])

    @property
    def seed_states(self) -> list[keras.Variable]:
        """The states of the seed generators of layers such as Dropout, which are no weights."""
        weights = {id(variable) for variable in self.weights}
        found = {id(v): v for v in self.variables if id(v) not in weights}
        return list(found.values())


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _optimizer(name: str, given: Any) -> Optimizer:
    try:
        return keras.optimizers.get(given)
    except ValueError as error:
        what = f"`{name}` to be a Keras optimizer or the name of one"
        raise ValueError(expected(what, repr(given))) from error


def _check_built(layer: keras.layers.Layer) -> None:
    """Raises ValueError when a layer that makes its weights in `build` is not built."""
    layers = [layer]
    if isinstance(layer, Groups):
        layers = keras_compat.flatten_layers(layer, include_self=False, recursive=False)
    for part in layers:
        if not part.built and type(part).build is not keras.layers.Layer.build:
            what = f"`{part.name}` to be built (by tfgen.core.config.build_once, say)"
            raise ValueError(expected(what, f"{type(part).__name__}, which has no weights yet"))
