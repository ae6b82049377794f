"""Packaging of tfgen."""

import os
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
VERSION = (ROOT / "tfgen/core/version.py").read_text().split('"')[-2]


class BuildWithPrograms(build_py):
    """Puts the programs that the command `tfgen` runs into the wheel, as tfgen/programs."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:  # Where they are found beside the package.
            folder = os.path.join(self.build_lib, "tfgen", "programs")
            self.mkpath(folder)
            for program in self.programs():
                self.copy_file(program, folder)

    def get_source_files(self) -> list[str]:
        return super().get_source_files() + self.programs()

    @staticmethod
    def programs() -> list[str]:
        """Returns their paths, relative to the root."""
        found = [
            path for name in ("examples", "export") for path in ROOT.joinpath(name).glob("*.py")
        ]
        return sorted(os.path.relpath(path) for path in found)


setup(
    name="tfgen",
    version=VERSION,
    description="Deep generative models for TensorFlow and Keras, exported for TensorFlow Serving",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    package_dir={"": "."},  # Editable installs then work from any directory.
    packages=find_packages(include=["tfgen", "tfgen.*"]),
    package_data={"tfgen": ["py.typed"]},
    py_modules=["tfgen_command"],
    entry_points={"console_scripts": ["tfgen = tfgen_command:main"]},
    cmdclass={"build_py": BuildWithPrograms},
    install_requires=[
        "tensorflow>=2.18",
        "keras>=3.6",
        "tf-keras>=2.18",
        "tensorflow-probability>=0.25",
        "tensorflow-datasets>=4.9.7",
        "absl-py>=2.1",
        "importlib-resources>=6.0",  # TFDS 4.9 needs it to download.
        "numpy>=1.26",
        "pillow>=11.1",
        "scikit-learn>=1.4",
        "scipy>=1.11",
        "matplotlib>=3.7",
    ],
    extras_require={
        "test": ["pytest>=7.4", "pytest-xdist>=3.6", "ruff>=0.12"],
        "examples": ["tensorboard>=2.18"],
        "faiss": ["faiss-cpu>=1.8"],
        "serve": ["tensorflow-serving-api>=2.18"],  # Stubs for callers; tfgen needs none.
        "torch": ["torch>=2.2"],
        "convert": ["ai-edge-litert>=2.0", "onnxruntime>=1.20", "tf2onnx>=1.16"],
    },
    classifiers=[
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
)
