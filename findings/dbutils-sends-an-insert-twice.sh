#!/bin/sh
# What surprises: the cursors of DBUtils' PooledDB (and PersistentDB) take any OperationalError of execute() for a stale
# connection: outside of begin() they connect again and send the statement once more. When the server has executed it and
# only the answer was lost, it is executed twice, and the application hears of no error. What psycopg2 itself tells is that
# the connection ended; nobody can tell from that whether the statement was executed. After begin() an error is raised.
# Seen with DBUtils 3.2.0 (with its defaults), psycopg2-binary 2.9.13, PostgreSQL 18.6. Exits 1 when that changes.
. "$(dirname "$0")/_server.sh"
with_packages DBUtils==3.2.0 psycopg2-binary==2.9.13
with_postgres
cat >"$ROOT/see.py" <<'PYTHON'
import socket
import sys
import threading

import psycopg2
from dbutils.pooled_db import PooledDB

SERVER = ("127.0.0.1", int(sys.argv[1]))
lose = threading.Event()


def passes(client):
    """Pass everything on, but one answer: where `lose` is set, the server's next words are thrown away with the line."""
    with client, socket.create_connection(SERVER) as server:

        def there():
            while data := client.recv(65536):
                server.sendall(data)

        threading.Thread(target=there, daemon=True).start()
        while data := server.recv(65536):
            if lose.is_set():
                lose.clear()
                client.shutdown(socket.SHUT_RDWR)
                return
            client.sendall(data)


def relay(listener):
    while True:
        client, _ = listener.accept()
        threading.Thread(target=passes, args=(client,), daemon=True).start()


listener = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=relay, args=(listener,), daemon=True).start()
line = {"host": "127.0.0.1", "port": listener.getsockname()[1], "user": "finder", "dbname": "postgres"}


def creator():
    connection = psycopg2.connect(**line)
    connection.autocommit = True
    return connection


creator.dbapi = psycopg2  # where DBUtils looks for the driver's exceptions and threadsafety


def rows():
    with creator() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM orders")
        return cursor.fetchone()[0]


def insert(connection):
    with connection.cursor() as cursor:
        lose.set()
        try:
            cursor.execute("INSERT INTO orders VALUES ('one')")
            return "no error"
        except psycopg2.OperationalError:
            return "OperationalError"
        finally:
            lose.clear()


def told(connection, begin=False):
    before = rows()
    if begin:
        connection.begin()
    heard = insert(connection)
    return heard, rows() - before


with creator() as connection, connection.cursor() as cursor:
    cursor.execute("CREATE TABLE orders (what text)")
pool = PooledDB(creator, maxconnections=4)
found = {"psycopg2": told(creator()), "PooledDB": told(pool.connection()), "after begin()": told(pool.connection(), True)}
print("an INSERT whose answer was lost, what is heard and how many rows there are:", found)
sys.exit(found != {"psycopg2": ("OperationalError", 1), "PooledDB": ("no error", 2), "after begin()": ("OperationalError", 1)})
PYTHON
timeout 60 "$PY" "$ROOT/see.py" "$DSN_PORT"
