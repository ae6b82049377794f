"""Recordings: how they are stored, their rate, length and classes, and damage."""

import os
import struct

import numpy as np
import pytest
from scipy.io import wavfile
from scipy.signal import resample_poly

from tests import faults
from tfgen.data import load, load_audio


def tone(rate=8000, seconds=0.05, hertz=200.0):
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)


@pytest.fixture
def folder(tmp_path):
    """Five recordings of one tone, each in its own rate and form, in two classes."""
    forms = {
        "low/a.wav": (8000, np.round(127 * tone() + 128).astype(np.uint8)),
        "low/b.WAV": (8000, np.round(32767 * tone()).astype(np.int16)),
        "low/deep/c.wav": (16000, np.round((2**31 - 1) * tone(16000)).astype(np.int32)),
        "high/d.wav": (44100, tone(44100).astype(np.float32)),
        "high/e.wav": (8000, np.stack([tone() + 0.25, tone() - 0.25], axis=1)),
    }
    for name, (rate, samples) in forms.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        wavfile.write(path, rate, samples)
    (tmp_path / "low" / "notes.txt").write_text("none")
    (tmp_path / "low" / ".hidden.wav").write_bytes(b"none")
    return tmp_path


def read(folder, **kwargs):
    return load_audio(folder, **{"batch_size": 1, "sample_rate": 8000, "length": 400} | kwargs)


def test_all_forms_come_to_one(folder):
    examples = read(str(folder))
    assert examples.x.shape == (5, 400, 1) and examples.x.dtype == np.float32
    inside = slice(20, -20)  # At its ends, a filter sees the silence around a recording.
    for recording in examples.x[..., 0]:
        np.testing.assert_allclose(recording[inside], tone()[inside], atol=0.01)
    assert examples.class_names == ("high", "low") and examples.name == str(folder)
    np.testing.assert_array_equal(examples.labels, [0, 0, 1, 1, 1])


def test_24_bits(tmp_path):
    samples = np.array([-(2**23), -1, 0, 2**22], np.int64)
    content = b"".join(int(value).to_bytes(3, "little", signed=True) for value in samples)
    form = struct.pack("<HHIIHH", 1, 1, 8000, 24000, 3, 24)
    body = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", 12) + content
    (tmp_path / "a.wav").write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    found = read(tmp_path, length=4).x.ravel()
    np.testing.assert_array_equal(found, samples / np.float32(2**23))


def test_length(folder):
    cut, padded = read(folder, length=100).x, read(folder, length=500).x
    np.testing.assert_array_equal(cut[[0, 1, 4]], padded[[0, 1, 4], :100])
    assert padded.shape == (5, 500, 1) and not padded[:, 410:].any() and padded[:, 399].any()


@pytest.mark.parametrize("rate, sample_rate", [(44100, 8000), (8000, 44100), (8000, 7999)])
def test_no_more_is_resampled_than_needed(tmp_path, rate, sample_rate):
    samples = np.random.default_rng(0).uniform(-1, 1, 3000).astype(np.float32)
    wavfile.write(tmp_path / "a.wav", rate, samples)
    found = read(tmp_path, sample_rate=sample_rate, length=50).x[0, :, 0]
    whole = np.clip(resample_poly(samples, sample_rate, rate), -1, 1)
    np.testing.assert_allclose(found, whole[:50], atol=1e-6)


def test_a_higher_tone_than_the_rate_can_hold_is_silenced(tmp_path):
    wavfile.write(tmp_path / "a.wav", 44100, tone(44100, hertz=7000).astype(np.float32))
    assert np.abs(read(tmp_path).x[0, 20:-20]).max() < 0.01


def test_splits(folder):
    train, test = read(folder, split="train"), read(folder, split="test")
    assert (len(train), len(test), test.split) == (4, 1, "test")
    assert len(read(folder, num_examples=2)) == 2


def test_splits_and_classes_of_folders(folder):
    (folder / "train").mkdir()
    for name in ("low", "high"):
        (folder / name).rename(folder / "train" / name)
    (folder / "test").mkdir()
    (folder / "test" / "low").symlink_to(folder / "train" / "low")
    train, test = read(folder), read(folder, split="test")
    assert (train.split, len(train), len(test)) == ("train", 5, 3)
    assert train.class_names == test.class_names == ("high", "low")
    np.testing.assert_array_equal(test.labels, [1, 1, 1])


