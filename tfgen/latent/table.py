"""One learnable latent for each training example."""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from tfgen.core import random
from tfgen.core.checks import check_integer, check_positive, check_rank, expected
from tfgen.core.config import Configurable, register
from tfgen.data.indices import checked_indices
from tfgen.latent.spaces import Sphere


@register
class LatentTable(Configurable, keras.layers.Layer):
    """The latents z_1 .. z_N, rows of one variable that is only ever touched by rows.

    Its gradient is a tf.IndexedSlices, to be applied by `RowAdam` or `RowSGD`, whose time does not
    depend on N. Under tf.distribute the table is mirrored, and each replica applies the rows of
    all.

    Args:
        num_examples: N, > 0.
        latent_dim: d, > 0.
        space: the projection that keeps rows in their set; the unit sphere unless given.
        initial_std: rows begin as N(0, initial_std^2 I), projected; > 0.
        seed: of the initial rows.

    Raises:
        TypeError: when a size is not an integer.
        ValueError: when a number is out of range.
    """

    def __init__(
        self,
        num_examples: int,
        latent_dim: int,
        space: Callable[[tf.Tensor], tf.Tensor] | None = None,
        initial_std: float = 0.1,
        seed: int = 0,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        check_integer("num_examples", num_examples)
        check_integer("latent_dim", latent_dim)
        check_positive("initial_std", initial_std)
        self.num_examples = num_examples
        self.latent_dim = latent_dim
        self.space = space or Sphere()
        self.initial_std = initial_std
        self.seed = seed
        self.codes = self.add_weight(
            shape=(self.num_examples, self.latent_dim),
            initializer=self._initial_rows,
            dtype="float32",
            name="codes",
        )
        self.built = True

    def _initial_rows(self, shape: tuple[int, int], dtype: str | None = None) -> tf.Tensor:
        rows = random.draw_normal(shape, [self.seed, 0])
        return self.space(self.initial_std * rows)

    def call(self, index: tf.Tensor) -> tf.Tensor:
        """Returns the rows [batch, latent_dim] of examples.

        Args:
            index: integers [batch] in [0, N).

        Raises:
            TypeError: when indices are not integers.
            ValueError: when they have another rank.
            tf.errors.InvalidArgumentError: when an index is outside the table.
        """
        check_rank("index", index.shape, 1, "[batch]")
        if not index.dtype.is_integer:
            raise TypeError(expected("integer indices", index.dtype.name))
        # A GPU would read zeros outside of the table.
        checked, inside = checked_indices(index, self.num_examples, "latent indices")
        rows = tf.gather(self.codes.value, checked)
        return tf.where(inside[:, tf.newaxis], rows, float("nan"))

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, int]:
        """Returns (batch, latent_dim)."""
        return (input_shape[0], self.latent_dim)

    def assign(self, codes: tf.Tensor) -> None:
        """Replaces all rows by the projections of others.

        Args:
            codes: [num_examples, latent_dim].

        Raises:
            ValueError: when they have another shape.
        """
        self.codes.assign(self.space(tf.convert_to_tensor(codes, tf.float32)))
