#!/bin/sh
# What surprises: what psycopg_pool offers against stale sessions makes one that is silent a trouble of all clients.
# ConnectionPool.check() takes every idle session out of the pool at once and gives each back when it has been checked.
# Where one does not answer, those behind it are not given back: the next client of a pool at its max_size gets a
# PoolTimeout although three good sessions are idle. And `check=ConnectionPool.check_connection` takes the timeout away
# from getconn(): it bounds the wait for a session, and not the question put to it, so getconn(timeout=1) waits for as
# long as the session is silent. Nothing but the kernel's own timers (tcp_user_timeout, keepalives) ends either wait,
# and none ends it where the host lives and its process does not answer, as here. Without a check the good ones are
# served.
# Seen with psycopg_pool 3.3.1, psycopg 3.3.9, PostgreSQL 18.6. Exits 1 when that changes.
. "$(dirname "$0")/_server.sh"
with_packages 'psycopg[binary]==3.3.9' 'psycopg-pool==3.3.1'
with_postgres
cat >"$ROOT/see.py" <<'PYTHON'
import contextlib
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillWaits

from psycopg_pool import ConnectionPool, PoolTimeout

DSN = f"host=127.0.0.1 port={sys.argv[1]} user=finder dbname=postgres"
SIZE, LIMIT = 4, 1.0  # sessions, seconds


def until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "the pool is not where it should be"


def idle(pool):
    return pool.get_stats()["pool_available"]


@contextlib.contextmanager
def one_is_silent(*, last, **checks):
    """A pool of idle sessions; of the first or the last to be handed out, the server process stands still."""
    with ConnectionPool(DSN, min_size=SIZE, max_size=SIZE, **checks) as pool:
        pool.wait()
        sessions = [pool.getconn() for _ in range(SIZE)]
        for count, session in enumerate(sessions, 1):
            pool.putconn(session)
            until(lambda count=count: idle(pool) == count)
        silent = sessions[-1 if last else 0].info.backend_pid
        os.kill(silent, signal.SIGSTOP)
        try:
            yield pool
        finally:
            os.kill(silent, signal.SIGCONT)


def served(pool):
    """How the next client fares that gives getconn() LIMIT seconds."""
    try:
        pool.putconn(pool.getconn(timeout=LIMIT))
    except PoolTimeout:
        return "PoolTimeout"
    return "served"


with one_is_silent(last=True) as pool:
    unchecked = served(pool)
with one_is_silent(last=True) as pool:
    checking = threading.Thread(target=pool.check, daemon=True)
    checking.start()
    until(lambda: idle(pool) == 0)
    while_checked = served(pool)
checking.join(20)
with ThreadPoolExecutor() as executor:
    with one_is_silent(last=False, check=ConnectionPool.check_connection) as pool:
        client = executor.submit(served, pool)
        try:
            on_checkout = client.result(timeout=4 * LIMIT)
        except StillWaits:
            on_checkout = "still waits"
print(f"{SIZE} idle sessions, one of them silent; a client that gives getconn() {LIMIT:.0f} s:")
print(f"  no check: {unchecked}")
print(f"  while check() runs: {while_checked}")
print(f"  check=check_connection: {on_checkout} after {4 * LIMIT:.0f} s")
sys.exit((unchecked, while_checked, on_checkout) != ("served", "PoolTimeout", "still waits"))
PYTHON
timeout 60 "$PY" "$ROOT/see.py" "$DSN_PORT"
