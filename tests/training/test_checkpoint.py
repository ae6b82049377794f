"""Checkpoints that are missing, broken, foreign, or cannot be written."""

import errno
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.faults import cut, flip, largest_file
from tests.small_models import COMPLAINT, blocks, center, position, small_glo
from tfgen.callbacks import Checkpoint, SampleGrid, drop_latest
from tfgen.latent import RowSGD
from tfgen.training import checkpoint_files as files
from tfgen.training.checkpoint import CheckpointError, check_writable
from tfgen.training.not_finite import NonFiniteError

DATA = "ckpt-2.data-00000-of-00001"
INDEX = "ckpt-2.index"


def compiled(**kwargs):
    model = small_glo(**kwargs)
    model.compile()
    return model


def train(model, directory, epochs):
    return model.fit(
        blocks(), batch_size=8, epochs=epochs, verbose=0, callbacks=[Checkpoint(directory)]
    )


def save(model, directory, epochs):
    """Restores a model and saves it after some epochs, as a run without training would."""
    checkpoint = Checkpoint(directory)
    checkpoint.set_params({"epochs": epochs})
    done = checkpoint.restore(model)
    for epoch in range(done, epochs):
        checkpoint.on_epoch_end(epoch)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The directory of a run of two epochs, and what its variables were then."""
    directory = tmp_path_factory.mktemp("run")
    model = compiled()
    train(model, directory, 2)
    return directory, trained(model)


def trained(model):
    """Returns the variables of training; the density of latents is fitted when it has ended."""
    fitted = {id(variable) for variable in (*model.prior.weights, model.prior_fitted)}
    return [v.numpy() for v in model.training_state if id(v) not in fitted]


@pytest.fixture
def copy(whole, tmp_path):
    """Another such directory, to be spoiled."""
    return Path(shutil.copytree(whole[0], tmp_path / "copy"))


def test_the_last_two_are_kept(tmp_path):
    train(compiled(), tmp_path, 3)
    kinds = ("index", "json", "data-00000-of-00001")
    files = {f"ckpt-{n}.{kind}" for n in (2, 3) for kind in kinds}
    assert {path.name for path in tmp_path.iterdir()} == files


def test_the_latest_can_be_dropped(copy):
    drop_latest(copy)
    assert {path.stem for path in copy.glob("ckpt-*")} == {"ckpt-1"}
    assert Checkpoint(copy).restore(compiled()) == 1
    with pytest.raises(CheckpointError, match=COMPLAINT):
        drop_latest(copy)
    with pytest.raises(CheckpointError, match=COMPLAINT):
        drop_latest(copy / "nowhere")


def test_a_run_that_diverged_goes_on_from_before_with_a_smaller_rate(tmp_path):
    x = np.full([6, 1, 2], 2.0, np.float32)
    data = tf.data.Dataset.from_tensor_slices({"x": x}).repeat()
    fit = {"steps_per_epoch": 1, "verbose": 0, "callbacks": [Checkpoint(tmp_path)]}
    model = center()
    model.fit(data, epochs=1, **fit)
    good = position(model)
    model.compile(optimizer=keras.optimizers.SGD(1e25))
    with pytest.raises(NonFiniteError, match="epoch 3, batch 1.*drop_latest goes back"):
        model.fit(data, epochs=4, **fit)
    assert np.abs(position(model)).max() > 1e20
    drop_latest(tmp_path)
    again = center()
    again.compile(optimizer=keras.optimizers.SGD(0.25))
    again.fit(data, epochs=2, **fit)
    np.testing.assert_allclose(position(again), good + 0.25 * 2 * (2 - good), rtol=1e-6)


def test_whole(whole):
    keras.utils.set_random_seed(1)
    model = compiled()
    assert Checkpoint(whole[0]).restore(model) == 2
    for restored, saved in zip(trained(model), whole[1], strict=True):
        np.testing.assert_array_equal(restored, saved)


def test_nothing_there(tmp_path):
    assert Checkpoint(tmp_path / "new" / "run").restore(compiled()) == 0


UNFINISHED = {
    "no index": lambda run: (run / INDEX).unlink(),
    "neither": lambda run: [(run / name).unlink() for name in (DATA, INDEX)],
    "half of the index": lambda run: (run / INDEX).rename(run / "ckpt-2.index.tempstate1"),
}


@pytest.mark.parametrize("spoil", UNFINISHED.values(), ids=UNFINISHED)
def test_the_run_was_killed_before_its_checkpoint_was_whole(copy, spoil):
    """The index gets its name last."""
    spoil(copy)
    assert Checkpoint(copy).restore(compiled()) == 1
    for path in copy.glob("*.index"):
        path.unlink()
    assert Checkpoint(copy).restore(compiled()) == 0


def manager_list(*paths):
    """Returns the list that TensorFlow's manager keeps of checkpoints."""
    lines = [f'all_model_checkpoint_paths: "{path}"' for path in paths]
    return "\n".join([f'model_checkpoint_path: "{paths[-1]}"', *lines, ""])


