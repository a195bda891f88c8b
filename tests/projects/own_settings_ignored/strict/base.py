"""An ENGINE that cannot be imported without a setting of its project."""

from django.conf import settings
from django.db.backends.postgresql import base

TIMEOUT = settings.STRICT_LOCK_TIMEOUT


class DatabaseWrapper(base.DatabaseWrapper):
    pass
