"""Django's own backend; close() forgets something of its own and then does what Django's does (pgschemas, tenants, …)."""

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    def close(self):
        self.remembered = None
        super().close()
