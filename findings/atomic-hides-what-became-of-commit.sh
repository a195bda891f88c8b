#!/bin/sh
# What surprises: Django's atomic() can raise "connection refused" for a block that IS committed. COMMIT is executed, its
# answer is lost and the server is not reachable for a moment. Leaving the block sets autocommit back, which connects
# anew; that attempt's error leaves atomic(), and COMMIT's own is in no __cause__. Code that takes "could not connect" for
# "nothing was done", and tries again, does the work twice.
# Seen with Django 5.2.19, both drivers: psycopg2-binary 2.9.13, psycopg 3.3.9. Exits 1 when that changes.
. "$(dirname "$0")/_server.sh"
with_packages django==5.2.19 psycopg2-binary==2.9.13 'psycopg[binary]==3.3.9'
with_postgres
cat >"$ROOT/see.py" <<'PYTHON'
import socket, sys, threading
import django
from django.conf import settings

driver, server = sys.argv[1], int(sys.argv[2])
if driver == "psycopg2":
    sys.modules["psycopg"] = None  # Django prefers it where it can be imported

listener = socket.create_server(("127.0.0.1", 0))


def relay():
    """Pass one connection on until COMMIT was executed; keep its answer back, hang up, and listen no more."""
    client, _ = listener.accept()
    with client, socket.create_connection(("127.0.0.1", server)) as upstream:
        done = threading.Event()

        def down():
            while data := upstream.recv(65536):
                if done.is_set():
                    listener.close()
                    client.shutdown(socket.SHUT_RDWR)
                    return
                client.sendall(data)

        back = threading.Thread(target=down)
        back.start()
        while data := client.recv(65536):
            if b"COMMIT" in data:
                done.set()
            upstream.sendall(data)
        back.join()


threading.Thread(target=relay, daemon=True).start()
where = {"ENGINE": "django.db.backends.postgresql", "HOST": "127.0.0.1", "NAME": "postgres", "USER": "finder"}
straight = {**where, "PORT": server}
relayed = {**where, "PORT": listener.getsockname()[1], "OPTIONS": {"sslmode": "disable", "gssencmode": "disable"}}
settings.configure(DATABASES={"default": relayed, "straight": straight})
django.setup()
from django.db import connection, connections, transaction

with connections["straight"].cursor() as cursor:
    cursor.execute("DROP TABLE IF EXISTS paid")
    cursor.execute("CREATE TABLE paid (id int)")
try:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("INSERT INTO paid VALUES (1)")
except django.db.Error as error:
    told, causes = error, []
    while told is not None:
        causes.append(told)
        told = told.__cause__
with connections["straight"].cursor() as cursor:
    cursor.execute("SELECT count(*) FROM paid")
    rows = cursor.fetchone()[0]
refused = "refused" in str(causes[0])
own = any("closed the connection" in str(cause) for cause in causes)
print(f"{driver}: rows there {rows}, told 'connection refused': {refused}, COMMIT's own error among the causes: {own}")
print(f"    {str(causes[0]).splitlines()[0]}")
sys.exit((rows, refused, own) != (1, True, False))
PYTHON
for driver in psycopg2 psycopg; do "$PY" "$ROOT/see.py" "$driver" "$DSN_PORT"; done
