"""Data in memory or streamed, in an order that depends only on the seed and the epoch.

`load` reads the embedded digits, TensorFlow Datasets, folders of images, array files and arrays;
`load_audio` reads folders of recordings; `from_arrays` wraps arrays at hand. All return `Examples`.
`toy` has mixtures of known density.
"""

from tfgen.data import toy
from tfgen.data.audio import load_audio
from tfgen.data.examples import Examples
from tfgen.data.image_checks import check_images
from tfgen.data.load import from_arrays, load

__all__ = ["Examples", "check_images", "from_arrays", "load", "load_audio", "toy"]
