"""Broken: pending work is committed when the request ends, not when close() is called by hand."""

from __future__ import annotations

from typing import Any

from zoo.keeper import Keeper


class DatabaseWrapper(Keeper):
    ending = False

    def close_if_unusable_or_obsolete(self) -> None:
        self.ending = True
        try:
            super().close_if_unusable_or_obsolete()
        finally:
            self.ending = False

    def hand_back(self, raw: Any) -> None:
        if self.ending and not self.in_atomic_block and not self.get_autocommit():
            try:
                raw.commit()
            except BaseException:
                raw.close()
                raise
        super().hand_back(raw)
