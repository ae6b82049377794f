"""Imports point down only, heavy packages are imported where they are used, nothing asserts."""

import ast
from collections.abc import Iterator
from pathlib import Path

import keras
import pytest

PACKAGE = Path(__file__).parents[2] / "tfgen"

FAMILIES = {
    "latent",
    "adversarial",
    "variational",
    "flows",
    "autoregressive",
    "quantized",
    "implicit",
}
FLOORS = (
    {"core"},
    {"data", "training", "layers", "distributions", "bijectors"},
    {"losses", "networks", "model"},
    FAMILIES | {"metrics", "serving"},
    {"callbacks"},
)
"""From the ground up. Packages of one floor do not see each other."""

BELOW = {
    package: set().union(*FLOORS[:height]) - ({"networks"} if package in FAMILIES else set())
    for height, floor in enumerate(FLOORS)
    for package in floor
}
BELOW["layers"] |= {"training"}  # The one file that touches private names of Keras.
BELOW["bijectors"] |= {"layers", "distributions"}
"""What each package may import, beside itself."""

PRIVATE = {
    name
    for kind in (keras.Model, keras.layers.Layer, keras.optimizers.Optimizer)
    for name in {*dir(kind), "_tracker", "_learning_rate", "_layers"}
    if name.startswith("_") and not name.startswith("__")
}
NEVER = ("tf_keras", "tensorflow_probability.layers", "tensorflow_addons")
IN_FUNCTIONS = (
    "tensorflow_probability",
    "tensorflow_datasets",
    "matplotlib",
    "sklearn",
    "faiss",
    "scipy",
)


def sources() -> dict[str, str]:
    """Returns the text of each module of the library, by its path within it."""
    return {str(path.relative_to(PACKAGE)): path.read_text() for path in PACKAGE.rglob("*.py")}


def imports(tree: ast.AST) -> Iterator[tuple[ast.stmt, str]]:
    """Yields the import statements of a tree, also those in functions, and what they import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            prefix = "." * node.level + (node.module or "")
            yield from ((node, f"{prefix}.{alias.name}") for alias in node.names)


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def at_import(tree: ast.Module) -> Iterator[ast.stmt]:
    """Yields the statements that run when a module is imported, those of its classes included."""
    for node in tree.body:
        yield from _run_at_import(node)


def _run_at_import(node: ast.stmt) -> Iterator[ast.stmt]:
    yield node
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        return
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        return
    for child in ast.iter_child_nodes(node):
        yield from _run_at_import(child)


def upward(path: str, text: str) -> list[str]:
    """Returns the imports of a module that do not point down."""
    package = Path(path).parts[0]
    wrong = []
    for _, name in imports(ast.parse(text)):
        if name.startswith("."):
            wrong.append(f"{path}: {name} is relative")
        elif within(name, "tfgen") and package != "__init__.py":
            target = name.split(".")[1] if "." in name else "tfgen"
            if target != package and target not in BELOW[package]:
                wrong.append(f"{path}: {name}")
    return wrong


def heavy(path: str, text: str) -> list[str]:
    """Returns the optional packages that a module imports when it is imported."""
    tree = ast.parse(text)
    early = set(map(id, at_import(tree)))
    return [
        f"{path}: {name}"
        for node, name in imports(tree)
        if id(node) in early and any(within(name, package) for package in IN_FUNCTIONS)
    ]


def forbidden(path: str, text: str) -> list[str]:
    """Returns what a module uses of packages that do not go with Keras 3."""
    tree = ast.parse(text)
    names = [name for _, name in imports(tree)]
    names += [
        ast.unparse(node).replace("tfp.", "tensorflow_probability.", 1)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
    ]
    return [f"{path}: {name}" for name in names if any(within(name, never) for never in NEVER)]


def assertions(path: str, text: str) -> list[str]:
    """Returns the assert statements of a module."""
    return [
        f"{path}:{node.lineno}"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Assert)
    ]


def private(path: str, text: str) -> list[str]:
    """Returns the names that Keras keeps private and a module uses, but for the one that may."""
    if path == "training/keras_compat.py":
        return []
    return [
        f"{path}:{node.lineno}: {node.attr}"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Attribute) and node.attr in PRIVATE
    ]


@pytest.mark.parametrize("check", [upward, heavy, forbidden, assertions, private])
def test_library(check):
    found = sources()
    assert len(found) > 20
    assert [wrong for path, text in found.items() for wrong in check(path, text)] == []


def test_every_package_has_a_place():
    packages = {path.parent.name for path in PACKAGE.glob("*/*.py")}
    assert packages - set(BELOW) == set()


@pytest.mark.parametrize(
    ("check", "path", "text"),
    [
        (upward, "core/files.py", "from tfgen.losses import SquaredError"),
        (upward, "core/files.py", "def f():\n    import tfgen"),
        (upward, "core/files.py", "def f():\n    from tfgen import latent"),
        (upward, "core/files.py", "from . import random"),
        (upward, "layers/spectral_norm.py", "from tfgen.data import load"),
        (upward, "layers/spectral_norm.py", "from tfgen.losses import penalties"),
        (upward, "model/model.py", "from tfgen.losses import SquaredError"),
        (upward, "training/update.py", "from tfgen.model.model import GenerativeModel"),
        (upward, "layers/spectral_norm.py", "from tfgen.networks import MLP"),
        (upward, "latent/glo.py", "import tfgen.networks.mlp"),
        (upward, "latent/glo.py", "from tfgen import networks"),
        (upward, "latent/glo.py", "from tfgen.adversarial.gan import GAN"),
        (upward, "flows/glow.py", "from tfgen.latent import GLO"),
        (upward, "metrics/kernel.py", "from tfgen.latent import nearest"),
        (upward, "serving/export.py", "from tfgen.metrics import Score"),
        (heavy, "losses/mmd.py", "import scipy.stats"),
        (heavy, "losses/mmd.py", "class A:\n    from sklearn import mixture"),
        (heavy, "losses/mmd.py", "if True:\n    import tensorflow_probability as tfp"),
        (heavy, "losses/mmd.py", "try:\n    import faiss\nexcept ImportError:\n    faiss = None"),
        (forbidden, "losses/mmd.py", "def f():\n    import tf_keras"),
        (forbidden, "losses/mmd.py", "from tensorflow_probability import layers"),
        (forbidden, "losses/mmd.py", "def f(tfp):\n    return tfp.layers.DenseFlipout(3)"),
        (assertions, "losses/mmd.py", "def f(x):\n    assert x"),
        (private, "losses/mmd.py", "def f(layer):\n    return layer._flatten_layers()"),
        (private, "training/update.py", "def f(optimizer):\n    return optimizer._learning_rate"),
    ],
)
def test_checks_find_what_is_wrong(check, path, text):
    assert len(check(path, text)) >= 1


@pytest.mark.parametrize(
    ("check", "path", "text"),
    [
        (upward, "serving/export.py", "from tfgen.model.model import GenerativeModel"),
        (upward, "__init__.py", "from tfgen import serving"),
        (upward, "networks/dcgan.py", "from tfgen.layers import SpectralNormalization"),
        (heavy, "losses/mmd.py", "def f():\n    import scipy"),
        (heavy, "losses/mmd.py", "if TYPE_CHECKING:\n    import scipy"),
    ],
)
def test_checks_pass_what_is_right(check, path, text):
    assert check(path, text) == []
