#!/bin/sh
# What surprises: a session that comes back to a pool is reset in the server, and what the driver has read from it is not.
# Notifications that arrived with the answers of one client's statements, and that this client has not asked for, wait in
# the driver's connection object; the pool hands them to its next client with the session. DISCARD ALL (UNLISTEN *
# included) as the reset of psycopg_pool and psycopg2's own connection.reset() leave them there: the next client, which
# listens to nothing, is told of a channel and a payload that it never asked for. A consumer that checks for news at once
# after its own LISTEN takes them for its own.
# Seen with psycopg 3.3.9, psycopg_pool 3.3.1, psycopg2 2.9.13, PostgreSQL 18.6. Exits 1 when that changes.
. "$(dirname "$0")/_server.sh"
with_packages 'psycopg[binary]==3.3.9' 'psycopg-pool==3.3.1' 'psycopg2-binary==2.9.13'
with_postgres
cat >"$ROOT/see.py" <<'PYTHON'
import sys

import psycopg
import psycopg2.pool
import psycopg_pool

DSN = f"host=127.0.0.1 port={sys.argv[1]} user=finder dbname=postgres"
CHANNELS = "SELECT count(*) FROM pg_listening_channels()"


def notify(sender):
    sender.execute("NOTIFY orders, 'of the first client'")


def by_psycopg(sender):
    """With either reset: what the second client listens to, and what it reads."""

    def discard(connection):
        connection.autocommit = True
        connection.execute("DISCARD ALL")
        connection.autocommit = False

    def unlisten(connection):
        connection.execute("UNLISTEN *")
        connection.commit()

    for name, reset in (("UNLISTEN *", unlisten), ("DISCARD ALL", discard)):
        with psycopg_pool.ConnectionPool(DSN, min_size=1, max_size=1, reset=reset) as pool:
            with pool.connection() as first:
                first.execute("LISTEN orders")
                first.commit()
                notify(sender)
                first.execute("SELECT 1")  # its answer brings the notification along
                pid = first.info.backend_pid
            with pool.connection() as second:
                assert second.info.backend_pid == pid
                (channels,) = second.execute(CHANNELS).fetchone()
                second.commit()
                heard = [each.payload for each in second.notifies(timeout=1, stop_after=1)]
                yield f"psycopg_pool, {name}", channels, heard


def by_psycopg2(sender):
    """The same with psycopg2's pool, where the client gives back what the driver's own method has reset."""
    pool = psycopg2.pool.ThreadedConnectionPool(1, 1, DSN)
    first = pool.getconn()
    with first.cursor() as cursor:
        cursor.execute("LISTEN orders")
        first.commit()
        notify(sender)
        cursor.execute("SELECT 1")
        first.commit()
        cursor.execute("UNLISTEN *")
        first.commit()
    first.reset()
    pool.putconn(first)
    second = pool.getconn()
    assert second is first
    with second.cursor() as cursor:
        cursor.execute(CHANNELS)
        (channels,) = cursor.fetchone()
    yield "psycopg2.pool, UNLISTEN * and reset()", channels, [each.payload for each in second.notifies]
    pool.closeall()


with psycopg.connect(DSN, autocommit=True) as sender:
    found = [*by_psycopg(sender), *by_psycopg2(sender)]
print("the second client of the same session: channels that it listens to, notifications that it reads")
for what, channels, payloads in found:
    print(f"  {what}: {channels}, {payloads}")
sys.exit([each[1:] for each in found] != [(0, ["of the first client"])] * 3)
PYTHON
timeout 60 "$PY" "$ROOT/see.py" "$DSN_PORT"
