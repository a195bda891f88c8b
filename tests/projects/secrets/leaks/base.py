"""An ENGINE that repeats its secrets wherever it can: in its errors, in what it sends, in what it prints."""

import os
import sys

from django.conf import settings
from django.db.backends.postgresql import base
from django.db.utils import OperationalError


class DatabaseWrapper(base.DatabaseWrapper):
    def _close(self) -> None:
        super()._close()  # type: ignore[misc]  # django-stubs do not know it
        secrets = (
            self.settings_dict["AAD_OPTIONS"]["SP_CLIENT_SECRET"],
            self.settings_dict["VAULT_TOKEN"],
            os.environ["CLOUD_ACCESS_KEY"],
            getattr(settings, "BROKER_URL", ""),
            "password='s3cret in a conninfo'",
        )
        sys.stderr.write(f"{secrets}\n")
        raise OperationalError(f"could not hand back: {secrets}")

    def init_connection_state(self) -> None:
        super().init_connection_state()
        with self.cursor() as cursor:
            cursor.execute(f"SELECT set_config('lab.mark', '{self.settings_dict['VAULT_TOKEN']}', false)")
