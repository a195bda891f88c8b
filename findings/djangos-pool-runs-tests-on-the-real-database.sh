#!/bin/sh
# What surprises: with Django's own pool (OPTIONS "pool": True), one query before the test database is made (an
# AppConfig.ready(), a module that is imported, a shell) is enough for the whole test run to work on the real database.
# create_test_db() closes the wrapper's connection, which only gives it back, and changes settings_dict["NAME"]; the pool
# stays as it was made, and is found by the alias alone. Nothing is said: the test database is created, stays empty, and is
# dropped at the end. Without the pool, and without the earlier query, the same code works on the test database.
# Seen with Django 5.2.19 and 6.1.3 (on Python 3.12 or newer), psycopg 3.3.9, psycopg_pool 3.3.3, PostgreSQL 18.6.
# Exits 1 when that changes.
. "$(dirname "$0")/_server.sh"
with_packages Django==5.2.19 'psycopg[binary]==3.3.9' psycopg_pool==3.3.3
with_postgres
cat >"$ROOT/see.py" <<'PYTHON'
import sys

import django
from django.conf import settings

pool, before = (word == "yes" for word in sys.argv[2:])
settings.configure(
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": "127.0.0.1",
            "PORT": sys.argv[1],
            "NAME": "real",
            "USER": "finder",
            "OPTIONS": {"pool": True} if pool else {},
        }
    }
)
django.setup()

from django.db import connection
from django.test.utils import setup_databases, teardown_databases


def one(text):
    with connection.cursor() as cursor:
        cursor.execute(text)
        return cursor.fetchone()[0] if cursor.description else None


if before:
    one("SELECT 1")
    connection.close()  # as the end of a request or a command does
old = setup_databases(verbosity=0, interactive=False)
where = one("SELECT current_database()")
one("CREATE TABLE IF NOT EXISTS made_by_a_test (a int)")
teardown_databases(old, verbosity=0)
connection.close()
settings_name = connection.settings_dict["NAME"]
left = one("SELECT count(*) FROM pg_tables WHERE tablename = 'made_by_a_test'")
one("DROP TABLE IF EXISTS made_by_a_test")
found = {"tests ran on": where, "tables left in the real database": left}
print(f"Django {django.__version__}, pool: {pool}, a query before: {before}: {found}")
expected = ("real", 1) if pool and before else ("test_real", 0)
sys.exit((where, left) != expected or settings_name != "real")
PYTHON
"$PY" -c "import psycopg; psycopg.connect(host='127.0.0.1', port=$DSN_PORT, user='finder', dbname='postgres', autocommit=True).execute('CREATE DATABASE real')"
see() { for words in "yes yes" "yes no" "no yes"; do timeout 60 "$PY" -W ignore "$ROOT/see.py" "$DSN_PORT" $words; done; }
see
if "$PY" -c 'import sys; sys.exit(sys.version_info < (3, 12))'; then
    "$PY" -m pip --quiet --disable-pip-version-check install Django==6.1.3
    see
fi
