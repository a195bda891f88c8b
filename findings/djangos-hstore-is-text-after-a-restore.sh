#!/bin/sh
# What surprises: Django asks a database for the number of its type hstore once in a process, and keeps it for the
# alias. When the database behind the alias is another one, restored from a dump or taken over from a replica by
# logical replication, the type has another number there, Django connects again and reads each HStoreField as text:
# '"a"=>"1"' for {"a": "1"}, in every later session of this process, with CONN_HEALTH_CHECKS and with Django's pool as
# well. Nothing is raised where it is read, queries and writes go on, and only a new process, or the one that runs the
# migration HStoreExtension, is right. A reconnect that works is no proof that the values are the same.
# Seen with Django 5.2.19, psycopg 3.3.9, psycopg2 2.9.13, psycopg_pool 3.3.1, PostgreSQL 18.6. Exits 1 when that
# changes.
. "$(dirname "$0")/_server.sh"
with_packages Django==5.2.19 'psycopg[binary]==3.3.9' 'psycopg-pool==3.3.1' psycopg2-binary==2.9.13
with_postgres
cat >"$ROOT/see.py" <<'PYTHON'
import sys

port, driver = sys.argv[1:]
if driver == "psycopg2":
    sys.modules["psycopg"] = None  # Django prefers it

import django
from django.conf import settings

where = {"ENGINE": "django.db.backends.postgresql", "HOST": "127.0.0.1", "PORT": port, "USER": "finder"}
alias = {**where, "NAME": "shop", "CONN_HEALTH_CHECKS": True, "CONN_MAX_AGE": None}
settings.configure(
    INSTALLED_APPS=["django.contrib.postgres"],
    DATABASES={
        "default": {**where, "NAME": "postgres"},
        "kept": alias,
        "pooled": {**alias, "CONN_MAX_AGE": 0, "OPTIONS": {"pool": {"min_size": 1}}},
        "first used later": alias,
    },
)
if driver == "psycopg2":
    del settings.DATABASES["pooled"]
django.setup()

from django.contrib.postgres.fields import HStoreField
from django.db import close_old_connections, connections, models

WANTED = {"a": "1"}


class Product(models.Model):
    data = HStoreField()

    class Meta:
        app_label = "shop"
        db_table = "products"
        managed = False


def sql(alias, *statements):
    with connections[alias].cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def fill(database):
    """A database as a restore makes it: its types get numbers of its own."""
    sql("default", f"DROP DATABASE IF EXISTS {database} WITH (FORCE)", f"CREATE DATABASE {database}")
    connections.databases["filler"] = {**connections.databases["default"], "NAME": database}
    sql(
        "filler",
        "CREATE EXTENSION hstore",
        "CREATE TABLE products (id bigserial PRIMARY KEY, data hstore)",
        """INSERT INTO products (data) VALUES ('"a"=>"1"')""",
    )
    connections["filler"].close()
    del connections["filler"]


def request(alias):
    close_old_connections()  # as Django does when a request begins
    data = Product.objects.using(alias).get(data__a="1").data
    close_old_connections()
    return data


fill("shop")
fill("restored")
used = [alias for alias in ("kept", "pooled") if alias in connections.databases]
before = {alias: request(alias) for alias in used}
sql(
    "default",
    "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = 'shop'",
    "ALTER DATABASE shop RENAME TO old",
    "ALTER DATABASE restored RENAME TO shop",
)
after = {alias: [request(alias) for _ in range(3)] for alias in used}
later = request("first used later")
connections.close_all()
for alias in used:
    if driver == "psycopg":
        connections[alias].close_pool()
sql("default", "DROP DATABASE old")
connections.close_all()
for alias in used:
    print(f"{driver}, {alias}: before {before[alias]!r}, in three requests after the restore {after[alias]!r}")
print(f"{driver}, an alias first used after the restore: {later!r}")
text = '"a"=>"1"'
right = before == dict.fromkeys(used, WANTED) and after == dict.fromkeys(used, [text] * 3) and later == WANTED
sys.exit(not right)
PYTHON
for driver in psycopg2 psycopg; do timeout 60 "$PY" -W ignore "$ROOT/see.py" "$DSN_PORT" "$driver"; done
