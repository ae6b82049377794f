"""Files that are whole or not there, and what killed writers leave behind."""

import os
import subprocess
import sys
import threading

import pytest

from tests.small_models import COMPLAINT
from tfgen.core.files import (
    check_writable,
    close_paths,
    temporary_sibling,
    write_text,
    written_whole,
)


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def ended_process():
    """Returns the number of a process that is no more."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def test_the_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "a.npz"
    with written_whole(path) as unfinished:
        unfinished.write_text("half")
        assert unfinished.parent == path.parent and unfinished.suffix == ".npz"
        assert unfinished.name.startswith(".") and not path.exists()
    assert names(path.parent) == ["a.npz"] and path.read_text() == "half"


@pytest.mark.parametrize("before", [None, "earlier"])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_what_was_there(tmp_path, before, error):
    path = tmp_path / "a.txt"
    if before:
        path.write_text(before)
    with pytest.raises(error), written_whole(path) as unfinished:
        unfinished.write_text("half")
        raise error
    assert names(tmp_path) == (["a.txt"] if before else [])
    assert not before or path.read_text() == before


def test_a_file_that_is_there_is_replaced(tmp_path):
    for text in ("first", "second"):
        write_text(tmp_path / "a.txt", text)
    assert (tmp_path / "a.txt").read_text() == "second" and names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("name", ["a[1].keras", "flags", "x.tar.gz"])
def test_what_killed_writers_left_is_removed(tmp_path, name):
    path = tmp_path / name
    ended = ended_process()
    for number in (ended, os.getpid()):  # Its number may have been ours.
        left = tmp_path / f".{path.stem}.unfinished-{number}{path.suffix}"
        left.mkdir() if number == ended else left.write_text("half")
    write_text(path, "whole")
    assert names(tmp_path) == [name]


def test_what_others_write_is_let_be(tmp_path):
    path = tmp_path / "flags"
    ended = ended_process()
    others = [
        f".flags.unfinished-{os.getppid()}",  # The same file, by a process that lives.
        f".flags.unfinished-{ended}.json",
        f".other.unfinished-{ended}",
        "flags.unfinished",
    ]
    for other in others:
        (tmp_path / other).write_text("half")
    write_text(path, "whole")
    assert names(tmp_path) == sorted([*others, "flags"])


def test_threads_do_not_write_to_one_name(tmp_path):
    path, both = tmp_path / "a.txt", threading.Barrier(2, timeout=3600)

    def write(text):
        with written_whole(path) as unfinished:
            both.wait()
            unfinished.write_text(text)
            both.wait()

    threads = [threading.Thread(target=write, args=[text]) for text in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names(tmp_path) == ["a.txt"] and path.read_text() in ("one", "two")


def test_a_directory_may_be_made_and_get_a_name_of_its_own(tmp_path):
    with temporary_sibling(tmp_path / "version") as unfinished:
        unfinished.mkdir()
        (unfinished / "file").write_text("")
        unfinished.rename(tmp_path / "1")
    assert names(tmp_path) == ["1"]
    with temporary_sibling(tmp_path / "version") as unfinished:
        unfinished.mkdir()
        (unfinished / "file").write_text("")
    assert names(tmp_path) == ["1"]


def test_check_writable_names_the_directory(tmp_path):
    check_writable(tmp_path / "a" / "b")
    assert names(tmp_path / "a" / "b") == []
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=COMPLAINT) as error:
        check_writable(tmp_path / "file")
    assert error.value.filename == str(tmp_path / "file")


def test_close_paths_exist_and_are_called_alike(tmp_path, monkeypatch):
    (tmp_path / "Faces" / "aligned").mkdir(parents=True)
    (tmp_path / "textures").mkdir()
    assert close_paths(tmp_path / "faces") == [str(tmp_path / "Faces")]
    assert close_paths(tmp_path / "face" / "aligned") == [str(tmp_path / "Faces" / "aligned")]
    assert close_paths(tmp_path / "face" / "other") == [str(tmp_path / "Faces")]
    assert close_paths(tmp_path / "xyz") == []
    monkeypatch.chdir(tmp_path)
    assert close_paths("texture") == ["textures"]
