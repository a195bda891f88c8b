#!/bin/sh
# What surprises: two options that Django documents, `assume_role` and `pool`, do not work together. Every request waits
# for the pool's timeout (30 seconds by default) and gets "couldn't get a connection", though the server has accepted
# one: the pool sets a new connection up by calling Django's wrapper, in a thread of its own; the wrapper quotes the
# role's name, for which it asks itself for a cursor, that is, the pool for a connection, and the pool has none until
# this one is set up. A name of a role is thus enough for a project to serve nothing. Each works without the other.
# Seen with Django 5.2.19, psycopg_pool 3.3.1, psycopg 3.3.9, PostgreSQL 18.6; with Django 6.1.3 and psycopg_pool 3.3.3, too.
# Exits 1 when that changes.
. "$(dirname "$0")/_server.sh"
with_packages Django==5.2.19 'psycopg[binary]==3.3.9' 'psycopg-pool==3.3.1'
with_postgres
cat >"$ROOT/see.py" <<'PYTHON'
import os
import sys

import django
import psycopg
from django.conf import settings

port = sys.argv[1]
where = {"ENGINE": "django.db.backends.postgresql", "HOST": "127.0.0.1", "PORT": port, "NAME": "postgres", "USER": "finder"}
pool = {"min_size": 1, "max_size": 2, "timeout": 4}
settings.configure(
    DATABASES={
        "default": {**where, "OPTIONS": {"assume_role": "shop"}},
        "pooled": {**where, "OPTIONS": {"pool": pool}},
        "both": {**where, "OPTIONS": {"assume_role": "shop", "pool": pool}},
    }
)
django.setup()

from django.db import OperationalError, connections

with psycopg.connect(f"host=127.0.0.1 port={port} user=finder dbname=postgres", autocommit=True) as owner:
    owner.execute("CREATE ROLE shop")


def works_as(alias):
    """The role that a request of this alias works as, or its error."""
    try:
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT current_role")
            return cursor.fetchone()[0]
    except OperationalError as error:
        return str(error)


def opened():
    """How many sessions the server has, beside the one that asks."""
    with psycopg.connect(f"host=127.0.0.1 port={port} user=finder dbname=postgres") as asks:
        count = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        return asks.execute(count).fetchone()[0]


alone = [works_as("default"), works_as("pooled")]
before = opened()
both = works_as("both")
accepted = opened() - before
print(f"assume_role alone: {alone[0]}; pool alone: {alone[1]}")
print(f"both: {both}; sessions that the server has accepted for it: {accepted}")
as_described = alone == ["shop", "finder"] and both == "couldn't get a connection after 4.00 sec" and accepted >= 1
sys.stdout.flush()
os._exit(0 if as_described else 1)  # the pool's own threads still wait for each other
PYTHON
"$PY" "$ROOT/see.py" "$DSN_PORT"
