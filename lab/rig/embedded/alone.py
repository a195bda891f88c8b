"""PostgreSQL of the embedded rig without Toxiproxy, in a process of its own: a server for somebody's test suite.

    python -m lab.rig.embedded.alone PIDFD

It says where it is in one line of JSON, then waits for the end of its parent: of the pipe that is its input, or of the
process behind the pidfd (a forked copy of the parent holds the pipe open as well). The parent needs no driver for it.
"""

from __future__ import annotations

import json
import select
import sys
from contextlib import ExitStack

import psycopg2

from lab.errors import LabError
from lab.rig.embedded.postgres import Postgres
from lab.rig.embedded.rig import Rig
from lab.rig.machine import process, route
from lab.rig.machine.process import Home
from lab.rig.postgres.server import PostgresServer

DEADLOCK_TIMEOUT = "10ms"
"""How long a session waits for a lock before the server looks for a deadlock; an order that ends in one costs that."""


class AloneRig(Rig):
    """The server alone; nothing of the rig that goes by Toxiproxy works on it."""

    def versions(self) -> dict[str, str]:
        """What runs: postgresql."""
        return {"postgresql": self.postgres.version}

    def _start(self, stack: ExitStack) -> None:
        route.require_loopback(self.host)
        self.folder.mkdir(mode=0o711 if process.unprivileged() else 0o700)
        self.postgres = Postgres(Home(self.lab_id, self.folder), self._max_connections)
        stack.callback(self.postgres.close)
        self.postgres.start()
        self.server = PostgresServer(self.postgres, self.control)
        stack.callback(self._controls.close)

    def _ready(self) -> None:
        with self.postgres.connect("template1") as connection:
            # Django connects to it in order to create a test database.
            connection.execute("CREATE DATABASE postgres TEMPLATE template1")
            connection.execute(f"ALTER SYSTEM SET deadlock_timeout = '{DEADLOCK_TIMEOUT}'")
            connection.execute("SELECT pg_reload_conf()")


def main(pidfd: int) -> int:
    """Start, say where, wait."""
    try:
        with AloneRig() as rig:
            postgres = rig.postgres
            where = {"host": rig.host, "port": postgres.port, "user": "postgres", "password": postgres.password}
            _say({**where, **rig.versions()})
            _wait([0, pidfd] if pidfd >= 0 else [0])
    except (LabError, psycopg2.Error) as error:
        _say({"error": " ".join(str(error).split())})
        return 255
    return 0


def _say(said: dict[str, object]) -> None:
    sys.stdout.write(f"{json.dumps(said)}\n")
    sys.stdout.flush()


def _wait(descriptors: list[int]) -> None:
    poll = select.poll()
    for each in descriptors:
        poll.register(each, select.POLLIN)
    poll.poll()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
