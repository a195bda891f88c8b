#!/bin/sh
# What surprises: Django's signal `connection_created`, "sent when the database wrapper makes the initial connection", is
# sent with Django's own pool each time that a request takes a session which has long been there. A receiver that sets
# something up once for each session, as it does with CONN_MAX_AGE, runs in every request, and costs it a round trip;
# one whose set-up cannot be done twice, such as CREATE TEMP TABLE, fails from the second request on, and its error
# reaches the view. So a project that only adds `"pool": True` serves as many requests as the pool has sessions, and
# then none on these: nothing was reconnected. CREATE TEMP TABLE IF NOT EXISTS is a way out.
# Seen with Django 5.2.19, psycopg_pool 3.3.1, psycopg 3.3.9, PostgreSQL 18.6; with Django 6.1.3 and psycopg_pool 3.3.3, too.
# Exits 1 when that changes.
. "$(dirname "$0")/_server.sh"
with_packages Django==5.2.19 'psycopg[binary]==3.3.9' 'psycopg-pool==3.3.1'
with_postgres
cat >"$ROOT/see.py" <<'PYTHON'
import sys

import django
from django.conf import settings

where = {"ENGINE": "django.db.backends.postgresql", "HOST": "127.0.0.1", "NAME": "postgres", "USER": "finder"}
where["PORT"] = sys.argv[1]
settings.configure(
    DATABASES={
        "default": {**where, "CONN_MAX_AGE": None},
        "pooled": {**where, "OPTIONS": {"pool": {"min_size": 1, "max_size": 1}}},
    }
)
django.setup()

from django.core.signals import request_finished, request_started
from django.db import DatabaseError, connections
from django.db.backends.signals import connection_created

REQUESTS = 4
sent = {"default": 0, "pooled": 0}


def audited(connection, **_):
    """A project's set-up of new sessions: triggers read from this table who is working."""
    sent[connection.alias] += 1
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE audit_user (name text)")


connection_created.connect(audited)


def served(alias):
    """The sessions that the requests had, and the errors that reached them."""
    sessions, errors = [], []
    for _ in range(REQUESTS):
        request_started.send(None)
        try:
            with connections[alias].cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                sessions.append(cursor.fetchone()[0])
        except DatabaseError as error:
            errors.append(str(error))
        request_finished.send(None)
    connections[alias].close()
    return sessions, errors


seen = {alias: served(alias) for alias in sent}
for alias, (sessions, errors) in seen.items():
    print(
        f"{alias}: {sent[alias]} signals in {REQUESTS} requests, {len(sessions)} of which were served,"
        f" on {len(set(sessions))} session; {errors[-1] if errors else 'no error'}"
    )
connections["pooled"].close_pool()
(kept, none), (pooled, errors) = seen["default"], seen["pooled"]
as_described = (
    (sent["default"], len(kept), len(set(kept)), none) == (1, REQUESTS, 1, [])
    and (sent["pooled"], len(pooled)) == (REQUESTS, 1)
    and set(errors) == {'relation "audit_user" already exists'}
)
sys.exit(0 if as_described else 1)
PYTHON
"$PY" "$ROOT/see.py" "$DSN_PORT"
