"""What a VAE says of itself, and of input that it cannot take."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgen import UnsupportedCapability, bijectors, distributions, flows, networks, variational

RNG = np.random.default_rng(0)
X = (RNG.uniform(size=(32, 4, 4, 1)) > 0.5).astype(np.float32)


def vae(**kwargs) -> variational.VAE:
    keras.utils.set_random_seed(0)
    nets = [networks.MLP((6,), (8,), output_activation="tanh") for _ in range(2)]
    arguments = {"latent_dim": 2, "event_shape": (4, 4, 1)} | kwargs
    made = variational.VAE(*nets, **arguments)
    made.compile()
    return made


def test_the_shape_of_examples_is_that_of_the_decoder_unless_given():
    made = variational.VAE(networks.MLP((3,)), networks.MLP((4, 4, 1)), latent_dim=2)
    assert made.event_shape == (4, 4, 1)
    # One logit a pixel, as the decoder makes it.
    logits = made.decoder(tf.ones([1, 2]))
    np.testing.assert_allclose(made.decode(tf.ones([1, 2])), tf.sigmoid(logits), rtol=1e-6)


def test_means_or_draws_are_sampled():
    means, draws = (vae(draw_samples=draws).sample(64, seed=0).numpy() for draws in (False, True))
    assert set(np.unique(draws)) == {0.0, 1.0}
    assert np.unique(means).size > 100
    assert np.abs(draws.mean() - means.mean()) < 0.1


def test_a_temperature_scales_the_noise_of_the_prior():
    made = vae(likelihood=distributions.Normal(), event_shape=(2,), latent_dim=2)
    near, far = (made.sample(500, seed=0, temperature=t).numpy().std(axis=0) for t in (0.25, 4.0))
    assert (near < far).all()
    with pytest.raises(ValueError, match="temperature"):
        made.sample(3, temperature=0.0)


def test_draws_of_the_posterior_are_about_its_mean():
    made = vae()
    z = made.posterior_samples(X[:3], 2000, seed=1)
    assert z.shape == (3, 2000, 2)
    np.testing.assert_allclose(tf.reduce_mean(z, axis=1), made.encode(X[:3]), atol=0.1)
    np.testing.assert_array_equal(z, made.posterior_samples(X[:3], 2000, seed=1))


@pytest.mark.ci
def test_logs_say_where_the_divergence_comes_from():
    def names(**kwargs) -> set[str]:
        return set(vae(**kwargs).fit(X, epochs=1, verbose=0).history)

    assert names() == {"loss", "kl", "log_prob_bound"}
    sampled = {"loss", "kl_sampled", "log_prob_bound"}
    assert names(bound=variational.ELBO(analytic=False)) == sampled
    assert names(posterior=variational.posteriors.planar(2)) == sampled
    assert names(prior=distributions.DiagonalMixture(2, 3)) == sampled
    assert names(bound=variational.ImportanceWeighted(3)) == sampled
    assert names(prior=distributions.DiagonalGaussian(2)) == {"loss", "kl", "log_prob_bound"}


def test_beta_and_free_bits_change_the_loss_and_not_the_bound():
    seed, x = tf.constant([1, 2]), {"x": tf.constant(X)}
    plain = vae().objective(x, seed, False)
    half = keras.optimizers.schedules.PolynomialDecay(0.5, 10, 1.0)
    for bound, cost in (
        (variational.ELBO(3.0), 3 * plain["kl"]),
        (variational.ELBO(half), 0.5 * plain["kl"]),
        (variational.ELBO(free_bits=50.0), tf.fill([32], 50.0)),
    ):
        terms = vae(bound=bound).objective(x, seed, False)
        np.testing.assert_allclose(terms["log_prob_bound"], plain["log_prob_bound"], rtol=1e-5)
        np.testing.assert_allclose(terms["kl"], plain["kl"], rtol=1e-4)
        expected = plain["loss"] - plain["kl"] + cost
        np.testing.assert_allclose(terms["loss"], expected, rtol=1e-4)


def test_a_warm_up_goes_by_steps():
    made = vae(bound=variational.ELBO(keras.optimizers.schedules.PolynomialDecay(0.0, 4, 1.0)))
    losses = made.fit(X, batch_size=8, epochs=2, verbose=0).history
    # After four steps, one epoch, the loss is minus the bound.
    assert losses["loss"][0] < -losses["log_prob_bound"][0]
    assert losses["loss"][1] == pytest.approx(-losses["log_prob_bound"][1], rel=1e-5)


def test_pseudo_inputs_begin_as_examples_and_are_trained():
    made = vae(prior=variational.VampPrior(2, num_components=5))
    made.fit(X, batch_size=8, epochs=1, steps_per_epoch=None, verbose=0)
    inputs = made.prior.pseudo_inputs.numpy()
    nearest = np.abs(inputs[:, None] - X).reshape(5, 32, -1).max(axis=2).min(axis=1)
    assert (nearest < 0.1).all()
    assert (nearest > 0).any()


def test_the_first_batch_sets_the_actnorm_of_a_prior():
    flow = bijectors.Chain([bijectors.ActNorm(), bijectors.MaskedAutoregressive((4,))])
    made = vae(prior=flows.Transformed(flow, dim=2), ema_decay=0.9)
    made.compile(keras.optimizers.SGD(0.0))
    made.fit(X, batch_size=32, verbose=0)
    for prior in (made.prior, made.ema_prior):
        z = prior.bijector.bijectors[0].forward(made.posterior_samples(X, 100, seed=0)[:, 0])
        np.testing.assert_allclose(tf.math.reduce_std(z, axis=0), 1.0, atol=0.4)
        np.testing.assert_allclose(tf.reduce_mean(z, axis=0), 0.0, atol=0.4)
        assert (np.abs(prior.bijector.bijectors[0].log_scale) > 0.01).all()


def test_collapse_is_told_once_and_says_what_to_do():
    made = vae(bound=variational.ELBO(1e4))
    made.compile(keras.optimizers.Adam(0.01))
    made.posterior._head.set_weights([np.zeros_like(w) for w in made.posterior._head.get_weights()])
    with pytest.warns(
        UserWarning, match=r"warm-up of beta, free bits.*Received: a KL diver"
    ) as seen:
        made.fit(X, epochs=5, verbose=0)
    assert len([w for w in seen if "KL divergence" in str(w.message)]) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        vae().fit(X, epochs=3, verbose=0)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"latent_dim": 0}, "`latent_dim` >= 1"),
        ({"prior": distributions.StandardNormal(3)}, "a prior of 2 numbers. Received: 3"),
        ({"likelihood": "bernoulli"}, r"`likelihood`, such as Bernoulli\(\)"),
        ({"prior": "normal"}, "`prior`, such as"),
        ({"posterior": bijectors.Planar()}, "`posterior`, such as"),
        ({"bound": 1.0}, r"`bound`, such as ELBO\(\)"),
        ({"num_classes": 1}, "`num_classes` >= 2"),
        (
            {
                "posterior": variational.posteriors.iaf(),
                "bound": variational.ImportanceWeighted(2, doubly_reparameterized=True),
            },
            "a posterior with a density.*Received: FlowPosterior",
        ),
        (
            {"posterior": variational.posteriors.iaf(), "prior": variational.VampPrior(2)},
            "a posterior with a density, of a VampPrior",
        ),
        ({"num_classes": 3, "prior": variational.VampPrior(2)}, "without labels"),
    ],
)
def test_parts_that_do_not_fit(kwargs, message):
    with pytest.raises((ValueError, TypeError), match=message):
        vae(**kwargs)


@pytest.mark.parametrize(
    ("create", "message"),
    [
        (lambda: variational.ELBO(-1.0), "`beta`.*>= 0"),
        (lambda: variational.ELBO(free_bits=-1.0), "`free_bits`.*>= 0"),
        (lambda: variational.ELBO("much"), "`beta`, a number or a Keras schedule"),
        (lambda: variational.ELBO(num_samples=0), "`num_samples` >= 1"),
        (lambda: variational.ImportanceWeighted(0), "`num_samples` >= 1"),
        (lambda: distributions.Normal(0.0), "`scale`.*> 0"),
        (lambda: distributions.Normal(0.1, trained=True, min_scale=0.2), "`min_scale` < `scale`"),
        (lambda: distributions.Normal(trained=True, by_feature=True), "both"),
        (lambda: distributions.Categorical(1), "`num_values` >= 2"),
        (lambda: distributions.DiscretizedLogistic(1), "`num_levels` >= 2"),
        (lambda: distributions.DiscretizedLogisticMixture(0), "`num_components` >= 1"),
        (lambda: variational.VampPrior(2, 0), "`num_components` >= 1"),
        (lambda: variational.DiagonalPosterior(0.0), "`min_scale`.*> 0"),
        (lambda: variational.FlowPosterior(bijectors.Planar(), -1), "`condition_dim` >= 0"),
        (lambda: variational.FlowPosterior("planar"), "`bijector`, one of"),
    ],
)
def test_numbers_out_of_range(create, message):
    with pytest.raises((ValueError, TypeError), match=message):
        create()


def test_parts_of_another_model_have_to_fit():
    one = vae(likelihood=distributions.Normal(), posterior=variational.DiagonalPosterior())
    assert vae(likelihood=one.likelihood, posterior=one.posterior).posterior is one.posterior
    with pytest.raises(ValueError, match="6 features and 3 latents.*one built for 6 and 2"):
        vae(latent_dim=3, posterior=one.posterior)
    with pytest.raises(ValueError, match=r"examples \(5,\).*one built for \(6,\) and \(4"):
        vae(event_shape=(5,), likelihood=one.likelihood)


def test_networks_that_do_not_meet():
    with pytest.raises(ValueError, match="a decoder of inputs"):
        variational.VAE(networks.MLP((3,)), networks.InfoGANDiscriminator(), latent_dim=2)


@pytest.mark.parametrize("value", [np.nan, 1.5, 255.0])
def test_data_outside_of_the_support_of_bernoulli(value):
    x = X.copy()
    x[7, 1, 1] = value
    with pytest.raises((ValueError, ArithmeticError), match="Expected"):
        vae().fit(x, verbose=0)
    with pytest.raises(ValueError, match=r"`images` in \[0, 1\]"):
        vae().encode(x)
    points = vae(event_shape=(4,))
    with pytest.raises(ValueError, match=r"examples of the likelihood in \[0, 1\]"):
        points.log_prob_bound(np.full((3, 4), 255.0, np.float32), 2, seed=0)
    with pytest.raises((ValueError, ArithmeticError), match="Expected"):
        points.fit(x.reshape(-1, 4), verbose=0)


def test_data_between_the_values_of_a_categorical():
    model = vae(likelihood=distributions.Categorical(3, levels=True))
    with pytest.raises(ValueError, match=r"on the 3 levels k / 2 in \[0, 1\].*0.3"):
        model.fit(0.3 * X, verbose=0)
    assert np.isfinite(model.fit(0.5 * X, verbose=0).history["loss"]).all()


def test_tokens_have_a_categorical_likelihood():
    encoder = keras.Sequential([keras.layers.Embedding(3, 4), keras.layers.Flatten()])
    model = variational.VAE(
        encoder,
        networks.MLP((8,), output_activation="tanh"),
        latent_dim=2,
        likelihood=distributions.Categorical(3),
        event_shape=(5,),
    )
    model.compile()
    tokens = RNG.integers(0, 3, (32, 5)).astype(np.int32)
    model.fit(tokens, verbose=0)
    assert model.event_spec.dtype == tf.int32
    drawn = model.sample(6, seed=0)
    assert drawn.dtype == tf.int32
    assert set(np.unique(drawn)) <= {0, 1, 2}
    assert model.log_prob_bound(tokens[:4], 3, seed=0).shape == (4,)
    with pytest.raises(ValueError, match="tokens"):
        model.fit(tokens + 1, verbose=0)


def test_a_bound_asks_for_draws():
    with pytest.raises(ValueError, match="`num_importance` >= 1"):
        vae().log_prob_bound(X, 0)


def test_a_vae_has_no_exact_density():
    with pytest.raises(UnsupportedCapability, match="VAE has no log_prob"):
        vae().log_prob(X)
