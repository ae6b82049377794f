"""Models that are trained once for all the tests that only look at them."""

import pytest

collect_ignore = ["workers"]  # Programs; importing one for its doctests would run parts of it.


@pytest.fixture(scope="session")
def trained():
    """A function of a case: its model, trained; not to be changed."""
    models = {}

    def get(case):
        if case.name not in models:
            models[case.name] = case.train(case.compiled())
        return models[case.name]

    return get
