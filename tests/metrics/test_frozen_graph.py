import numpy as np
import pytest
import tensorflow as tf

from tfgen.metrics import convert_frozen_graph

FLOAT = tf.float32.as_datatype_enum
LAYERS = {"conv": (3, 4), "mixed/tower/conv_1": (4, 5)}


def add_node(graph, name, op, inputs=(), **attributes):
    node = graph.node.add(name=name, op=op, input=inputs)
    node.attr["T"].type = FLOAT
    for key, value in attributes.items():
        if isinstance(value, bool):
            node.attr[key].b = value
        elif isinstance(value, float):
            node.attr[key].f = value
        elif isinstance(value, list):
            node.attr[key].list.i.extend(value)
        else:
            node.attr[key].s = value
    return name


def add_constant(graph, name, value):
    node = graph.node.add(name=name, op="Const")
    node.attr["dtype"].type = FLOAT
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value, tf.float32))
    return name


def add_layer(graph, x, layer, channels, random, scaled):
    kernel = random.standard_normal((3, 3, *channels))
    add_constant(graph, f"{layer}/conv2d_params", kernel)
    strides = {"strides": [1, 1, 1, 1], "padding": b"SAME"}
    conv = add_node(graph, f"{layer}/Conv2D", "Conv2D", [x, f"{layer}/conv2d_params"], **strides)
    parts = {"moving_mean": random.standard_normal(channels[1])}
    parts["moving_variance"] = random.uniform(0.001, 2.0, channels[1])
    parts |= {part: random.standard_normal(channels[1]) for part in ("beta", "gamma")}
    inputs = [add_constant(graph, f"{layer}/batchnorm/{part}", parts[part]) for part in parts]
    norm = add_node(
        graph,
        f"{layer}/batchnorm",
        "BatchNormWithGlobalNormalization",
        [conv, *inputs],
        variance_epsilon=0.001,
        scale_after_normalization=scaled,
    )
    return add_node(graph, layer, "Relu", [norm])


def small_graph(scaled):
    graph = tf.compat.v1.GraphDef()
    graph.versions.producer = 8  # The batch norm's operation was withdrawn in version 9.
    graph.node.add(name="images", op="Placeholder").attr["dtype"].type = FLOAT
    x = "images"
    random = np.random.default_rng(0)
    for layer, channels in LAYERS.items():
        x = add_layer(graph, x, layer, channels, random, scaled)
    add_constant(graph, "softmax/weights", random.standard_normal((5, 2)))
    add_constant(graph, "softmax/biases", random.standard_normal(2))
    return graph


def run(graph_def, images):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        outputs = tf.import_graph_def(
            graph_def, {"images": tf.constant(images)}, [f"{layer}:0" for layer in LAYERS]
        )
        return session.run(outputs)


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_converted_weights_do_what_the_graph_does(scaled, dtype, tmp_path):
    graph = small_graph(scaled)
    (tmp_path / "graph.pb").write_bytes(graph.SerializeToString())
    convert_frozen_graph(tmp_path / "graph.pb", tmp_path / "new" / "weights.npz", dtype)
    assert [each.name for each in (tmp_path / "new").iterdir()] == ["weights.npz"]
    weights = dict(np.load(tmp_path / "new" / "weights.npz"))
    assert {value.dtype.name for value in weights.values()} == {dtype}

    images = np.random.default_rng(1).standard_normal((2, 6, 7, 3)).astype(np.float32)
    x = images
    for name, expected in zip(("conv", "mixed_tower_conv_1"), run(graph, images), strict=True):
        kernel, bias = (weights.pop(f"{name}/{kind}").astype("f4") for kind in ("kernel", "bias"))
        x = tf.nn.relu(tf.nn.conv2d(x, kernel, 1, "SAME") + bias)
        tolerance = 1e-5 if dtype == "float32" else 1e-2
        np.testing.assert_allclose(x, expected, atol=tolerance * np.abs(expected).max())
    assert {key: value.shape for key, value in weights.items()} == {
        "softmax/kernel": (5, 2),
        "softmax/bias": (2,),
    }


def test_kernels_behind_identities(tmp_path):
    graph = small_graph(scaled=False)
    add_node(graph, "read", "Identity", ["conv/conv2d_params"])
    conv = next(node for node in graph.node if node.name == "conv/Conv2D")
    (tmp_path / "plain.pb").write_bytes(graph.SerializeToString())
    conv.input[1] = "read:0"
    (tmp_path / "behind.pb").write_bytes(graph.SerializeToString())
    for name in ("plain", "behind"):
        convert_frozen_graph(tmp_path / f"{name}.pb", tmp_path / f"{name}.npz")
    kernels = [np.load(tmp_path / f"{name}.npz")["conv/kernel"] for name in ("plain", "behind")]
    np.testing.assert_array_equal(*kernels)


