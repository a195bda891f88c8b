"""Broken: each session has a thread that watches it; that of a session which was found dead is not ended."""

from __future__ import annotations

import os
import threading
from typing import Any, ClassVar

from zoo.careful import Careful


class Watcher(threading.Thread):
    def __init__(self) -> None:
        super().__init__(name="watcher", daemon=True)
        self.told, self.tell = os.pipe()

    def run(self) -> None:
        os.read(self.told, 1)
        os.close(self.told)
        os.close(self.tell)

    def end(self) -> None:
        os.write(self.tell, b"x")


class DatabaseWrapper(Careful):
    watchers: ClassVar[dict[Any, Watcher]] = {}

    def fresh(self, conn_params: dict[str, Any]) -> Any:
        raw = super().fresh(conn_params)
        watcher = self.watchers[os.getpid(), id(raw)] = Watcher()
        watcher.start()
        return raw

    def clean(self, raw: Any) -> bool:
        clean = super().clean(raw)
        watcher = None if clean else self.watchers.pop((os.getpid(), id(raw)), None)
        if watcher is not None:
            watcher.end()
        return clean
