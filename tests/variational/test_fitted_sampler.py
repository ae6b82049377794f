"""Samplers that are fitted to the codes of autoencoders."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.small_models import COMPLAINT, blocks, small_glo, small_imle
from tfgen import load_model
from tfgen.bijectors import Chain, InvertibleLinear, MaskedAutoregressive
from tfgen.core import random
from tfgen.data import Examples
from tfgen.distributions import DiagonalGaussian, Normal
from tfgen.flows import Flow
from tfgen.latent import GLANN
from tfgen.networks import MLP
from tfgen.variational import VAE, WAE, Autoencoder, FittedSampler

NUM = 64


def images(num: int = NUM) -> np.ndarray:
    """Returns blocks of four kinds and of brightness that differs, float32 [num, 4, 4, 1]."""
    brightness = np.random.default_rng(1).uniform(0.6, 1.0, [num, 1, 1, 1])
    return np.float32(blocks(num) * brightness)


def autoencoder(kind=Autoencoder, **kwargs):
    networks = MLP((8,), (16,), activation="tanh"), MLP((8,), (16,), activation="tanh")
    settings = {"latent_dim": 2, "likelihood": Normal(0.3), "event_shape": (4, 4, 1)}
    return kind(*networks, **(settings | kwargs))


def flow(dim: int = 2, **kwargs) -> Flow:
    parts = [MaskedAutoregressive((8,), activation="tanh"), InvertibleLinear()]
    return Flow(Chain(parts), (dim,), DiagonalGaussian(dim), **kwargs)


def trained(model, epochs, data=None, **kwargs):
    rate = keras.optimizers.Adam(0.02)
    model.compile(rate)
    kwargs = {"batch_size": 16, "verbose": 0, "epochs": epochs} | kwargs
    model.fit(images() if data is None else data, **kwargs)
    return model


@pytest.fixture(scope="module")
def fitted():
    keras.utils.set_random_seed(0)
    epochs = {"autoencoder": 40, "sampler": 80}
    return trained(FittedSampler(autoencoder(), flow(), seed=4), epochs)


def test_both_stages_learn(fitted):
    history = fitted.history.history
    for name in ("autoencoder_loss", "sampler_loss"):
        assert history[name][-1] < history[name][0]
    fresh = flow()
    codes = fitted.encode(images())
    gain = fitted.sampler.log_prob(codes) - fresh.log_prob(codes)
    assert float(tf.reduce_mean(gain)) > 1.0


def test_draws_have_the_moments_of_the_codes(fitted):
    codes = fitted.encode(images()).numpy()
    drawn = fitted.sampler.sample(4000, seed=0).numpy()
    scale = codes.std(0)
    assert (np.abs(drawn.mean(0) - codes.mean(0)) < 0.3 * scale).all()
    np.testing.assert_allclose(drawn.std(0), scale, rtol=0.25)


def test_a_sample_is_a_decoded_draw_at_its_temperature(fitted):
    z = fitted.sampler.sample(5, seed=3, temperature=0.25)
    found = fitted.sample(5, seed=3, temperature=0.25)
    np.testing.assert_allclose(found, fitted.autoencoder.decode(z), rtol=1e-5, atol=1e-6)
    assert not np.allclose(found, fitted.sample(5, seed=3))


def test_the_other_verbs_are_those_of_the_autoencoder(fitted):
    x = images(3)
    np.testing.assert_array_equal(fitted.encode(x), fitted.autoencoder.encode(x))
    np.testing.assert_array_equal(fitted.reconstruct(x), fitted.autoencoder.reconstruct(x))
    assert (fitted.event_shape, tuple(fitted.latent_spec.shape)) == ((4, 4, 1), (2,))


@pytest.mark.parametrize("kind", [VAE, WAE])
def test_any_autoencoder_and_a_sampler_without_a_temperature(kind):
    model = FittedSampler(autoencoder(kind), small_imle(NUM, dim=2))
    trained(model, 1)
    assert not model.has_temperature
    z = model.sampler.sample_rows(random.row_seeds(3, 1))
    np.testing.assert_allclose(model.sample(3, seed=1), model.decode(z), rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="Expected no `temperature`"):
        model.sample(3, seed=1, temperature=0.5)


def codes_of(model, data):
    return model.stages()[1].data(data)


def test_codes_are_those_of_all_examples_in_their_order(fitted):
    x = images()
    expected = fitted.encode(x)
    examples = Examples(np.uint8(np.round(255 * x)), batch_size=24)  # Which divides no 64.
    np.testing.assert_allclose(codes_of(fitted, examples).x, expected, atol=0.05)
    dataset = tf.data.Dataset.from_tensor_slices(x).batch(24)
    np.testing.assert_allclose(codes_of(fitted, dataset).x, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(codes_of(fitted, x), expected, rtol=1e-5, atol=1e-6)


def test_a_dataset_trains_both_stages_and_has_to_end():
    model = FittedSampler(autoencoder(), flow())
    dataset = tf.data.Dataset.from_tensor_slices(images()).batch(16)
    trained(model, 2, dataset, batch_size=None)
    assert int(model.sampler.step.numpy()) == 2  # Of one batch, of all 64.
    with pytest.raises(ValueError, match="a dataset that ends"):
        codes_of(model, dataset.repeat())


@pytest.mark.parametrize(
    "both",
    [pytest.param(True, marks=pytest.mark.slow), False],
    ids=["both", "sampler_alone"],
)
def test_labels_reach_the_parts_that_take_them(both):
    """The sampler of each label learns the codes of its own examples."""
    labels = np.arange(NUM) % 4 // 2  # The upper or the lower half.
    own = autoencoder(num_classes=2) if both else autoencoder()
    model = FittedSampler(own, flow(num_classes=2))
    assert set(model.condition_specs) == {"label"}
    trained(model, {"autoencoder": 40, "sampler": 60}, y=labels)
    found = codes_of(model, Examples(images(), labels, batch_size=16))
    np.testing.assert_array_equal(found.labels, labels)
    z = model.encode(images(), labels)
    np.testing.assert_allclose(found.x, z, rtol=1e-5, atol=1e-6)
    likely, wrong = (
        float(tf.reduce_mean(model.sampler.log_prob(z, y))) for y in (labels, 1 - labels)
    )
    if not both:  # Else codes need not tell what labels tell.
        assert likely > wrong + 1.0
    samples = model.sample(200, seed=0, condition=np.arange(200) % 2).numpy()
    upper = samples[:, :2].mean((1, 2, 3)) - samples[:, 2:].mean((1, 2, 3))
    assert np.mean((upper > 0) == (np.arange(200) % 2 == 0)) > 0.9


def test_both_parts_are_saved(fitted, tmp_path):
    path = tmp_path / "model.keras"
    fitted.save(path)
    again = load_model(path)
    np.testing.assert_array_equal(again.sample(3, seed=1), fitted.sample(3, seed=1))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (lambda: (autoencoder(), flow(dim=3)), "sampler of vectors of 2 numbers"),
        (lambda: (autoencoder(), autoencoder()), "`sampler` with sample.*without"),
        (lambda: (small_imle(), flow()), "`autoencoder` with encode and decode.*without"),
        (lambda: (autoencoder(), MLP((2,))), "`sampler`, a model that is trained in one stage"),
        (lambda: (MLP((2,)), flow()), "`autoencoder`, a model that is trained in one stage"),
        (
            lambda: (GLANN(small_glo(), small_imle(dim=3)), flow(dim=3)),
            "`autoencoder`, a model that is trained in one stage",
        ),
        (
            lambda: (autoencoder(num_classes=2), flow(num_classes=3)),
            "the same condition 'label' of both",
        ),
    ],
    ids=["size", "no_sample", "no_codes", "no_sampler", "no_model", "staged", "labels"],
)
def test_parts_that_do_not_fit(parts, message):
    with pytest.raises((TypeError, ValueError), match=message) as raised:
        FittedSampler(*parts())
    raised.match(COMPLAINT)
