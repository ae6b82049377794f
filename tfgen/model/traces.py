"""Graphs of methods that take rows, each traced once for any number of them."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf


class Traces:
    """The graphs of one model, which live as long as it does."""

    def __init__(self) -> None:
        self._graphs: dict[tuple, Callable[..., Any]] = {}

    def of(self, function: Callable[..., Any], rows: tuple, key: tuple) -> Callable[..., Any]:
        """Returns the graph of a function, traced unless it was before.

        Args:
            function: of rows.
            rows: nests of tensors [batch, ...] or None, like those that it will be called with.
            key: what tells the function from others, hashable.
        """
        kinds = tf.nest.map_structure(
            lambda row: None if row is None else tf.TensorSpec([None, *row.shape[1:]], row.dtype),
            rows,
        )
        key = (*key, repr(kinds))
        if key not in self._graphs:
            graph = tf.function(lambda *given: function(*given), autograph=False)
            self._graphs[key] = graph.get_concrete_function(*kinds)
        return self._graphs[key]
