"""Who is compared: one Django database configuration each, in the order of the tables."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from typing import Any

STOCK = "django.db.backends.postgresql"
OURS = "backend_under_test"

PER_REQUEST = "connection per request"
UNCHECKED = "CONN_MAX_AGE=None"
CHECKED = "CONN_HEALTH_CHECKS"
PUBLISHED = ("published_global", "published_threadlocal")
PERSISTENT = ("persistent_global", "persistent_threadlocal")
RESET_OFF = "persistent_threadlocal, reset off"

ENVIRONMENT = "BENCH_CONTENDER"
"""The variable that tells page.py which one it is."""


@dataclass(frozen=True)
class Contender:
    """What stands in DATABASES, and the driver."""

    name: str
    engine: str
    driver: str = "psycopg2"
    settings: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    threaded: bool = True
    """Made for processes with several threads."""

    @property
    def label(self) -> str:
        """Unique in a table of both drivers."""
        return f"{self.name} · {self.driver}"

    def environ(self) -> dict[str, str]:
        """What makes page.py this one."""
        return {ENVIRONMENT: json.dumps(asdict(self))}


def told() -> Contender:
    """The one that the environment names."""
    return Contender(**json.loads(os.environ[ENVIRONMENT]))


def contenders(driver: str) -> list[Contender]:
    """All that run with that driver: the published ones know psycopg2 alone, Django's pool is psycopg 3's."""
    kept = {"CONN_MAX_AGE": None}
    found = [
        Contender(PER_REQUEST, STOCK, driver, {"CONN_MAX_AGE": 0}),
        Contender(UNCHECKED, STOCK, driver, kept),
        Contender(CHECKED, STOCK, driver, {**kept, "CONN_HEALTH_CHECKS": True}),
    ]
    if driver == "psycopg2":
        found += [Contender(name, f"{OURS}.{name}", threaded=name.endswith("local")) for name in PUBLISHED]
    else:
        found.append(Contender("Django's pool", STOCK, driver, options={"pool": {"min_size": 1, "max_size": 4}}))
    found += [Contender(name, f"{OURS}.{name}", driver, threaded=name.endswith("local")) for name in PERSISTENT]
    reset_off = {"persistent": {"reset": False}}
    return [*found, Contender(RESET_OFF, f"{OURS}.persistent_threadlocal", driver, options=reset_off)]
