"""What each plan's process would do on its first connection, done once in the zygote. No verdict depends on it.

OpenSSL is set up by the first password that libpq hashes, 2 ms; Django imports the pool when it opens one, 7 ms.
"""

from __future__ import annotations

import contextlib
import importlib


def warm(driver: str, *, pool: bool) -> None:
    """Without a server, and without a session; what fails here fails later, too, and is seen then."""
    with contextlib.suppress(Exception):
        if driver == "psycopg2":
            importlib.import_module("psycopg2.extensions").encrypt_password("", "", algorithm="md5")
        else:
            pq = importlib.import_module("psycopg.pq")
            nowhere = pq.PGconn.connect(b"sslmode=none-such")  # refused by libpq itself, before it would connect
            nowhere.encrypt_password(b"", b"", b"scram-sha-256")
            nowhere.finish()
    if pool:
        with contextlib.suppress(ImportError):
            importlib.import_module("psycopg_pool")
