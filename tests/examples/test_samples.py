"""Samples of models of either form, as the programs draw them."""

from pathlib import Path

import numpy as np
import pytest

from tfgen import serving
from tfgen.adversarial import GAN
from tfgen.distributions import StandardNormal
from tfgen.networks import MLP, ConditionalGenerator, ProjectionDiscriminator

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_a_model_of_labels_and_its_export_give_the_same_samples(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(EXAMPLES)
    import samples

    generator = MLP((4, 4, 1), (8,), output_activation="sigmoid")
    gan = GAN(
        ConditionalGenerator(generator, 3, 4),
        ProjectionDiscriminator(MLP((1,), (8,)), 3),
        prior=StandardNormal(3),
        num_classes=3,
    )
    gan.save(tmp_path / "model.keras")
    serving.export(gan, tmp_path / "served")
    for label, labels in ((None, [0, 1, 2, 0, 1]), (2, [2] * 5)):
        drawn = {}
        for name in ("model.keras", "served"):
            drawn[name], found = samples.draw(tmp_path / name, 5, seed=1, label=label)
            np.testing.assert_array_equal(found, labels)
        np.testing.assert_allclose(*drawn.values(), rtol=1e-5)
    for name in ("model.keras", "served"):
        with pytest.raises(ValueError, match=r"Expected a label in \[0, 3\)\. Received: 3"):
            samples.draw(tmp_path / name, 5, seed=1, label=3)
