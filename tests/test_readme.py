"""What the README shows works as it stands."""

import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_the_code_runs(tmp_path, monkeypatch):
    """On the embedded digits, and for one epoch of each training."""
    code = "".join(re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL))
    assert '"fashion_mnist"' in code
    code, count = re.subn(r"epochs=\d+", "epochs=1", code.replace("fashion_mnist", "digits"))
    assert count == 3
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(code, README.name, "exec"), names)
    assert names["images"].shape == (64, 8, 8, 1)
    for name in ("glann/model.keras", "glann/serving/1/saved_model.pb", "wgan_gp/model.keras"):
        assert (tmp_path / "runs" / name).is_file()
    assert len(list((tmp_path / "runs/wgan_gp").glob("*.png"))) == 1
