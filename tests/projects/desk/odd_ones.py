"""Right views that do odd things: cut, and two at once."""

import pytest
from desk import odd
from pairs import asks, desk  # noqa: F401

pytestmark = pytest.mark.django_db
NAMES = [n for n, v in vars(odd).items() if callable(v) and getattr(v, "__module__", "") == "desk.odd"]


@pytest.mark.parametrize("name", NAMES)
def test_cut(desk, every_cut, name):
    every_cut(asks("odd", name))


@pytest.mark.parametrize("name", NAMES)
def test_order(desk, every_order, name):
    every_order(asks("odd", name), asks("odd", name))
