"""Broken: where a hook's query meets a dead session, all hooks of the transaction are run again on another one."""

from __future__ import annotations

from django.db import OperationalError

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    def run_and_clear_commit_hooks(self) -> None:
        hooks = list(self.run_on_commit)
        try:
            super().run_and_clear_commit_hooks()
        except OperationalError:
            if self.connection is None or self.is_usable():
                raise
            self.close()
            self.run_on_commit = hooks
            super().run_and_clear_commit_hooks()
