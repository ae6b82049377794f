"""An exported model gives through the C++ loader alone what it gives in process."""

import json
import pickle
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfgen
from tests.contract import cases, processes
from tests.contract.warmup_protocol import read_requests
from tfgen import serving
from tfgen.core import random
from tfgen.core.specs import bounds, by_name, like_nest
from tfgen.model.inversion import Encoding, latents
from tfgen.model.rows import VERBS

BATCHES = (1, 7)
SEED = 11
NUM_IMPORTANCE = 3


def served_name(kind: str, model) -> str:
    """Returns what an input or output of a verb is called."""
    return model.event_spec.name if kind == "x" else kind


def inputs_of(model, verb: str, batch: int) -> dict[str, np.ndarray]:
    """Returns rows of each input of a verb's signature."""
    inputs = {}
    for kind in VERBS[verb].takes:
        if kind == "z":
            inputs |= by_name(cases.latents(model, batch), "z")
        elif kind == "seed":
            inputs["seed"] = SEED + np.arange(batch, dtype=np.int64) * 2**32
        elif kind == "x":
            inputs[model.event_spec.name] = cases.rows(model.event_spec, batch)
        elif kind == "mask":
            inputs["mask"] = np.float32(
                np.arange(batch)[:, None] > np.arange(model.mask_spec.shape[0])
            )
        elif model.has_temperature:
            inputs["temperature"] = np.linspace(0.5, 1.5, batch, dtype=np.float32)
    return inputs | cases.condition(model, batch)


def requests_to(model, batch: int) -> list[tuple[str, dict[str, np.ndarray]]]:
    """Returns a request of `batch` rows to each signature that the model's capabilities ask for."""
    able = [verb for verb in VERBS if verb in model.capabilities()]
    asked = [(verb, inputs_of(model, verb, batch)) for verb in able]
    asked.append(("serving_default", asked[0][1]))
    if model.event_spec.name == "images" and "sample" in able:
        asked.append(("sample_png", asked[0][1]))
    return asked


