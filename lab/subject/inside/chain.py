"""An exception as data: its class, its SQLSTATE, and those of its causes."""

from __future__ import annotations

from typing import Any

_KNOWN = ("django", "psycopg", "psycopg2", "psycopg_pool", "builtins")
_LONGEST = 8
_TEXT = 500


def chain_of(error: BaseException) -> list[dict[str, Any]]:
    """The exception, then what it was raised from or during, at most eight links."""
    links: list[dict[str, Any]] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and len(links) < _LONGEST and id(current) not in seen:
        seen.add(id(current))
        cls = type(current)
        state = getattr(current, "sqlstate", None) or getattr(current, "pgcode", None) or ""
        link = {"cls": _name(cls), "text": str(current)[:_TEXT].strip()}
        if state:
            link["sqlstate"] = str(state)
        if not _known(cls):
            link["base"] = next(_name(each) for each in cls.__mro__ if _known(each))
        links.append(link)
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return links


def _name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _known(cls: type) -> bool:
    return cls.__module__.partition(".")[0] in _KNOWN
