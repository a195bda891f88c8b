"""Checks a kept session when its wrapper is told to, not when it is taken; rows differ in who tells it too late."""

from __future__ import annotations

from typing import Any, ClassVar

from zoo.careful import Careful


class CheckingLater(Careful):
    unchecked: ClassVar[set[int]] = set()

    def works(self, raw: Any) -> bool:
        self.unchecked.add(id(raw))
        return True

    def reset(self, raw: Any) -> None:
        super().reset(raw)
        self.init_connection_state()  # so that nothing is sent when the next request takes it up

    def check(self) -> None:
        self.ensure_connection()
        while id(raw := self.connection) in self.unchecked:
            self.unchecked.discard(id(raw))
            if not super().works(raw):
                raw.close()
                self.connection = None
                self.connect()

    def set_autocommit(self, autocommit: bool, force_begin_transaction_with_broken_autocommit: bool = False) -> None:
        if not autocommit:
            self.check()
        super().set_autocommit(autocommit, force_begin_transaction_with_broken_autocommit)
