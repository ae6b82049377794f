"""Runs SavedModels as a server does, in a process that cannot import tfgen.

Usage: python serve.py REQUESTS.pickle RESPONSES.pickle

Requests are {name: (path, [(signature, {input: value}), ...])}; responses are, by name, the
signatures as {signature: ({input: shape}, {output: shape})} and the outputs of the requests.
"""

import pickle
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

BLOCKED = ("tfgen",)


class Blocker:
    """Refuses to import what a model server does not have."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"{name} is blocked")


sys.meta_path.insert(0, Blocker())


def serve(path: str, requests: Sequence) -> tuple[dict, list]:
    """Returns the signatures of a SavedModel and what requests to it give."""
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], path)
        signatures = loaded.signature_def
        responses = []
        for signature, inputs in requests:
            definition = signatures[signature]
            fetches = {name: info.name for name, info in definition.outputs.items()}
            feeds = {definition.inputs[name].name: value for name, value in inputs.items()}
            responses.append(session.run(fetches, feeds))
        shapes = {
            name: (_shapes(signature.inputs), _shapes(signature.outputs))
            for name, signature in signatures.items()
            if name != "__saved_model_init_op"
        }
    return shapes, responses


def _shapes(tensors: Any) -> dict[str, list[int]]:
    return {name: [axis.size for axis in info.tensor_shape.dim] for name, info in tensors.items()}


def main(requests: str, responses: str) -> None:
    """Serves all models."""
    served = {
        name: serve(path, asked)
        for name, (path, asked) in pickle.loads(Path(requests).read_bytes()).items()
    }
    imported = [name for name in sys.modules if name.partition(".")[0] in BLOCKED]
    if imported:
        raise ImportError(f"Expected none of {BLOCKED}. Received: {imported}")
    Path(responses).write_bytes(pickle.dumps(served))


if __name__ == "__main__":
    main(*sys.argv[1:])
