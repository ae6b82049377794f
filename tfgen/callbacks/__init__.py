"""Callbacks for `model.fit`."""

from tfgen.callbacks.reset import ResetOptimizers
from tfgen.callbacks.sample_grid import SampleGrid, image_grid, write_png
from tfgen.core.checkpoint import Checkpoint, drop_latest

__all__ = ["Checkpoint", "ResetOptimizers", "SampleGrid", "drop_latest", "image_grid", "write_png"]
