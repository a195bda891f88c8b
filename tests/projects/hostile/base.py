"""An ENGINE that wants another server than that in DATABASES, $FOREIGN_TRIES times, in the way that $FOREIGN_WAY names.

$FOREIGN_PORT is where that server listens on 127.0.0.1, with TCP and UDP; $FOREIGN_SOCKETS the folder of its Unix
socket. Every error is swallowed until the last try.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import ctypes.util
import importlib
import os
import socket
import subprocess
import sys
import threading
from typing import Any

from django.db.backends.postgresql import base
from django.db.utils import OperationalError

PORT = os.environ["FOREIGN_PORT"]
SOCKETS = os.environ["FOREIGN_SOCKETS"]
WAY = os.environ["FOREIGN_WAY"]
TRIES = int(os.environ["FOREIGN_TRIES"])


def by_parameters(changes: dict[str, Any]) -> Any:
    """Only the parameters are its own: Django connects."""

    def change(params: dict[str, Any]) -> None:
        params.update(changes)
        for name in [name for name, value in params.items() if value is None]:
            del params[name]

    return change


def by_environment(params: dict[str, Any]) -> None:
    os.environ.update(PGHOST="127.0.0.1", PGPORT=PORT)
    by_parameters({"host": None, "port": None})(params)


def by_service(params: dict[str, Any]) -> None:
    file = os.path.join(SOCKETS, "services")
    with open(file, "w", encoding="utf-8") as services:
        services.write(f"[prod]\nhost=127.0.0.1\nport={PORT}\n")
    os.environ.update(PGSERVICEFILE=file)
    by_parameters({"host": None, "port": None, "service": "prod"})(params)


def by_several_hosts(params: dict[str, Any]) -> None:
    params.update(host="127.0.0.1,127.0.0.1", port=f"{PORT},{params['port']}")


PARAMETERS = {
    "host": by_parameters({"port": PORT}),
    "hostaddr": by_parameters({"host": "db.invalid", "hostaddr": "127.0.0.1", "port": PORT}),
    "name": by_parameters({"host": "localhost", "port": PORT}),
    "lookup": by_parameters({"host": "db1.internal"}),
    "socket folder": by_parameters({"host": SOCKETS, "port": PORT}),
    "six": by_parameters({"host": "::ffff:127.0.0.1", "port": PORT}),
    "environment": by_environment,
    "service": by_service,
    "several hosts": by_several_hosts,
}


def raw_libpq() -> None:
    """As an extension in C would."""
    library = ctypes.CDLL(ctypes.util.find_library("pq") or os.environ["FOREIGN_LIBPQ"])
    library.PQconnectdb.restype = ctypes.c_void_p
    library.PQconnectdb(f"host=127.0.0.1 port={PORT} connect_timeout=2".encode())


def psql() -> None:
    subprocess.run(["psql", "-h", "127.0.0.1", "-p", PORT, "-c", "SELECT 1"], check=False, capture_output=True)


def other_program() -> None:
    program = f"import socket; socket.create_connection(('127.0.0.1', {PORT}))"
    subprocess.run([sys.executable, "-I", "-c", program], check=False, capture_output=True)


def plain_socket() -> None:
    socket.create_connection(("127.0.0.1", int(PORT)), 2)


def blocking_socket() -> None:
    with socket.socket() as wanted:
        wanted.connect(("127.0.0.1", int(PORT)))


def unix_socket() -> None:
    with socket.socket(socket.AF_UNIX) as wanted:
        wanted.connect(f"{SOCKETS}/.s.PGSQL.{PORT}")


def datagram() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wanted:
        wanted.sendto(b"metric:1|c", ("127.0.0.1", int(PORT)))


def message() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wanted:
        wanted.sendmsg([b"metric:1|c"], [], 0, ("127.0.0.1", int(PORT)))


def fast_open() -> None:
    with socket.socket() as wanted:
        wanted.sendto(b"x", getattr(socket, "MSG_FASTOPEN", 0x20000000), ("127.0.0.1", int(PORT)))


def loop() -> None:
    async def connect() -> None:
        await asyncio.open_connection("127.0.0.1", int(PORT))

    asyncio.run(connect())


def background() -> None:
    thread = threading.Thread(target=plain_socket, daemon=True)
    thread.start()
    thread.join()


def driver_class() -> None:
    """Past psycopg2.connect: the driver's own class."""
    importlib.import_module("psycopg2").extensions.connection(f"host=127.0.0.1 port={PORT} connect_timeout=2")


def driver_wrapper() -> None:
    """Past psycopg.connect: the wrapper around libpq."""
    importlib.import_module("psycopg").pq.PGconn.connect(f"host=127.0.0.1 port={PORT} connect_timeout=2".encode())


ACTS = {
    "raw libpq": raw_libpq,
    "psql": psql,
    "other program": other_program,
    "plain socket": plain_socket,
    "blocking socket": blocking_socket,
    "unix socket": unix_socket,
    "datagram": datagram,
    "message": message,
    "fast open": fast_open,
    "event loop": loop,
    "thread": background,
    "driver's class": driver_class,
    "driver's wrapper": driver_wrapper,
}


class DatabaseWrapper(base.DatabaseWrapper):
    def get_connection_params(self) -> dict[str, Any]:
        params = super().get_connection_params()
        if WAY in PARAMETERS:
            PARAMETERS[WAY](params)
        return params

    def get_new_connection(self, conn_params: Any) -> Any:
        if WAY == "facility":
            for _ in range(TRIES):
                with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as wanted:
                    wanted.connect("/var/run/nscd/socket")
            return super().get_new_connection(conn_params)
        for _ in range(TRIES):
            try:
                if WAY in ACTS:
                    ACTS[WAY]()
                else:
                    super().get_new_connection(conn_params)
            except Exception:  # noqa: BLE001 - as an application that tries again whatever happens
                continue
        raise OperationalError("no try came through")
