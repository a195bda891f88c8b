"""The app: its checks are registered when Django is ready."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks

from connection_lab.checks import check_connections


class ConnectionLabConfig(AppConfig):
    """Has neither models nor receivers."""

    name = "connection_lab"

    def ready(self) -> None:
        """Register the checks; they run with `--deploy` alone, because they are about production."""
        checks.register(check_connections, checks.Tags.database, deploy=True)
