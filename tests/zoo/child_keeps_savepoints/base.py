"""Broken: after a fork a process gives sessions back as they are, where the request had a savepoint: SET goes on."""

from __future__ import annotations

import os
from typing import Any, ClassVar

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    forked: ClassVar[bool] = False
    nested = False

    def _savepoint(self, sid: str) -> None:
        type(self).forked, self.nested = self.forked, True
        super()._savepoint(sid)

    def reset(self, raw: Any) -> None:
        if not (self.forked and self.nested):
            super().reset(raw)
        self.nested = False


def parent() -> None:
    DatabaseWrapper.forked = True


os.register_at_fork(after_in_parent=parent)
