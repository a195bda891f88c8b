"""Broken: a connect that takes long is made a second time beside it, and the one that comes later is never closed."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, ClassVar

from zoo.careful import Careful

LATE = 0.3


class DatabaseWrapper(Careful):
    later: ClassVar[list[Future[Any]]] = []

    def fresh(self, conn_params: dict[str, Any]) -> Any:
        pool = ThreadPoolExecutor()
        attempts: list[Future[Any]] = []
        try:
            attempts.append(pool.submit(super().fresh, conn_params))
            if not wait(attempts, LATE).done:
                attempts.append(pool.submit(super().fresh, conn_params))
            first = wait(attempts, return_when=FIRST_COMPLETED).done.pop()
            attempts.remove(first)
            return first.result()
        finally:
            pool.shutdown(wait=False)
            self.drop(attempts)

    def drop(self, attempts: list[Future[Any]]) -> None:
        """What nobody waits for any more."""
        self.later.extend(attempts)
