"""Callbacks for `model.fit`."""

from tfgen.callbacks.evaluate import Evaluate
from tfgen.callbacks.reset import ResetOptimizers
from tfgen.callbacks.sample_grid import SampleGrid, image_grid, write_png
from tfgen.training.callback import Callback
from tfgen.training.checkpoint import Checkpoint, drop_latest

__all__ = [
    "Callback",
    "Checkpoint",
    "Evaluate",
    "ResetOptimizers",
    "SampleGrid",
    "drop_latest",
    "image_grid",
    "write_png",
]
