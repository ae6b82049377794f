"""GLO: what training and encoding do to latents, and what they refuse."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.small_models import COMPLAINT, blocks, compiled_glo, small_glo
from tfgen.callbacks import Callback, Checkpoint
from tfgen.data.examples import Examples
from tfgen.distributions import Gaussian, GaussianMixture
from tfgen.latent import GLO, Ball, PrincipalComponents, RowAdam, RowSGD, Sphere
from tfgen.losses import AbsoluteError, LaplacianPyramid
from tfgen.model.paths import linear, spherical
from tfgen.networks import MLP


def test_reconstruction_improves(trained):
    assert trained.history[-1] < 0.2 * trained.history[0]
    rebuilt = trained.decode(trained.codes)
    assert np.abs(rebuilt - blocks()).mean() < np.abs(blocks().mean(0) - blocks()).mean()


def test_images_alike_end_with_latents_alike(trained):
    codes = trained.codes.numpy().reshape(4, 4, 3)  # Every fourth image is the same.
    within = np.linalg.norm(codes - codes.mean(0), axis=-1).mean()
    between = np.linalg.norm(codes.mean(0) - codes.mean((0, 1)), axis=-1).mean()
    assert within < between


@pytest.mark.parametrize(
    "space, optimizer", [(Sphere(2.0), RowAdam(0.5)), (Ball(0.3), RowSGD(0.5)), (Ball(0.3), None)]
)
def test_latents_stay_in_their_space_after_each_step(space, optimizer):
    norms = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            norms.append(np.linalg.norm(self.model.codes, axis=1))

    model = small_glo(space=space, initial_std=0.2)
    model.compile(latents_optimizer=optimizer)
    model.fit(blocks(), batch_size=4, epochs=2, verbose=0, callbacks=[Watch()])
    assert len(norms) == 8
    if isinstance(space, Sphere):
        np.testing.assert_allclose(norms, 2.0, rtol=1e-5)
    else:
        assert np.max(norms) <= 0.3 * (1 + 1e-5)


def test_a_step_moves_the_rows_of_its_batch_alone():
    model = compiled_glo()
    before = model.codes.numpy()
    model.train_step({"x": tf.constant(blocks()[:3]), "index": tf.constant([5, 0, 9])})
    moved = np.any(model.codes.numpy() != before, axis=1)
    assert np.flatnonzero(moved).tolist() == [0, 5, 9]


def test_objective_is_the_loss_of_decoded_latents():
    model = compiled_glo(loss=AbsoluteError())
    index = tf.constant([3, 1])
    terms = model.objective({"x": blocks()[:2], "index": index}, tf.constant([0, 0]), True)
    rebuilt = model.generator(tf.gather(model.codes, index))
    np.testing.assert_allclose(
        terms["loss"], np.abs(blocks()[:2] - rebuilt).mean((1, 2, 3)), rtol=1e-5
    )


def test_latent_noise_is_for_training_and_of_the_seed():
    model, quiet = small_glo(latent_noise=0.3), small_glo()
    quiet.set_weights(model.get_weights())
    batch = {"x": blocks()[:4], "index": tf.range(4)}

    def loss(model, seed, training):
        return model.objective(batch, tf.constant([seed, 0]), training)["loss"].numpy().tolist()

    assert loss(model, 1, True) == loss(model, 1, True) != loss(model, 2, True)
    assert loss(model, 1, False) == loss(quiet, 1, False) == loss(quiet, 1, True)
    assert loss(model, 1, True) != loss(model, 1, False)


@pytest.mark.parametrize("path", [linear, spherical])
def test_interpolation_begins_and_ends_at_its_ends(trained, path):
    start, end = trained.codes[:2], trained.codes[4:6] * 0.5
    points = trained.interpolate(start, end, num_points=5, path=path)
    assert points.shape == (2, 5, 4, 4, 1)
    np.testing.assert_allclose(points[:, 0], trained.decode(start), rtol=1e-4)
    np.testing.assert_allclose(points[:, -1], trained.decode(end), rtol=1e-4)
    middle = trained.decode(path(start, end, tf.constant([0.5]))[:, 0])
    np.testing.assert_allclose(points[:, 2], middle, rtol=1e-4)


def test_latent_arithmetic(trained):
    a, b, c = trained.codes[:2], trained.codes[2:4], trained.codes[4:6]
    np.testing.assert_allclose(trained.latent_arithmetic(a, b, b), trained.decode(a), rtol=1e-4)
    np.testing.assert_allclose(
        trained.latent_arithmetic(a, b, c), trained.decode(a - b + c), rtol=1e-5
    )


def test_decode_projects(trained):
    np.testing.assert_allclose(
        trained.decode(3 * trained.codes[:2]), trained.decode(trained.codes[:2]), rtol=1e-4
    )


def test_the_density_of_latents_is_fitted_when_training_ends(trained):
    codes = trained.codes.numpy()
    np.testing.assert_allclose(trained.prior.mean.numpy(), codes.mean(0), rtol=1e-4, atol=1e-6)
    scale = trained.prior.scale.numpy()
    np.testing.assert_allclose(scale @ scale.T, np.cov(codes, rowvar=False), atol=1e-5)


def test_samples_are_decoded_draws_of_the_density(trained):
    seeds = tf.constant([[1, 2], [3, 4]])
    expected = trained.decode(trained.prior.sample_rows(seeds))
    np.testing.assert_allclose(trained.sample_rows(seeds), expected, rtol=1e-6)


def decoded(model, seed=0):
    """Returns samples from a density that is fitted to the latents here and now."""
    density = Gaussian(3).fit(model.codes.numpy())
    seeds = tf.constant([[seed, 0], [seed, 1]])
    return model.decode(density.sample_rows(seeds)).numpy()


class During(Callback):
    """Keeps what a function of the model returns, and what it should, during and after epochs."""

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.seen, self.expected = [], []

    def on_train_batch_end(self, batch, logs=None):
        if batch == 0:
            self.compare()

    def on_epoch_end(self, epoch, logs=None):
        self.compare()

    def compare(self):
        self.expected.append(decoded(self.model))
        self.seen.append(self.function(self).numpy())


SEEDS = tf.constant([[0, 0], [0, 1]])


def loaded(model, path):
    model.save(path)
    return keras.models.load_model(path)


@pytest.mark.parametrize(
    "draw",
    [
        lambda callback, path: callback.sampler().sample(2, seed=0),
        lambda callback, path: tf.function(callback.sampler().sample_rows)(SEEDS),
        lambda callback, path: loaded(callback.model, path).sample(2, seed=0),
    ],
    ids=["sample", "graph", "file"],
)
def test_samples_during_training_are_of_the_latents_as_they_are(draw, tmp_path):
    watch = During(lambda callback: draw(callback, tmp_path / "model.keras"))
    model = compiled_glo()
    model.fit(blocks(), batch_size=8, epochs=2, verbose=0, callbacks=[watch])
    assert len(watch.seen) == 4
    np.testing.assert_allclose(watch.seen, watch.expected, rtol=1e-5)
    assert len(np.unique([seen.sum() for seen in watch.seen])) == 4


def test_the_density_is_fitted_when_it_must_be_and_no_more(monkeypatch):
    fits = []
    fit = Gaussian.fit
    monkeypatch.setattr(Gaussian, "fit", lambda self, x: fits.append(len(x)) or fit(self, x))

    class Samples(Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.sample(2)  # Never fits anything.
            for _ in range(3 * (epoch % 2)):
                self.sampler().sample(2)

    model = compiled_glo()
    model.fit(blocks(), batch_size=8, epochs=5, verbose=0, callbacks=[Samples()])
    assert len(fits) == 2 + 1  # Two of the epochs, and the end.
    model.fit_sampler()
    assert len(fits) == 3  # What training does not move is left as it is.
    model.step.assign_add(1)
    model.sample(2)
    assert len(fits) == 3
    model.fit_sampler()
    assert len(fits) == 4


def test_a_finished_run_that_is_asked_for_again_samples_as_before(tmp_path):
    """Its last checkpoint was written before the density was fitted."""
    model = compiled_glo()
    fit = {"batch_size": 8, "epochs": 2, "verbose": 0, "callbacks": [Checkpoint(tmp_path)]}
    model.fit(blocks(), **fit)
    before = model.sample(2, seed=0)
    np.testing.assert_allclose(before, decoded(model), rtol=1e-5)
    model.fit(blocks(), **fit)
    np.testing.assert_allclose(model.sample(2, seed=0), before, rtol=1e-5)


def test_sampling_changes_nothing_of_training(tmp_path):
    states = []
    for callbacks in ([], [During(lambda callback: callback.sampler().sample(2))]):
        keras.utils.set_random_seed(0)
        model = compiled_glo()
        model.fit(blocks(), batch_size=8, epochs=3, verbose=0, callbacks=callbacks)
        states.append([variable.numpy() for variable in model.training_state])
    for quiet, sampled in zip(*states, strict=True):
        np.testing.assert_array_equal(quiet, sampled)


def test_another_density_takes_the_place_of_the_first():
    model = compiled_glo()
    model.fit(blocks(), batch_size=8, epochs=1, verbose=0)
    before, weights = model.sample(4, seed=0), len(model.weights)
    mixture = GaussianMixture(3, num_components=2)
    model.fit_prior(mixture)
    assert model.prior is mixture and np.any(mixture.means.numpy() != 0)
    assert not np.allclose(model.sample(4, seed=0), before)
    # The weights of the first are counted no more: checkpoints would not fit else.
    assert len(model.weights) == weights - 2 + 3
    assert len(model.training_state) == len(
        compiled_glo(prior=GaussianMixture(3, 2)).training_state
    )


def test_the_density_is_fitted_again_on_request():
    model = compiled_glo()
    model.latents.assign(np.random.default_rng(0).normal(size=(16, 3)))
    model.fit_prior()
    np.testing.assert_allclose(model.prior.mean.numpy(), model.codes.numpy().mean(0), atol=1e-6)
    assert isinstance(model.prior, Gaussian)


def test_initial_codes_are_made_once():
    model = small_glo(initial_codes=PrincipalComponents(), space=Ball(100.0))
    model.compile(latents_optimizer=RowSGD(1e-12))
    x = np.random.default_rng(0).random((16, 4, 4, 1)).astype(np.float32)
    model.fit(x, batch_size=8, verbose=0)
    components = PrincipalComponents()(x, 3)
    np.testing.assert_allclose(model.codes, components, rtol=1e-5)
    model.latents.assign(np.ones([16, 3]))
    model.fit(x, batch_size=8, verbose=0)
    assert (model.codes.numpy() == 1).all()


def dataset(x=None, index=None, **others):
    x = blocks() if x is None else x
    index = np.arange(len(x)) if index is None else index
    data = tf.data.Dataset.from_tensor_slices({"x": x, "index": index, **others})
    return data.batch(4, drop_remainder=True)


def test_a_dataset_with_indices_is_enough():
    model, twin = compiled_glo(), compiled_glo()
    twin.set_weights(model.get_weights())
    model.fit(dataset(label=np.zeros(16)), epochs=2, verbose=0)
    for _ in range(2):
        for batch in dataset():
            twin.train_step(batch)
    np.testing.assert_allclose(model.codes, twin.codes, atol=1e-5)


BAD_DATA = {
    "no index": dataset().map(lambda batch: {"x": batch["x"]}),
    "images alone": dataset().map(lambda batch: batch["x"]),
    "index of fractions": dataset(index=np.arange(16.0)),
    "index of two axes": dataset(index=np.arange(16)[:, None]),
    "integers": dataset((blocks() * 255).astype(np.int32)),
    "another scale": dataset(blocks() * 255),
    "three channels": dataset(blocks().repeat(3, -1)),
    "no channels": dataset(blocks()[..., 0]),
    "another size": dataset(np.zeros([16, 4, 5, 1], np.float32)),
    "flat": dataset(blocks().reshape(16, 16)),
    "fewer examples than the table has rows": Examples(blocks(15), batch_size=4),
    "more": Examples(blocks(17), batch_size=4),
    "examples of another shape": Examples(blocks().repeat(2, 1), batch_size=4),
}


@pytest.mark.parametrize("data", BAD_DATA.values(), ids=BAD_DATA)
def test_bad_data(data):
    model = compiled_glo()
    before = model.codes.numpy()
    with pytest.raises((TypeError, ValueError), match=COMPLAINT):
        model.fit(data, verbose=0)
    assert model.step.numpy() == 0
    np.testing.assert_array_equal(model.codes, before)


def test_unseen_images_have_no_row_to_be_validated_with():
    """The loss of other images with the latents of these would mean nothing."""
    model, others = compiled_glo(), Examples(blocks(8), batch_size=4)
    with pytest.raises(ValueError, match=COMPLAINT):
        model.fit(blocks(), batch_size=4, validation_data=others, verbose=0)
    with pytest.raises(ValueError, match=COMPLAINT):
        model.evaluate(others, verbose=0)
    assert model.step.numpy() == 0


def test_the_error_names_the_missing_index():
    with pytest.raises(ValueError, match=r"Expected .*'index' .*Received: \['x'\]"):
        compiled_glo().fit(BAD_DATA["no index"])


def test_initial_codes_need_all_examples():
    with pytest.raises(ValueError, match="`initial_codes`"):
        compiled_glo(initial_codes=PrincipalComponents()).fit(dataset())


def test_initial_codes_of_too_few_numbers():
    with pytest.raises(ValueError, match=COMPLAINT):
        PrincipalComponents()(blocks(2), 3)


def test_index_outside_the_table_names_the_range():
    model = compiled_glo()
    before = model.codes.numpy()
    with pytest.raises(ValueError, match=r"\[0, 16\). Received: from 13 to 16 at epoch 1, batch 1"):
        model.fit(dataset(index=np.arange(16) + 1).skip(3), verbose=0)
    np.testing.assert_array_equal(model.codes, before)
    assert model.step.numpy() == 0


BAD_ARGUMENTS = [
    {"num_examples": 0},
    {"num_examples": 2.5},
    {"latent_dim": 0},
    {"latent_dim": -3},
    {"latent_dim": float("nan")},
    {"initial_std": 0.0},
    {"initial_std": float("nan")},
    {"latent_noise": -0.1},
    {"latent_noise": float("nan")},
    {"latent_noise": float("inf")},
    {"seed": -1},
]


@pytest.mark.parametrize("arguments", BAD_ARGUMENTS, ids=str)
def test_bad_arguments(arguments):
    defaults = {"generator": MLP((4, 4, 1), (2,)), "num_examples": 4}
    name = next(iter(arguments))
    with pytest.raises((TypeError, ValueError), match=f"`{name}`.*{COMPLAINT[9:]}"):
        GLO(**(defaults | arguments))


def test_defaults_are_the_papers():
    model = GLO(MLP((8, 8, 1), (2,)), num_examples=4)
    assert model.space == Sphere() and model.loss == LaplacianPyramid()
    assert isinstance(model.prior, Gaussian) and model.latent_dim == 64
