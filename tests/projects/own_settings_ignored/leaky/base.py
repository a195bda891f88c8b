"""A base that breaks reuses and initialised at once: it never lets go of a dead connection."""

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    def close(self):
        raise RuntimeError("leaky.base is in use")
