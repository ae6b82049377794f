"""What the README and the documents show works as it stands."""

import ast
import re
import textwrap
from pathlib import Path

import numpy as np
import pytest

import tfgen

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCUMENTS = [README, ROOT / "CONTRIBUTING.md", ROOT / "export/README.md"]
DOCUMENTS += sorted(ROOT.glob("docs/*/*.md"))
MOST_WORDS = 1_200


def for_one_epoch(code):
    """Returns code whose calls of `fit` train for one epoch, of each stage if there are stages.

    Also returns what `epochs` was in each call, a number or a dictionary.
    """
    tree, before = ast.parse(code), []
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith(".fit"):
            (epochs,) = (word.value for word in call.keywords if word.arg == "epochs")
            before.append(ast.literal_eval(epochs))
            for part in ast.walk(epochs):
                if isinstance(part, ast.Constant) and isinstance(part.value, int):
                    part.value = 1
    return ast.unparse(tree), before


def test_numbers_of_epochs_are_replaced():
    code = "gan.fit(x, epochs=20)\nglann.fit(x, epochs={'glo': 30, 'imle': 100}, callbacks=[f(7)])"
    short, before = for_one_epoch(code)
    assert short == (
        "gan.fit(x, epochs=1)\nglann.fit(x, epochs={'glo': 1, 'imle': 1}, callbacks=[f(7)])"
    )
    assert before == [20, {"glo": 30, "imle": 100}]
    with pytest.raises(ValueError, match="not enough values"):
        for_one_epoch("gan.fit(x)")


@pytest.mark.ci
def test_the_code_runs(tmp_path, monkeypatch):
    """On the embedded digits, and for one epoch of each training."""
    code = "".join(re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL))
    assert '"fashion_mnist"' in code
    code, epochs = for_one_epoch(code.replace("fashion_mnist", "digits"))
    assert len(epochs) == 2 and set(epochs[0]) == {"glo", "imle"} and epochs[1] > 1
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(code, README.name, "exec"), names)
    assert names["images"].shape == (64, 8, 8, 1)
    for name in ("glann/model.keras", "glann/serving/1/saved_model.pb", "wgan_gp/model.keras"):
        assert (tmp_path / "runs" / name).is_file()
    assert len(list((tmp_path / "runs/wgan_gp").glob("*.png"))) == 1


def test_the_model_of_the_contributor_works(tmp_path, monkeypatch):
    """It trains, resumes, is loaded from its file, and gives the same samples when it is served."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    define, use = (
        textwrap.dedent(block) for block in re.findall(r" *```python\n(.*?) *```", text, re.DOTALL)
    )
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "contributed"}
    exec(compile(define + use, "CONTRIBUTING.md", "exec"), names)
    model, samples = names["model"], names["samples"]
    assert model.history.history["loss"][-1] < model.history.history["loss"][0]
    again = {"__name__": "contributed"}
    exec(compile(define + use.replace("epochs=5", "epochs=6"), "CONTRIBUTING.md", "exec"), again)
    assert len(again["model"].history.history["loss"]) == 1, "it did not go on from the checkpoint"
    loaded = tfgen.load_model("runs/tiny_vae/model.keras")
    np.testing.assert_array_equal(loaded.sample(16, seed=0), again["samples"])
    with tfgen.serving.SessionLoader("runs/tiny_vae/serving/1") as served:
        assert set(served.signatures) >= {"sample", "decode", "encode", "reconstruct"}
        seeds = np.arange(16, dtype=np.int64) << 32
        np.testing.assert_allclose(served("sample", seed=seeds)["points"], samples, atol=1e-5)


def test_the_readme_is_short():
    assert len(README.read_text().split()) <= MOST_WORDS


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_documents_name_what_exists(document):
    """Programs, and the files and headings that links go to."""
    text = document.read_text()
    programs = set(re.findall(r"(?:examples|export)/[\w/]+\.py", text))
    assert [name for name in sorted(programs) if not (ROOT / name).is_file()] == []
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text):
        name, _, anchor = target.partition("#")
        path = document.parent / name if name else document
        assert path.is_file(), target
        assert not anchor or anchor in anchors(path.read_text()), target


def anchors(text):
    """Returns what a Markdown page calls its headings in links."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
