"""Models that are trained once for all the tests that only look at them, and which of them are."""

import pytest

from tests.contract import cases

collect_ignore = ["workers"]  # Programs; importing one for its doctests would run parts of it.


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Leaves the cases that are variants of others to CI."""
    for item in items:
        if any(case.variant for case in _cases_of(item)):
            item.add_marker(pytest.mark.ci)


def _cases_of(item) -> list[cases.ModelCase]:
    """Returns the cases that a test is of, as its parameters say, or name them."""
    named = {case.name: case for case in cases.MODELS}
    found = []
    for value in getattr(getattr(item, "callspec", None), "params", {}).values():
        first = value[0] if isinstance(value, tuple) and value else value
        name = first.name if isinstance(first, cases.ModelCase) else first
        found += [named[name]] if isinstance(name, str) and name in named else []
    return found


@pytest.fixture(scope="module")
def chosen(request):
    """The cases that the tests of a file that run are of, in the order of the table."""
    items = [item for item in request.session.items if item.path == request.path]
    names = {case.name for item in items for case in _cases_of(item)}
    return [case for case in cases.MODELS if case.name in names]


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
