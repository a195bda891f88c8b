"""Broken: a COMMIT runs the hooks of every alias of its thread."""

from __future__ import annotations

from django.db import connections

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    def run_and_clear_commit_hooks(self) -> None:
        for each in connections.all(initialized_only=True):
            if each is not self:
                hooks, each.run_on_commit = each.run_on_commit, []
                for _, hook, _ in hooks:
                    hook()
        super().run_and_clear_commit_hooks()
