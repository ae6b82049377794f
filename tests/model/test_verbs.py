"""What a model that cannot do something says."""

import pytest
import tensorflow as tf

from tests.small_models import center, small_glo, small_imle
from tfgen.latent import GLANN
from tfgen.model.rows import VERBS, UnsupportedCapability


def test_capabilities_are_the_methods_that_a_class_writes():
    glo, imle = small_glo(), small_imle(dim=3)
    assert glo.capabilities() == {"sample", "encode", "decode", "reconstruct"}
    assert GLANN(glo, imle).capabilities() == glo.capabilities()
    assert imle.capabilities() == {"sample", "decode"}
    assert center().capabilities() == frozenset()


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda m: m.log_prob(tf.zeros([1, 2])), "IMLE has no log_prob (its density is not"),
        (lambda m: m.encode(tf.zeros([1, 2])), "IMLE has no encode (it has no encoder)"),
        (lambda m: m.complete(tf.zeros([1, 2]), tf.ones([1, 2])), "IMLE has no complete (it"),
    ],
)
def test_the_error_says_why(call, text):
    with pytest.raises(UnsupportedCapability) as error:
        call(small_imle())
    assert text in str(error.value)


def test_the_error_names_models_that_can():
    with pytest.raises(UnsupportedCapability, match=r"models with encode: .*GLANN, GLO"):
        small_imle().encode(tf.zeros([1, 2]))
    with pytest.raises(
        UnsupportedCapability,
        match=r"_Center has no sample .*GLANN, GLO, GaussianModel, .*HybridFlow, IMLE",
    ):
        center().sample(3, seed=0)


def test_it_can_be_caught_as_not_implemented():
    assert issubclass(UnsupportedCapability, NotImplementedError)
    assert all(verb.lacking for verb in VERBS.values())


def test_a_model_without_latents_has_no_arithmetic():
    with pytest.raises(UnsupportedCapability, match="decode"):
        center().latent_arithmetic(*tf.zeros([3, 1, 2]))
    assert small_glo().latent_arithmetic(*tf.zeros([3, 2, 3])).shape == (2, 4, 4, 1)
