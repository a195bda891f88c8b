"""An ENGINE whose base is chosen by a setting, as psqlextra, django-tenants, pgschemas and timescaledb choose theirs."""

from importlib import import_module

from django.conf import settings

base = import_module(getattr(settings, "OWNSET_BASE", "django.db.backends.postgresql") + ".base")


class DatabaseWrapper(base.DatabaseWrapper):
    pass