def node(graph, name):
    return next(node for node in graph.node if node.name == name)


def behind(graph, length):
    """Puts a chain of identities between the first kernel and its convolution."""
    name = "conv/conv2d_params"
    for i in range(length):
        name = add_node(graph, f"read_{i}", "Identity", [name])
    node(graph, "conv/Conv2D").input[1] = name


def circle(graph):
    behind(graph, 3)
    node(graph, "read_0").input[0] = "read_2"


def own_input(graph):
    behind(graph, 1)
    node(graph, "read_0").input[0] = "read_0"


def no_inputs(name, left=0):
    def damage(graph):
        behind(graph, 1)
        del node(graph, name).input[left:]

    return damage


def other_kind(name, op):
    def damage(graph):
        node(graph, name).op = op

    return damage


def constant_of(value):
    def damage(graph):
        tensor = tf.make_tensor_proto(value)
        node(graph, "conv/batchnorm/beta").attr["value"].tensor.CopyFrom(tensor)

    return damage


def no_type(graph):
    node(graph, "conv/conv2d_params").attr["value"].Clear()


def test_a_long_chain_of_identities(tmp_path):
    graph = small_graph(scaled=False)
    behind(graph, 5000)
    (tmp_path / "graph.pb").write_bytes(graph.SerializeToString())
    convert_frozen_graph(tmp_path / "graph.pb", tmp_path / "weights.npz")
    assert np.load(tmp_path / "weights.npz")["conv/kernel"].shape == (3, 3, 3, 4)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (circle, "read_[012] to come from .* a circle"),
        (own_input, "read_0 to come from .* a circle"),
        (no_inputs("read_0"), "read_0 .*at least 1 input"),
        (no_inputs("conv/Conv2D"), "conv/Conv2D .*at least 2 inputs"),
        (no_inputs("conv/Conv2D", 1), "conv/Conv2D .*at least 2 inputs"),
        (no_inputs("conv/batchnorm"), "conv/batchnorm .*at least 1 input"),
        (no_inputs("conv/batchnorm", 3), "conv/batchnorm .*at least 4 inputs"),
        (other_kind("conv/Conv2D", "Frobnicate"), "conv/batchnorm .*Received: Frobnicate"),
        (other_kind("conv/conv2d_params", "Placeholder"), "conv/conv2d_params to be a constant"),
        (constant_of(np.zeros(3, np.float32)), "conv/batchnorm to be"),
        (constant_of("text"), "conv/batchnorm/beta to hold"),
        (no_type, "conv/conv2d_params to hold"),
    ],
)
def test_graphs_that_are_damaged(damage, message, tmp_path):
    graph = small_graph(scaled=False)
    damage(graph)
    (tmp_path / "graph.pb").write_bytes(graph.SerializeToString())
    with pytest.raises(ValueError, match=f"Expected .*{message}"):
        convert_frozen_graph(tmp_path / "graph.pb", tmp_path / "weights.npz")
    assert not (tmp_path / "weights.npz").exists()


def test_files_that_are_no_such_graph(tmp_path):
    pb, npz = tmp_path / "graph.pb", tmp_path / "weights.npz"
    npz.write_bytes(b"older")
    with pytest.raises(FileNotFoundError, match="graph.pb"):
        convert_frozen_graph(pb, npz)
    whole = small_graph(scaled=False).SerializeToString()
    pb.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="complete frozen graph.*graph.pb"):
        convert_frozen_graph(pb, npz)
    pb.write_bytes(tf.Graph().as_graph_def().SerializeToString())
    with pytest.raises(ValueError, match="BatchNormWithGlobalNormalization"):
        convert_frozen_graph(pb, npz)
    graph = small_graph(scaled=False)
    graph.node.remove(next(node for node in graph.node if node.name == "conv/batchnorm/beta"))
    pb.write_bytes(graph.SerializeToString())
    with pytest.raises(ValueError, match="conv/batchnorm/beta"):
        convert_frozen_graph(pb, npz)
    with pytest.raises(ValueError, match="ends in .npz"):
        convert_frozen_graph(pb, tmp_path / "weights.h5")
    assert npz.read_bytes() == b"older"
    assert len(list(tmp_path.iterdir())) == 2
