"""Broken: psycopg does not learn of the DISCARD ALL that ends what it has prepared, and executes that again."""

from __future__ import annotations

from typing import Any

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    def reset(self, raw: Any) -> None:
        raw.pgconn.exec_(b"DISCARD ALL")
