"""What tells the data of one run of training from those of another."""

import hashlib
from typing import Any

import keras
import numpy as np

from tfgen.data.examples import Examples

_ROWS = 64


def identity(data: Any, content: bool = True) -> dict[str, Any]:
    """Returns what data are, as plain values by name.

    Args:
        data: `Examples`, or a dataset of batches, of which only shapes and types are
            known, the number of rows among them where it is the same in all batches.
        content: whether to look into examples; 64 of them, spread over all, and their columns.
    """
    if not isinstance(data, Examples):
        parts = keras.tree.flatten(data.element_spec)
        return {"batches": [f"{part.dtype.name} {part.shape.as_list()}" for part in parts]}
    found = {
        "event_shape": list(data.event_shape),
        "num_examples": data.num_examples,
        "batch_size": data.batch_size,
        "seed": data.seed,
        "columns": sorted(data.columns),
    }
    return found | {"content": _digest(data)} if content else found


def _digest(data: Examples) -> str:
    rows = np.unique(np.linspace(0, data.num_examples - 1, _ROWS).astype(np.int64))
    columns = [data.columns[name][rows] for name in sorted(data.columns)]
    digest = hashlib.sha256()
    for values in (data.as_float(rows), *columns):
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()[:16]
