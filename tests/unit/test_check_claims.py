"""Whose configuration is judged: what plans show that change it counts only where it is nobody's."""

from __future__ import annotations

import pytest

from lab.check.claims import claiming, is_project
from lab.records.variant import Traits, Variant

STOCK = "django.db.backends.postgresql"


@pytest.mark.parametrize(
    ("variant", "engine", "expected"),
    [
        (Variant(name="acme.db", engine="acme.db"), "acme.db", False),
        (Variant(name=STOCK, engine=STOCK, settings={"CONN_MAX_AGE": 600}), STOCK, True),
        (Variant(name="shop", module="shop.settings"), "acme.db", True),
        (Variant(name="django_persistent", engine=STOCK), STOCK, False),
    ],
    ids=["an ENGINE", "settings of Django's", "a project", "a row"],
)
def test_an_engine_that_was_named_is_no_project(variant: Variant, engine: str, expected: bool) -> None:
    assert is_project(variant, engine) is expected


def test_an_engine_that_was_named_claims_everything() -> None:
    named = claiming(Variant(name="acme.db", engine="acme.db"), Traits(), "acme.db")
    assert named.claimed("initialised")
    assert not claiming(Variant(name=STOCK, engine=STOCK), Traits(), STOCK).claimed("initialised")
