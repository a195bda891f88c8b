"""A PostgreSQL server of the lab's own for a test suite, and the suite's databases led to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, Final

from lab.errors import OWN_DRIVER, ServerNotReady
from lab.wire.remote import own_pidfd

ENGINE: Final = "django.db.backends.postgresql"
_ELSEWHERE: Final = ("service", "servicefile", "passfile", "hostaddr", "sslmode", "sslrootcert", "sslcert", "sslkey")


class OwnServer:
    """The server's process; it ends with this one, however that comes. Raises ServerNotReady."""

    def __init__(self) -> None:
        pidfd = own_pidfd()
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-m", "lab.rig.embedded.alone", str(pidfd)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=[pidfd] if pidfd >= 0 else [],
            start_new_session=True,  # a Ctrl-C in the terminal is for the suite alone
        )
        if pidfd >= 0:
            os.close(pidfd)
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        said = json.loads(line) if line else {"error": self._last_words()}
        if "error" in said:
            self.close()
            raise ServerNotReady(f"no PostgreSQL of the lab's own: {said['error']}", "run lab doctor")
        self.where: dict[str, Any] = said

    def close(self) -> None:
        """End the server."""
        if self._child.stdin is not None:
            self._child.stdin.close()
        self._child.wait()
        for pipe in (self._child.stdout, self._child.stderr):
            if pipe is not None:
                pipe.close()

    def _last_words(self) -> str:
        _, said = self._child.communicate()
        if "No module named" in said and OWN_DRIVER in said:
            return f"{OWN_DRIVER} is not installed, and the lab's server needs it; pip install psycopg2-binary"
        return next(iter(reversed(said.strip().splitlines())), "it said nothing")


def lead(where: Mapping[str, Any]) -> None:
    """Make every alias of Django's settings one of this server's databases, sqlite ones too, wrappers made anew.

    For the time after Django's set-up and before a test database is made.
    """
    from django.db import connections  # noqa: PLC0415  # where it is called there is Django; the plugin may have none

    for alias in connections:
        settings = connections.settings[alias]
        if "postgresql" not in settings["ENGINE"] and settings["ENGINE"].startswith("django.db.backends."):
            settings.update(ENGINE=ENGINE, OPTIONS={})
        if not isinstance(settings.get("NAME"), str) or "/" in settings["NAME"] or ":" in settings["NAME"]:
            settings["NAME"] = alias  # a file of sqlite's
        options = settings.setdefault("OPTIONS", {})
        for name in _ELSEWHERE:
            options.pop(name, None)
        settings.update(HOST=where["host"], PORT=str(where["port"]), USER=where["user"], PASSWORD=where["password"])
        if hasattr(connections._connections, alias):  # type: ignore[attr-defined]  # noqa: SLF001
            del connections[alias]