@pytest.mark.parametrize(
    "content",
    [None, "", "model_che", "epochs: 3", manager_list("../other/ckpt-1", "../other/ckpt-7")],
    ids=["none", "empty", "cut", "foreign", "of elsewhere"],
)
def test_the_list_of_checkpoints_is_not_heeded(whole, copy, tmp_path, content):
    other = Path(shutil.copytree(whole[0], tmp_path / "other"))
    for number in (1, 2):
        for path in other.glob(f"ckpt-{number}.*"):
            path.rename(path.with_name(f"ckpt-{number + 5}{path.suffix}"))
    before = sorted(other.iterdir())
    if content is not None:
        (copy / "checkpoint").write_text(content)
    save(compiled(), copy, 3)
    assert files.whole(copy) == [2, 3]
    drop_latest(copy)
    assert files.whole(copy) == [2] and sorted(other.iterdir()) == before


def test_what_links_in_the_directory_lead_to_stays(whole, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    for path in whole[0].iterdir():
        (run / path.name).symlink_to(path)
    save(compiled(), run, 4)
    assert files.whole(run) == [3, 4] and files.whole(whole[0]) == [1, 2]


@pytest.mark.parametrize(
    "name", ["a[1]", "a*", "what?", "back\\slash", "[", "two words", "zo\u00eb \u4e2d", "%2f", "-"]
)
def test_names_of_directories(tmp_path, name, monkeypatch):
    """Also relative ones, and one that was moved after it was written."""
    run = tmp_path / name
    save(center(), run, 1)
    moved = run.rename(tmp_path / f"{name} moved")
    monkeypatch.chdir(tmp_path)
    relative = Path(moved.name)
    save(center(), relative, 2)
    assert Checkpoint(relative).restore(center()) == 2 and files.whole(moved) == [1, 2]
    drop_latest(relative)
    assert Checkpoint(moved).restore(center()) == 1
    assert {path.name for path in tmp_path.iterdir()} == {moved.name}


def test_checkpoints_of_the_manager_of_before(tmp_path):
    """They say nothing of how they were made."""
    model = compiled()
    state = [variable.value for variable in model.training_state]
    epoch = tf.Variable(3, dtype=tf.int64)
    saved = tf.train.Checkpoint(state=state, epoch=epoch)
    tf.train.CheckpointManager(saved, str(tmp_path), max_to_keep=2).save(checkpoint_number=3)
    keras.utils.set_random_seed(1)
    again = compiled()
    assert Checkpoint(tmp_path).restore(again) == 3
    for restored, before in zip(again.training_state, model.training_state, strict=True):
        np.testing.assert_array_equal(restored, before)
    save(again, tmp_path, 5)
    assert files.whole(tmp_path) == [4, 5]


FAULTS = {
    "no data": lambda run: (run / DATA).unlink(),
    "half of the data": lambda run: cut(run / DATA, 200),
    "all data but a byte": lambda run: cut(run / DATA, -1),
    "empty data": lambda run: cut(run / DATA, 0),
    "half of the index": lambda run: cut(run / INDEX, 100),
    "empty index": lambda run: cut(run / INDEX, 0),
    "a changed bit": lambda run: flip(run / DATA, 100),
}


@pytest.mark.parametrize("spoil", FAULTS.values(), ids=FAULTS)
def test_missing_or_truncated(copy, spoil):
    spoil(copy)
    before = sorted(path.name for path in copy.iterdir())
    with pytest.raises(CheckpointError, match=COMPLAINT) as error:
        Checkpoint(copy).restore(compiled())
    assert f"drop_latest({str(copy)!r})" in str(error.value)
    assert sorted(path.name for path in copy.iterdir()) == before
    drop_latest(copy)
    assert Checkpoint(copy).restore(compiled()) == 1
    cut(copy / "ckpt-1.index", 0)
    with pytest.raises(CheckpointError, match="remove the directory to start anew"):
        Checkpoint(copy).restore(compiled())


def another_optimizer():
    model = small_glo()
    model.compile(generator_optimizer="sgd")
    return model


def another_row_optimizer():
    model = small_glo()
    model.compile(latents_optimizer=RowSGD())
    return model


FOREIGN = {
    "another class": center,
    "more examples": lambda: compiled(num_examples=17),
    "fewer latents": lambda: compiled(latent_dim=2),
    "another optimizer": another_optimizer,
    "another row optimizer": another_row_optimizer,
}


@pytest.mark.parametrize("create", FOREIGN.values(), ids=FOREIGN)
def test_foreign(whole, create):
    with pytest.raises(CheckpointError, match=COMPLAINT) as error:
        Checkpoint(whole[0]).restore(create())
    assert str(whole[0] / "ckpt-2") in str(error.value)


def test_a_file_in_the_place_of_the_directory(tmp_path):
    path = tmp_path / "run"
    path.write_text("")
    model = compiled()
    for directory in (path, path / "inside"):
        with pytest.raises(OSError, match=COMPLAINT) as error:
            train(model, directory, 1)
        assert error.value.filename == str(directory)
    assert model.step.numpy() == 0


def test_a_full_disk_is_seen_before_training(tmp_path, monkeypatch):
    def full(path, content):
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    model = compiled()
    with pytest.raises(OSError, match=f"{COMPLAINT}No space left") as error:
        train(model, tmp_path, 1)
    assert error.value.errno == errno.ENOSPC
    assert model.step.numpy() == 0 and not list(tmp_path.iterdir())


def test_writable_directory_is_left_empty(tmp_path):
    check_writable(tmp_path / "a" / "b")
    assert not list((tmp_path / "a" / "b").iterdir())


def test_the_disk_fills_up_while_training(tmp_path):
    start = tuple(np.linspace(0, 1, 20_000, dtype=np.float32))  # 80 kB.
    data = tf.data.Dataset.from_tensor_slices({"x": np.ones([2, 1, 20_000], np.float32)})
    model = center(start)
    model.fit(data, epochs=1, verbose=0, callbacks=[Checkpoint(tmp_path)])
    saved = position(model)
    with largest_file(50_000), pytest.raises((OSError, tf.errors.OpError)):
        model.fit(data, epochs=2, verbose=0, callbacks=[Checkpoint(tmp_path)])
    again = center(start)
    assert Checkpoint(tmp_path).restore(again) == 1
    np.testing.assert_array_equal(position(again), saved)
    # There is space again: the run goes on.
    again.fit(data, epochs=2, verbose=0, callbacks=[Checkpoint(tmp_path)])
    assert Checkpoint(tmp_path).restore(center(start)) == 2


@pytest.mark.parametrize("every", [0, -1, 1.5])
def test_bad_interval(tmp_path, every):
    with pytest.raises((TypeError, ValueError), match=f"`every`.*{COMPLAINT[9:]}"):
        Checkpoint(tmp_path, every)


def test_interval_and_last_epoch(tmp_path):
    class Saved(keras.callbacks.Callback):
        epochs = []

        def on_epoch_end(self, epoch, logs=None):
            self.epochs.append("".join(sorted(path.stem[-1] for path in tmp_path.glob("*.index"))))

    center().fit(
        tf.data.Dataset.from_tensors({"x": np.ones([1, 2], np.float32)}),
        epochs=5,
        verbose=0,
        callbacks=[Checkpoint(tmp_path, every=2), Saved()],
    )
    # Others see the end of an epoch before it is saved.
    assert Saved.epochs == ["", "", "2", "2", "24"]
    assert files.whole(tmp_path) == [4, 5]


def test_the_end_of_an_epoch_is_saved_when_all_others_have_seen_it(tmp_path):
    """A run that is killed between two callbacks redoes the epoch, and what belongs to it."""

    class Killed(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            assert files.whole(tmp_path / "run") == list(range(1, epoch + 1))[-2:]
            if epoch == 1:
                raise KeyboardInterrupt

    sheets = SampleGrid(tmp_path / "sheets", num_samples=4)
    callbacks = [Checkpoint(tmp_path / "run"), Killed(), sheets]
    with pytest.raises(KeyboardInterrupt):
        compiled().fit(blocks(), batch_size=8, epochs=3, verbose=0, callbacks=callbacks)
    callbacks = [Checkpoint(tmp_path / "run"), sheets]
    compiled().fit(blocks(), batch_size=8, epochs=3, verbose=0, callbacks=callbacks)
    names = sorted(path.name for path in (tmp_path / "sheets").iterdir())
    assert names == [f"samples_{epoch:04d}.png" for epoch in (1, 2, 3)]


def test_stages_have_directories_of_their_own(tmp_path):
    whole, model = compiled(), compiled()
    checkpoint = Checkpoint(tmp_path, every=3)
    stage = checkpoint.within("glo", whole)
    assert (stage.stage, stage.whole, stage.every) == ("glo", whole, 3)
    assert (checkpoint.stage, checkpoint.whole) == ("", None)
    train_stage = {"batch_size": 8, "epochs": 3, "verbose": 0, "callbacks": [stage]}
    model.fit(blocks(), **train_stage)
    assert [path.name for path in tmp_path.iterdir()] == ["glo"]
    assert {path.stem for path in (tmp_path / "glo").glob("ckpt-*")} == {"ckpt-3"}
    assert checkpoint.restore(compiled()) == 0 and stage.restore(compiled()) == 3
