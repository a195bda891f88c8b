"""Broken: the process that has loaded it checks its sessions; one that is forked later takes them up as they are."""

from __future__ import annotations

import os
from typing import Any

from zoo.careful import Careful

FORKS: list[int] = []
"""The lab itself forks the process that it judges: that is the first."""


class DatabaseWrapper(Careful):
    def works(self, raw: Any) -> bool:
        return len(FORKS) > 1 or super().works(raw)


os.register_at_fork(after_in_child=lambda: FORKS.append(os.getpid()))
