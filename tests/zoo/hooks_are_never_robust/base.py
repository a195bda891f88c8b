"""Broken: hooks are run by a loop of its own, which knows nothing of robust=True."""

from __future__ import annotations

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    def run_and_clear_commit_hooks(self) -> None:
        self.validate_no_atomic_block()
        hooks, self.run_on_commit = self.run_on_commit, []
        for _, hook, *_ in hooks:
            hook()
