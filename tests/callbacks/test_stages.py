"""What a callback knows of the stage it runs in, and which model's samples it shows."""

import pytest

from tests.small_models import center, small_glo, small_imle
from tfgen.callbacks import Callback, Checkpoint, Evaluate, ResetOptimizers, SampleGrid


def within(model, stage="", whole=None):
    callback = Callback()
    callback = callback.within(stage, whole) if whole is not None else callback
    callback.set_model(model)
    return callback


def test_a_copy_is_told_of_its_stage():
    whole, callback = small_glo(), Callback()
    copy = callback.within("glo", whole)
    assert (copy.stage, copy.whole) == ("glo", whole) and type(copy) is Callback
    assert (callback.stage, callback.whole) == ("", None)


@pytest.mark.parametrize("kind", [Checkpoint, Evaluate, ResetOptimizers, SampleGrid])
def test_ours_know_their_stage(kind):
    assert issubclass(kind, Callback) and kind.within is Callback.within


def test_a_model_shows_its_own_samples():
    glo, imle = small_glo(), small_imle()
    assert within(glo).sampler() is glo
    assert within(imle).sampler() is imle
    assert within(center()).sampler() is None


def test_a_stage_of_examples_shows_its_own_samples_and_another_those_of_the_whole():
    whole, images, vectors = small_glo(), small_glo(), small_imle()
    assert within(images, "a", whole).sampler() is images
    assert within(vectors, "b", whole).sampler() is whole
    assert within(center(), "c", whole).sampler() is whole
    assert within(small_imle(dim=3), "d", center()).sampler() is None  # Samples, of other vectors.


def test_what_shows_samples_is_ready_to_sample(monkeypatch):
    model, fitted = small_glo(), []
    monkeypatch.setattr(type(model), "fit_sampler", lambda self: fitted.append(self))
    assert within(small_imle(), "b", model).sampler() is model
    assert fitted == [model]


def test_latents_of_the_shape_of_examples_are_not_shown_as_examples():
    """A GLANN of points in the plane has latents that are points in the plane."""
    whole, mapping = small_imle(), small_imle()
    callback = Callback().within("imle", whole, learns_data=False)
    callback.set_model(mapping)
    assert callback.sampler() is whole
