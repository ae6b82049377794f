"""The base of callbacks that do other things in one stage of training than in another."""

import copy

import keras


class Callback(keras.callbacks.Callback):
    """A callback that knows which stage of a model's training it runs in.

    A model that is trained in stages, such as GLANN, gives each stage a copy of its own, whose
    `model` is that of the stage.

    Attributes:
        stage: the name of the stage, empty for a model that is not trained in stages.
        whole: the model that has the stages; None where there are none.
        learns_data: whether the stage learns the data that `fit` was given, not what is made of it.
    """

    stage: str = ""
    whole: keras.Model | None = None
    learns_data: bool = True

    def within(self, stage: str, whole: keras.Model, learns_data: bool = True) -> "Callback":
        """Returns a copy for one stage of a model; what it sets on itself the original lacks."""
        other = copy.copy(self)
        other.stage, other.whole, other.learns_data = stage, whole, learns_data
        return other

    def sampler(self) -> keras.Model | None:
        """Returns the model whose samples show the progress, ready to sample; None without one."""
        model = self.shown()
        if model is not None:
            model.fit_sampler()
        return model

    def shown(self) -> keras.Model | None:
        """Returns the model whose samples show the progress, None without one.

        It is the stage's model, if its samples are examples, like those of the whole model and of
        the data that `fit` was given, else the whole model as it is then.
        """
        models = [self.model] if self.whole is None else [self.model, self.whole]
        event = models[-1].event_spec
        for model in models if self.learns_data else [self.whole]:
            if "sample" in model.capabilities() and model.event_spec == event:
                return model
        return None
