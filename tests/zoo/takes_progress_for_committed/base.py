"""Broken: asks what became of a lost COMMIT, and takes "in progress" for a success (honest-error)."""

from __future__ import annotations

from zoo.correct_looks_up_commits.base import DatabaseWrapper as LooksUp


class DatabaseWrapper(LooksUp):
    done = ("committed", "in progress")
    patience = 0.3
