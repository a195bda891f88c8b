"""Right views that do odd things: cut, and two at once."""

import pytest
from desk import odd
from pairs import asks, desk  # noqa: F401

pytestmark = pytest.mark.django_db
NAMES = [n for n, v in vars(odd).items() if getattr(v, "__module__", "") == "desk.odd" and n != "graphql"]


@pytest.mark.parametrize("name", NAMES)
def test_cut(desk, every_cut, name):
    every_cut(asks("odd", name))


@pytest.mark.parametrize("name", NAMES)
def test_order(desk, every_order, name):
    every_order(asks("odd", name), asks("odd", name))


def told(name):
    """The answer's body counts: an error in it is an error."""
    call = asks("odd", name)

    def ask():
        answer = call()
        assert "errors" not in answer.json()
        return answer

    return ask


def test_cut_graphql(desk, every_cut):
    every_cut(told("graphql"))


def test_order_graphql(desk, every_order):
    every_order(told("graphql"), told("graphql"))
