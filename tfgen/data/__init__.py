"""Data in memory, in an order that depends only on the seed and the epoch.

`load` reads the embedded digits, TensorFlow Datasets, folders of images, array files and arrays;
`from_arrays` wraps images at hand. Both return `Examples`. `toy` has mixtures of known density.
"""

from tfgen.data import toy
from tfgen.data.examples import Examples
from tfgen.data.image_checks import check_images
from tfgen.data.load import from_arrays, load

__all__ = ["Examples", "check_images", "from_arrays", "load", "toy"]
