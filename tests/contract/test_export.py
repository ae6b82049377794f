"""A version is whole or is not there."""

import shutil
import signal
from pathlib import Path

import pytest

from tests.contract import cases, processes
from tfgen import serving

FILES = (
    "saved_model.pb",
    "variables/variables.index",
    "assets.extra/model_card.json",
    "assets.extra/tf_serving_warmup_requests",
)


@pytest.fixture(scope="module")
def model():
    """The smallest model."""
    return cases.named("imle_vectors").create()


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """Where exports were killed, by the moment of their death."""
    bases = {moment: tmp_path_factory.mktemp(moment) for moment in ("graph", "card")}
    worker = "tests.contract.workers.export_killed"
    for moment, base in bases.items():
        processes.run("-m", worker, base, moment, status=-signal.SIGKILL)
    return bases


def entries(base: Path) -> list[str]:
    return sorted(child.name for child in base.iterdir())


def test_versions_are_the_next_free_integers(model, tmp_path):
    assert serving.export(model, tmp_path / "new" / "base").name == "1"
    (tmp_path / "7").mkdir()
    for name in ("2", "notes", "12a"):
        (tmp_path / name).mkdir()
    versions = [serving.export(model, tmp_path) for _ in range(2)]
    assert versions == [tmp_path / "8", tmp_path / "9"]
    assert entries(tmp_path) == sorted(["2", "7", "8", "9", "12a", "new", "notes"])
    for version in versions:
        assert [name for name in FILES if not (version / name).is_file()] == []


@pytest.mark.ci
@pytest.mark.parametrize("moment", ["graph", "card"])
def test_a_killed_export_leaves_no_version_and_the_next_cleans_up(model, killed, moment):
    base = killed[moment]
    (left,) = base.iterdir()
    assert not left.name.isdigit()
    assert (left / "variables" / "variables.index").is_file()
    assert (left / "saved_model.pb").is_file() == (moment == "card")
    assert serving.export(model, base) == base / "1"
    assert entries(base) == ["1"]
    assert [name for name in FILES if not (base / "1" / name).is_file()] == []


def test_a_failed_export_leaves_nothing(model, tmp_path, monkeypatch):
    def fail(*args: object) -> None:
        raise RuntimeError("a full disk")

    monkeypatch.setattr(Path, "write_text", fail)
    with pytest.raises(RuntimeError, match="a full disk"):
        serving.export(model, tmp_path)
    assert entries(tmp_path) == []


def test_what_cannot_be_exported_is_refused_first(tmp_path):
    with pytest.raises(TypeError, match=r"Expected a tfgen model.*Received: dict"):
        serving.export({}, tmp_path / "base")
    assert not (tmp_path / "base").exists()
    (tmp_path / "file").write_text("not a directory")
    with pytest.raises(OSError, match="Expected a directory that can be written"):
        serving.export(cases.named("imle_vectors").create(), tmp_path / "file")


def test_a_truncated_export_is_named(model, tmp_path):
    version = serving.export(model, tmp_path)
    graph = (version / "saved_model.pb").read_bytes()
    (version / "saved_model.pb").write_bytes(graph[: len(graph) // 2])
    with pytest.raises(ValueError, match="Expected a whole SavedModel"):
        serving.SessionLoader(version)
    shutil.rmtree(version)
    with pytest.raises(ValueError, match="Expected a directory with a saved_model.pb"):
        serving.SessionLoader(version)
