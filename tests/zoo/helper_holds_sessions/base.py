"""Broken: a helper program, started with each session, inherits its socket, and so the session outlives the process."""

from __future__ import annotations

import subprocess
from typing import Any

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    def fresh(self, conn_params: dict[str, Any]) -> Any:
        raw = super().fresh(conn_params)
        subprocess.Popen(["sleep", "30"], pass_fds=[raw.fileno()])
        return raw
