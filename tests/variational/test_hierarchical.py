"""Hierarchical VAE: the bound by hand and by integration, its levels, and what resampling keeps."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfgen
from tfgen.core import random
from tfgen.distributions import Bernoulli, Categorical, Normal
from tfgen.variational import (
    ELBO,
    AutoregressiveGrid,
    HierarchicalVAE,
    ImportanceWeighted,
    Level,
)
from tfgen.variational.bounds import estimate
from tfgen.variational.grid_prior import GridNetwork
from tfgen.variational.levels import row_noise

SEED = tf.constant([3, 4])
LEVELS = (
    Level((3,), 6),
    Level((2, 2, 1), 5),
    Level((4, 4, 2), 4, 1, AutoregressiveGrid(6, 1, 3)),
)


def stirred(model: keras.Model, scale: float = 0.1) -> keras.Model:
    """Moves all weights, so that no parameter is what it was at the start."""
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign_add(rng.normal(0, scale, variable.shape))
    return model


@pytest.fixture(scope="module")
def model():
    """A vector above two grids, of which the lower has an autoregressive prior."""
    keras.utils.set_random_seed(0)
    return stirred(HierarchicalVAE((8, 8, 1), LEVELS, Normal(0.5), seed=1))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).uniform(size=(4, 8, 8, 1)).astype(np.float32)


def with_bound(model: HierarchicalVAE, bound) -> HierarchicalVAE:
    """Returns a model of the same weights that maximises another bound."""
    other = HierarchicalVAE(model.event_shape, model.levels, model.likelihood, bound)
    other.set_weights(model.get_weights())
    return other


def terms(model: HierarchicalVAE, x) -> dict[str, np.ndarray]:
    found = model.objective({"x": tf.constant(x)}, SEED, training=True)
    return {name: value.numpy() for name, value in found.items()}


def by_hand(model: HierarchicalVAE, x, noise) -> tuple[np.ndarray, list, list]:
    """Returns log p(x | z) and, of each level, the KL and the sampled KL, [batch], by TFP."""
    from tensorflow_probability import distributions as tfd

    features, hidden = model.encoder(x), None
    closed, sampled = [], []
    for number, level in enumerate(model.levels):
        state = model.decoder.state(number, hidden)
        mean, log_scale = model.encoder.posterior(number, features[number], state)
        z = mean + tf.exp(log_scale) * noise[number]
        axes = len(level.latent_shape)
        q = tfd.Independent(tfd.Normal(mean, tf.exp(log_scale)), axes)
        p = tfd.Independent(tfd.Normal(tf.zeros_like(z), 1.0), axes)
        if number:
            mean, log_scale = model.decoder.prior(number, state, z)
            p = tfd.Independent(tfd.Normal(mean, tf.exp(log_scale)), axes)
        closed.append(tfd.kl_divergence(q, p).numpy())
        sampled.append((q.log_prob(z) - p.log_prob(z)).numpy())
        hidden = model.decoder.hidden(number, state, z)
    (mean, _) = model.likelihood.parameters(model.decoder(hidden))
    likelihood = tfd.Independent(tfd.Normal(mean, 0.5), 3).log_prob(x)
    return likelihood.numpy(), closed, sampled


def test_the_terms_are_those_worked_out_by_hand(model, images):
    likelihood, closed, sampled = by_hand(model, images, model._noise(4, SEED))
    found = terms(model, images)
    for number in range(3):
        np.testing.assert_allclose(found[f"kl_{number}"], closed[number], rtol=1e-4)
    np.testing.assert_allclose(found["kl"], sum(closed), rtol=1e-4)
    np.testing.assert_allclose(found["log_prob_bound"], likelihood - sum(closed), rtol=1e-4)
    np.testing.assert_allclose(found["loss"], -found["log_prob_bound"], rtol=1e-6)
    found = terms(with_bound(model, ELBO(analytic=False)), images)
    for number in range(3):
        found_of = found[f"kl_sampled_{number}"]
        np.testing.assert_allclose(found_of, sampled[number], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found["log_prob_bound"], likelihood - sum(sampled), rtol=1e-4)


def test_both_divergences_of_a_grid_have_the_same_mean(model, images):
    """That of positions given those drawn before them is one, though it is no closed form."""
    each = [
        terms(with_bound(model, ELBO(num_samples=2000, analytic=analytic)), images[:1])
        for analytic in (True, False)
    ]
    for number in range(3):
        names = (f"kl_{number}", f"kl_sampled_{number}")
        closed, sampled = (float(found[name][0]) for found, name in zip(each, names, strict=True))
        assert sampled == pytest.approx(closed, abs=0.35)


def test_free_bits_are_those_of_each_level_and_beta_may_rise(model, images):
    plain = terms(model, images)
    parts = [plain[f"kl_{number}"] for number in range(3)]
    free = float(np.median(np.concatenate(parts)))
    paid = [np.maximum(part, free) for part in parts]
    assert 0 < sum((part < free).sum() for part in parts) < 12
    found = terms(with_bound(model, ELBO(beta=0.5, free_bits=free)), images)
    likelihood = plain["log_prob_bound"] + plain["kl"]
    np.testing.assert_allclose(found["loss"], 0.5 * sum(paid) - likelihood, rtol=1e-5)
    np.testing.assert_allclose(found["log_prob_bound"], plain["log_prob_bound"], rtol=1e-5)
    rising = with_bound(model, ELBO(keras.optimizers.schedules.PolynomialDecay(0.0, 10, 1.0)))
    rising.step.assign(5)
    expected = 0.5 * plain["kl"] - likelihood
    np.testing.assert_allclose(terms(rising, images)["loss"], expected, rtol=1e-5)


def test_a_bound_of_one_draw_is_the_elbo_and_one_of_many_is_above(model, images):
    sampled = terms(with_bound(model, ELBO(analytic=False)), images)
    one = terms(with_bound(model, ImportanceWeighted(1)), images)
    divergences = ["kl_sampled", *(f"kl_sampled_{number}" for number in range(3))]
    for name in ("loss", "log_prob_bound", *divergences):
        np.testing.assert_allclose(one[name], sampled[name], rtol=1e-5, err_msg=name)
    many = terms(with_bound(model, ImportanceWeighted(50)), images)
    assert many["log_prob_bound"].mean() > one["log_prob_bound"].mean()
    total = sum(many[f"kl_sampled_{number}"] for number in range(3))
    np.testing.assert_allclose(many["kl_sampled"], total, rtol=1e-4)


def test_the_bound_reaches_the_integral_over_both_levels():
    """p(x) of two levels of one number each, summed over a grid of both."""
    keras.utils.set_random_seed(0)
    levels = [Level((1,), 8), Level((1,), 8)]
    model = stirred(HierarchicalVAE((2,), levels, Normal(0.5, by_feature=True)), 0.2)
    x = np.array([[0.3, -0.2], [1.0, 0.5]], np.float32)
    axis = np.linspace(-7, 7, 281, dtype=np.float32)
    z_0, z_1 = (tf.constant(part.reshape(-1, 1)) for part in np.meshgrid(axis, axis))
    top = model.decoder.hidden(0, None, z_0)
    state = model.decoder.state(1, top)
    mean, log_scale = model.decoder.prior(1, state, z_1)

    def log_normal(value, mean, log_scale):
        squares = ((value - mean) / np.exp(log_scale)) ** 2
        return np.sum(-0.5 * squares - log_scale - 0.5 * math.log(2 * math.pi), axis=-1)

    prior = log_normal(z_0.numpy(), 0.0, 0.0) + log_normal(z_1.numpy(), mean.numpy(), log_scale)
    features = model.decoder(model.decoder.hidden(1, state, z_1))
    parts = [part.numpy() for part in model.likelihood.parameters(features)]
    cell = float(axis[1] - axis[0]) ** 2
    assert np.exp(prior).sum() * cell == pytest.approx(1, abs=1e-3)
    exact = [math.log(np.exp(prior + log_normal(row, *parts)).sum() * cell) for row in x]
    np.testing.assert_allclose(model.log_prob_bound(x, 5000, seed=0), exact, atol=0.05)
    repeated = np.repeat(x, 400, axis=0)
    ones = model.log_prob_bound(repeated, 1, seed=0).numpy().reshape(2, -1).mean(axis=1)
    assert (ones < exact).all()


@pytest.mark.parametrize("num_samples", [1, 3, 8, 21])
def test_an_estimate_in_parts_is_that_of_all_draws(num_samples):
    seen = []

    def log_weights(seeds, count):
        seen.append(random.normal(seeds, (count,)).numpy())
        return tf.constant(seen[-1])

    found = estimate(log_weights, random.row_seeds(2, 0), num_samples, 8)
    drawn = np.concatenate(seen, axis=1)[:, :num_samples]
    assert len(np.unique(drawn)) == 2 * num_samples
    np.testing.assert_allclose(found, np.log(np.exp(drawn).mean(axis=1)), rtol=1e-5)
    assert max(part.shape[1] for part in seen) <= 8


def test_training_raises_the_bound_and_the_top_comes_to_tell_which_image_it_is(images):
    keras.utils.set_random_seed(0)
    model = HierarchicalVAE((8, 8, 1), [Level((3,), 8, 0), Level((4, 4, 1), 8, 0)], Normal(0.2))
    model.compile(keras.optimizers.Adam(1e-2))
    step = tf.function(model.train_step, autograph=False)
    logs = [step({"x": tf.constant(images)}) for _ in range(150)]
    assert float(logs[0]["log_prob_bound"]) < -100
    assert float(logs[-1]["log_prob_bound"]) > 0
    assert float(logs[0]["kl_0"]) < 0.1
    assert float(logs[-1]["kl_0"]) > math.log(4)  # Of four images.


# Verbs.


def test_encode_gives_means_from_the_top_down(model, images):
    quiet = [tf.zeros([4, *level.latent_shape]) for level in LEVELS]
    z, hidden, features = model.encode(images), None, model.encoder(images)
    for number, of in enumerate(quiet):
        state = model.decoder.state(number, hidden)
        mean, _ = model.encoder.posterior(number, features[number], state)
        np.testing.assert_allclose(z[number], mean + of, rtol=1e-5, atol=1e-6)
        hidden = model.decoder.hidden(number, state, mean)
    mean = model.likelihood.mean(model.likelihood.parameters(model.decoder(hidden)))
    np.testing.assert_allclose(model.decode(z), mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.reconstruct(images), mean, rtol=1e-5, atol=1e-6)


def test_the_posterior_of_a_level_depends_on_what_was_drawn_above(model, images):
    features = model.encoder(images)
    z = tf.Variable(tf.zeros([4, 3]))
    with tf.GradientTape() as tape:
        state = model.decoder.state(1, model.decoder.hidden(0, None, z))
        mean, _ = model.encoder.posterior(1, features[1], state)
    assert np.abs(tape.gradient(mean, z)).min() > 0


def test_resampling_keeps_the_levels_above(model, images):
    z = model.encode(images)
    kept = model.resample(images, keep=2, seed=5)
    np.testing.assert_allclose(model.resample(z, 2, seed=5), kept, rtol=1e-5, atol=1e-6)
    changed = (z[0], z[1], z[2] + 1.0)
    np.testing.assert_allclose(model.resample(changed, 2, seed=5), kept, rtol=1e-5, atol=1e-6)
    changed = (z[0], z[1] + 1.0, z[2])
    assert np.abs(model.resample(changed, 2, seed=5) - kept).max() > 1e-3
    assert np.abs(model.resample(z, 2, seed=6) - kept).max() > 1e-3
    np.testing.assert_allclose(model.resample(z, 3), model.decode(z), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        model.resample(z, 0, seed=5), model.sample(4, seed=5), rtol=1e-5, atol=1e-6
    )


def test_what_is_resampled_is_that_of_its_row(model, images):
    seeds = random.row_seeds(4, 5)
    together = model.resample(images, 1, seed=5, temperature=[0.5, 1.0, 2.0, 1.0]).numpy()
    for row, temperature in [(0, 0.5), (2, 2.0)]:
        alone = model.resample(
            images[row : row + 1], 1, seed=seeds[row : row + 1], temperature=temperature
        )
        np.testing.assert_allclose(alone[0], together[row], rtol=1e-5, atol=1e-5)
    parts = model.resample(images, 1, 5, [0.5, 1.0, 2.0, 1.0], batch_size=3)
    np.testing.assert_allclose(parts, together, rtol=1e-5, atol=1e-5)


def test_temperature_scales_the_noise_of_every_level(model):
    noise = row_noise(model.levels, random.row_seeds(3, 7))
    warm = tuple(2.0 * part for part in noise)
    hidden, z = None, []
    for number in range(3):
        state = model.decoder.state(number, hidden)
        z.append(model.decoder.draw(number, state, warm[number]))
        hidden = model.decoder.hidden(number, state, z[-1])
    found = model.sample(3, seed=7, temperature=4.0)
    np.testing.assert_allclose(found, model.decode(tuple(z)), rtol=1e-4, atol=1e-5)


def test_noise_of_levels_is_independent_and_standard():
    model = HierarchicalVAE((4,), [Level((2,), 4), Level((2,), 4)])
    for noise in (model._noise(20000, SEED), row_noise(model.levels, random.row_seeds(20000, 0))):
        together = np.concatenate(noise, axis=1)
        np.testing.assert_allclose(np.cov(together.T), np.eye(4), atol=0.05)


# The autoregressive prior.


@pytest.fixture(scope="module")
def network():
    """The network of a prior over a grid, in double precision but for its last layer."""
    keras.utils.set_random_seed(0)
    return stirred(GridNetwork(AutoregressiveGrid(6, 2, 5), (3, 4, 2), (3, 4, 5), 1.0, None))


def test_a_position_depends_on_those_before_it_and_on_the_state(network):
    rng = np.random.default_rng(0)
    z, features = (tf.constant(rng.normal(size=(6, 3, 4, c)), tf.float32) for c in (2, 5))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([z, features])
        outputs = tf.concat(network(z, features), axis=-1)
    by_place = tf.reshape(tape.batch_jacobian(outputs, z), [6, 12, 4, 12, 2])
    seen = np.abs(by_place).max(axis=(0, 2, 4)) > 0
    assert not np.triu(seen).any()
    assert seen[np.arange(1, 12), np.arange(11)].sum() >= 11 - 2  # But for the ends of rows.
    of_state = tf.reshape(tape.batch_jacobian(outputs, features), [6, 12, 4, 12, 5])
    assert (np.abs(of_state).max(axis=(0, 2, 4)).diagonal() > 0).all()


def test_draws_are_those_of_the_density(network):
    """Each position is the mean plus the scale times its noise, given what was drawn before."""
    rng = np.random.default_rng(1)
    noise, features = (tf.constant(rng.normal(size=(5, 3, 4, c)), tf.float32) for c in (2, 5))
    z = network.draw(noise, features)
    mean, log_scale = network(z, features)
    np.testing.assert_allclose((z - mean) * tf.exp(-log_scale), noise, rtol=1e-3, atol=1e-4)
    alone = network.draw(noise[2:3], features[2:3])
    np.testing.assert_allclose(alone[0], z[2], rtol=1e-4, atol=1e-5)


# What surrounds it.


def test_a_collapsed_level_is_told_of_once():
    model = HierarchicalVAE((4,), [Level((2,), 4), Level((2,), 4)])
    quiet = {"kl": 3.0, "kl_0": 1e-4, "kl_1": 3.0}
    model.end_epoch(0, quiet)
    with pytest.warns(UserWarning, match=r"Expected latents of level 0 that say.*0.0001 nats"):
        model.end_epoch(1, quiet)
    model.end_epoch(2, quiet)
    for epoch in range(2):
        model.end_epoch(epoch, {"kl": 3.0, "kl_0": 1.0, "kl_1": 1e-4 if epoch else 1.0})
    for epoch in range(2):  # Another collapse of the same level.
        model.end_epoch(epoch, {"kl": 3.0, "kl_0": 1e-4, "kl_1": 1.0})


def test_it_is_what_it_was_when_loaded(tmp_path):
    level = Level([4, 4, 1], 3, 0, AutoregressiveGrid(2, 0, 3))
    model = stirred(HierarchicalVAE((8, 8, 1), [Level((2,), 4), level], ema_decay=0.5))
    model.save(tmp_path / "model.keras")
    again = tfgen.load_model(tmp_path / "model.keras")
    assert again.levels == model.levels == (Level((2,), 4), level)
    assert level.latent_shape == (4, 4, 1)
    for one, other in zip(again.weights, model.weights, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=other.path)
    assert [of for _, of in again.averages] == [again.encoder, again.decoder, again.likelihood]


def test_samples_may_be_draws():
    model = HierarchicalVAE((4, 4, 1), [Level((2,), 4)], draw_samples=True)
    assert set(np.unique(model.sample(5, seed=0))) == {0.0, 1.0}
    assert [tuple(spec.shape) for spec in model.latent_spec] == [(2,)]


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ([], "`levels`, at least one Level"),
        ([Level((3, 3, 1))], r"divide those below.*\(3, 3, 1\) above \(8, 8, 1\)"),
        ([Level((4, 4, 1)), Level((2, 2, 1))], r"divide those below.*\(4, 4, 1\) above \(2, 2"),
        ([Level((16, 16, 1))], "divide those below"),
        ([Level((4, 4, 1)), Level((3,))], "no vector below a grid"),
        ([Level((4, 4, 1), prior=AutoregressiveGrid())], "a top level without `prior`"),
    ],
)
def test_levels_that_do_not_fit_are_refused(levels, message):
    with pytest.raises(ValueError, match=f"Expected .*{message}"):
        HierarchicalVAE((8, 8, 1), levels)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: HierarchicalVAE((8, 8, 1), [(4, 4, 1)]), TypeError, "`levels`, at least one"),
        (lambda: HierarchicalVAE((8, 1), [Level((4,))]), ValueError, "`event_shape` of an image"),
        (lambda: HierarchicalVAE((2,), [Level((2, 2, 1))]), ValueError, "no vector below a grid"),
        (
            lambda: HierarchicalVAE((2,), [Level((2,))], Categorical(3)),
            ValueError,
            "a likelihood of floats",
        ),
        (lambda: HierarchicalVAE((2,), [Level((2,))], "normal"), TypeError, "`likelihood`, such"),
        (lambda: HierarchicalVAE((2,), [Level((2,))], bound=1.0), TypeError, "`bound`, such as"),
        (
            lambda: HierarchicalVAE((2,), [Level((2,))], bound=ImportanceWeighted(2, True)),
            ValueError,
            "not doubly reparameterised",
        ),
        (lambda: Level((2, 2)), ValueError, "`latent_shape`"),
        (lambda: Level((0,)), ValueError, "`latent_shape` >= 1"),
        (lambda: Level((2,), 0), ValueError, "`filters` >= 1"),
        (lambda: Level((2,), 4, -1), ValueError, "`num_blocks` >= 0"),
        (lambda: Level((2,), 4, 1.5), TypeError, "`num_blocks` to be an integer"),
        (lambda: Level((2, 2, 1), prior="grid"), TypeError, "`prior`, an AutoregressiveGrid"),
        (lambda: Level((2,), prior=AutoregressiveGrid()), ValueError, "AutoregressiveGrid over a"),
        (lambda: AutoregressiveGrid(kernel_size=1), ValueError, "`kernel_size` >= 3"),
        (lambda: AutoregressiveGrid(kernel_size=4), ValueError, "`kernel_size`, odd"),
    ],
)
def test_bad_arguments_are_refused(make, error, message):
    with pytest.raises(error, match=f"Expected .*{message}"):
        make()


def test_bad_inputs_of_resample_are_refused(model, images):
    z = model.encode(images)
    for keep in (-1, 4):
        with pytest.raises(ValueError, match="Expected `keep`"):
            model.resample(images, keep)
    with pytest.raises(ValueError, match=r"Expected latents \['z_0', 'z_1', 'z_2'\]"):
        model.resample(z[:2], 1)
    with pytest.raises(ValueError, match="Expected `images`"):
        model.resample(images[:, :4], 1)
    with pytest.raises(ValueError, match=r"Expected examples of the likelihood in \[0, 1\]"):
        HierarchicalVAE((2,), [Level((2,), 4)], Bernoulli()).objective(
            {"x": tf.constant([[2.0, 0.0]])}, SEED, True
        )
