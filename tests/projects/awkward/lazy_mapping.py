"""DATABASES that is no dict, made when it is first looked at, as django-environ and the like are used."""

from collections.abc import Mapping

from django.utils.functional import SimpleLazyObject


class Frozen(Mapping):
    def __init__(self, data):
        self._data = data

    def __getitem__(self, key):
        return self._data[key]

    def __iter__(self):
        return iter(self._data)

    def __len__(self):
        return len(self._data)


DATABASES = SimpleLazyObject(
    lambda: Frozen(
        {
            "default": Frozen(
                {
                    "ENGINE": "django.db.backends.postgresql",
                    "NAME": "shop",
                    "PASSWORD": "pa55-of-the-shop",
                    "CONN_MAX_AGE": True,  # Django adds it to a number: a second
                    "OPTIONS": Frozen({"options": "-c session_authorization=shop"}),
                }
            )
        }
    )
)
