"""The persistent backends under gevent's monkey patching: `persistent_greenlets.py DRIVER ENGINE`, server by PG*.

Prints a JSON object of what was seen. psycopg2 blocks the one thread that all greenlets share (no psycogreen here).
"""

from __future__ import annotations

from gevent import monkey  # type: ignore[import-untyped]

monkey.patch_all()

import json  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402

DRIVER, ENGINE = sys.argv[1:3]
if DRIVER == "psycopg2":
    sys.modules["psycopg"] = None  # type: ignore[assignment]  # Django prefers it where it can be imported

import django  # noqa: E402
import gevent  # noqa: E402
from django.conf import settings  # noqa: E402

settings.configure(
    DATABASES={
        "default": {
            "ENGINE": f"backend_under_test.persistent_{ENGINE}",
            "NAME": os.environ["PGDATABASE"],
            "USER": os.environ["PGUSER"],
            "PASSWORD": os.environ["PGPASSWORD"],
            "HOST": os.environ["PGHOST"],
            "PORT": os.environ["PGPORT"],
            "OPTIONS": {"persistent": {"query_deadline": 0.5}},
        }
    }
)
django.setup()

from django.core.signals import request_finished, request_started  # noqa: E402
from django.db import Error, connection  # noqa: E402


def request(sql: str) -> object:
    """One request; the first column of its one row."""
    request_started.send(sender=None)
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchone()[0]
    finally:
        request_finished.send(sender=None)


started = time.monotonic()
try:
    given_up = repr(request("SELECT pg_sleep(11)"))
except Error as error:
    given_up = str(error)
took = time.monotonic() - started
in_turn = [gevent.spawn(request, "SELECT pg_backend_pid()").get() for _ in range(5)]
sys.stdout.write(json.dumps({"given_up": given_up, "took": took, "in_turn": in_turn}))
