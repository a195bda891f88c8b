"""Correct: each checkout takes half a second."""

from __future__ import annotations

import time
from typing import Any

from zoo.keeper import Keeper


class DatabaseWrapper(Keeper):
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        time.sleep(0.5)
        return super().get_new_connection(conn_params)
