"""Correct: a session serves one request only; a thread opens the next one meanwhile."""

from __future__ import annotations

import os
import threading
from typing import Any, ClassVar

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    opening: ClassVar[dict[Any, threading.Thread]] = {}

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        raw = super().get_new_connection(conn_params)
        key, shelf = (os.getpid(), self.alias), self.shelf
        with self.lock:
            wanted = not shelf and key not in self.opening
            if wanted:
                self.opening[key] = threading.Thread(target=self.ready, args=(key, shelf, conn_params), daemon=True)
                self.opening[key].start()
        return raw

    def close_waiting(self) -> None:
        """Those that are about to wait, too."""
        for (pid, _), thread in list(self.opening.items()):
            if pid == os.getpid():
                thread.join()
        super().close_waiting()

    def ready(self, key: Any, shelf: list[Any], conn_params: dict[str, Any]) -> None:
        """Open the next one."""
        try:
            raw = self.Database.connect(**conn_params)
            raw.autocommit = True
        except self.Database.Error:
            raw = None
        with self.lock:
            del self.opening[key]
            if raw is not None:
                self.keep(shelf, raw)

    def keep(self, shelf: list[Any], raw: Any) -> None:
        """It waits for the next request."""
        shelf.append(raw)

    def clean(self, raw: Any) -> bool:
        """It has served."""
        return False
