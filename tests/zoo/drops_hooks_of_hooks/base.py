"""Broken: what is registered by the block of a hook, while hooks run, is cleared with those that have run."""

from __future__ import annotations

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    running = False

    def run_and_clear_commit_hooks(self) -> None:
        if self.running:
            return
        self.running = True
        try:
            super().run_and_clear_commit_hooks()
        finally:
            self.running, self.run_on_commit = False, []
