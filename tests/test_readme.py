"""What the README shows works as it stands."""

import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_the_first_block_runs(tmp_path, monkeypatch):
    """On the embedded digits, and for one epoch of each stage."""
    code = re.search(r"```python\n(.*?)```", README.read_text(), re.DOTALL)[1]
    assert '"fashion_mnist"' in code
    code, count = re.subn(r"epochs=\d+", "epochs=1", code.replace("fashion_mnist", "digits"))
    assert count == 2
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(code, README.name, "exec"), names)
    assert names["images"].shape == (64, 8, 8, 1)
    assert (tmp_path / "runs/glann/model.keras").is_file()
    assert (tmp_path / "runs/glann/serving/1/saved_model.pb").is_file()
