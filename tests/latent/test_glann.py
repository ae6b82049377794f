"""GLANN: two stages that must fit, one after the other."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.small_models import COMPLAINT, blocks, small_glo, small_imle
from tfgen.callbacks import Callback, ResetOptimizers, SampleGrid, image_grid
from tfgen.callbacks.sample_grid import enlarged
from tfgen.latent import GLANN, RowAdam
from tfgen.model.inversion import Inversion


def glann(**kwargs):
    model = GLANN(small_glo(), small_imle(dim=3, **kwargs))
    model.compile(
        glo_generator_optimizer=keras.optimizers.Adam(0.03),
        glo_latents_optimizer=RowAdam(0.1),
        imle_optimizer=keras.optimizers.Adam(0.03),
    )
    return model


@pytest.fixture(scope="module")
def trained():
    keras.utils.set_random_seed(0)
    model = glann()
    epochs = {"glo": 30, "imle": 120}
    model.history = model.fit(blocks(), batch_size={"glo": 8}, epochs=epochs, verbose=0).history
    return model


def test_both_stages_learn(trained):
    assert set(trained.history) == {"glo_loss", "imle_loss"}
    assert len(trained.history["glo_loss"]) == 30 and len(trained.history["imle_loss"]) == 120
    for losses in trained.history.values():
        assert losses[-1] < 0.5 * losses[0]


def test_the_second_stage_learns_the_latents_of_the_first(trained):
    """Each learned latent has a sample nearby."""
    samples = trained.imle.sample(500, seed=0).numpy()
    gaps = np.linalg.norm(trained.glo.codes[:, None] - samples, axis=-1).min(1)
    assert gaps.max() < 0.5


def test_a_sample_is_the_first_stage_after_the_second(trained):
    seeds = tf.constant([[1, 2], [3, 4]])
    expected = trained.glo.decode(trained.imle.sample_rows(seeds))
    np.testing.assert_allclose(trained.sample_rows(seeds), expected, rtol=1e-6)


def test_the_other_verbs_are_those_of_the_first_stage(trained):
    x = blocks(2)
    for mine, its in zip(trained.encode(x), trained.glo.encode(x), strict=True):
        np.testing.assert_array_equal(mine, its)
    np.testing.assert_array_equal(trained.reconstruct(x), trained.glo.reconstruct(x))
    z = trained.glo.codes[:2]
    np.testing.assert_array_equal(trained.decode(z), trained.glo.decode(z))
    assert (trained.event_shape, tuple(trained.latent_spec.shape)) == ((4, 4, 1), (3,))


def test_callbacks_see_the_model_of_their_stage(tmp_path):
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append((type(self.model).__name__, epoch))

    model = glann()
    epochs = {"glo": 2, "imle": 1}
    model.fit(blocks(), batch_size=8, epochs=epochs, verbose=0, callbacks=[Watch()])
    assert seen == [("GLO", 0), ("GLO", 1), ("IMLE", 0)]


def test_stages_that_do_not_fit():
    with pytest.raises(ValueError, match=r"shape \(3,\). Received: \(2,\)"):
        GLANN(small_glo(), small_imle(dim=2))
    with pytest.raises(ValueError, match="IMLE of 16 examples. Received: 15"):
        GLANN(small_glo(), small_imle(15, dim=3))


@pytest.mark.parametrize(
    "arguments",
    [
        {"batch_size": {"glo": 8, "imle": 0}},
        {"batch_size": {"glo": 8, "imle": 13}},  # A round has twelve.
        {"batch_size": {"glo": 8, "imle": 2.5}},
        {"batch_size": {"glo": 8, "iml": 8}},
        {"epochs": {"imle": -1}},
        {"epochs": {"imle": 1.5}},
        {"epochs": {"gan": 1}},
        {"initial_epoch": {"imle": -1}},
        {"initial_epoch": {"imle": 0.5}},
        {"initial_epoch": -1},
        {"steps_per_epoch": 1},  # There are two.
        {"batch_size": 17},
    ],
    ids=str,
)
def test_bad_arguments_are_seen_before_the_first_stage(arguments):
    model = glann(subset_size=12)
    with pytest.raises((TypeError, ValueError), match=COMPLAINT):
        model.fit(blocks(), **({"batch_size": 8, "verbose": 0} | arguments))
    assert model.glo.step.numpy() == 0


@pytest.mark.parametrize(
    "arguments",
    [
        {"imle_optimizer": "adan"},
        {"glo_latents_optimizer": "adam"},
        {"optimizer": "adam"},
        {"latents_optimizer": RowAdam(0.1)},
    ],
    ids=["no name", "no row", "no row among all", "no stage"],
)
def test_bad_optimizer(arguments):
    with pytest.raises((TypeError, ValueError), match=COMPLAINT):
        GLANN(small_glo(), small_imle(dim=3)).compile(**arguments)


def test_bad_data():
    with pytest.raises(ValueError, match=COMPLAINT):
        glann().fit(blocks(8), batch_size=4)


def test_fit_before_compile():
    with pytest.raises(ValueError, match="compile"):
        GLANN(small_glo(), small_imle(dim=3)).fit(blocks(), batch_size=8)


@pytest.mark.parametrize("size", [1, 3, 4])
def test_encoding_in_batches_is_that_of_the_first_stage(trained, size, monkeypatch):
    search, sizes = trained.glo._inverter._search, []

    def watched(x, *args, **kwargs):
        sizes.append(len(x))
        return search(x, *args, **kwargs)

    x = blocks(4)
    whole, rebuilt = trained.encode(x), trained.reconstruct(x)
    monkeypatch.setattr(trained.glo._inverter, "_search", watched)
    inversion = Inversion(5, 2, batch_size=size)
    for mine, its in zip(trained.encode(x, inversion=inversion), whole, strict=True):
        np.testing.assert_allclose(mine, its, rtol=1e-4, atol=1e-5)
    assert max(sizes) == size and sum(sizes) == 4
    np.testing.assert_allclose(trained.reconstruct(x, inversion=inversion), rebuilt, rtol=1e-4)


def sheet(path):
    return tf.io.decode_png(path.read_bytes()).numpy()


def test_each_stage_has_sheets_of_images(tmp_path):
    model, grid = glann(), SampleGrid(tmp_path, num_samples=4, seed=2)
    epochs = {"glo": 2, "imle": 3}
    model.fit(blocks(), batch_size=8, epochs=epochs, verbose=0, callbacks=[grid])
    sheets = {path.name: sheet(path) for path in tmp_path.iterdir()}
    glo, imle = ([f"samples_{s}_000{i + 1}.png" for i in range(5)] for s in ("glo", "imle"))
    assert sheets.keys() == {*glo[:2], *imle[:3]}
    for last, drawn in {glo[1]: model.glo, imle[2]: model}.items():
        expected = image_grid(enlarged(drawn.sample(4, seed=2).numpy()))
        np.testing.assert_array_equal(sheets[last], np.round(255 * expected))
    assert np.any(sheets[imle[0]] != sheets[imle[1]]) and np.any(sheets[glo[0]] != sheets[glo[1]])


def test_callbacks_of_a_stage_are_told_of_the_whole_model():
    seen = []

    class Staged(Callback):
        def on_train_begin(self, logs=None):
            seen.append((self.stage, self.model, self.whole))

    model = glann()
    model.fit(blocks(), batch_size=8, verbose=0, callbacks=[Staged()])
    assert seen == [("glo", model.glo, model), ("imle", model.imle, model)]


def test_each_stage_begins_at_its_own_epoch():
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append((type(self.model).__name__, epoch))

    epochs = {"epochs": {"glo": 3, "imle": 4}, "initial_epoch": {"glo": 2, "imle": 1}}
    model = glann()
    history = model.fit(blocks(), batch_size=8, verbose=0, callbacks=[Watch()], **epochs).history
    assert seen == [("GLO", 2), ("IMLE", 1), ("IMLE", 2), ("IMLE", 3)]
    assert len(history["glo_loss"]) == 1 and len(history["imle_loss"]) == 3


def test_an_epoch_of_a_dataset_has_the_steps_that_are_asked_for():
    data = {"x": blocks(), "index": np.arange(16)}
    data = tf.data.Dataset.from_tensor_slices(data).repeat().batch(4, drop_remainder=True)
    model = glann()
    arguments = {"epochs": {"glo": 2, "imle": 1}, "batch_size": {"imle": 8}, "verbose": 0}
    model.fit(data, steps_per_epoch=3, **arguments)
    assert (model.glo.step.numpy(), model.imle.step.numpy()) == (6, 2)


@pytest.mark.parametrize(
    "arguments, reason",
    [
        (
            {"validation_data": blocks()},
            "Expected no `validation_data`: glo and imle learn about their own .*ndarray",
        ),
        ({"validation_split": 0.1}, r"Received: \['validation_split'\]"),
        ({"shuffle": True, "verbosity": 1}, r"Received: \['shuffle', 'verbosity'\]"),
        ({"epoch": 3}, r"Expected no other arguments .*Received: \['epoch'\]"),
    ],
    ids=str,
)
def test_arguments_that_no_stage_can_use(arguments, reason):
    model = glann()
    with pytest.raises(TypeError, match=reason):
        model.fit(blocks(), batch_size=8, verbose=0, **arguments)
    assert model.glo.step.numpy() == 0


def test_no_validation_data_is_no_mistake():
    model = glann()
    model.fit(blocks(), batch_size=8, epochs={"imle": 0}, verbose=0, validation_data=None)
    assert model.glo.step.numpy() == 2


def test_optimizers_of_one_stage_are_begun_anew():
    model = glann()
    reset = ResetOptimizers({"generator": 0.5, "latents": 0.25}, halve_every=1, stage="glo")
    epochs = {"glo": 2, "imle": 1}
    model.fit(blocks(), batch_size=8, epochs=epochs, verbose=0, callbacks=[reset])
    assert float(model.glo.generator_optimizer.learning_rate) == 0.25
    assert float(model.glo.latents_optimizer.learning_rate) == 0.125
    assert float(model.imle.generator_optimizer.learning_rate) == pytest.approx(0.03)
