"""Recipes: each trains, comes back and samples, small; and what they refuse."""

from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgen import bijectors, distributions, flows
from tfgen.flows import recipes

LEVELS = {"dequantization": distributions.UniformDequantization(4)}
VECTORS = {
    "nice": lambda **k: recipes.nice((3,), 2, (8,), **k),
    "realnvp": lambda **k: recipes.realnvp((3,), 2, (8,), **k),
    "glow": lambda **k: recipes.glow((3,), depth=1, filters=8, warmup_steps=0, **k),
    "spline": lambda **k: recipes.spline((3,), depth=1, filters=8, num_bins=3, **k),
    "spline without linear maps": lambda **k: recipes.spline(
        (3,), depth=2, filters=8, num_bins=3, linear=False, **k
    ),
    "maf": lambda **k: recipes.maf((3,), 2, (8,), **k),
    "iaf": lambda **k: recipes.iaf((3,), 2, (8,), **k),
    "planar": lambda **k: recipes.planar((3,), 2, **k),
    "radial": lambda **k: recipes.radial((3,), 2, **k),
    "residual_flow": lambda **k: recipes.residual_flow((3,), depth=2, filters=8, **k),
}
IMAGES = {
    "nice": lambda: recipes.nice((4, 4, 1), 2, (8,), **LEVELS),
    "realnvp": lambda: recipes.realnvp((4, 4, 1), num_scales=2, filters=4, num_blocks=1, **LEVELS),
    "glow": lambda: recipes.glow((4, 4, 1), 2, 1, 4, **LEVELS),
    "spline without linear maps": lambda: recipes.spline(
        (4, 4, 1), 2, 2, 4, 3, linear=False, **LEVELS
    ),
    "maf": lambda: recipes.maf((4, 4, 1), 1, (8,), **LEVELS),
    "residual_flow": lambda: recipes.residual_flow((4, 4, 1), 2, 1, 4, 0.7, **LEVELS),
}


def fitted(model: flows.Flow, x: np.ndarray, labels: np.ndarray | None = None) -> flows.Flow:
    """Trains a model for a step, and looks at what its verbs return."""
    history = model.fit(x, labels, batch_size=len(x), verbose=0).history
    assert np.isfinite(history["loss"]).all()
    rebuilt = model.reconstruct(x, labels).numpy()
    np.testing.assert_allclose(rebuilt, x, atol=2e-3)
    assert np.isfinite(model.log_prob(x, labels)).all()
    samples = model.sample(len(x), 0, labels, temperature=0.7)
    assert samples.shape == x.shape and np.isfinite(samples).all()
    return model


def some(recipes: dict, quick: tuple[str, ...]) -> list:
    """Returns the names of recipes, of which those that are not quick are left to CI."""
    slow = [pytest.param(name, marks=pytest.mark.ci) for name in recipes if name not in quick]
    return [*quick, *slow]


@pytest.mark.parametrize("recipe", some(VECTORS, ("nice", "spline")))
def test_vectors(recipe):
    x = 2 + 3 * np.random.default_rng(0).normal(size=(32, 3)).astype(np.float32)
    model = fitted(VECTORS[recipe](), x)
    assert model.bijector.log_det_is_constant == (recipe == "nice")


@pytest.mark.parametrize("recipe", some(dict.fromkeys(["maf", "planar"]), ("realnvp",)))
def test_labels(recipe):
    x = np.random.default_rng(0).normal(size=(32, 3)).astype(np.float32)
    fitted(VECTORS[recipe](num_classes=2), x, np.arange(32) % 2)


@pytest.mark.parametrize("recipe", some(IMAGES, ("glow",)))
def test_images(recipe):
    x = np.random.default_rng(0).integers(0, 4, (16, 4, 4, 1)) / np.float32(3)
    fitted(IMAGES[recipe](), x)


@pytest.mark.parametrize("event_shape", [(3,), (4, 4, 1)])
def test_couplings_of_realnvp_have_the_transform_given(event_shape):
    sizes = {"num_couplings": 2, "hidden_units": (8,), "filters": 4, "num_blocks": 1}
    for transform, is_constant in ((bijectors.Additive(), True), (None, False)):
        model = recipes.realnvp(event_shape, num_scales=1, transform=transform, **sizes)
        couplings = model.bijector.bijectors[-1]
        assert couplings.log_det_is_constant == is_constant


@pytest.mark.parametrize("recipe", [recipes.maf, recipes.iaf])
def test_masked_networks_begin_by_the_initializer_given(recipe):
    model = recipe((3,), 1, (2,), kernel_initializer=keras.initializers.Constant(0.5))
    kernels = [w.numpy() for w in model.trainable_weights if w.path.endswith("kernel_0")]
    np.testing.assert_array_equal(kernels, np.full((1, 3, 2), 0.5))


def test_splines_without_linear_maps_move_odd_and_even_entries_in_turn():
    model = recipes.spline((5,), depth=2, filters=8, num_bins=3, linear=False)
    for step in model.bijector.bijectors[1::2]:
        step.projection.kernel.assign(
            np.random.default_rng(0).normal(size=step.projection.kernel.shape)
        )
    x = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    first, second = model.bijector.bijectors[1::2]
    assert np.array_equal((first.forward(tf.constant(x)) != x).numpy().all(0), [0, 1, 0, 1, 0])
    assert np.array_equal((second.forward(tf.constant(x)) != x).numpy().all(0), [1, 0, 1, 0, 1])


@pytest.mark.parametrize(
    "create",
    [
        lambda: recipes.nice((4,), 1),
        *[partial(recipe, (1,)) for recipe in (recipes.nice, recipes.realnvp, recipes.glow)],
        lambda: recipes.spline((1,)),
        lambda: recipes.spline((1,), linear=False),
        lambda: recipes.spline((3,), depth=1, linear=False),
        lambda: recipes.residual_flow((2,), coefficient=1.0),
        lambda: recipes.glow((5, 4, 1), 1, 1, 4),
        lambda: recipes.maf((4, 4)),
        lambda: recipes.planar((2,), 0),
    ],
    ids=[
        "one coupling",
        *["nice of one number", "realnvp of one number", "glow of one number"],
        "spline of one number",
        "spline of one number without linear maps",
        "spline that moves half of the numbers",
        "coefficient",
        "odd height",
        "matrix",
        "no layers",
    ],
)
def test_refusals(create):
    with pytest.raises(ValueError, match=r"Expected .*Received: "):
        create()
