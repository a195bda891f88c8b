"""psycopg's pool, full before a case begins, as behind a server that has run for a while.

A pool connects by itself, in threads of its own. Without waiting for it, the request and the pool race: which
connection serves the request, and how many are made, would differ from run to run.
"""

from __future__ import annotations

from typing import Any

from lab.application.sources import local_port
from lab.wire.journal import Event
from lab.wire.remote import RemotePort


def fill(wrapper: Any, port: RemotePort) -> None:
    """Open the pool of an alias and wait until it holds `min_size` connections, the first accepted the first in turn.

    A pool that is not psycopg's is left alone. Raises psycopg_pool.PoolTimeout.
    """
    pool: Any = getattr(wrapper, "pool", None)
    if not (hasattr(pool, "open") and hasattr(pool, "wait") and hasattr(pool, "getconn")):
        return
    pool.open()
    pool.wait()
    if pool.min_size > 1:  # several threads have filled it, so that its order is that of luck
        taken = [pool.getconn() for _ in range(pool.min_size)]
        port.journal()
        accepted = {
            int(record.detail.rpartition(":")[2]): record.connection
            for record in port.records
            if isinstance(record, Event) and record.event == "accept"
        }
        for connection in sorted(taken, key=lambda one: accepted.get(local_port(one), 0)):
            pool.putconn(connection)
