#!/bin/sh
# What surprises: with CONN_MAX_AGE=None a request whose query is lost with its connection costs that request alone: at its
# end Django closes the dead connection, and the next request gets a new one. When the same connection dies during a COPY,
# or psycopg 3's stream(), the next request fails, too ("connection already closed", "the connection is closed").
# django/db/utils.py wraps execute() and the fetches, and only there is `errors_occurred` set, without which the request's
# end does not look at the connection. copy_expert(), copy() and stream() reach the driver's cursor past that wrapper.
# With CONN_HEALTH_CHECKS=True the next request is served. Seen with Django 5.2.19, psycopg2 2.9.13, psycopg 3.3.9, PostgreSQL 18.6.
# Exits 1 when that changes.
. "$(dirname "$0")/_server.sh"
with_packages Django==5.2.19 psycopg2-binary==2.9.13 'psycopg[binary]==3.3.9'
with_postgres
cat >"$ROOT/see.py" <<'PYTHON'
import io
import sys

from django.conf import settings

port, driver, how, checks = sys.argv[1:]
if driver == "psycopg2":
    sys.modules["psycopg"] = None  # Django prefers it
settings.configure(
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": "127.0.0.1",
            "PORT": port,
            "NAME": "postgres",
            "USER": "finder",
            "CONN_MAX_AGE": None,
            "CONN_HEALTH_CHECKS": checks == "checked",
        }
    }
)

import django

django.setup()

from django.core.signals import request_finished, request_started
from django.db import connection

ROWS = "SELECT generate_series(1, 100000)"
DIES = "SELECT pg_terminate_backend(pg_backend_pid()) FROM generate_series(1, 1)"


def use(text):
    with connection.cursor() as cursor:
        if how == "execute":
            cursor.execute(text)
        elif how == "stream":
            list(cursor.stream(text))
        elif driver == "psycopg2":
            cursor.copy_expert(f"COPY ({text}) TO STDOUT", io.BytesIO())
        else:
            with cursor.copy(f"COPY ({text}) TO STDOUT") as copy:
                list(copy)


def request(view):
    request_started.send(None)
    try:
        view()
        return "served"
    except Exception as error:
        return f"{type(error).__module__.partition('.')[0]}.{type(error).__name__}"
    finally:
        request_finished.send(None)


def plain():
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


whole = request(lambda: use(ROWS))  # the same call, whole
lost, following = request(lambda: use(DIES)), request(plain)
print(f"{driver}, {how}, {checks}: whole: {whole}; its session is ended: {lost}; the next request: {following}")
expected = "served" if how == "execute" or checks == "checked" else "django.InterfaceError"
if expected != "served" and driver == "psycopg":
    expected = "django.OperationalError"
sys.exit(whole != "served" or lost == "served" or following != expected)
PYTHON
for driver in psycopg2 psycopg; do
    for checks in unchecked checked; do
        for how in execute COPY stream; do
            [ "$driver $how" = "psycopg2 stream" ] && continue
            timeout 60 "$PY" -W ignore "$ROOT/see.py" "$DSN_PORT" "$driver" "$how" "$checks"
        done
    done
done
