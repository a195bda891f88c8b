"""Stock Django as a long-running command meets it: no request signal ever reaches close_old_connections."""

from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.db.backends.postgresql.base import DatabaseWrapper  # noqa: F401

request_started.disconnect(close_old_connections)
request_finished.disconnect(close_old_connections)
