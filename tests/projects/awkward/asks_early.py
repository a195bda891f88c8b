"""An app that looks into its database while it loads, and does without; it ignores its children and starts a thread."""

import signal

from django.apps import AppConfig

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "shop", "CONN_MAX_AGE": 60}}
INSTALLED_APPS = ["asks_early.Early"]


class Early(AppConfig):
    name = "asks_early"

    def ready(self):
        import threading
        import time

        from django.db import DatabaseError, connection

        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT rate FROM rates")
        except DatabaseError:
            self.rate = 1
        threading.Thread(target=time.sleep, args=[3600], name="rates", daemon=True).start()
