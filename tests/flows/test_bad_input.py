"""Bad input of flows: data, temperatures and inverses, in process, in graphs and exported."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.contract.models.affine_bijector import AffineBijector
from tfgen import NonFiniteError, bijectors, distributions, flows, serving
from tfgen.core import random
from tfgen.layers import lipschitz_dense

FOUR_LEVELS = np.random.default_rng(0).integers(0, 4, (8, 2, 2, 1)) / np.float32(3)


def image_flow() -> flows.Flow:
    dequantization = distributions.UniformDequantization(4)
    model = flows.Flow(AffineBijector(), (2, 2, 1), dequantization=dequantization)
    model.compile()
    return model


def unit_flow(*others: bijectors.Bijector) -> flows.Flow:
    """Returns a flow of points in the unit square."""
    model = flows.Flow(bijectors.Chain([bijectors.Logit(0.1), *others]), (2,))
    model.compile()
    return model


def batches(first: np.ndarray, second: np.ndarray) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices({"x": np.stack([first, second])})


@pytest.mark.parametrize("value", [0.5, 255.0])
def test_images_of_a_later_batch_have_to_be_on_levels(value):
    bad = np.where(np.arange(8).reshape(8, 1, 1, 1) == 5, np.float32(value), FOUR_LEVELS)
    message = r"Expected examples on the 4 levels k / 3 in \[0, 1\].* at epoch 1, batch 2"
    with pytest.raises(ValueError, match=message):
        image_flow().fit(batches(FOUR_LEVELS, bad), verbose=0)


def test_points_of_a_later_batch_have_to_be_inside():
    x = np.full((4, 2), 0.5, np.float32)
    model = unit_flow(AffineBijector())
    with pytest.raises(ValueError, match=r"`x` of logit\S* in \[0, 1\].*at epoch 1, batch 2"):
        model.fit(batches(x, x + [[0.0, 0.6]]), verbose=0)
    with pytest.raises(ValueError, match=r"Expected `x` of logit.*Received: at most -0.5"):
        model.encode(x - 1)


def test_verbs_refuse_images_that_are_none():
    model, message = image_flow(), r"Expected `images` in \[0, 1\]. Received: .* in row 3"
    verbs = (model.log_prob, model.log_prob_bound, model.encode, model.reconstruct)
    for verb, value in itertools.product(verbs, (np.nan, np.inf, -0.01, 1.01)):
        x = FOUR_LEVELS.copy()
        x[3, 0, 1] = value
        with pytest.raises(ValueError, match=message):
            verb(x)


def test_data_that_are_not_a_number_end_training():
    x = np.full((4, 2), 0.5, np.float32)
    with pytest.raises(NonFiniteError, match="in the data at epoch 1, batch 2"):
        unit_flow(AffineBijector()).fit(batches(x, x * [[1.0, np.nan]]), verbose=0)


def test_a_step_that_throws_weights_far_off_says_what_to_do():
    """Without warm-up: the loss of the first batch is finite, that of the second is not."""
    model = unit_flow(AffineBijector())
    model.compile(keras.optimizers.SGD(1e30))
    x = np.random.default_rng(0).uniform(0.1, 0.9, (4, 2)).astype(np.float32)
    message = "at epoch 1, batch 2. A learning rate that is lower or warms up.*`clipnorm`"
    with pytest.raises(NonFiniteError, match=message):
        model.fit(batches(x, x), verbose=0)


def test_scales_that_overflow_give_no_image():
    """The bounds of images would make white pixels of infinity."""
    model = image_flow()
    model.bijector.log_scale.assign(np.reshape([-200.0, 0.0, 0.0, 0.0], [2, 2, 1]))
    samples = model.sample(5, 0).numpy()
    assert np.isnan(samples[:, 0, 0]).all()
    assert np.isfinite(samples[:, 1]).all()


# Inverses that do not converge.


@pytest.fixture
def unfinished() -> flows.Flow:
    block = bijectors.InvertibleResidual(lipschitz_dense(2, [4]), max_iterations=1)
    return unit_flow(block)


RESIDUAL = r"(?s)Expected an inverse of invertible_residual.*a relative residual of\W+\d"


def test_an_inverse_that_does_not_converge_gives_no_sample(unfinished):
    seeds = random.row_seeds(3, 0)
    inputs = keras.Input((2,))
    functional = keras.Model(inputs, bijectors.Invert(unfinished.bijector)(inputs))
    for verb in (
        lambda: unfinished.sample(3, 0),
        lambda: unfinished.decode(np.ones([3, 2], np.float32)),
        lambda: unfinished.reconstruct(np.full([3, 2], 0.3, np.float32)),
    ):
        with pytest.raises(ValueError, match=RESIDUAL):
            verb()
    for ask in (
        lambda: tf.function(unfinished.sample_rows, autograph=False)(seeds),
        lambda: functional.predict(np.ones([3, 2], np.float32), verbose=0),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=RESIDUAL):
            ask()


@pytest.mark.parametrize("create", [bijectors.Planar, None], ids=["planar", "residual"])
def test_under_xla_which_drops_checks_it_is_not_a_number(create, unfinished, monkeypatch):
    bijector, z = unfinished.bijector.bijectors[1], tf.constant([[0.5, 1.0], [np.inf, 0.0]])
    if create is not None:
        monkeypatch.setattr("tfgen.bijectors.root.increasing_root.__defaults__", (1,))
        bijector = create()
        bijector.build((None, 2))
        bijector.set_weights([np.array(weight) for weight in ([2.0, 1.0], [1.0, 1.5], [0.3])])
    x = tf.function(bijector.inverse, jit_compile=True, autograph=False)(z)
    assert np.isnan(x[0]).all()


@pytest.mark.ci
def test_the_export_refuses_it_too(unfinished, tmp_path):
    path = serving.export(unfinished, tmp_path)
    good = {"seed": [1, 2], "temperature": [1.0, 0.5]}
    outside = np.array([[0.5, 0.5], [0.5, 1.5]], np.float32)
    with serving.SessionLoader(path) as session:
        assert np.isfinite(session("log_prob", points=outside[:1])["log_prob"]).all()
        for signature, inputs, message in [
            ("sample", good, RESIDUAL),
            ("decode", {"z": outside}, RESIDUAL),
            ("sample", good | {"temperature": [1.0, 0.0]}, "Expected `temperature` to be finite"),
            ("log_prob", {"points": outside}, "Expected `x` of logit"),
            ("encode", {"points": outside * np.nan}, "Expected `points`"),
        ]:
            with pytest.raises(tf.errors.InvalidArgumentError, match=message):
                session(signature, **inputs)


# ActNorm before its first batch.


def normed() -> flows.Flow:
    model = flows.Flow(bijectors.Chain([bijectors.ActNorm(), AffineBijector()]), (2,))
    model.compile()
    return model


POINTS = np.random.default_rng(0).normal(size=(8, 2)).astype(np.float32)
VERBS = {
    "sample": lambda model: model.sample(2, 0),
    "log_prob": lambda model: model.log_prob(POINTS),
    "encode": lambda model: model.encode(POINTS),
}


@pytest.mark.parametrize("ask", VERBS.values(), ids=VERBS)
def test_a_flow_without_data_warns_once(ask):
    model = normed()
    with pytest.warns(UserWarning, match=r"Expected a flow that has seen data.*Received: .*ident"):
        ask(model)
    ask(model)  # Another warning would be an error.


def test_a_flow_with_data_does_not_warn(tmp_path):
    fitted, loaded, filled = normed(), normed(), normed()
    fitted.fit(POINTS, batch_size=8, verbose=0)
    fitted.save_weights(tmp_path / "flow.weights.h5")
    loaded.load_weights(tmp_path / "flow.weights.h5")
    filled.bijector.set_weights(fitted.bijector.get_weights())
    for model in (fitted, loaded, filled):
        np.testing.assert_array_equal(model.log_prob(POINTS), fitted.log_prob(POINTS))
