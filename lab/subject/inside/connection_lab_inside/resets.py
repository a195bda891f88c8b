"""What `lab advise` has a pool do with each connection that comes back; the function is told as it stands here."""

from __future__ import annotations

from typing import Any

ALIAS = "default"


def reset_session(connection: Any) -> None:
    """Make a session as it was when it began, which DISCARD ALL alone does not: Django sets its zone and role once."""
    from django.db import connections

    wrapper = connections[ALIAS]
    connection.autocommit = True
    connection.execute("DISCARD ALL")
    connection.execute("SELECT set_config('TimeZone', %s, false)", [wrapper.timezone_name])
    if role := wrapper.settings_dict["OPTIONS"].get("assume_role"):
        connection.execute("SELECT set_config('role', %s, false)", [role])
