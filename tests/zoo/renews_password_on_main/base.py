"""Broken: other threads than the main one go on with the parameters that the process began with."""

from __future__ import annotations

import threading
from typing import Any, ClassVar

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    known: ClassVar[dict[Any, dict[str, Any]]] = {}

    def get_connection_params(self) -> dict[str, Any]:
        params: dict[str, Any] = super().get_connection_params()
        if threading.current_thread() is threading.main_thread():
            return params
        return self.known.setdefault((self.alias, self.settings_dict["NAME"], self.settings_dict["PORT"]), params)
