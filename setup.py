"""Packaging of tfgen."""

from pathlib import Path

from setuptools import find_packages, setup

TESTS = ["pytest>=7.4", "ruff>=0.5", "scipy>=1.10", "psutil>=5.9"]
EXAMPLES = ["matplotlib>=3.7", "tensorboard>=2.18"]

setup(
    name="tfgen",
    version="0.1.0.dev0",
    description="Deep generative models for TensorFlow and Keras, exported for TensorFlow Serving",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=["tfgen", "tfgen.*"]),
    package_data={"tfgen": ["py.typed"]},
    install_requires=[
        "tensorflow>=2.18",
        "keras>=3.6",
        "tf-keras>=2.18",
        "tensorflow-probability>=0.25",
        "tensorflow-datasets>=4.9.7",
        "absl-py>=2.1",
        "importlib-resources>=6.0",  # TFDS 4.9 needs it to download.
        "numpy>=1.26",
        "scikit-learn>=1.4",
        "matplotlib>=3.7",
    ],
    extras_require={
        "test": TESTS,
        "examples": EXAMPLES,
        "faiss": ["faiss-cpu>=1.8"],
    },
    classifiers=[
        "License :: OSI Approved :: Apache Software License",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
)
