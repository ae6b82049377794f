"""The signatures that a model is served by."""

import numpy as np
import pytest
import tensorflow as tf

from tests.small_models import center, small_glo, small_imle
from tfgen.core import random
from tfgen.networks import MLP
from tfgen.serving import endpoints


def by_name(model):
    return {endpoint.name: endpoint for endpoint in endpoints(model)}


def test_signatures_of_images():
    served = endpoints(small_glo())
    names = [endpoint.name for endpoint in served]
    assert names == ["sample", "sample_png", "decode", "encode", "reconstruct"]
    inputs = {e.name: {n: (s.dtype.name, s.shape.as_list()) for n, s in e.inputs.items()}
              for e in served}  # fmt: skip
    image = {"images": ("float32", [None, 4, 4, 1])}
    assert inputs == {
        "sample": {"seed": ("int64", [None])},
        "sample_png": {"seed": ("int64", [None])},
        "decode": {"z": ("float32", [None, 3])},
        "encode": image,
        "reconstruct": image,
    }


def test_signatures_of_vectors():
    served = by_name(small_imle())
    assert set(served) == {"sample", "decode"}
    assert set(served["decode"].function(z=tf.zeros([2, 3]))) == {"points"}


def test_no_png_of_two_channels():
    generator = MLP((4, 4, 2), (8,))
    assert "sample_png" not in by_name(type(small_glo())(generator, 4, latent_dim=3))


def test_examples_fit_their_inputs():
    for endpoint in endpoints(small_glo()):
        assert endpoint.example.keys() == endpoint.inputs.keys()
        for name, value in endpoint.example.items():
            assert endpoint.inputs[name].is_compatible_with(value) and value.shape[0] == 1


def test_outputs_are_the_models():
    model = small_glo()
    served = by_name(model)
    seeds = tf.constant([5, 5 + 3 * 2**32], tf.int64)
    images = served["sample"].function(seed=seeds)["images"]
    np.testing.assert_allclose(images, tf.gather(model.sample(4, seed=5), [0, 3]), rtol=1e-5)
    z = tf.constant([[1.0, 2.0, 3.0]])
    np.testing.assert_allclose(served["decode"].function(z=z)["images"], model.decode(z))
    encoding = served["encode"].function(images=images)
    assert set(encoding) == {"z", "distance"}
    np.testing.assert_allclose(encoding["z"], model.encode(images).z)
    rebuilt = served["reconstruct"].function(images=images)["images"]
    np.testing.assert_allclose(rebuilt, model.reconstruct(images))


def test_png_bytes_are_the_sample():
    model = small_glo()
    (png,) = by_name(model)["sample_png"].function(seed=[7])["png_bytes"].numpy()
    pixels = tf.io.decode_png(png).numpy()
    np.testing.assert_array_equal(pixels, np.round(model.sample(1, seed=7)[0] * 255))


def test_seeds_beyond_32_bits_are_rows():
    seeds = random.row_seeds_from_int64(tf.constant([2**40 + 9], tf.int64))
    assert seeds.numpy().tolist() == [[9, 2**8]]


def test_a_model_that_can_do_nothing():
    with pytest.raises(ValueError, match=r"Expected .*\['sample', 'decode', .*Received: _Center,"):
        endpoints(center())
