"""What a project claims: what the row of stock Django with such settings does, and not where Django itself does not."""

from __future__ import annotations

from lab.check.claims import claiming
from lab.records.variant import Traits, Variant

PROJECT = Variant(name="my.settings[default]", module="my.settings")
HEALTH = Traits(conn_max_age=600, health_checks=True)
IN_A_COMMAND = ("in a command", "in an executor's thread")


def test_a_project_with_health_checks_claims_them_for_requests() -> None:
    claims = claiming(PROJECT, HEALTH, "django.db.backends.postgresql")
    assert claims.claimed("replaces-stale")
    assert claims.claimed("replaces-stale", "FIN, query first")
    assert claims.claimed("replaces-stale", "in a command", "FIN, query first")
    assert not claims.claimed("replaces-stale", *IN_A_COMMAND)


def test_the_preset_django_says_the_same_unless_the_promise_is_named() -> None:
    preset = claiming(PROJECT, HEALTH, "django.db.backends.postgresql", ("django",))
    assert not preset.claimed("replaces-stale", *IN_A_COMMAND)
    named = claiming(PROJECT, HEALTH, "django.db.backends.postgresql", ("django", "replaces-stale"))
    assert named.claimed("replaces-stale", *IN_A_COMMAND)
    assert claiming(PROJECT, HEALTH, "", ("strict",)).claimed("replaces-stale", *IN_A_COMMAND)


def test_without_health_checks_nothing_of_it_is_claimed() -> None:
    kept = Traits(conn_max_age=600, health_checks=False)
    assert not claiming(PROJECT, kept, "django.db.backends.postgresql").claimed("replaces-stale")
