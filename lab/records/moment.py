"""Moments: places in the protocol, and how a person or a plan writes one down. Text is read and made here alone.

    moment  =  [ "c" CONNECTION ":" ]  place
    place   =  NAME [ ":" OCCURRENCE ] [ "+" BYTES ]        a named moment: `commit-sent`, `c2:commit-sent:1+0`
            |  ( "up" | "down" ) "#" MESSAGE [ "+" BYTES ]  a message by its ordinal: `up#5`, `down#12+3`
            |  ( "up" | "down" ) "@" BYTE                   a byte of a direction: `c1:down@410`

CONNECTION, OCCURRENCE and MESSAGE count from 1. `+BYTES` says how many bytes of the message pass before the act: `+0`
is before its first byte (the other side never sees the message), `+3` after three of them; without it the whole message
passes first. `@BYTE` is reached when so many bytes of the direction have passed. Without `cN:` any connection will do,
and occurrences are counted over all connections of the tap's port. A byte beyond the message's end is never reached:
the act does not land.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

import msgspec

from lab.errors import BadInput, UnknownName
from lab.records.words import Direction

NAMES: Final[dict[str, tuple[Direction | Literal["both"], str]]] = {
    "connect": ("upstream", "the connection was accepted; nothing has passed, the server has not been dialled"),
    "encryption-asked": ("upstream", "SSLRequest or GSSENCRequest"),
    "encryption-answered": ("downstream", "the server's one-byte answer to it"),
    "startup": ("upstream", "StartupMessage"),
    "cancel": ("upstream", "CancelRequest, on a connection of its own"),
    "auth": ("downstream", "the first Authentication message of a connection"),
    "password": ("upstream", "a password or SASL message"),
    "auth-ok": ("downstream", "AuthenticationOk"),
    "parameter": ("downstream", "ParameterStatus"),
    "key": ("downstream", "BackendKeyData"),
    "ready": ("downstream", "ReadyForQuery; the first of a connection ends its start-up"),
    "parse-sent": ("upstream", "Parse: a statement is prepared, nothing is executed"),
    "query-sent": ("upstream", "Query or Execute of anything but transaction control"),
    "sync-sent": ("upstream", "Sync, the end of an extended query"),
    "exchange-begun": ("upstream", "the first message of an exchange: Query, or Parse, Bind… after a Sync"),
    "step-begun": ("upstream", "the same, of a statement that another transaction can see, or of COMMIT or ROLLBACK"),
    "row-description": ("downstream", "RowDescription"),
    "first-row": ("downstream", "the first DataRow of a result"),
    "row": ("downstream", "any DataRow"),
    "command-complete": ("downstream", "CommandComplete of any statement"),
    "begin-sent": ("upstream", "Query or Execute of BEGIN"),
    "begin-acked": ("downstream", "CommandComplete BEGIN"),
    "savepoint-sent": ("upstream", "Query or Execute of SAVEPOINT, RELEASE or ROLLBACK TO"),
    "prepared-sent": ("upstream", "Query or Execute of PREPARE TRANSACTION, COMMIT PREPARED or ROLLBACK PREPARED"),
    "commit-sent": ("upstream", "Query or Execute of COMMIT"),
    "commit-acked": ("downstream", "CommandComplete COMMIT"),
    "commit-ready": ("downstream", "the ReadyForQuery after CommandComplete COMMIT"),
    "rollback-sent": ("upstream", "Query or Execute of ROLLBACK"),
    "rollback-acked": ("downstream", "CommandComplete ROLLBACK, also of a COMMIT of a failed transaction"),
    "rollback-ready": ("downstream", "the ReadyForQuery after it"),
    "copy-in": ("downstream", "CopyInResponse"),
    "copy-out": ("downstream", "CopyOutResponse"),
    "copy-both": ("downstream", "CopyBothResponse"),
    "copy-data": ("both", "CopyData, in either direction"),
    "copy-done": ("both", "CopyDone, in either direction"),
    "copy-fail": ("upstream", "CopyFail"),
    "error": ("downstream", "ErrorResponse"),
    "notice": ("downstream", "NoticeResponse"),
    "notification": ("downstream", "NotificationResponse"),
    "terminate": ("upstream", "Terminate: the client says goodbye"),
}
"""Every named moment: its direction and what it is."""

_SHORT: Final[dict[Direction, str]] = {"upstream": "up", "downstream": "down"}
_LONG: Final = {short: direction for direction, short in _SHORT.items()}
_GRAMMAR: Final = (
    r"(?:c(?P<connection>[1-9][0-9]{0,8}):)?"
    r"(?:(?P<side>up|down)(?:#(?P<ordinal>[1-9][0-9]{0,8})(?:\+(?P<into>[0-9]{1,10}))?|@(?P<at>[0-9]{1,15}))"
    r"|(?P<name>[a-z]+(?:-[a-z]+)*)(?::(?P<occurrence>[1-9][0-9]{0,8}))?(?:\+(?P<skip>[0-9]{1,10}))?)"
)


_TEXT = re.compile(_GRAMMAR)

FORMS: Final = "NAME[:OCCURRENCE][+BYTES], up#MESSAGE[+BYTES] or down@BYTE"
"""The three kinds of moments, for messages to people; `cN:` may stand before each."""

MomentText = Annotated[str, msgspec.Meta(pattern=rf"\A(?:{_GRAMMAR})\Z")]
"""A moment as text, for the parameters of faults. The grammar alone: that the name is one, `Moment.parse` checks."""


class Moment(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """A place in the protocol; see the module for the three kinds and their text form.

    Exactly one kind is given: `name` (with `occurrence`), or `direction` with `ordinal`, or `direction` with `byte`
    alone. `byte` None means that the whole message has passed. `connection` None means any. Raises ValueError when the
    fields contradict each other; `Moment.parse` raises BadInput instead.
    """

    name: str = ""
    connection: int | None = None
    occurrence: int = 1
    direction: Direction | None = None
    ordinal: int | None = None
    byte: int | None = None

    def __post_init__(self) -> None:
        if problem := self._problem():
            raise ValueError(problem)

    def _problem(self) -> str:
        counts = (self.connection, self.occurrence, self.ordinal)
        if any(count is not None and count < 1 for count in counts):
            return "connections, occurrences and messages are counted from 1"
        if self.byte is not None and self.byte < 0:
            return "a byte is counted from 0; leave it out for the whole message"
        if self.name:
            return self._problem_of_name()
        if self.direction is None or (self.ordinal is None and self.byte is None):
            return "a moment has a name, or a direction with a message ordinal or a byte"
        return "only a named moment has occurrences" if self.occurrence != 1 else ""

    def _problem_of_name(self) -> str:
        if self.name not in NAMES:
            return f"no moment is called {self.name!r}"
        if self.direction is not None or self.ordinal is not None:
            return "a named moment has neither direction nor ordinal"
        return "connect is no message and has no bytes" if self.name == "connect" and self.byte is not None else ""

    @classmethod
    def parse(cls, text: str) -> Moment:
        """Read the text form. Raise UnknownName for a name that is no moment, BadInput for text that is no moment at
        all.
        """
        found = _TEXT.fullmatch(text)
        if found is None:
            raise BadInput(f"{text!r} is not a moment", f"write {FORMS}")
        part = found.groupdict()
        if part["name"] and part["name"] not in NAMES:
            raise UnknownName(f"no moment is called {part['name']!r}", f"use one of {', '.join(NAMES)}")
        byte = next((part[key] for key in ("into", "at", "skip") if part[key] is not None), None)
        try:
            return cls(
                name=part["name"] or "",
                connection=_number(part["connection"]),
                occurrence=_number(part["occurrence"]) or 1,
                direction=_LONG.get(part["side"]),
                ordinal=_number(part["ordinal"]),
                byte=_number(byte),
            )
        except ValueError as problem:
            raise BadInput(f"{text!r} is not a moment: {problem}", "leave +BYTES away") from None

    def __str__(self) -> str:
        head = f"c{self.connection}:" if self.connection else ""
        if self.name:
            place = self.name + (f":{self.occurrence}" if self.occurrence != 1 else "")
        else:
            assert self.direction is not None
            side = _SHORT[self.direction]
            place = f"{side}#{self.ordinal}" if self.ordinal else f"{side}@{self.byte}"
        return head + place + (f"+{self.byte}" if self.byte is not None and (self.name or self.ordinal) else "")

    def before(self, byte: int) -> Moment:
        """The same message, but before its byte number `byte`, counted from 0."""
        return msgspec.structs.replace(self, byte=byte)

    def simpler(self) -> tuple[Moment, ...]:
        """Moments that say less: after the whole message; and that of any connection, the first time."""
        if self.absolute:
            return ()
        whole = msgspec.structs.replace(self, byte=None)
        return whole, msgspec.structs.replace(whole, connection=None, occurrence=1)

    @property
    def absolute(self) -> bool:
        """Whether this is a byte of a direction, for which no message needs to be understood."""
        return not self.name and self.ordinal is None

    @property
    def is_message(self) -> bool:
        """Whether messages must be understood to find it: not for an absolute byte, nor for the beginning."""
        return not self.absolute and self.name != "connect"

    def may_be_in(self, direction: Direction) -> bool:
        """Whether the moment can come up in that direction at all."""
        where = NAMES[self.name][0] if self.name else self.direction
        return where in (direction, "both")

    def says(self) -> str:
        """The moment in words, for people: "commit-acked of any connection, before its first byte passes"."""
        of = f"connection {self.connection}" if self.connection else "any connection"
        if self.absolute:
            return f"byte {self.byte} {self.direction} of {of}"
        what = self.name or f"message {self.ordinal} {self.direction}"
        nth = f" number {self.occurrence}" if self.occurrence != 1 else ""
        if self.byte is None:
            return f"{what}{nth} of {of}" + ("" if self.name == "connect" else ", once it has passed whole")
        bytes_in = "before its first byte passes" if self.byte == 0 else f"after {self.byte} of its bytes"
        return f"{what}{nth} of {of}, {bytes_in}"


def _number(digits: str | None) -> int | None:
    return None if digits is None else int(digits)
