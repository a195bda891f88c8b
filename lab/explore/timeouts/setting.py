"""The timeout settings of a variant, each judged by what it was seen to notice."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from lab.explore.timeouts.cell import Cell
from lab.records.variant import Traits, Variant

POOL_MIN = 4
"""psycopg_pool's smallest number of connections, by default."""

POOL_TIMEOUT = 30.0
"""psycopg_pool's default timeout for a checkout, in seconds."""

KEEPALIVES = ("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count")
STATEMENT = re.compile(r"statement_timeout\s*=\s*(\S+)")


class Setting(Struct, frozen=True):
    """One setting: its value, "" when OPTIONS have none, and which situations it ended after how many seconds.

    `situations` is empty when it noticed nothing within the horizon; `least` and `most` are None then.
    """

    name: str
    value: str
    situations: tuple[str, ...]
    least: float | None
    most: float | None


def settings(options: dict[str, Any], cells: Sequence[Cell]) -> tuple[Setting, ...]:
    """The settings in a fixed order, then what the client notices by itself; `cells` are those of one row."""
    values = {
        "connect_timeout": _value(options, "connect_timeout"),
        "keepalives": ", ".join(f"{key}={options[key]}" for key in KEEPALIVES if options.get(key) is not None),
        "tcp_user_timeout": _value(options, "tcp_user_timeout"),
        "statement_timeout": _statement_timeout(options),
        "pool timeout": _pool_timeout(options),
        "the client itself": "",
    }
    return tuple(_judged(name, value, cells) for name, value in values.items())


def options_of(variant: Variant, traits: Traits) -> dict[str, Any]:
    """The OPTIONS that the variant runs with, as far as they are plain values: a settings module's may be anything."""
    resolved = traits.settings.get("OPTIONS", {})
    return {**resolved, **variant.options} if isinstance(resolved, dict) else dict(variant.options)


def _judged(name: str, value: str, cells: Sequence[Cell]) -> Setting:
    ended = [cell for cell in cells if cell.by == name and cell.seconds is not None]
    seconds = [cell.seconds for cell in ended if cell.seconds is not None]
    situations = tuple(dict.fromkeys(cell.situation for cell in ended))
    return Setting(name, value, situations, min(seconds, default=None), max(seconds, default=None))


def _value(options: dict[str, Any], name: str) -> str:
    return "" if options.get(name) is None else str(options[name])


def _statement_timeout(options: dict[str, Any]) -> str:
    found = STATEMENT.search(str(options.get("options") or ""))
    return found.group(1) if found else ""


def _pool_timeout(options: dict[str, Any]) -> str:
    pool = options.get("pool")
    if not pool:
        return ""
    return str(pool.get("timeout", POOL_TIMEOUT)) if isinstance(pool, dict) else str(POOL_TIMEOUT)
