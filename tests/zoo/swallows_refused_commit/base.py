"""Broken: a COMMIT that the server refuses for a deferred constraint is logged and forgotten."""

from __future__ import annotations

from contextlib import suppress

from django.db import IntegrityError

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    def _commit(self) -> None:
        with suppress(IntegrityError):
            super()._commit()
