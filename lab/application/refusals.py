"""What must not, or cannot, be judged: each with one line that says what to do.

The lab restores tables and ends sessions. It does so on a database that the test run has made, and on no other.
"""

from __future__ import annotations

import sys
from collections.abc import Collection

from django.db import connections

from lab.application.failure import Unfit
from lab.application.made import made


def check(aliases: Collection[str]) -> None:
    """Raise Unfit unless these databases were made by this test run and cuts can be seen to work on them."""
    gevent()
    for alias in aliases:
        vendor(alias)
        made_by_run(alias)
        in_transaction(alias)


def made_by_run(alias: str) -> None:
    """Refuse a database that no test set-up of Django's has made in this run."""
    name = connections[alias].settings_dict["NAME"]
    if not made(name):
        raise Unfit(
            f"the database {name!r} of alias {alias!r} was not made by this test run, and the lab would restore its "
            "tables and end its sessions",
            "let pytest-django make a test database (do not override django_db_setup), or use --lab-postgres",
        )


def vendor(alias: str) -> None:
    """Refuse what is not PostgreSQL."""
    found = connections[alias].vendor
    if found != "postgresql":
        raise Unfit(
            f"alias {alias!r} is {found}, and the lab cuts PostgreSQL connections",
            "use --lab-postgres, or name only PostgreSQL databases in databases=[…] of the django_db mark",
        )


def in_transaction(alias: str) -> None:
    """Refuse a test that runs inside a transaction which never commits."""
    if connections[alias].in_atomic_block:
        raise Unfit(
            "this test runs inside a transaction that never commits, so there is no COMMIT to cut",
            "use django_db(transaction=True) or TransactionTestCase",
        )


def gevent() -> None:
    """Refuse a process whose threads and sockets are gevent's."""
    patched = sys.modules.get("gevent.monkey")
    if patched is not None and any(map(patched.is_module_patched, ("socket", "threading"))):
        raise Unfit(
            "gevent has patched this process's threads and sockets, so the lab cannot wait for its tap",
            "run these tests without gevent's monkey patches",
        )
