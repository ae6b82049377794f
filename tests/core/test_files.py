"""Files that are whole or not there, and what killed writers leave behind."""

import os
import subprocess
import sys
import threading
import time

import pytest

from tests.small_models import COMPLAINT
from tfgen.core.files import (
    check_writable,
    close_paths,
    remove_unfinished,
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


@pytest.fixture
def names_of():
    """Returns a function of a path and a process, the names that its writer may have left."""

    def left(path, process, machine=None):
        with temporary_sibling(path) as own:
            place, number, random = own.name.removesuffix(path.suffix).split("-")[-3:]
        assert number == str(os.getpid())
        writer = f"{machine or place}-{process}-{random[::-1]}"
        return path.with_name(f".{path.stem}.unfinished-{writer}{path.suffix}")

    return left


def age(path, days):
    """Makes a file, or a directory and what is in it, look written some days ago."""
    then = time.time() - days * 24 * 3600
    for each in (path, *path.rglob("*")):
        os.utime(each, (then, then))


@pytest.mark.parametrize("name", ["a[1].keras", "flags", "x.tar.gz"])
def test_what_killed_writers_left_is_removed(tmp_path, names_of, name):
    path, ended = tmp_path / name, ended_process()
    names_of(path, ended).write_text("half")
    directory = names_of(path, 10**12)  # No process has such a number.
    directory.mkdir()
    (directory / "half").write_text("")
    write_text(path, "whole")
    assert names(tmp_path) == [name]


def test_what_others_write_is_let_be(tmp_path, names_of):
    path, ended = tmp_path / "flags", ended_process()
    others = [
        names_of(path, os.getppid()).name,  # The same file, by a process that lives.
        names_of(path, os.getpid()).name,  # Or by another thread.
        names_of(tmp_path / "other", ended).name,
        "flags.unfinished",
        ".flags.unfinished-by hand",
    ]
    for other in others:
        (tmp_path / other).write_text("half")
    write_text(path, "whole")
    assert names(tmp_path) == sorted([*others, "flags"])


def test_what_killed_writers_left_of_all_files_is_removed(tmp_path, names_of):
    ended = ended_process()
    for name in ("a.png", "b", "c[1].keras"):
        names_of(tmp_path / name, ended).write_text("half")
    kept = names_of(tmp_path / "d.png", os.getppid())
    kept.write_text("half")
    (tmp_path / ".hidden").write_text("")
    check_writable(tmp_path)
    assert names(tmp_path) == sorted([kept.name, ".hidden"])
    remove_unfinished(tmp_path / "nowhere")


@pytest.mark.parametrize("machine", ["0123456789ab", "0"])
def test_what_another_machine_writes_is_let_be_until_it_is_old(tmp_path, names_of, machine):
    """Its processes cannot be seen: the same directory may be mounted in several containers."""
    path, ended = tmp_path / "version", ended_process()
    left = names_of(path, ended, machine)
    (left / "variables").mkdir(parents=True)
    (left / "variables" / "data").write_text("half")
    age(left, days=2)
    (left / "variables" / "data").write_text("more")
    write_text(path, "whole")
    assert left.exists()
    age(left, days=2)
    write_text(path, "whole")
    assert names(tmp_path) == ["version"]


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
