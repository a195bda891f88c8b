#!/bin/sh
# What surprises: with `reset`, psycopg_pool takes a session back by one of its workers, of which there are three by
# default, and it is they who open new sessions, too. So when three sessions are lost and the server's address takes
# connections and does not answer (a host that hangs, a balancer without a server, a pooler that waits), a good session
# that is given back does not come into the pool again: its clients get a PoolTimeout, which says nothing of it, beside
# sessions that are open and idle, until the workers' connect_timeout is over, 130 s by default. Without `reset` the
# sessions go back at once, and the good ones serve everybody. More workers (num_workers) than sessions that can be
# lost at a time help.
# Seen with psycopg_pool 3.3.1, psycopg 3.3.9, PostgreSQL 18.6. Exits 1 when that changes.
. "$(dirname "$0")/_server.sh"
with_packages 'psycopg[binary]==3.3.9' 'psycopg-pool==3.3.1'
with_postgres
cat >"$ROOT/see.py" <<'PYTHON'
import contextlib
import logging
import socket
import sys

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

SIZE, CLIENTS, TIMEOUT = 6, 20, 3
logging.getLogger("psycopg.pool").setLevel(logging.ERROR)  # it warns of each lost session


def reset(connection):
    connection.execute("RESET ALL")


def dsn(port):
    return f"host=127.0.0.1 port={port} user=finder dbname=postgres"


def served(lost, **options):
    """How many clients in a row were served after so many of the pool's sessions were lost, and its good sessions."""
    address = [dsn(sys.argv[1])]
    options["kwargs"] = {"autocommit": True}
    with (
        ConnectionPool(lambda: address[0], min_size=SIZE, timeout=TIMEOUT, open=True, **options) as pool,
        psycopg.connect(address[0], autocommit=True) as operator,
        socket.create_server(("127.0.0.1", 0)) as silent,
        contextlib.ExitStack() as unanswered,
    ):
        pool.wait()
        sessions = [pool.getconn() for _ in range(SIZE)]
        pids = [session.info.backend_pid for session in sessions]
        silent.settimeout(20)
        address[0] = dsn(silent.getsockname()[1])  # from now on who connects gets no answer
        for session, pid in zip(sessions[:lost], pids):
            assert operator.execute("SELECT pg_terminate_backend(%s, 10000)", [pid]).fetchone()[0]
            try:
                session.execute("SELECT")
            except psycopg.OperationalError:
                pool.putconn(session)
        for _ in range(lost):
            unanswered.enter_context(silent.accept()[0])
        for session in sessions[lost:]:
            pool.putconn(session)
        count, error = 0, ""
        try:
            while count < CLIENTS:
                with pool.connection() as connection:
                    connection.execute("SELECT")
                count += 1
        except PoolTimeout as told:
            error = str(told)
        idle = "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY(%s) AND state = 'idle'"
        good = operator.execute(idle, [pids]).fetchone()[0]
    return count, good, error


found = {
    "three lost": served(3),
    "three lost, reset": served(3, reset=reset),
    "two lost, reset": served(2, reset=reset),
    "three lost, reset, num_workers=4": served(3, reset=reset, num_workers=4),
}
for name, (count, good, error) in found.items():
    told = error and f"; the next one: {error}"
    print(f"{name}: {count} of {CLIENTS} clients were served, {good} sessions are idle{told}")
expected = {
    "three lost": (CLIENTS, 3, ""),
    "three lost, reset": (0, 3, f"couldn't get a connection after {TIMEOUT:.2f} sec"),
    "two lost, reset": (CLIENTS, 4, ""),
    "three lost, reset, num_workers=4": (CLIENTS, 3, ""),
}
sys.exit(found != expected)
PYTHON
timeout 90 "$PY" "$ROOT/see.py" "$DSN_PORT"
