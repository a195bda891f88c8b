"""What a variant claims: its row says it, a command line or pyproject.toml, or Django's documentation for a project.

Presets: `django` (what Django documents for such settings), `persistent` (what the published snippet claims of a kept
connection), `strict` (every promise).
"""

from __future__ import annotations

import functools
import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from lab.check.variants import ROWS_MODULE, rows
from lab.errors import BadInput
from lab.judging.plan_parts import pools
from lab.promise import PROMISES, Promise
from lab.records.variant import Traits, Variant
from lab.registry import beside

PRESETS = ("django", "persistent", "strict")
TABLE = "connection-lab"
KEYS = ("claims", "maximum")
"""What a project may state in that table of its pyproject.toml."""
STOCK = ("django.db.backends.postgresql", "django.contrib.gis.db.backends.postgis")
LIMITS = "django_limits.json"
"""Beside the rows: the moments at which stock Django was seen to break each promise, by what it keeps."""

Known = Mapping[str, Sequence[str]]


def from_project(folder: Path) -> tuple[str, ...]:
    """`claims` in [tool.connection-lab] of a folder's pyproject.toml, () where there is none; raises BadInput."""
    path, table = _table(folder)
    claims = table.get("claims", [])
    if not isinstance(claims, list) or not all(isinstance(each, str) for each in claims):
        raise BadInput(f"claims in [tool.{TABLE}] of {path} is no list of texts", 'write claims = ["django"]')
    return checked(claims)


def maximum_from_project(folder: Path) -> int:
    """`maximum` in [tool.connection-lab] of a folder's pyproject.toml, 0 where there is none; raises BadInput."""
    path, table = _table(folder)
    maximum = table.get("maximum", 0)
    if "maximum" in table and (not isinstance(maximum, int) or isinstance(maximum, bool) or maximum < 1):
        raise BadInput(
            f"maximum in [tool.{TABLE}] of {path} is no number of sessions: {maximum!r}",
            "write maximum = 5, the most sessions that a process has for one alias",
        )
    return int(maximum)


def _table(folder: Path) -> tuple[Path, dict[str, Any]]:
    """The path of a folder's pyproject.toml, and what [tool.connection-lab] says in it; raises BadInput."""
    path = folder / "pyproject.toml"
    try:
        data: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError:
        return path, {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not TOML: {error}", "repair it, or run the lab in another folder") from None
    tool = data.get("tool", {})
    table = tool.get(TABLE, {}) if isinstance(tool, dict) else {}
    if not isinstance(table, dict):
        raise BadInput(f"tool.{TABLE} of {path} is no table", f"write [tool.{TABLE}] and what belongs to it below")
    for key in table:
        if key not in KEYS:
            raise BadInput(f"{key} in [tool.{TABLE}] of {path} means nothing", f"write {' or '.join(KEYS)}")
    return path, table


def checked(claims: Sequence[str]) -> tuple[str, ...]:
    """The same, once each is a preset or a promise; raises UnknownName."""
    for each in claims:
        if each not in PRESETS:
            PROMISES.get(each)
    return tuple(dict.fromkeys(claims))


def is_row(variant: Variant) -> bool:
    """Whether it is a bundled variant, perhaps with other settings."""
    return not variant.module and variant.name in rows()


def is_project(variant: Variant, engine: str) -> bool:
    """Whether it is a configuration of somebody's: a project's, or settings of Django's own ENGINE.

    Plans that change settings say nothing of such settings. An ENGINE that was named is judged under any of them.
    """
    return not is_row(variant) and (bool(variant.module) or engine in STOCK)


def claiming(variant: Variant, traits: Traits, engine: str, wanted: Sequence[str] = ()) -> Variant:
    """The variant with what it claims: `wanted`; else what its row says; else, for a project, what Django documents."""
    if "strict" in wanted:
        return msgspec.structs.replace(variant, claims=None)
    if wanted:
        names: list[str] = []
        presets = {"django": _stock(traits).claims or (), "persistent": _persistent()}
        for each in wanted:
            names += presets.get(each, [each])
        own = {name: moments for name, moments in _stock(traits).limits.items() if name not in wanted}
        limits = {**variant.limits, **own} if "django" in wanted else variant.limits
        return msgspec.structs.replace(variant, claims=tuple(dict.fromkeys(names)), limits=limits)
    if variant.claims is not None or not is_project(variant, engine):
        return variant
    stock = _stock(traits)
    return msgspec.structs.replace(variant, claims=stock.claims or (), limits=stock.limits)


def claimed(variant: Variant, promise: str, *moments: str) -> bool:
    """Whether the variant makes the promise, at one of the `moments` if any are given that are not Django's own."""
    djangos = djangos_own(variant, PROMISES.get(promise)) if promise in PROMISES else ()
    mine = [moment for moment in moments if moment not in djangos]
    return (bool(mine) or not moments) and variant.claimed(promise, *mine)


def djangos_own(variant: Variant, promise: Promise) -> tuple[str, ...]:
    """The moments of a promise that Django itself breaks, () for a row that claims all of them nevertheless."""
    return () if is_row(variant) and variant.claims is None else promise.of_django


def known_limits(variant: Variant, traits: Traits, engine: str) -> Known | None:
    """The moments at which stock Django breaks each promise; None where a variant's breaks are all its own or Django's.

    What a project breaks beyond them is the doing of its settings or its code, and counts though nobody has claimed it.
    """
    if is_row(variant) or not variant.module or (engine in STOCK and not traits.overrides and not traits.receivers):
        return None
    return _limits()[_kind(traits)]


def suspicion(traits: Traits, asked: Iterable[tuple[str, str]]) -> int:
    """How likely a plan is to break one of the promises, with their moments, that asked for it; 0 is the likeliest.

    0: stock Django with such settings is known to break one there; 1: with other settings; 2: nothing is known. A guess
    for the order of plans, and for nothing else.
    """
    found = _limits()
    own = found[_kind(traits)]
    asked = list(asked)
    if any(moment in own.get(promise, ()) for promise, moment in asked):
        return 0
    return 2 - any(moment in each.get(promise, ()) for each in found.values() for promise, moment in asked)


@functools.cache
def _limits() -> dict[str, dict[str, list[str]]]:
    path = Path(str(beside(ROWS_MODULE).__file__)).with_name(LIMITS)
    found: dict[str, dict[str, list[str]]] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _kind(traits: Traits) -> str:
    """Which of stock Django's configurations has such settings; an ENGINE's own pool is none of them."""
    if pools(traits):
        return "pool"
    if traits.conn_max_age == 0:
        return "per_request"
    return "health_checks" if traits.health_checks else "persistent"


def _stock(traits: Traits) -> Variant:
    """The row of stock Django with such settings: what its documentation claims, and where it says that it does not."""
    return rows()[f"django_{_kind(traits)}"]


def _persistent() -> list[str]:
    found: tuple[str, ...] = beside(ROWS_MODULE).PERSISTENT
    return list(found)
