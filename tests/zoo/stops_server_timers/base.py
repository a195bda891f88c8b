"""Broken: its sessions forget the server's own timers: one whose client is gone stays for hours (bounded-sessions)."""

from __future__ import annotations

from django.db.backends.postgresql.base import DatabaseWrapper as Stock


class DatabaseWrapper(Stock):
    def init_connection_state(self) -> None:
        super().init_connection_state()
        with self.connection.cursor() as cursor:
            cursor.execute("SET tcp_keepalives_idle = 0; SET tcp_user_timeout = 0")
