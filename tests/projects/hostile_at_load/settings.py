"""A project that asks other servers while it is being loaded, and does not mind when they do not answer."""

import contextlib
import ctypes
import os
import pwd
import socket
import urllib.request

PORT = int(os.environ.get("FOREIGN_PORT", "0"))
WAY = os.environ.get("FOREIGN_WAY", "")

with contextlib.suppress(Exception):  # as much code does that asks a cloud for its own address
    if WAY == "http":
        urllib.request.urlopen(f"http://127.0.0.1:{PORT}/secrets", timeout=60)
    elif WAY == "metadata":
        urllib.request.urlopen("http://169.254.169.254/latest/meta-data/local-ipv4", timeout=60)
    elif WAY == "name":
        urllib.request.urlopen("http://vault.internal:8200/v1/secret", timeout=60)
    elif WAY == "database":
        import psycopg2

        psycopg2.connect(host="127.0.0.1", port=PORT, connect_timeout=60)
    elif WAY == "retries":
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("10.255.255.1", 6379), timeout=60)

    elif WAY == "users":
        pwd.getpwnam("nobody-of-that-name")
    elif WAY == "log":
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
            log.connect("/dev/log")
    elif WAY in ("name service", "own library"):
        import psycopg2  # with it what libpq needs is loaded

        ctypes.CDLL(os.environ["FOREIGN_LIBRARY"]).PQconnectdb(b"host=/run/own-users port=1")

if WAY == "own listener":
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), 5).close()

DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "x"}}
