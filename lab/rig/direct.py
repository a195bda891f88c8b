"""The way to the server without a proxy, for plans that strike nothing on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lab.errors import BadInput
from lab.records.words import Direction
from lab.rig.toxiproxy.toxic import Installed, Toxic


@dataclass
class Direct:
    """PostgreSQL's own address where a plan has its proxy else. Many plans have it at the same time.

    It counts nothing, and whatever would strike it raises `BadInput`.
    """

    host: str
    port: int
    toxics: tuple[Installed, ...] = ()

    def add(self, toxic: Toxic, stream: Direction) -> None:
        """Refused."""
        self._refuse()

    def arm_reset(self) -> None:
        """Refused."""
        self._refuse()

    def accepted(self) -> int:
        """Not known."""
        return -1

    def cut(self) -> None:
        """Refused."""
        self._refuse()

    def refuse(self) -> None:
        """Refused."""
        self._refuse()

    def turn_away(self) -> None:
        """Refused."""
        self._refuse()

    def accept(self) -> None:
        """Refused."""
        self._refuse()

    def recreate(self, toxics: Sequence[Installed] = ()) -> None:
        """Refused."""
        self._refuse()

    def _refuse(self) -> None:
        raise BadInput("the plan's line has no proxy that a fault could strike", "register the fault without `beside`")
