"""Sheets of images, side by side."""

from pathlib import Path

import numpy as np

from tfgen.core.files import written_whole

WIDEST = 20.0
"""Of a sheet, in inches of 150 pixels."""


def sheet(path: Path, panels: dict[str, np.ndarray]) -> None:
    """Draws images side by side, each under its name, into a PNG file, whole or not at all.

    Args:
        path: of the file.
        panels: images [height, width, channels] in [0, 1], by name; enlarged to fill the sheet.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    widths = [image.shape[1] / image.shape[0] for image in panels.values()]
    scale = min(1.0, WIDEST / (3.4 * sum(widths)))
    figure, axes = pyplot.subplots(
        1,
        len(panels),
        figsize=(3.4 * scale * sum(widths), 3.7 * scale),
        width_ratios=widths,
        squeeze=False,
    )
    for axis, (name, image) in zip(axes[0], panels.items(), strict=True):
        axis.imshow(image, cmap="gray", vmin=0, vmax=1)  # Colours are shown as they are.
        axis.set_title(name, fontsize=10)
        axis.axis("off")
    figure.tight_layout()
    with written_whole(path) as unfinished:
        figure.savefig(unfinished, dpi=150, bbox_inches="tight")
    pyplot.close(figure)
