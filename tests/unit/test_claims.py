"""What a project claims: what the row of stock Django with such settings does, and not where Django itself does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.check.claims import claiming, from_project, maximum_from_project
from lab.cli.options import variants_of
from lab.errors import BadInput
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


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('maximum = "5"', "maximum in [tool.connection-lab] of .* is no number of sessions: '5'"),
        ("maximum = 0", "is no number of sessions: 0"),
        ("maximum = -1", "is no number of sessions: -1"),
        ("maximum = true", "is no number of sessions: True"),
        ("maximum = 2.5", "is no number of sessions: 2.5"),
        ("maximun = 5", "maximun in [tool.connection-lab] of .* means nothing"),
    ],
)
def test_a_maximum_that_is_none(table: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(f"[tool.connection-lab]\n{table}\n")
    with pytest.raises(BadInput, match=said.replace("[", r"\[").replace("]", r"\]")):
        maximum_from_project(tmp_path)


def test_what_is_no_table_states_nothing(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool]\nconnection-lab = 5\n")
    with pytest.raises(BadInput, match=r"tool.connection-lab of .* is no table"):
        maximum_from_project(tmp_path)


def test_a_project_states_a_maximum_for_what_is_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bundled variants have what they have; what the command line says holds for all."""
    monkeypatch.chdir(tmp_path)
    assert maximum_from_project(tmp_path) == 0
    (tmp_path / "pyproject.toml").write_text('[tool.connection-lab]\nmaximum = 5\nclaims = ["django"]\n')
    assert [maximum_from_project(tmp_path), from_project(tmp_path)] == [5, ("django",)]
    names = ["my.engine", "django_pool"]
    assert [each.maximum for each in variants_of(names, driver="psycopg2")] == [5, 0]
    assert [each.maximum for each in variants_of(names, driver="psycopg2", maximum=7)] == [7, 7]
    assert [each.maximum for each in variants_of([], driver="psycopg2", settings="my.settings")] == [5]
