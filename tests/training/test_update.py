"""One update against steps worked out by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.small_models import Point, small_glo
from tfgen.core import specs
from tfgen.latent import LatentTable, RowSGD
from tfgen.model.model import GenerativeModel
from tfgen.training.optimize import Parts
from tfgen.training.update import Update, apply_update, mean_terms

SGD, LossScale = keras.optimizers.SGD, keras.optimizers.LossScaleOptimizer


def built(optimizer, group):
    optimizer.build(group.trainable_variables)
    return optimizer


def applied(update, layers, optimizers):
    """Applies an update to groups of one layer each."""
    return apply_update(update, [Parts([layer]) for layer in layers], optimizers)


def product(x, a, b):
    """Returns an update of the mean of x * a * b, for groups a and b of one number each."""
    return Update("loss", lambda: {"loss": x * a.value.value[0] * b.value.value[0]}, ("a", "b"))


def test_one_gradient_serves_two_groups():
    a, b = Point([2.0]), Point([5.0])
    optimizers = [built(SGD(0.1), a), built(SGD(0.01), b)]
    terms = applied(product(tf.constant([1.0, 3.0]), a, b), [a, b], optimizers)
    # The loss is 2ab: its slopes are 2b = 10 and 2a = 4, both taken before either moves.
    assert terms["loss"].numpy() == pytest.approx(20)
    assert position_of(a) == pytest.approx(2 - 0.1 * 10)
    assert position_of(b) == pytest.approx(5 - 0.01 * 4)


def position_of(group):
    return group.value.numpy()[0]


def test_the_loss_is_divided_by_the_number_of_replicas(monkeypatch):
    a, b = Point([2.0]), Point([5.0])
    optimizers = [built(SGD(0.1), a), built(SGD(0.01), b)]

    class FourReplicas:
        num_replicas_in_sync = 4

    update = product(tf.constant([1.0, 3.0]), a, b)
    monkeypatch.setattr(tf.distribute, "get_strategy", FourReplicas)
    terms = applied(update, [a, b], optimizers)
    assert terms["loss"].numpy() == pytest.approx(20)
    assert position_of(a) == pytest.approx(2 - 0.1 * 10 / 4)
    assert position_of(b) == pytest.approx(5 - 0.01 * 4 / 4)


def test_the_loss_is_a_mean_over_the_batch():
    def moved(copies):
        a, b = Point([2.0]), Point([5.0])
        x = tf.constant([1.0, 3.0] * copies)
        applied(product(x, a, b), [a, b], [built(SGD(0.1), a), built(SGD(0.01), b)])
        return position_of(a), position_of(b)

    assert moved(1) == pytest.approx(moved(5))


@pytest.mark.parametrize(
    "name, expected",
    [("loss", {"loss": 2, "kl": 0.5}), ("critic", {"critic": 2, "critic_kl": 0.5})],
)
def test_terms_are_means_named_by_their_update(name, expected):
    terms = {"loss": tf.constant([1.0, 3.0]), "kl": tf.constant([0.25, 0.75], tf.float16)}
    means, aux = mean_terms(Update(name, lambda: terms, ()))
    assert aux == {}
    assert {key: value.numpy() for key, value in means.items()} == expected
    assert all(value.dtype == tf.float32 for value in means.values())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("wrap", [lambda f: f, tf.function], ids=["eager", "graph"])
def test_a_loss_that_is_not_finite_moves_no_weight_and_no_moment(value, wrap):
    a, b = Point([2.0]), Point([5.0])
    optimizers = [built(keras.optimizers.Adam(0.1), group) for group in (a, b)]
    before = [v.numpy().copy() for o in optimizers for v in o.variables if v.ndim]
    assert len(before) == 4
    update = product(tf.constant([1.0, value]), a, b)
    with pytest.raises(tf.errors.InvalidArgumentError, match="Expected finite .* the loss"):
        wrap(lambda: applied(update, [a, b], optimizers))()
    assert position_of(a) == 2 and position_of(b) == 5
    after = [v.numpy() for o in optimizers for v in o.variables if v.ndim]  # But the step count.
    assert all(np.array_equal(x, y) for x, y in zip(before, after, strict=True))


@pytest.mark.parametrize("scales", [(2.0**10, 2.0**3), (4.0, 2.0**12), (8.0, None), (None, 8.0)])
def test_each_optimizer_gets_the_gradient_that_its_loss_scale_expects(scales):
    """Also for a table, whose gradient is a tf.IndexedSlices."""

    def optimizer(inner, scale, group):
        inner = inner if scale is None else LossScale(inner, initial_scale=scale)
        return built(inner, group)

    weights = Point([2.0])
    table = LatentTable(4, 1, space=tf.identity)
    table.assign([[1.0], [2.0], [3.0], [4.0]])
    index = tf.constant([1, 3, 3])

    def terms():
        return {"loss": weights.value.value[0] * table(index)[:, 0]}

    optimizers = [optimizer(SGD(0.5), scales[0], weights), optimizer(RowSGD(3.0), scales[1], table)]
    applied(Update("loss", terms, ("weights", "table")), [weights, table], optimizers)
    # The loss is w (z1 + 2 z3) / 3: the slopes are 10/3, 2/3 for row 1, and 4/3 for row 3.
    assert position_of(weights) == pytest.approx(2 - 0.5 * 10 / 3)
    np.testing.assert_allclose(table.codes.numpy()[:, 0], [1, 0, 3, 0], atol=1e-6)


@pytest.mark.parametrize("jit_compile, fused", [(None, True), (False, False)])
def test_steps_of_many_weights_are_compiled_unless_that_is_refused(monkeypatch, jit_compile, fused):
    def trained():
        keras.utils.set_random_seed(0)
        model = small_glo()
        model.compile(jit_compile=jit_compile)
        x = np.random.default_rng(0).random((4, 4, 4, 1)).astype(np.float32)
        batch = {"x": tf.constant(x), "index": tf.range(4)}
        step = tf.function(model.train_step, autograph=False).get_concrete_function(batch)
        for _ in range(3):
            step(batch)
        compiled = [op for op in step.graph.get_operations() if is_compiled(op)]
        return len(compiled), model.get_weights()

    def is_compiled(op):
        return "_XlaMustCompile" in op.node_def.attr and op.get_attr("_XlaMustCompile")

    count, expected = trained()
    assert count == 0
    monkeypatch.setattr("tfgen.training.optimize.FUSED_FROM", 1)
    count, found = trained()
    assert bool(count) == fused
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_float16_step_does_not_depend_on_the_loss_scales(mixed_float16):
    def stepped(*scales):
        keras.utils.set_random_seed(0)
        model = small_glo()
        model.compile(generator_optimizer=SGD(0.5), latents_optimizer=RowSGD(0.5))
        optimizers = model.generator_optimizer, model.latents_optimizer
        for optimizer, scale in zip(optimizers, scales, strict=True):
            assert isinstance(optimizer, LossScale)
            optimizer.dynamic_scale.assign(scale)
        before = model.codes.numpy().copy()
        x = np.random.default_rng(0).random((4, 4, 4, 1)).astype(np.float32)
        model.train_step({"x": tf.constant(x), "index": tf.constant([0, 1, 2, 2])})
        assert np.any(model.codes.numpy() != before, axis=1).tolist() == [True] * 3 + [False] * 13
        return model.get_weights()

    for a, b in zip(stepped(2.0**8, 2.0**8), stepped(2.0**8, 2.0**3), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


def counted(x, seen, trains=()):
    """Returns an update with aux, whose `after` notes what it is given and where `a` was then."""
    a = Point([2.0])

    def terms():
        return {"loss": x * a.value.value[0], "size": x}, {"count": tf.size(x), "sum": x + 0.0}

    def after(means, aux):
        seen.append((means, aux, a.value.value[0] + 0.0))

    return Update("codes", terms, trains, after), a


@pytest.mark.parametrize("wrap", [lambda f: f, tf.function], ids=["eager", "graph"])
def test_an_update_of_state_alone_moves_nothing_but_state(wrap):
    total = tf.Variable(0.0)
    update, a = counted(tf.constant([1.0, 3.0]), [])
    move = lambda terms, aux: total.assign_add(tf.reduce_sum(aux["sum"]))  # noqa: E731
    update = Update(update.name, update.terms, (), move)
    found = wrap(lambda: applied(update, [], []))()
    assert {name: value.numpy() for name, value in found.items()} == {"codes": 4, "codes_size": 2}
    assert total.numpy() == 4 and position_of(a) == 2


@pytest.mark.parametrize("trains", [(), ("a",)], ids=["state", "weights"])
def test_aux_reaches_what_comes_after(trains):
    """As it is, not averaged, and once the weights have moved."""
    seen = []
    update, a = counted(tf.constant([1.0, 3.0]), seen, trains)
    groups = [a] if trains else []
    logs = applied(update, groups, [built(SGD(0.25), group) for group in groups])
    ((means, aux, there),) = seen
    assert {name: value.numpy() for name, value in means.items()} == {"codes": 4, "codes_size": 2}
    assert logs.keys() == means.keys()  # Nothing of aux is logged.
    assert aux.keys() == {"count", "sum"}
    assert aux["count"].numpy() == 2 and aux["sum"].numpy().tolist() == [1, 3]
    assert there.numpy() == position_of(a) == (1.5 if trains else 2)


def test_terms_without_aux_leave_it_empty():
    seen = []
    a = Point([2.0])
    terms = lambda: {"loss": a.value.value[:1]}  # noqa: E731
    update = Update("loss", terms, ("a",), lambda means, aux: seen.append((means, aux)))
    applied(update, [a], [built(SGD(0.5), a)])
    ((means, aux),) = seen
    assert means["loss"].numpy() == 2 and aux == {}


def test_aux_is_not_differentiated_nor_evaluated_away():
    """`mean_terms` gives the means and aux that a step sees."""
    update, _ = counted(tf.constant([1.0, 3.0]), [])
    means, aux = mean_terms(update)
    assert means["codes"].numpy() == 4 and aux["sum"].numpy().tolist() == [1, 3]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("wrap", [lambda f: f, tf.function], ids=["eager", "graph"])
def test_state_does_not_move_by_a_loss_that_is_not_finite(value, wrap):
    total = tf.Variable(0.0)
    terms = lambda: ({"loss": tf.constant([1.0, value])}, {"one": tf.ones([])})  # noqa: E731
    for after in (
        lambda means, aux: total.assign_add(means["codes"]),
        lambda means, aux: total.assign_add(aux["one"]),
    ):
        update = Update("codes", terms, (), after)
        with pytest.raises(tf.errors.InvalidArgumentError, match="Expected finite .* of codes"):
            wrap(lambda: applied(update, [], []))()  # noqa: B023
        assert total.numpy() == 0


def test_a_model_with_an_update_of_state_alone():
    class _Counting(GenerativeModel):
        """Trains a point, and counts the positive numbers that it has seen."""

        def __init__(self):
            super().__init__()
            self.point = Point([0.0])
            self.count = self.add_weight(shape=(), trainable=False, initializer="zeros")

        @property
        def event_spec(self):
            return specs.event_spec((1,))

        def updates(self, x, seed, training=True):
            positive = tf.reduce_sum(tf.cast(x["x"] > 0, tf.float32))
            states = lambda: ({"loss": x["x"][:, 0]}, {"count": positive})  # noqa: E731
            move = lambda terms, aux: self.count.assign_add(aux["count"])  # noqa: E731
            loss = lambda: {"loss": (x["x"] - self.point.value.value)[:, 0] ** 2}  # noqa: E731
            return [Update("seen", states, (), move), Update("loss", loss, ("",))]

    model = _Counting()
    model.compile(SGD(0.25))
    x = np.array([[1.0], [-2.0], [3.0], [4.0]], np.float32)
    logs = model.fit(x, batch_size=4, epochs=2, verbose=0).history
    assert logs["seen"] == [1.5, 1.5] and set(logs) == {"seen", "loss"}
    assert model.count.numpy() == 6 and model.optimizer.iterations == 2
    np.testing.assert_allclose(model.point.value.numpy(), [1.5 * 0.75])
    model.evaluate(x, batch_size=4, verbose=0)
    assert model.count.numpy() == 6
