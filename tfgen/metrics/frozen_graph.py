"""From the public frozen graph of Inception 2015 to the weights that this package reads."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfgen.core.checks import check_member, expected
from tfgen.core.files import written_whole
from tfgen.metrics.features import check_file


def convert_frozen_graph(
    pb_path: str | os.PathLike, npz_path: str | os.PathLike, dtype: str = "float32"
) -> None:
    """Writes the weights of the public `classify_image_graph_def.pb` as an .npz file.

    Batch norms are folded into kernels and biases. Slashes in layer names become underscores:
    "mixed_4/tower/conv_1" gives `mixed_4_tower_conv_1/kernel` and `.../bias`; the last layer gives
    `softmax/kernel` and `softmax/bias`. The file gets its name when it is whole.

    Args:
        pb_path: the frozen graph.
        npz_path: where to write; a file there is replaced.
        dtype: "float32", or "float16" for half the size.

    Raises:
        FileNotFoundError: when there is no file at `pb_path`.
        OSError: when the file cannot be written.
        ValueError: when it is no graph, or a graph without convolutions followed by batch norms;
            when `npz_path` does not end in .npz, or `dtype` is another.
    """
    check_member("dtype", dtype, ("float16", "float32"))
    npz_path = Path(npz_path)
    if npz_path.suffix != ".npz":
        raise ValueError(expected("`npz_path` that ends in .npz", npz_path))
    arrays = {key: value.astype(dtype) for key, value in _folded_weights(pb_path).items()}
    with written_whole(npz_path) as unfinished:
        np.savez(unfinished, **arrays)


def _folded_weights(pb_path: str | os.PathLike) -> dict[str, np.ndarray]:
    nodes = _read_graph(pb_path)
    norms = [n for n in nodes.values() if n.op == "BatchNormWithGlobalNormalization"]
    if not norms:
        raise ValueError(
            expected("a graph with BatchNormWithGlobalNormalization", f"{pb_path}, without any")
        )
    arrays = {}
    for norm in norms:
        conv = _source(nodes, _input(norm, 0))
        if conv.op != "Conv2D":
            raise ValueError(expected(f"{norm.name} to normalise a Conv2D", conv.op))
        layer = conv.name.rpartition("/")[0].replace("/", "_")
        kernel, bias = _fold(nodes, conv, norm)
        arrays[f"{layer}/kernel"], arrays[f"{layer}/bias"] = kernel, bias
    for key, name in (("softmax/kernel", "softmax/weights"), ("softmax/bias", "softmax/biases")):
        if name in nodes:
            arrays[key] = _constant(nodes, name)
    return arrays


def _fold(
    nodes: Mapping[str, tf.compat.v1.NodeDef],
    conv: tf.compat.v1.NodeDef,
    norm: tf.compat.v1.NodeDef,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the kernel and bias that do what the convolution and its batch norm do."""
    mean, variance, beta, gamma = (_constant(nodes, _input(norm, i)) for i in range(1, 5))
    scale = 1.0 / np.sqrt(variance.astype(np.float64) + norm.attr["variance_epsilon"].f)
    if norm.attr["scale_after_normalization"].b:
        scale = scale * gamma
    kernel = _constant(nodes, _input(conv, 1))
    if kernel.ndim != 4 or any(x.shape != kernel.shape[3:] for x in (mean, variance, beta, gamma)):
        shapes = [x.shape for x in (kernel, mean, variance, beta, gamma)]
        what = f"the constants of {norm.name} to be of its convolution's [..., out] and [out]"
        raise ValueError(expected(what, shapes))
    return kernel * scale, beta - mean * scale


def _read_graph(pb_path: str | os.PathLike) -> dict[str, tf.compat.v1.NodeDef]:
    path = check_file(pb_path, "a frozen graph, classify_image_graph_def.pb")
    graph = tf.compat.v1.GraphDef()
    try:
        graph.ParseFromString(path.read_bytes())
    except Exception as error:  # The class protobuf raises is not part of TensorFlow's API.
        raise ValueError(expected("a complete frozen graph", f"{path}: {error}")) from error
    return {node.name: node for node in graph.node}


def _constant(nodes: Mapping[str, tf.compat.v1.NodeDef], name: str) -> np.ndarray:
    node = _source(nodes, name)
    if node.op != "Const":
        raise ValueError(expected(f"{node.name} to be a constant of a frozen graph", node.op))
    try:
        return tf.make_ndarray(node.attr["value"].tensor).astype(np.float32)
    except (TypeError, ValueError, MemoryError) as error:
        raise ValueError(expected(f"{node.name} to hold a tensor of numbers", error)) from error


def _source(nodes: Mapping[str, tf.compat.v1.NodeDef], name: str) -> tf.compat.v1.NodeDef:
    """Returns the node of an input such as "conv/conv2d_params:0", looking through identities."""
    for _ in range(len(nodes) + 1):
        name = name.removeprefix("^").partition(":")[0]
        if name not in nodes:
            raise ValueError(expected(f"a graph with the node {name}", "one without it"))
        node = nodes[name]
        if node.op not in ("Identity", "CheckNumerics"):
            return node
        name = _input(node, 0)
    raise ValueError(expected(f"{name} to come from a node that computes", "a circle of nodes"))


def _input(node: tf.compat.v1.NodeDef, index: int) -> str:
    if index >= len(node.input):
        what = f"{node.name} ({node.op}) to have at least {index + 1} inputs"
        raise ValueError(expected(what, len(node.input)))
    return node.input[index]
