"""Argument checks whose messages all read "Expected ... Received: ..."."""

import operator
import re
from collections.abc import Collection
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Shaped(Protocol):
    """What has a shape and a dtype: an array, a tensor, or the specification of one."""

    @property
    def shape(self) -> Any:
        """The sizes of the axes."""

    @property
    def dtype(self) -> Any:
        """The type of the numbers."""


def expected(what: str, received: Any) -> str:
    """Returns the text of an error: what was expected and what came instead.

    >>> expected("rank 4, [batch, height, width, channels]", (8, 8))
    'Expected rank 4, [batch, height, width, channels]. Received: (8, 8)'
    """
    return f"Expected {what}. Received: {received}"


def failed_check(error: Exception) -> str | None:
    """Returns the text "Expected ... Received: ..." of a check that failed in a graph, if it was.

    >>> failed_check(ValueError("... assertion failed: [Expected a < 1. Received:] [2]"))
    'Expected a < 1. Received: 2'
    """
    found = re.search(r"assertion failed: \[(Expected .* Received:.*)\]", str(error))
    return None if found is None else found[1].replace("] [", " ")


def check_positive(name: str, value: float) -> None:
    """Raises ValueError unless the number `value` is finite and above zero."""
    if not 0 < value < float("inf"):
        raise ValueError(expected(f"`{name}` to be a finite number > 0", value))


def check_not_negative(name: str, value: float) -> None:
    """Raises ValueError unless the number `value` is finite and not below zero."""
    if not 0 <= value < float("inf"):
        raise ValueError(expected(f"`{name}` to be a finite number >= 0", value))


def check_integer(name: str, value: int, minimum: int = 1) -> None:
    """Raises TypeError unless `value` is an integer, ValueError unless it is >= `minimum`."""
    try:
        operator.index(None if isinstance(value, bool) else value)
    except TypeError:
        raise TypeError(expected(f"`{name}` to be an integer", repr(value))) from None
    if value < minimum:
        raise ValueError(expected(f"`{name}` >= {minimum}", value))


def check_member(name: str, value: Any, allowed: Collection) -> None:
    """Raises ValueError unless `value` is one of `allowed`."""
    if value not in allowed:
        raise ValueError(expected(f"`{name}` to be one of {sorted(allowed)}", repr(value)))


def check_rank(name: str, shape: Any, rank: int, axes: str) -> None:
    """Raises ValueError unless `shape` has `rank` axes; `axes` says what they are."""
    if len(shape) != rank:
        raise ValueError(expected(f"`{name}` of rank {rank}, {axes}", f"shape {tuple(shape)}"))


def check_unconditional(condition: Any) -> None:
    """Raises ValueError when an unconditional model is given a condition."""
    if condition is not None:
        raise ValueError(expected("no `condition`: the model is unconditional", condition))


def check_seed(name: str, seed: int) -> None:
    """Raises TypeError or ValueError unless `seed` is an integer in [0, 2**31)."""
    check_integer(name, seed, minimum=0)
    if seed >= 2**31:
        raise ValueError(expected(f"`{name}` < 2**31", seed))
