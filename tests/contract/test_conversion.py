"""What is exported converts to TensorFlow Lite and ONNX, and gives there what it gives here."""

import numpy as np
import pytest
import tensorflow as tf

from tests.contract import cases
from tests.contract.test_served import inputs_of
from tfgen import serving

pytestmark = pytest.mark.ci

ROWS = 3
CONVERTED = ("sample", "decode", "log_prob", "classify")
"""The verbs of which a graph has no gradients."""


@pytest.fixture(scope="module", params=["gan_conditional", "glo_ball_mixture"])
def exported(request, tmp_path_factory):
    """A model, the path of its SavedModel, and what is loaded from there."""
    model = cases.named(request.param).compiled()
    path = str(serving.export(model, tmp_path_factory.mktemp("serving")))
    return model, path, tf.saved_model.load(path)


def requests(model, loaded, verbs):
    """Yields the signature of each verb that the model has, a request to it and the answer."""
    for verb in sorted(set(verbs) & model.capabilities()):
        inputs = {name: np.asarray(rows) for name, rows in inputs_of(model, verb, ROWS).items()}
        signature = loaded.signatures[verb]
        yield verb, inputs, signature(**{name: tf.constant(rows) for name, rows in inputs.items()})


def as_onnx(signature) -> bytes:
    """Returns a signature as an ONNX model."""
    import tf2onnx

    inputs = signature.structured_input_signature[1].items()
    specs = [tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in inputs]
    graph = tf.function(
        lambda *given: signature(**{s.name: x for s, x in zip(specs, given, strict=True)})
    )
    return tf2onnx.convert.from_function(graph, specs, opset=18)[0].SerializeToString()


@pytest.mark.filterwarnings("ignore")  # The converters' own.
def test_tensorflow_lite_of_built_in_operations(exported):
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    model, path, loaded = exported
    for verb, inputs, expected in requests(model, loaded, CONVERTED):
        converter = tf.lite.TFLiteConverter.from_saved_model(path, signature_keys=[verb])
        lite = litert.Interpreter(model_content=converter.convert())
        found = lite.get_signature_runner(verb)(**inputs)
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-5, err_msg=verb)


@pytest.mark.filterwarnings("ignore")
def test_onnx_of_decode(exported):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    model, _, loaded = exported
    ((_, inputs, expected),) = requests(model, loaded, ["decode"])
    session = onnxruntime.InferenceSession(as_onnx(loaded.signatures["decode"]))
    for found, value in zip(session.run(None, inputs), expected.values(), strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-5, atol=1e-5)
