"""Examples: what a batch holds, and in which order batches come."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tfgen.data import Examples, from_arrays


def numbered(count, **kwargs):
    """Returns examples of 2 x 3 x 1 whose every byte is the example's own number."""
    images = np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 3, 1), np.uint8)
    return from_arrays(images, **kwargs)


def indices(examples, batches, first_epoch=0):
    dataset = examples.dataset(first_epoch).take(batches)
    return [batch["index"].numpy() for batch in dataset]


def test_batch_holds_the_scaled_images_and_labels_of_its_indices():
    examples = numbered(20, labels=np.arange(20) % 7, batch_size=8, seed=1)
    for batch in examples.dataset().take(5):
        index = batch["index"].numpy()
        expected = (index[:, None, None, None] * np.ones((1, 2, 3, 1))).astype(np.float32) / 255
        np.testing.assert_array_equal(batch["x"], expected.astype(np.float32))
        np.testing.assert_array_equal(batch["label"], index % 7)
        np.testing.assert_array_equal(examples.as_float(index), batch["x"])


def test_bytes_become_exactly_what_division_by_255_gives():
    images = np.arange(256, dtype=np.uint8).reshape(256, 1, 1, 1)
    examples = from_arrays(images, batch_size=256)
    (batch,) = examples
    expected = np.arange(256, dtype=np.float32) / np.float32(255)
    np.testing.assert_array_equal(
        np.ravel(batch["x"])[np.argsort(batch["index"].numpy())], expected
    )
    np.testing.assert_array_equal(np.ravel(examples.as_float()), expected)
    assert expected[-1] == 1


def test_floats_pass_unchanged():
    images = np.random.default_rng(0).random((6, 4, 4, 3))
    examples = from_arrays(images, batch_size=2)
    assert examples.x.dtype == np.float32
    np.testing.assert_array_equal(examples.as_float([4, 1]), images[[4, 1]].astype(np.float32))
    for batch in examples:
        np.testing.assert_array_equal(batch["x"], images[batch["index"].numpy()].astype(np.float32))


def test_shapes_are_static():
    spec = numbered(20, labels=np.zeros(20, int), batch_size=8).dataset().element_spec
    assert spec == {
        "x": tf.TensorSpec([8, 2, 3, 1], tf.float32),
        "index": tf.TensorSpec([8], tf.int64),
        "label": tf.TensorSpec([8], tf.int64),
    }
    assert set(numbered(20, batch_size=8).dataset().element_spec) == {"x", "index"}


def test_every_epoch_is_another_permutation_without_its_last_partial_batch():
    examples = numbered(20, batch_size=8, seed=3)
    assert examples.steps_per_epoch == 2
    epochs = np.reshape(indices(examples, 2 * 30), [30, 16])
    assert all(len(set(epoch)) == 16 for epoch in epochs), "a batch straddled two epochs"
    assert len({tuple(epoch) for epoch in epochs}) == 30
    assert set(epochs.ravel()) == set(range(20)), "the same examples were dropped each time"


def test_first_places_are_uniform():
    examples = numbered(5, batch_size=5)
    first = np.array(indices(examples, 2000))[:, 0]
    # 400 expected; 90 is five standard deviations of the binomial.
    assert np.abs(np.bincount(first, minlength=5) - 400).max() < 90


def test_order_depends_on_the_seed_alone():
    order = indices(numbered(50, batch_size=10, seed=4), 10)
    np.testing.assert_array_equal(order, indices(numbered(50, batch_size=10, seed=4), 10))
    assert not np.array_equal(order, indices(numbered(50, batch_size=10, seed=5), 10))


@pytest.mark.parametrize("count, batch_size", [(20, 8), (24, 8), (8, 8)])
def test_resumed_stream_equals_the_uninterrupted_one(count, batch_size):
    examples = numbered(count, labels=np.arange(count), batch_size=batch_size, seed=9)
    skipped = examples.dataset().skip(3 * examples.steps_per_epoch).take(7)
    resumed = examples.dataset(first_epoch=3).take(7)
    for expected, batch in zip(skipped, resumed, strict=True):
        for key in ("x", "index", "label"):
            np.testing.assert_array_equal(batch[key], expected[key])


def test_iteration_is_epoch_zero():
    examples = numbered(20, batch_size=8)
    for _ in range(2):
        batches = [batch["index"].numpy() for batch in examples]
        np.testing.assert_array_equal(batches, indices(examples, 2))


