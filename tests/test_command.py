"""The command `tfgen`: what it says, what it runs, and that a wheel holds all of it."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
COMMAND = ROOT / "tfgen_command.py"


def run(*words, command=(sys.executable, "-X", "importtime", str(COMMAND)), **options):
    return subprocess.run([*command, *map(str, words)], capture_output=True, text=True, **options)


@pytest.mark.parametrize("words", [(), ("--help",), ("help",)])
def test_what_there_is_without_tensorflow(words):
    done = run(*words)
    assert done.returncode == 0
    for name in (
        "train gan",
        "train flow",
        "train vae",
        "train glann",
        "sample",
        "score",
        "export",
        "serve",
    ):
        assert f"tfgen {name} " in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "runpy" in imported and not {"tensorflow", "keras", "numpy"} & imported


@pytest.mark.parametrize("words", [("trian",), ("train",), ("train", "nade"), ("score.py",)])
def test_what_is_unknown_gets_one_line(words):
    done = run(*words, command=(sys.executable, str(COMMAND)))
    assert done.returncode == 1 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        "Expected one of: train gan, train flow, train vae, train glann, sample,"
    )
    assert line.endswith(f"Received: {' '.join(words)}")


def test_programs_get_the_words_that_follow(tmp_path, monkeypatch, capsys):
    import tfgen_command

    for name in ("console.py", "train_gan.py"):
        (tmp_path / name).write_text(
            "import sys\ndef prepare(): print('prepared')\n"
            "if __name__ == '__main__': print(__file__, sys.argv)"
        )
    monkeypatch.setattr(tfgen_command, "_folders", lambda: [tmp_path])
    monkeypatch.setattr(sys, "argv", ["tfgen"])
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "console", raising=False)
    tfgen_command.main(["train", "gan", "--epochs=2", "more"])
    monkeypatch.delitem(sys.modules, "console")
    program = str(tmp_path / "train_gan.py")
    assert capsys.readouterr().out.splitlines() == [
        "prepared",
        f"{program} {[program, '--epochs=2', 'more']}",
    ]


def test_every_command_has_a_program():
    import tfgen_command

    missing = [
        name
        for name, _ in tfgen_command.COMMANDS.values()
        if not any((folder / name).is_file() for folder in tfgen_command._folders())
    ]
    assert missing == []


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The command of a wheel in an environment that sees the other packages of this one."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # Building leaves files behind.
    others = shutil.ignore_patterns(".*", "build", "runs", "*.egg-info")
    shutil.copytree(ROOT, source, ignore=others)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    wheel = ["wheel", source, "--no-deps", "--no-build-isolation", "--wheel-dir", folder]
    subprocess.run([*pip, *wheel], check=True)
    environment = folder / "environment"
    venv.create(environment, symlinks=True)
    install = ["--python", environment / "bin/python", "install", "--no-deps"]
    subprocess.run([*pip, *install, *folder.glob("tfgen-*.whl")], check=True)
    (packages,) = (environment / "lib").glob("python*/site-packages")
    # The .pth files of those packages, one of which may name a checkout, are not heeded.
    (packages / "others.pth").write_text(sysconfig.get_path("purelib"))
    return environment / "bin/tfgen"


SMALL = (
    *("--dataset=digits", "--num_examples=200", "--epochs=2", "--batch_size=16"),
    *("--latent_dim=8", "--num_scored=50", "--features=pixels", "--verbose=0"),
)


@pytest.mark.ci
def test_a_wheel_does_all_of_it_from_anywhere(installed, tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}

    def tfgen(*words):
        done = run(*words, command=[str(installed)], cwd=tmp_path, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "tfgen train gan" in tfgen()
    tfgen("train", "gan", *SMALL, "--units=16", "--filters=4")
    few = ("--noise_dim=8", "--imle_epochs=2", "--loss=l1", "--noexport")
    tfgen("train", "glann", *SMALL, *few)
    model = "runs/gan_digits/model.keras"
    tfgen("export", f"--model={model}", "--path=served")
    for source, folder in ((model, "a"), ("served", "b")):
        tfgen("sample", f"--model={source}", f"--directory={folder}", "--num_samples=3", "--seed=1")
    names = ["00000.png", "00001.png", "00002.png", "samples.npy"]
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == names
    drawn = [np.load(tmp_path / folder / "samples.npy") for folder in "ab"]
    assert drawn[0].shape == (3, 8, 8, 1)
    np.testing.assert_allclose(*drawn, atol=1e-5)
    printed = tfgen("score", "digits:test", "served", "--features=pixels", "--num_scored=50")
    assert "served: FID " in printed and "coverage" in printed
    assert "--rest_port" in tfgen("serve", "--help")
