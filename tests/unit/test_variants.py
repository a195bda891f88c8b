from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lab.check.variants import find, rows
from lab.errors import VariantUnknown
from lab.promise import PROMISES


def test_rows_claim_promises_that_exist() -> None:
    for variant in rows().values():
        assert set(variant.claims or ()) <= set(PROMISES), variant.name


def test_repaired_rows_claim_everything() -> None:
    assert [name for name, variant in rows().items() if variant.claims is None] == [
        "persistent_global",
        "persistent_threadlocal",
    ]


def test_published_rows_claim_what_their_text_claims() -> None:
    claims = ("reuses", "replaces-stale", "recovers", "commits-on-close")
    assert rows()["published_global"].claims == claims
    assert rows()["published_threadlocal"].claims == (*claims, "isolated-threads")


def test_rows_import_nothing_of_the_lab() -> None:
    module = sys.modules[rows.__defaults__[0]] if rows.__defaults__ else None
    assert module is not None
    assert not [name for name in vars(module) if name.startswith("lab")]


def test_find_lays_flags_on_a_row() -> None:
    found = find("django_persistent", driver="psycopg", settings={"CONN_HEALTH_CHECKS": True}, options={"pool": True})
    assert (found.driver, found.options) == ("psycopg", {"pool": True})
    assert found.settings == {"CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": True}
    assert found.claims == rows()["django_persistent"].claims


def test_find_engine_claims_everything_and_may_live_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = find("my.backend", path=["."])
    assert (found.name, found.engine, found.claims) == ("my.backend", "my.backend", None)
    assert set(found.path) == {str(tmp_path)}


def test_find_single_name_is_an_engine_where_there_is_such_a_package(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "base.py").touch()
    assert find("mine", path=[str(tmp_path)]).engine == "mine"


def test_find_settings_module_leaves_the_engine_to_it() -> None:
    found = find("", module="proj.settings", alias="other")
    assert (found.engine, found.module, found.alias) == ("", "proj.settings", "other")


@pytest.mark.parametrize("name", ["nosuch", "not an engine.x", ""])
def test_find_refuses_what_is_neither(name: str) -> None:
    with pytest.raises(VariantUnknown, match="django_per_request"):
        find(name)
