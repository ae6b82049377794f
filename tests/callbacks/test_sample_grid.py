"""Sheets of samples: their layout, their files, and directories that cannot be written."""

import numpy as np
import pytest
import tensorflow as tf

from tests.small_models import COMPLAINT, blocks, small_glo, small_imle
from tfgen.callbacks import SampleGrid
from tfgen.callbacks.sample_grid import enlarged, image_grid, scatter, write_png


def numbered(count, height=2, width=3, channels=1):
    """Returns images, each of one value."""
    values = np.arange(1, count + 1, dtype=np.float32)[:, None, None, None] / 10
    return np.broadcast_to(values, [count, height, width, channels]).copy()


def test_layout_by_hand():
    grid = image_grid(numbered(3), columns=2)
    # Two rows of two images of 2 x 3, a white pixel between them, and one place left white.
    expected = np.ones([5, 7], np.float32)
    expected[:2, :3], expected[:2, 4:], expected[3:, :3] = 0.1, 0.2, 0.3
    np.testing.assert_allclose(grid[..., 0], expected)


@pytest.mark.parametrize(
    "count, columns, gap, shape",
    [(9, None, 1, (8, 11)), (10, None, 1, (8, 15)), (4, 4, 0, (2, 12)), (1, None, 5, (2, 3))],
)
def test_shapes(count, columns, gap, shape):
    assert image_grid(numbered(count), columns, gap).shape == (*shape, 1)
    assert image_grid(numbered(count, channels=3), columns, gap).shape == (*shape, 3)


def test_values_are_clipped():
    grid = image_grid(np.array([-1.0, 2.0]).reshape(2, 1, 1, 1), columns=2, gap=0)
    assert grid[0, :, 0].tolist() == [0, 1]


@pytest.mark.parametrize("shape", [(2, 3, 1), (2, 3), (1, 2, 2, 2, 1)])
def test_bad_images(shape):
    with pytest.raises(ValueError, match=COMPLAINT):
        image_grid(np.zeros(shape))


@pytest.mark.parametrize("channels", [1, 3])
def test_png(tmp_path, channels):
    image = np.random.default_rng(0).random((5, 4, channels)).astype(np.float32)
    image[0, 0], image[0, 1] = -0.5, 1.5
    write_png(tmp_path / "image.png", image)
    pixels = tf.io.decode_png((tmp_path / "image.png").read_bytes()).numpy()
    np.testing.assert_array_equal(pixels, np.round(np.clip(image, 0, 1) * 255))
    assert [path.name for path in tmp_path.iterdir()] == ["image.png"]


def compiled(create=small_glo):
    model = create()
    model.compile()
    return model


def test_a_sheet_of_the_same_seed_every_so_many_epochs(tmp_path):
    model = compiled()
    grid = SampleGrid(tmp_path / "sheets", num_samples=4, every=2, seed=3)
    model.fit(blocks(), batch_size=8, epochs=5, verbose=0, callbacks=[grid])
    names = sorted(path.name for path in (tmp_path / "sheets").iterdir())
    assert names == ["samples_0002.png", "samples_0004.png"]
    grid.on_epoch_end(5)
    sheet = tf.io.decode_png((tmp_path / "sheets" / "samples_0006.png").read_bytes())
    expected = image_grid(enlarged(model.sample(4, seed=3).numpy()))
    np.testing.assert_array_equal(sheet, np.round(expected * 255))


def test_a_stage_of_images_is_drawn_itself_and_another_through_the_whole(tmp_path):
    whole, images, vectors = small_glo(seed=1), small_glo(seed=2), small_imle()
    grid = SampleGrid(tmp_path, num_samples=4)
    grid.set_model(whole)
    for stage, model in {"a": images, "b": vectors}.items():
        part = grid.within(stage, whole)
        part.set_model(model)
        part.on_epoch_end(0)
    for name, drawn in {"samples_a_0001.png": images, "samples_b_0001.png": whole}.items():
        expected = image_grid(enlarged(drawn.sample(4, seed=0).numpy()))
        sheet = tf.io.decode_png((tmp_path / name).read_bytes())
        np.testing.assert_array_equal(sheet, np.round(expected * 255))
    assert len(list(tmp_path.iterdir())) == 2 and grid.model is whole


def test_a_stage_keeps_the_arguments(tmp_path):
    whole = small_glo()
    stage = SampleGrid(tmp_path, num_samples=4, every=2, seed=3).within("a", whole)
    stage.set_model(whole)
    for epoch in range(4):
        stage.on_epoch_end(epoch)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["samples_a_0002.png", "samples_a_0004.png"]


@pytest.mark.parametrize(
    "size, tile", [((8, 8), 32), ((4, 6), 28), ((12, 9), 48), ((28, 28), 28), ((64, 40), 64)]
)
def test_tiles_are_large_enough_to_be_seen(size, tile):
    images = np.random.default_rng(0).random((3, *size, 1))
    large = enlarged(images)
    times = tile // size[0]
    assert large.shape == (3, tile, times * size[1], 1)
    np.testing.assert_array_equal(large[:, ::times, ::times], images)
    np.testing.assert_array_equal(large[:, times - 1 :: times, times - 1 :: times], images)


def test_points_are_drawn_as_dots():
    """The reach is 1.25: dots of 3 x 3 pixels in the corners of the middle four fifths."""
    picture = scatter(np.array([[0.0, 0.0], [2.0, 2.0], [np.nan, 0.0], [0.0, 2.0]]), size=103)
    expected = np.ones([103, 103], np.float32)
    for row, column in ((90, 10), (10, 90), (10, 10)):
        expected[row : row + 3, column : column + 3] = 0
    np.testing.assert_array_equal(picture[..., 0], expected)
    assert scatter(np.ones([1, 2])).min() == 0 and scatter(np.full([1, 2], np.nan)).min() == 1


def callback_of(model, directory):
    grid = SampleGrid(directory, num_samples=4)
    grid.set_model(model)
    grid.on_train_begin()
    return grid


def test_points_in_the_plane_have_a_sheet(tmp_path):
    model = small_imle()
    callback_of(model, tmp_path).on_epoch_end(0)
    sheet = tf.io.decode_png((tmp_path / "samples_0001.png").read_bytes())
    expected = scatter(model.sample(4, seed=0).numpy())
    np.testing.assert_array_equal(sheet, np.round(expected * 255))


def test_vectors_have_no_sheet_and_that_is_said_once(tmp_path):
    with pytest.warns(UserWarning, match=r"IMLE samples points of shape \(3,\).*no sheets") as said:
        grid = callback_of(small_imle(dim=3), tmp_path)
        grid.on_epoch_end(0)
    assert len(said) == 1 and not list(tmp_path.iterdir())


def test_a_file_in_the_place_of_the_directory(tmp_path):
    (tmp_path / "sheets").write_text("")
    model = compiled()
    with pytest.raises(OSError, match=COMPLAINT):
        model.fit(blocks(), batch_size=8, verbose=0, callbacks=[SampleGrid(tmp_path / "sheets")])
    assert model.step.numpy() == 0


@pytest.mark.parametrize("arguments", [{"num_samples": 0}, {"num_samples": 1.5}, {"every": 0}])
def test_bad_arguments(tmp_path, arguments):
    with pytest.raises((TypeError, ValueError), match=COMPLAINT):
        SampleGrid(tmp_path, **arguments)