def test_attributes():
    examples = Examples(
        np.zeros((20, 4, 6, 3), np.uint8),
        np.repeat([0, 3], 10).astype(np.uint8),
        batch_size=8,
        seed=2,
        name="zeros",
        split="test",
    )
    assert (examples.num_examples, len(examples), examples.steps_per_epoch) == (20, 20, 2)
    assert examples.event_shape == (4, 6, 3)
    assert examples.x.dtype == np.uint8 and examples.labels.dtype == np.int64
    assert (examples.num_classes, examples.class_names) == (4, None)
    assert (examples.name, examples.split, examples.seed) == ("zeros", "test", 2)
    assert "4x6x3 uint8" in repr(examples)


def test_images_are_a_copy_and_held_once():
    images = np.zeros((4, 2, 2, 1), np.uint8)
    examples = from_arrays(images, batch_size=2)
    images[:] = 255
    assert examples.as_float().max() == 0
    with pytest.raises(ValueError, match="read-only"):
        examples.x[0] = 1
    assert np.shares_memory(examples.x, examples.with_batch_size(1).x)


def test_with_batch_size():
    examples = numbered(20, batch_size=8)
    other = examples.with_batch_size(5)
    assert (other.batch_size, other.steps_per_epoch) == (5, 4)
    assert examples.batch_size == 8
    np.testing.assert_array_equal(
        np.concatenate(indices(other, 4))[:16], np.concatenate(indices(examples, 2))
    )
    with pytest.raises(ValueError, match="at least 21 examples, one batch. Received: 20 examples"):
        examples.with_batch_size(21)


@pytest.mark.parametrize("first_epoch, error", [(-1, ValueError), (1.0, TypeError)])
def test_first_epoch_is_checked(first_epoch, error):
    with pytest.raises(error, match="`first_epoch`.*Received"):
        numbered(4, batch_size=2).dataset(first_epoch)


DISTRIBUTED = """
import json
import sys
import numpy as np
import tensorflow as tf
import tfgen.data

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
tf.config.experimental.enable_op_determinism()
for number in range(20):
    image = tf.io.encode_png(np.full([2, 2, 1], number, np.uint8))
    tf.io.write_file(f"{sys.argv[1]}/{number:02}.png", image)
images = np.arange(20, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 1), np.uint8)
np.save(f"{sys.argv[1]}/images.npy", images)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
for examples in (
    tfgen.data.from_arrays(images, np.arange(20), batch_size=8, seed=7),
    tfgen.data.load(sys.argv[1], "all", 8, seed=7, in_memory=False),
    tfgen.data.load(sys.argv[1] + "/images.npy", "all", 8, seed=7, in_memory=False),
):
    batches = iter(strategy.experimental_distribute_dataset(examples.dataset(first_epoch=1)))
    seen = []
    for _ in range(5):
        batch = next(batches)
        local = {key: strategy.experimental_local_results(value) for key, value in batch.items()}
        seen.append([
            {"index": index.numpy().tolist(), "x": (x.numpy()[:, 0, 0, 0] * 255).tolist()}
            for index, x in zip(local["index"], local["x"])])
    alone = [batch["index"].numpy().tolist() for batch in examples.dataset(first_epoch=1).take(5)]
    print(json.dumps({"seen": seen, "alone": alone}))
"""


@pytest.mark.ci
def test_replicas_share_each_batch_also_with_deterministic_operations(tmp_path):
    """In a process of its own: both settings hold for the life of a process."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "CUDA_VISIBLE_DEVICES": "",
    }
    run = subprocess.run(
        [sys.executable, "-c", DISTRIBUTED, str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    examples = numbered(20, batch_size=8, seed=7)
    for line in run.stdout.splitlines()[-3:]:  # In memory, of files, and of a mapped array.
        result = json.loads(line)
        np.testing.assert_array_equal(result["alone"], indices(examples, 5, first_epoch=1))
        for replicas, batch in zip(result["seen"], result["alone"], strict=True):
            assert [len(replica["index"]) for replica in replicas] == [4, 4]
            assert replicas[0]["index"] + replicas[1]["index"] == batch
            for replica in replicas:
                np.testing.assert_allclose(replica["x"], replica["index"], atol=1e-4)


def test_workers_split_batches_not_files():
    options = numbered(4, batch_size=2).dataset().options()
    policy = options.experimental_distribute.auto_shard_policy
    assert policy == tf.data.experimental.AutoShardPolicy.DATA