def answer(model, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns what a request gives in process, through the public verb."""
    first = next(verb for verb in VERBS if verb in model.capabilities())
    verb = {"serving_default": first, "sample_png": "sample"}.get(signature, signature)
    given = {name: inputs[name] for name in model.condition_specs} or None
    seeds = random.row_seeds_from_int64(inputs["seed"]) if "seed" in inputs else None
    x, temperature = inputs.get(model.event_spec.name), inputs.get("temperature")
    latent = keras.tree.flatten([inputs[name] for name in sorted(inputs) if name[0] == "z"])
    result = {
        "sample": lambda: model.sample(len(seeds), seeds, given, temperature),
        "decode": lambda: model.decode(like_nest(model.latent_spec, latent), given),
        "encode": lambda: model.encode(x, given),
        "reconstruct": lambda: model.reconstruct(x, given),
        "log_prob": lambda: model.log_prob(x, given),
        "log_prob_bound": lambda: model.log_prob_bound(x, NUM_IMPORTANCE, seeds, given),
        "classify": lambda: model.classify(x, given),
        "complete": lambda: model.complete(x, inputs["mask"], seeds, given, temperature),
    }[verb]()
    if verb == "encode":
        named = by_name(latents(result), "z")
        named |= {"distance": result.distance} if isinstance(result, Encoding) else {}
        return {name: np.asarray(value) for name, value in named.items()}
    name = "pixels" if signature == "sample_png" else served_name(VERBS[verb].gives, model)
    return {name: result.numpy()}


def decoded(response: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns a response with its pictures as pixels in [0, 1]."""
    if "png_bytes" not in response:
        return response
    images = [tf.io.decode_png(png).numpy() for png in response["png_bytes"]]
    return {"pixels": np.stack(images) / np.float32(255)}


@pytest.fixture(scope="module")
def served(chosen, trained, tmp_path_factory):
    """Directories, requests, signatures and responses of cases, by name, from one process."""
    folder = tmp_path_factory.mktemp("served")
    asked = {}
    for case in chosen:
        model = trained(case)
        version = serving.export(
            model, folder / case.name, {"fid": 12.5}, num_importance=NUM_IMPORTANCE
        )
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


@pytest.mark.parametrize("case", **cases.by_name(cases.SAMPLERS))
def test_a_served_seed_is_a_row_of_a_sample(served, trained, case):
    _, requests, _, responses = served[case.name]
    model = trained(case)
    given = cases.condition(model, max(BATCHES)) or None
    found = [
        response
        for (name, inputs), response in zip(requests, responses, strict=True)
        if name == "sample" and inputs["seed"][0] == SEED
    ]
    temperature = None if not model.has_temperature else np.linspace(0.5, 1.5, max(BATCHES))
    samples = model.sample(max(BATCHES), SEED, given, temperature).numpy()
    assert len(found) == len(BATCHES)
    for response in found:
        (images,) = response.values()
        if len(images) == max(BATCHES) or temperature is None:
            np.testing.assert_allclose(images, samples[: len(images)], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", **cases.by_name(cases.MODELS))
def test_signatures_are_those_of_the_capabilities_and_take_batches(served, trained, case):
    _, _, signatures, _ = served[case.name]
    assert set(signatures) == {name for name, _ in requests_to(trained(case), 1)}
    for name, (inputs, outputs) in signatures.items():
        for shape in (*inputs.values(), *outputs.values()):
            assert shape[0] == -1, name


@pytest.mark.parametrize("case", **cases.by_name(cases.MODELS))
def test_warm_up_calls_each_quick_signature_with_one_row(served, trained, case):
    path, _, signatures, _ = served[case.name]
    model = trained(case)
    slow = {verb for verb in model.capabilities() if model.is_slow(verb)}
    slow |= {"sample_png"} if "sample" in slow else set()
    requests = read_requests(path / "assets.extra" / "tf_serving_warmup_requests")
    called = [request.signature for request in requests]
    assert sorted(called) == sorted(set(signatures) - {"serving_default"} - slow)
    assert {request.model for request in requests} <= {"default"}
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
    ranges = {"images": [0.0, 1.0], "points": None, "tokens": [0, 2]}
    assert card["range"] == ranges[model.event_spec.name]
    assert "2**32" in card["seed_contract"]
    assert card["training_steps"] > 0
    assert card["training_metrics"] == {"fid": 12.5}
    assert card["versions"]["tfgen"] == tfgen.__version__
    assert card["versions"]["tensorflow"] == tf.__version__
    assert set(card["signatures"]) == set(signatures) - {"serving_default"}
    known = {model.event_spec.name: card["range"]}
    known |= {name: list(bounds(spec)) for name, spec in model.condition_specs.items()}
    for name, described in card["signatures"].items():
        for given, shapes in zip(
            (described["inputs"], described["outputs"]), signatures[name], strict=True
        ):
            assert shapes == {
                key: [-1 if size is None else size for size in part["shape"]]
                for key, part in given.items()
            }
            for key in known.keys() & given.keys():
                assert given[key]["range"] == known[key]
    if case.samples:
        assert card["signatures"]["sample"]["inputs"]["seed"]["dtype"] == "int64"


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


BAD_ROWS = {
    "label": ("gan_conditional", "sample", "label", lambda value: value + 3),
    "negative label": ("tokens", "log_prob", "label", lambda value: value - 2),
    "NaN in images": ("bigan", "encode", "images", lambda value: value * np.nan),
    "images above one": ("vae_labels", "log_prob_bound", "images", lambda value: value + 1),
    "infinite latents": ("gan", "decode", "z", lambda value: value + np.inf),
    "NaN in one level": ("levels_points", "decode", "z_1", lambda value: value * np.nan),
    "points": ("flow_residual", "log_prob", "points", lambda value: value * np.inf),
    "tokens": ("tokens", "log_prob", "tokens", lambda value: value + 3),
    "temperature": ("flow_residual", "sample", "temperature", lambda value: value * 0),
    "NaN temperature": ("tokens", "complete", "temperature", lambda value: value * np.nan),
    "NaN mask": ("tokens", "complete", "mask", lambda value: value * np.nan),
    "codes": ("codebook", "decode", "z", lambda value: value + 6),
}


@pytest.mark.parametrize("bad", BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_bad_row_is_refused_by_name(served, trained, bad):
    """With an error that the server sends back, never with garbage."""
    name, signature, wrong, spoil = bad
    path, *_ = served[name]
    inputs = inputs_of(trained(cases.named(name)), signature, 2)
    with serving.SessionLoader(path) as session:
        assert session(signature, **inputs)
        value = spoil(inputs[wrong].astype(inputs[wrong].dtype, copy=True))
        value[:1] = inputs[wrong][:1]  # The first row is right.
        with pytest.raises(tf.errors.InvalidArgumentError, match=f"Expected `{wrong}`"):
            session(signature, **(inputs | {wrong: value.astype(inputs[wrong].dtype)}))


EMPTY = [("gan", "encode"), ("gan_conditional", "sample"), ("bigan", "reconstruct")]


@pytest.mark.parametrize("name, signature", EMPTY)
def test_no_rows_are_refused(served, trained, name, signature):
    path, *_ = served[name]
    inputs = inputs_of(trained(cases.named(name)), signature, 1)
    empty = {key: value[:0] for key, value in inputs.items()}
    with serving.SessionLoader(path) as session:
        with pytest.raises(tf.errors.InvalidArgumentError, match="at least one row of `(im|la)"):
            session(signature, **empty)


@pytest.mark.parametrize("name", ["tokens"])
def test_a_mask_of_another_shape_is_refused(served, trained, name):
    path, *_ = served[name]
    inputs = inputs_of(trained(cases.named(name)), "complete", 2)
    with serving.SessionLoader(path) as session:
        with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match="mask"):
            session("complete", **(inputs | {"mask": inputs["mask"][:, :3]}))