def test_classes_by_name(folder):
    examples = read(folder, class_of=lambda path: path.suffix)
    assert examples.class_names == (".WAV", ".wav")
    np.testing.assert_array_equal(examples.labels, [1, 1, 1, 0, 1])


def test_no_classes(folder):
    (folder / "high" / "d.wav").rename(folder / "d.wav")
    assert read(folder).labels is None


def damaged(kind, path):
    """Damages a recording of 8,000 Hz and 16 bits, of 44 + 800 bytes."""
    if kind == "cut":
        faults.cut(path, 500)
    elif kind == "no header":
        path.write_bytes(b"")
    elif kind == "another format":
        path.write_bytes(b"ID3" + bytes(400))
    elif kind == "no samples":
        wavfile.write(path, 8000, np.zeros(0, np.int16))
    elif kind == "NaN":
        wavfile.write(path, 8000, np.array([0, np.nan], np.float32))
    elif kind == "loud":
        wavfile.write(path, 8000, np.array([0, 300], np.float32))
    else:
        place, form, value = {"rate": (24, "<I", 2**31), "channels": (22, "<H", 0)}[kind]
        content = bytearray(path.read_bytes())
        struct.pack_into(form, content, place, value)
        path.write_bytes(content)


KINDS = "cut, no header, another format, no samples, NaN, loud, rate, channels".split(", ")


@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_named(folder, kind):
    path = folder / "low" / "b.WAV"
    damaged(kind, path)
    with pytest.raises(ValueError, match="Expected readable recordings .*Received") as error:
        read(folder)
    assert str(path) in str(error.value)
    with pytest.warns(UserWarning, match="Skipped 1 unreadable recordings: .*b.WAV"):
        examples = read(folder, skip_unreadable=True)
    np.testing.assert_array_equal(examples.labels, [0, 0, 1, 1])


def test_nothing_but_regular_files(tmp_path):
    with pytest.raises(ValueError, match="Expected a folder of .wav files. Received: none in"):
        read(tmp_path)
    os.mkfifo(tmp_path / "a.wav")
    with pytest.raises(ValueError, match="readable recordings .*a.wav: not a regular file"):
        read(tmp_path)
    with pytest.raises(ValueError, match="Expected folders that can be read.*missing"):
        read(tmp_path / "missing")
    with pytest.raises(ValueError, match="load_audio reads .wav"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("name", "reason"), [("f.wav", "No such file or directory"), ("middle", "a broken link")]
)
def test_broken_links_are_named(folder, name, reason):
    (folder / name).symlink_to(folder / "nowhere")
    with pytest.raises(ValueError, match=f"readable recordings .*{name}: {reason}"):
        read(folder)
    with pytest.warns(UserWarning, match=f"Skipped 1 unreadable recordings: .*{name}: {reason}"):
        assert len(read(folder, skip_unreadable=True)) == 5


def test_recordings_of_other_formats_are_counted(folder):
    for name in ("low/f.mp3", "low/g.MP3", "high/h.flac"):
        (folder / name).write_bytes(b"")
    with pytest.warns(UserWarning, match=r"recordings of formats .*: 1 \.flac, 2 \.mp3$"):
        assert len(read(folder)) == 5


BAD_ARGUMENTS = {
    "rate": (dict(sample_rate=0), ValueError, "`sample_rate` >= 1"),
    "high rate": (dict(sample_rate=10**6), ValueError, "`sample_rate` <= 768000"),
    "length": (dict(length=1.5), TypeError, "`length` to be an integer"),
    "split": (dict(split="dev"), ValueError, "`split` to be one of"),
    "batch": (dict(batch_size=6), ValueError, "at least 6 examples, one batch"),
}


@pytest.mark.parametrize("arguments, error, message", BAD_ARGUMENTS.values(), ids=BAD_ARGUMENTS)
def test_bad_arguments(folder, arguments, error, message):
    with pytest.raises(error, match=f"^Expected {message}"):
        read(folder, **arguments)
