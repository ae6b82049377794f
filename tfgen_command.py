"""The command `tfgen`: runs the programs of examples/ and export/ by short names.

It is no part of the package `tfgen`, whose import takes the seconds that TensorFlow's does.
"""

import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

COMMANDS = {
    "train gan": ("train_gan.py", "trains a GAN by the name of its recipe"),
    "train flow": ("train_flow.py", "trains a normalizing flow by the name of its recipe"),
    "train vae": ("train_vae.py", "trains a variational model by the name of its recipe"),
    "train glann": ("train_glann.py", "trains GLANN"),
    "sample": ("sample.py", "writes samples of a saved or exported model"),
    "score": ("score.py", "scores images, models or data sets against others"),
    "export": ("export_model.py", "exports a saved model for TensorFlow Serving"),
    "serve": ("serve.py", "serves an exported model on this machine, for trying out"),
}
"""The program of each command, and what it does."""

HELP = {"-h", "--help", "--helpshort", "--helpfull"}

HERE = Path(__file__).resolve().parent


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the program that the first words name, with the arguments that follow them."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in {*HELP, "help"}:
        print(usage())
        return
    command, rest = _parted(words)
    program = _program(COMMANDS[command][0])
    sys.path[:0] = map(str, _folders())
    import console  # It is beside the programs.

    console.prepare()
    sys.argv[:] = [str(program), *rest]
    try:
        runpy.run_path(str(program), run_name="__main__")
    except SystemExit:
        if not HELP.intersection(rest):  # absl gives help the status of an error.
            raise


def usage() -> str:
    """Returns what there is, a line for each command."""
    lines = [f"  tfgen {name:<12} {meaning}" for name, (_, meaning) in COMMANDS.items()]
    return "\n".join(
        ["Deep generative models. Each command lists its flags with --help.", "", *lines]
    )


def _parted(words: Sequence[str]) -> tuple[str, Sequence[str]]:
    """Returns the command that the first words are, and the rest; exits if they are none."""
    for length in (1, 2):
        command = " ".join(words[:length])
        if command in COMMANDS:
            return command, words[length:]
    sys.exit(f"Expected one of: {', '.join(COMMANDS)}. Received: {command}")


def _folders() -> list[Path]:
    """Returns where the programs are: in the wheel's package, or in a checkout beside it."""
    installed = HERE / "tfgen" / "programs"
    return [installed] if installed.is_dir() else [HERE / "examples", HERE / "export"]


def _program(name: str) -> Path:
    for folder in _folders():
        if (folder / name).is_file():
            return folder / name
    sys.exit(f"Expected {name} in {' or '.join(map(str, _folders()))}. Received: no such file")


if __name__ == "__main__":
    main()
