"""Models of integers, with conditions by name: how they train, and data that they refuse."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.small_models import Point
from tfgen.core import specs
from tfgen.model.model import GenerativeModel

TOKENS = np.array([[0, 1, 2], [2, 2, 0], [3, 4, 1], [4, 0, 0]])
GREY = np.arange(8, dtype=np.float32).reshape(4, 2)
COLUMNS = {"grey": GREY, "label": np.array([0, 2, 1, 0])}


class _Tokens(GenerativeModel):
    """A table of logits of tokens, moved by conditions, which it notes the types of."""

    def __init__(self):
        super().__init__()
        self.table = Point([0.0] * 5)

    @property
    def event_spec(self):
        return specs.event_spec((3,), tf.int32, num_values=5)

    @property
    def condition_specs(self):
        return {"grey": tf.TensorSpec((2,), tf.float32), "label": specs.label_spec(3)}

    def objective(self, x, seed, training):
        assert (x["x"].dtype, x["label"].dtype) == (tf.int32, tf.int64)
        given = self.conditions_of(x)
        logits = self.table.value.value + tf.zeros([*tf.unstack(tf.shape(x["x"])), 5])
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(x["x"], logits)
        weights = tf.cast(1 + given["label"], tf.float32)[:, tf.newaxis]
        return {"loss": tf.reduce_mean(weights * losses, 1), "grey": given["grey"][:, 0]}


def compiled_tokens():
    model = _Tokens()
    model.compile(keras.optimizers.SGD(0.5))
    return model


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_integers_and_named_columns_train(dtype):
    model = compiled_tokens()
    history = model.fit(TOKENS.astype(dtype), COLUMNS, batch_size=4, epochs=20, verbose=0).history
    weights = 1 + np.repeat(COLUMNS["label"], 3)
    assert history["loss"][0] == pytest.approx(np.log(5) * weights.mean())
    assert history["grey"][0] == pytest.approx(GREY[:, 0].mean())
    frequent = np.bincount(TOKENS.ravel(), weights, minlength=5) / weights.sum()
    np.testing.assert_allclose(tf.nn.softmax(model.table.value.value), frequent, atol=0.02)
    logs = model.evaluate(TOKENS, COLUMNS, batch_size=4, verbose=0, return_dict=True)
    assert logs["loss"] < history["loss"][0]


def token_dataset(tokens=TOKENS, **columns):
    data = {"x": tokens.astype(np.int32)} | COLUMNS | columns
    return tf.data.Dataset.from_tensor_slices(data).batch(2)


def test_a_dataset_of_tokens():
    model, twin = compiled_tokens(), compiled_tokens()
    model.fit(token_dataset(), verbose=0)
    for batch in token_dataset():
        twin.train_step(batch)
    np.testing.assert_allclose(model.table.value.numpy(), twin.table.value.numpy(), rtol=1e-6)


WRONG_TOKENS = np.where(TOKENS == 3, 5, TOKENS)
NEGATIVE = np.where(TOKENS == 3, -1, TOKENS)
BAD_TOKENS = {
    "too large": (WRONG_TOKENS, COLUMNS, r"`tokens` in \[0, 5\). Received: 5 in row 2"),
    "negative": (NEGATIVE, COLUMNS, r"`tokens` in \[0, 5\). Received: -1 in row 2"),
    "beyond 32 bits": (TOKENS + 2**32, COLUMNS, "int"),
    "floats": (TOKENS.astype(np.float32), COLUMNS, "int32 examples .* Received: float32"),
    "another length": (TOKENS[:, :2], COLUMNS, r"shape \(3,\), as the model makes.*\(2,\)"),
    "no columns": (TOKENS, None, r"the key 'grey' \(fit\(x, {'grey': ...}\).*\['index', 'x'\]"),
    "a label alone": (TOKENS, COLUMNS["label"], "the key 'grey'.*'label', 'x'"),
    "no label": (TOKENS, {"grey": GREY}, "the key 'label'"),
    "a label out of range": (TOKENS, COLUMNS | {"label": np.full(4, 3)}, r"`label` in \[0, 3\)"),
    "grey of integers": (TOKENS, COLUMNS | {"grey": GREY.astype(int)}, "`grey` of floats"),
    "grey of another size": (TOKENS, COLUMNS | {"grey": GREY[:, :1]}, r"`grey` of shape .*, 2\]"),
    "too few greys": (TOKENS, COLUMNS | {"grey": GREY[:3]}, "`grey` of 4 rows"),
    "grey that is not finite": (TOKENS, COLUMNS | {"grey": GREY - np.inf}, "finite greys"),
    "a column named x": (TOKENS, COLUMNS | {"x": GREY}, "names? than 'x' and 'index'"),
}


@pytest.mark.parametrize("x, y, message", BAD_TOKENS.values(), ids=BAD_TOKENS)
def test_bad_tokens_and_columns(x, y, message):
    model = compiled_tokens()
    with pytest.raises((TypeError, ValueError), match=f"Expected .*{message}") as error:
        model.fit(x, y, batch_size=2, verbose=0)
    assert "Received: " in str(error.value) and model.training_steps == 0


@pytest.mark.parametrize(
    "data, message",
    [
        (token_dataset(WRONG_TOKENS), r"`tokens` in \[0, 5\). Received: from 0 to 5 at epoch 1"),
        (token_dataset(NEGATIVE), r"`tokens` in \[0, 5\). Received: from -1 to 4 at epoch 1"),
        (
            token_dataset(label=np.array([0, 2, 3, 0])),
            r"`label` in \[0, 3\). Received: from 0 to 3",
        ),
        (token_dataset(grey=np.where(GREY == 5, np.nan, GREY)), "`grey` to be finite numbers"),
    ],
)
def test_values_of_datasets_are_checked_as_they_come(data, message):
    model = compiled_tokens()
    with pytest.raises(ValueError, match=f"Expected {message}.*, batch 2"):
        model.fit(data, verbose=0)
    twin = compiled_tokens()
    twin.train_step(next(iter(token_dataset())))
    np.testing.assert_allclose(model.table.value.numpy(), twin.table.value.numpy(), rtol=1e-6)
    assert model.training_steps == 1
