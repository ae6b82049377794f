"""An exported model gives through the C++ loader alone what it gives in process."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import tfgen
from tests.contract import cases, processes
from tests.contract.warmup_protocol import read_requests
from tfgen import serving
from tfgen.core import random

BATCHES = (1, 7)
SEED = 11


def noun(model) -> str:
    return "images" if len(model.event_shape) == 3 else "examples"


def requests_to(model, batch: int) -> list[tuple[str, dict[str, np.ndarray]]]:
    """Returns a request of `batch` rows to each signature that the model's capabilities ask for."""
    rng = np.random.default_rng(batch)
    condition = cases.condition(model, batch)
    seeds = {"seed": SEED + np.arange(batch, dtype=np.int64) * 2**32, **condition}
    asked = [("sample", seeds), ("serving_default", seeds)]
    if noun(model) == "images":
        asked.append(("sample_png", seeds))
    if "decode" in model.capabilities():
        z = rng.normal(size=(batch, model.latent_dim))
        asked.append(("decode", {"z": z.astype(np.float32), **condition}))
    for name in ("encode", "reconstruct", "log_prob"):
        if name in model.capabilities():
            x = rng.uniform(size=(batch, *model.event_shape))
            asked.append((name, {noun(model): x.astype(np.float32), **condition}))
    return asked


def answer(model, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns what a request gives in process."""
    condition = [inputs[name] for name in inputs if name == "label"]
    (value,) = (inputs[name] for name in inputs if name != "label")
    if signature in ("sample", "serving_default", "sample_png"):
        samples = model.sample_rows(random.row_seeds_from_int64(value), *condition)
        return {"pixels" if signature == "sample_png" else noun(model): samples.numpy()}
    result = getattr(model, signature)(tf.constant(value), *condition)
    if signature == "encode":
        named = result._asdict() if hasattr(result, "_asdict") else {"z": result}
        return {name: tensor.numpy() for name, tensor in named.items()}
    name = "log_prob" if signature == "log_prob" else noun(model)
    return {name: result.numpy()}


def decoded(response: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns a response with its pictures as pixels in [0, 1]."""
    if "png_bytes" not in response:
        return response
    images = [tf.io.decode_png(png).numpy() for png in response["png_bytes"]]
    return {"pixels": np.stack(images) / np.float32(255)}


@pytest.fixture(scope="module")
def served(trained, tmp_path_factory):
    """Directories, requests, signatures and responses of all cases, by name, from one process."""
    folder = tmp_path_factory.mktemp("served")
    asked = {}
    for case in cases.MODELS:
        model = trained(case)
        version = serving.export(model, folder / case.name, {"fid": 12.5})
        requests = [request for batch in BATCHES for request in requests_to(model, batch)]
        warmup = read_requests(version / "assets.extra" / "tf_serving_warmup_requests")
        requests += [(request.signature, request.inputs) for request in warmup]
        asked[case.name] = (str(version), requests)
    (folder / "requests.pickle").write_bytes(pickle.dumps(asked))
    worker = Path(__file__).parent / "workers" / "serve.py"
    processes.run(worker, folder / "requests.pickle", folder / "responses.pickle")
    responses = pickle.loads((folder / "responses.pickle").read_bytes())
    return {
        name: (Path(path), requests, *responses[name]) for name, (path, requests) in asked.items()
    }


@pytest.mark.parametrize("case", **cases.by_name(cases.MODELS))
def test_outputs_equal_those_in_process(served, trained, case):
    _, requests, _, responses = served[case.name]
    assert len(requests) == len(responses) > 0
    for (signature, inputs), response in zip(requests, responses, strict=True):
        response = decoded(response)
        expected = answer(trained(case), signature, inputs)
        assert response.keys() == expected.keys(), signature
        tolerance = 0.51 / 255 if signature == "sample_png" else 1e-5
        for name, value in expected.items():
            assert response[name].shape == value.shape, (signature, name)
            np.testing.assert_allclose(
                response[name], value, rtol=1e-4, atol=tolerance, err_msg=signature
            )


@pytest.mark.parametrize("case", **cases.by_name(cases.MODELS))
def test_a_served_seed_is_a_row_of_a_sample(served, trained, case):
    _, requests, _, responses = served[case.name]
    model = trained(case)
    condition = cases.condition(model, max(BATCHES)).values()
    samples = model.sample(max(BATCHES), SEED, *condition).numpy()
    found = [
        response
        for (name, inputs), response in zip(requests, responses, strict=True)
        if name == "sample" and inputs["seed"][0] == SEED
    ]
    assert len(found) == len(BATCHES)
    for response in found:
        (images,) = response.values()
        np.testing.assert_allclose(images, samples[: len(images)], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", **cases.by_name(cases.MODELS))
def test_signatures_are_those_of_the_capabilities_and_take_batches(served, trained, case):
    _, _, signatures, _ = served[case.name]
    assert set(signatures) == {name for name, _ in requests_to(trained(case), 1)}
    for name, (inputs, outputs) in signatures.items():
        for shape in (*inputs.values(), *outputs.values()):
            assert shape[0] == -1, name


@pytest.mark.parametrize("case", **cases.by_name(cases.MODELS))
def test_warm_up_calls_each_signature_with_one_row(served, case):
    path, _, signatures, _ = served[case.name]
    requests = read_requests(path / "assets.extra" / "tf_serving_warmup_requests")
    called = [request.signature for request in requests]
    assert sorted(called) == sorted(set(signatures) - {"serving_default"})
    assert {request.model for request in requests} == {"default"}
    for request in requests:
        assert {name: value.shape[0] for name, value in request.inputs.items()} == dict.fromkeys(
            signatures[request.signature][0], 1
        )


@pytest.mark.parametrize("case", **cases.by_name(cases.MODELS))
def test_model_card(served, trained, case):
    path, _, signatures, _ = served[case.name]
    model = trained(case)
    card = json.loads((path / "assets.extra" / "model_card.json").read_text())
    assert card["model"] == type(model).__name__
    assert card["name"] == model.name
    assert set(card["capabilities"]) == model.capabilities()
    assert card["event_shape"] == list(model.event_shape)
    assert card["range"] == ([0.0, 1.0] if noun(model) == "images" else None)
    assert "2**32" in card["seed_contract"]
    assert card["training_steps"] > 0
    assert card["training_metrics"] == {"fid": 12.5}
    assert card["versions"]["tfgen"] == tfgen.__version__
    assert card["versions"]["tensorflow"] == tf.__version__
    assert set(card["signatures"]) == set(signatures) - {"serving_default"}
    for name, inputs in card["signatures"].items():
        shapes = {
            key: [-1 if size is None else size for size in spec["shape"]]
            for key, spec in inputs.items()
        }
        assert shapes == signatures[name][0]
    assert card["signatures"]["sample"]["seed"]["dtype"] == "int64"


@pytest.mark.parametrize("case", **cases.by_name([c for c in cases.MODELS if c.unserved]))
def test_only_what_is_served_is_written(served, trained, case):
    path, *_ = served[case.name]
    reader = tf.train.load_checkpoint(str(path / "variables" / "variables"))
    names = [name for name in reader.get_variable_to_shape_map() if "VARIABLE_VALUE" in name]
    written = {reader.get_tensor(name).tobytes() for name in names}
    unserved = case.unserved(trained(case))
    assert unserved
    for variable in unserved:
        assert variable.numpy().tobytes() not in written, variable.path
