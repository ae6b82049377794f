"""Datasets: what their first batch must hold, what they are scaled from, and other streams."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.small_models import Point, blocks
from tfgen.core import specs
from tfgen.core.config import register
from tfgen.data.batches import as_event, check_first_batch
from tfgen.model.model import GenerativeModel

IMAGES = blocks(8)
LABELS = np.arange(8) % 3


@register
class _Shade(GenerativeModel):
    """Finds the mean value of images, a point for each of `num_classes` if there are some."""

    def __init__(self, num_classes=None, event=None):
        super().__init__()
        self.num_classes = num_classes
        self.event = event or specs.event_spec((4, 4, 1))
        self.point = Point([0.25] * (num_classes or 1))
        self.given = []

    @property
    def event_spec(self):
        return self.event

    @property
    def condition_specs(self):
        return {} if self.num_classes is None else {"label": specs.label_spec(self.num_classes)}

    def objective(self, x, seed, training):
        assert x["x"].dtype == tf.float32
        given = self.conditions_of(x).get("label", 0)
        shade = tf.gather(self.point.value.value, given)
        means = tf.reduce_mean(x["x"], axis=tf.range(1, tf.rank(x["x"])))
        return {"loss": (means - shade) ** 2}


def shade(**kwargs):
    model = _Shade(**kwargs)
    model.compile(keras.optimizers.SGD(0.5))
    return model


def batches(*parts, size=4):
    return tf.data.Dataset.from_tensor_slices(*parts).batch(size)


def losses(data, model=None):
    return (model or shade()).fit(data, epochs=2, verbose=0).history["loss"]


BYTES = np.round(IMAGES * 255).astype(np.uint8)
LINES = {
    "bare": (255 * IMAGES, "data.map(lambda x: x / 255)"),
    "with labels": ((255 * IMAGES, LABELS), "data.map(lambda x, y: (x / 255, y))"),
    "alone in a tuple": ((255 * IMAGES,), "data.map(lambda x: (x / 255,))"),
    "by name": (
        {"x": 255 * IMAGES, "label": LABELS},
        'data.map(lambda batch: {**batch, "x": batch["x"] / 255})',
    ),
    "by name, with labels": (
        ({"x": 255 * IMAGES}, LABELS),
        'data.map(lambda x, y: ({**x, "x": x["x"] / 255}, y))',
    ),
    "from -1 to 1": (2 * IMAGES - 1, "data.map(lambda x: (x + 1) / 2)"),
    "a little too large": (1.2 * IMAGES, "data.map(lambda x: tf.clip_by_value(x, 0, 1))"),
}


@pytest.mark.parametrize("values, line", LINES.values(), ids=LINES)
def test_another_scale_is_refused_with_the_line_to_write(values, line):
    data, model = batches(values), shade()
    message = rf"`images` in \[0, 1\] \({re.escape(line)} makes them so\). Received: .* first batch"
    validate = lambda x, **_: model.fit(IMAGES, batch_size=4, validation_data=x)  # noqa: E731
    for use in (model.fit, model.evaluate, validate):
        with pytest.raises(ValueError, match=f"^Expected {message}"):
            use(data, verbose=0)
    assert model.training_steps == 0
    mended = eval(line, {"tf": tf, "data": data})
    check_first_batch(next(iter(mended)), model.event_spec, {}, "label")


BAD_FIRST = {
    "NaN": (np.where(IMAGES < 0.5, np.nan, IMAGES), "`images` to be finite.* nan in example 0"),
    "of no known scale": (1e4 * IMAGES, r"`images` in \[0, 1\].* in example 0"),
    "integers": (BYTES.astype(int), "float32 examples in .*, or uint8 .* Received: int64"),
    "empty batches": (IMAGES[:, :0], "shape"),
    "a label of 2**32": ((IMAGES, LABELS + 2**32), r"`label` in \[0, 3\). Received: 4294967296"),
    "fractions as labels": ((IMAGES, LABELS / 3), "`label` of integers. Received: float64"),
}


@pytest.mark.parametrize("values, message", BAD_FIRST.values(), ids=BAD_FIRST)
def test_bad_first_batches(values, message):
    model = shade(num_classes=3)
    if not isinstance(values, tuple):
        values = (values, LABELS)
    for use in (model.fit, model.evaluate):
        with pytest.raises((TypeError, ValueError), match=f"^Expected .*{message}"):
            use(batches(values), verbose=0)
    assert model.training_steps == 0


@pytest.mark.parametrize("label", [2**32 + 2, -(2**32)])
def test_labels_of_later_batches_are_checked_before_they_are_cast(label):
    labels = np.where(np.arange(8) == 6, label, LABELS)
    model = shade(num_classes=3)
    received = f"from {min(label, 1)} to {max(label, 2)} at epoch 1, batch 2"
    with pytest.raises(ValueError, match=rf"`label` in \[0, 3\). Received: {received}"):
        model.fit(batches((IMAGES, labels)), verbose=0)
    assert model.training_steps == 1


def test_a_stream_that_turns_out_to_be_empty():
    data = batches(IMAGES).filter(lambda x: False)
    with pytest.raises(ValueError, match="at least one batch. Received: an empty dataset"):
        shade().fit(data, verbose=0)


def test_bytes_are_fractions():
    """As in Examples, bit for bit."""
    fractions = BYTES.astype(np.float32) / np.float32(255)
    model, same = shade(), shade()
    assert losses(batches(BYTES), model) == losses(batches(fractions), same)
    assert model.evaluate(batches(BYTES), verbose=0) == model.evaluate(
        batches(fractions), verbose=0
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "uint8"])
def test_a_batch_becomes_floats_of_the_models_type(dtype):
    values = tf.cast(BYTES if dtype == "uint8" else IMAGES, dtype)
    found = as_event(values, specs.event_spec((4, 4, 1)))
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, IMAGES, atol=0.003)


def test_doubles_train():
    values = IMAGES.astype(np.float64)
    assert losses(batches(values)) == losses(batches(IMAGES))


def test_bytes_are_no_audio():
    model = shade(event=specs.event_spec((16, 1), name="audio"))
    sound = IMAGES.reshape(8, 16, 1)
    with pytest.raises(TypeError, match="float32 examples. Received: uint8"):
        model.fit(batches(np.uint8(sound)), verbose=0)
    with pytest.raises(ValueError, match=r"`audio` in \[-1, 1\] \(data.map\(lambda x: x / 2\*\*15"):
        model.fit(batches(sound * 2000), verbose=0)
    model.fit(sound, batch_size=4, verbose=0)


class _Prepared(_Shade):
    def prepare(self, x, examples):
        self.given.append(x["x"])


@pytest.mark.filterwarnings("ignore:Your input ran out of data")  # Keras counts it.
def test_the_first_batch_is_read_once_before_training():
    begun = []

    def stream():
        begun.append(0)
        yield from (IMAGES[:4], IMAGES[4:])

    data = tf.data.Dataset.from_generator(stream, output_signature=tf.TensorSpec([None, 4, 4, 1]))
    model = _Prepared()
    model.compile(keras.optimizers.SGD(0.5))
    model.fit(data, verbose=0)
    assert len(begun) == 2 and model.training_steps == 2
    np.testing.assert_array_equal(model.given, [IMAGES[:4]])


class _Sequence(keras.utils.PyDataset):
    def __init__(self, scale=1):
        super().__init__()
        self.passes = 0
        self.scale = scale

    def __len__(self):
        return 2

    def __getitem__(self, index):
        rows = slice(4 * index, 4 * index + 4)
        return self.scale * IMAGES[rows], LABELS[rows]

    def on_epoch_end(self):
        self.passes += 1


def test_a_pydataset_is_a_dataset():
    data, model = _Sequence(), shade(num_classes=3)
    assert losses(data, model) == losses(batches((IMAGES, LABELS)), shade(num_classes=3))
    assert data.passes == 2 and model.training_steps == 4


def test_validation_data_are_what_fit_takes():
    model = shade()
    history = model.fit(IMAGES, batch_size=4, verbose=0, validation_data=_Sequence()).history
    assert history["val_loss"] == [model.evaluate(IMAGES, batch_size=4, verbose=0)]
    with pytest.raises(ValueError, match=r"`images` in \[0, 1\]"):
        model.fit(IMAGES, batch_size=4, verbose=0, validation_data=_Sequence(scale=255))
    with pytest.raises(TypeError, match="a tf.data.Dataset .* Received: <class 'generator'>"):
        model.fit(IMAGES, batch_size=4, verbose=0, validation_data=(x for x in [IMAGES]))
    assert model.training_steps == 2


@pytest.mark.filterwarnings("ignore:Your input ran out of data")  # Keras counts it.
@pytest.mark.parametrize("num_classes", [None, 3])
def test_generators_are_refused_with_the_line_to_write(num_classes):
    def generator():
        for rows in (slice(4), slice(4, 8)):
            yield IMAGES[rows] if num_classes is None else (IMAGES[rows], {"label": LABELS[rows]})

    model = shade(num_classes=num_classes)
    for data in (generator(), generator, [IMAGES]):
        with pytest.raises(TypeError, match="a tf.data.Dataset .* Received: <class ") as error:
            model.fit(data, verbose=0)
    line = re.search(r"Dataset \((.*) is one, where batches\(\)", str(error.value))[1]
    model.fit(eval(line, {"tf": tf, "batches": generator}), epochs=2, verbose=0)
    assert model.training_steps == 4


def test_images_that_keras_reads_from_a_folder(tmp_path):
    for row, image in enumerate(BYTES):
        path = tmp_path / "ab"[row % 2] / f"{row}.png"
        path.parent.mkdir(exist_ok=True)
        tf.io.write_file(str(path), tf.io.encode_png(image))
    data = keras.utils.image_dataset_from_directory(
        tmp_path, color_mode="grayscale", image_size=(4, 4), batch_size=4, verbose=False
    )
    model, line = shade(num_classes=2), "data.map(lambda x, y: (x / 255, y))"
    with pytest.raises(ValueError, match=re.escape(line)):
        model.fit(data, verbose=0)
    model.fit(eval(line), verbose=0)
    assert model.training_steps == 2


def test_a_dataset_without_batches_is_told_how_to_make_them():
    data = tf.data.Dataset.from_tensor_slices(IMAGES)
    with pytest.raises(
        ValueError, match=r"data.batch\(32, drop_remainder=True\).*Received: \(4, 1\)"
    ):
        shade().fit(data)
