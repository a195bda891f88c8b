"""The persistent backends' own settings, and what is sent to undo a request: no server needed."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from backend_under_test.persistent_core.limit import LIBPQ_DEFAULTS, Limits
from backend_under_test.persistent_core.setup import repeatable

BOUND = 10.0
"""The lab's default B."""


def test_defaults_keep_the_bound() -> None:
    limits = Limits.of(None)
    assert limits.query_deadline is not None
    assert limits.query_deadline < BOUND
    # A checkout that finds a silent session waits for its answer, connects anew and sets up.
    assert limits.check_deadline + LIBPQ_DEFAULTS["connect_timeout"] < limits.query_deadline


def test_default_conn_max_age_says_nothing() -> None:
    assert Limits.of({}, max_age=0).max_age is None
    assert Limits.of({}, max_age=60).max_age == 60
    assert Limits.of({"max_age": 5.0}, max_age=60).max_age == 5.0


@pytest.mark.parametrize(
    "given", [{"query_timeout": 3}, {"query_deadline": 0}, {"check_deadline": None}, {"connect_attempts": 0}]
)
def test_senseless_settings_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(ImproperlyConfigured, match="persistent"):
        Limits.of(given)


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SET search_path TO acme", True),
        ("-- why\n /* and */ set role x", True),
        ("SELECT set_config('app.tenant', 'acme', false)", True),
        ("SELECT pg_catalog.set_config('a.b', '1', false)", True),
        ("SELECT prepare_tenant()", True),
        ("LISTEN jobs", True),
        ("CREATE TEMP TABLE t (i int)", True),
        ("SELECT 1", None),
        ("SELECT t.oid FROM pg_type t WHERE has_type_privilege(t.oid, 'usage')", None),
        ("SHOW timezone", None),
        ("SET LOCAL work_mem = '1MB'", None),
        ("COMMIT", None),
        ("INSERT INTO audit VALUES (1)", False),
        ("CREATE TABLE t (i int)", False),
        ("executemany", False),
    ],
)
def test_what_a_reset_repeats(statement: str, expected: bool | None) -> None:
    assert repeatable(statement) is expected
