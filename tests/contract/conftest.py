"""Models that are trained once for all the tests that only look at them."""

import pytest

from tests.contract import cases

collect_ignore = ["workers"]  # Programs; importing one for its doctests would run parts of it.


@pytest.fixture(scope="session")
def trained():
    """A function of a case: its model, trained, with the `history` of that; not to be changed."""
    models = {}

    def get(case):
        if case.name not in models:
            models[case.name] = case.train(case.compiled())
        return models[case.name]

    return get


@pytest.fixture
def changed(trained):
    """A function of a case: its trained model, which is put back as it was after the test."""
    before = []

    def get(case):
        model = trained(case)
        before.extend((v, v.numpy()) for v in cases.state_variables(case, model).values())
        return model

    yield get
    for variable, value in before:
        variable.assign(value)
