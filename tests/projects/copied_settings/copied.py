"""As dynaconf does it in pulpcore: the settings object keeps a copy of what is assigned, without what is empty."""

from django.conf import LazySettings

assign = LazySettings.__setattr__


def keep_a_copy(self, name, value):
    if name == "DATABASES":
        value = {alias: {key: each for key, each in database.items() if each} for alias, database in value.items()}
    assign(self, name, value)


LazySettings.__setattr__ = keep_a_copy
SECRET_KEY = "x"
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "x", "HOST": "db.internal"}}
