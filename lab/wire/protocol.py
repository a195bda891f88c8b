"""PostgreSQL's protocol, version 3, seen from the middle: bytes in, messages out.

A `Framer` cuts one direction of one connection into `Frame`s, however the bytes were split on their way. A
`Conversation` holds the two framers of a connection and what only both together tell: the answer to an SSLRequest has
no frame of its own, and a CommandComplete says which COMMIT it answers only to an observer that saw the COMMIT leave.
The conversation names the moments of each message.

What is not PostgreSQL (TLS, garbage, another protocol) turns the direction *opaque*: bytes are counted and passed,
and no moment is named any more. Nothing here raises on input and nothing does I/O.

Source: the manual's chapter "Frontend/Backend Protocol" (message formats), PostgreSQL 10 to 18.
"""

from __future__ import annotations

from collections import deque
from struct import Struct as Layout
from typing import Final, NamedTuple

from lab.records.words import Direction
from lab.wire.verbs import TRANSACTION_CONTROL, verbs

SSL_REQUEST: Final = 80877103
GSS_REQUEST: Final = 80877104
CANCEL_REQUEST: Final = 80877102

PEEK: Final = 8192
"""Bytes of a statement that are looked at, at most, to find its verbs; what follows is passed unseen."""

_LARGEST: Final = 0x3FFFFFFF  # PQ_LARGE_MESSAGE_LIMIT: what the server itself accepts
_SMALL: Final = (
    1 << 20
)  # for types that libpq takes for "lost synchronization" above 30 kB; wider, to stay on the safe side
_STARTUP_LARGEST: Final = 10_000  # MAX_STARTUP_PACKET_LENGTH
_HEADER = Layout("!BI")
_WORD = Layout("!I")
_STARTUP = Layout("!II")

UPSTREAM_TYPES: Final = {
    "B": "Bind",
    "C": "Close",
    "D": "Describe",
    "E": "Execute",
    "F": "FunctionCall",
    "H": "Flush",
    "P": "Parse",
    "Q": "Query",
    "S": "Sync",
    "X": "Terminate",
    "c": "CopyDone",
    "d": "CopyData",
    "f": "CopyFail",
    "p": "PasswordMessage",  # also SASLInitialResponse, SASLResponse, GSSResponse: told apart by context only
}
DOWNSTREAM_TYPES: Final = {
    "1": "ParseComplete",
    "2": "BindComplete",
    "3": "CloseComplete",
    "A": "NotificationResponse",
    "C": "CommandComplete",
    "D": "DataRow",
    "E": "ErrorResponse",
    "G": "CopyInResponse",
    "H": "CopyOutResponse",
    "I": "EmptyQueryResponse",
    "K": "BackendKeyData",
    "N": "NoticeResponse",
    "R": "Authentication",
    "S": "ParameterStatus",
    "T": "RowDescription",
    "V": "FunctionCallResponse",
    "W": "CopyBothResponse",
    "Z": "ReadyForQuery",
    "c": "CopyDone",
    "d": "CopyData",
    "n": "NoData",
    "s": "PortalSuspended",
    "t": "ParameterDescription",
    "v": "NegotiateProtocolVersion",
}


BACKEND_KEY: Final = "K"
"""The type letter of BackendKeyData, which says the server process's pid."""


class _Kind(NamedTuple):
    """What the framer must know of a message type: letter, name, greatest length, bytes of the body to look at."""

    letter: str
    name: str
    largest: int
    peek: int


def _kinds(names: dict[str, str], large: str, peek: dict[str, int]) -> dict[int, _Kind]:
    return {
        ord(letter): _Kind(letter, name, _LARGEST if letter in large else _SMALL, peek.get(letter, 0))
        for letter, name in names.items()
    }


_UPSTREAM = _kinds(UPSTREAM_TYPES, "QPBFdp", {"Q": PEEK, "P": PEEK, "B": 256, "E": 128, "C": 128})
_DOWNSTREAM = _kinds(DOWNSTREAM_TYPES, "DdTVENAt", {"C": 64, "E": 128, "N": 128, "R": 4, "Z": 1, "K": 4})


class Frame:
    """One message of one direction: where it lies in the stream, and as much of its body as its moments need.

    `start` and `end` are bytes of the direction's stream, end exclusive. `body` is a prefix of the message's body,
    never a row, a password or a COPY line; it is dropped once the moments are named. `verb` is "" for messages without
    a statement. `begins` are the moments of an exchange's beginning, which are no part of what the journal keeps.
    """

    __slots__ = ("begins", "body", "end", "letter", "moments", "name", "ordinal", "sqlstate", "start", "tx", "verb")

    def __init__(self, letter: str, name: str, ordinal: int, start: int, end: int, body: bytes) -> None:
        self.letter = letter
        self.name = name
        self.ordinal = ordinal
        self.start = start
        self.end = end
        self.body = body
        self.verb = ""
        self.sqlstate = ""
        self.tx = ""
        self.moments: tuple[str, ...] = ()
        self.begins: tuple[str, ...] = ()


class Framer:
    """Cut one direction's stream into messages, incrementally.

    A frame is returned by `feed` as soon as it is *classified*, which is when its header and the part of its body that
    its moments need are here: its end may still be to come. `safe` is the stream's offset up to which every byte
    belongs to a classified frame.
    """

    def __init__(self, conversation: Conversation, direction: Direction) -> None:
        self._conversation = conversation
        self._upstream = direction == "upstream"
        self._kinds = _UPSTREAM if self._upstream else _DOWNSTREAM
        self._rest = b""  # unclassified bytes, at most a header and PEEK
        self._ahead = 0  # bytes of the last frame that are not here yet
        self._startup = self._upstream
        self._answers = 0  # one-byte answers that the server owes to SSLRequest or GSSENCRequest
        self.count = 0
        self.safe = 0
        self.opaque = False

    def feed(self, data: bytes) -> list[Frame]:
        """Take the next bytes of the stream; return the messages that they made known, oldest first."""
        if self.opaque:
            self.safe += len(data)
            return []
        if self._ahead >= len(data):
            self._ahead -= len(data)
            self.safe += len(data)
            return []
        skipped, self._ahead = self._ahead, 0
        self.safe += skipped
        view = self._rest + data if self._rest else data
        return self._frames(view, skipped)

    def _frames(self, view: bytes, at: int) -> list[Frame]:
        """Classify all that can be classified from `view[at:]`; keep the rest for the next call."""
        frames: list[Frame] = []
        self._rest = b""
        while at < len(view) and not self.opaque:
            found = self._next(view, at)
            if found is None:
                break
            self.count += 1
            frames.append(found)
            self._conversation.meaning(found, self._upstream)
            found.body = b""
            length = found.end - found.start
            self._ahead = max(0, length - (len(view) - at))
            self.safe += length - self._ahead
            at += length
        if self.opaque:
            self.safe += max(0, len(view) - at)
            at = len(view)
        self._rest = view[at:]
        return frames

    def _next(self, view: bytes, at: int) -> Frame | None:
        """Return the message that begins at `view[at]`, or None when more bytes are needed, or when it is none (now
        opaque).
        """
        if self._startup:
            return self._first(view, at)
        if self._answers and view[at] != ord(
            "E"
        ):  # "E": a server that knows no SSLRequest; framed like any other message
            return self._answer(view[at])
        kind = self._kinds.get(view[at])
        if kind is None:
            self.give_up("garbage")
            return None
        if len(view) - at < 5:
            return None
        length = _HEADER.unpack_from(view, at)[1]
        if not 4 <= length <= kind.largest:
            self.give_up("garbage")
            return None
        body = at + 5 + min(kind.peek, length - 4)
        if body > len(view):
            return None
        return Frame(kind.letter, kind.name, self.count + 1, self.safe, self.safe + 1 + length, view[at + 5 : body])

    def _first(self, view: bytes, at: int) -> Frame | None:
        """The messages without a type letter with which a client begins."""
        # A first byte that no sane length begins with decides at once: a TLS hello must not wait for seven more bytes.
        if view[at] != 0:
            self.give_up("garbage")
            return None
        if len(view) - at < 8:
            return None
        length, code = _STARTUP.unpack_from(view, at)
        name = {SSL_REQUEST: "SSLRequest", GSS_REQUEST: "GSSENCRequest", CANCEL_REQUEST: "CancelRequest"}.get(code, "")
        if not 8 <= length <= _STARTUP_LARGEST or (not name and code >> 16 != 3):
            self.give_up("garbage")
            return None
        if name in ("SSLRequest", "GSSENCRequest"):
            self._conversation.down.owe_answer()
        else:
            self._startup = False
        return Frame("", name or "StartupMessage", self.count + 1, self.safe, self.safe + length, b"")

    def owe_answer(self) -> None:
        """The client asked for encryption: the server's next byte is the answer, without a frame."""
        self._answers += 1

    def _answer(self, byte: int) -> Frame | None:
        """The one byte with which a server answers a request for encryption."""
        if byte not in b"SGN":
            self.give_up("garbage")
            return None
        self._answers -= 1
        if byte != ord("N"):
            self._conversation.encrypt()
        return Frame(chr(byte), "EncryptionAnswer", self.count + 1, self.safe, self.safe + 1, b"")

    def give_up(self, why: str) -> None:
        """From here on this direction is opaque; `why` goes to the journal."""
        if not self.opaque:
            self.opaque = True
            self.safe += len(self._rest)
            self._rest = b""
            self._conversation.opaque.append(("upstream" if self._upstream else "downstream", why))


class Conversation:
    """Both directions of one connection and what they mean together.

    `tx` is the transaction state of the last ReadyForQuery: "I" idle, "T" in a transaction, "E" in a failed one, "" not
    known. `pid` is the server process, 0 before it has said so. `opaque` lists directions that stopped being framed and
    why ("encrypted" or "garbage"); the reader empties it.
    """

    def __init__(self) -> None:
        self.up = Framer(self, "upstream")
        self.down = Framer(self, "downstream")
        self.tx = ""
        self.pid = 0
        self.opaque: list[tuple[Direction, str]] = []
        self._statements: dict[bytes, tuple[str, ...]] = {}
        self._portals: dict[bytes, tuple[str, ...]] = {}
        self._owed: deque[str | None] = (
            deque()
        )  # verbs that await their CommandComplete; None: a ReadyForQuery is due there
        self._exchange = False  # messages of an extended query have passed, its Sync has not
        self._stepped = False  # … and one of them began a step
        self._in_rows = False
        self._authenticating = False
        self._ended = ""  # "commit" or "rollback" between the answer and its ReadyForQuery

    def encrypt(self) -> None:
        """The server agreed to encrypt: from here on the tap sees bytes and no messages."""
        self.up.give_up("encrypted")
        self.down.give_up("encrypted")

    def meaning(self, frame: Frame, upstream: bool) -> None:
        """Name the moments of a message, and its verb, SQLSTATE and transaction state as known when it came by."""
        letter = frame.letter
        if upstream:
            frame.moments = self._sent(frame, letter)
            if letter in EXCHANGE_LETTERS:
                frame.begins = self._begins(frame, letter)
            elif letter == "S":
                self._exchange = self._stepped = False
        elif letter == "D":  # a row: this branch comes first, because rows come by the thousand
            frame.moments = ("row",) if self._in_rows else ("first-row", "row")
            self._in_rows = True
        else:
            self._in_rows = self._in_rows and letter in "NSA"  # which the server may send at any time
            frame.moments = self._received(frame, letter)
        frame.tx = self.tx

    # -- towards the server

    def _sent(self, frame: Frame, letter: str) -> tuple[str, ...]:
        if letter == "Q":
            found = verbs(frame.body.rstrip(b"\0"))
            self._owed.extend((*found, None))
            return _statement(frame, found)
        if letter == "E":
            found = self._portals.get(_cstring(frame.body), ("other",))
            self._owed.extend(found[:1] or ("",))
            return _statement(frame, found)
        if letter in ("P", "B", "C"):
            return self._name(frame, letter)
        if letter in ("S", "F"):
            self._owed.append(None)
        return _UP_MOMENTS.get(frame.name, ())

    def _begins(self, frame: Frame, letter: str) -> tuple[str, ...]:
        """Whether the message is the first of an exchange, and the first in it that asks for a step."""
        begins = () if self._exchange else ("exchange-begun",)
        asked = self._portals.get(_cstring(frame.body), ()) if letter == "B" else frame.verb.split(";")
        steps = not self._stepped and (letter == "F" or any(verb and verb not in NO_STEP for verb in asked))
        alone = letter in "QF"
        self._exchange = not alone
        self._stepped = not alone and (self._stepped or steps)
        return (*begins, "step-begun") if steps else begins

    def _name(self, frame: Frame, letter: str) -> tuple[str, ...]:
        """Remember which verbs hide behind a prepared statement or a portal, so that an Execute can be told to be a
        COMMIT.
        """
        if letter == "C":
            (self._portals if frame.body[:1] == b"P" else self._statements).pop(_cstring(frame.body[1:]), None)
            return ()
        first, _, after = frame.body.partition(b"\0")
        if letter == "P":
            found = verbs(_cstring(after))
            frame.verb = ";".join(found)
            _remember(self._statements, first, found)
            return ("parse-sent",)
        _remember(self._portals, first, self._statements.get(_cstring(after), ("other",)))
        return ()

    # -- towards the client

    def _received(self, frame: Frame, letter: str) -> tuple[str, ...]:
        if letter == "Z":
            return self._ready(frame.body)
        if letter == "C":
            return self._complete(frame)
        if letter == "R":
            return self._authentication(frame.body)
        if letter in ("E", "N"):
            frame.sqlstate = _sqlstate(frame.body)
        if letter in ("I", "s"):
            self._settle()
        if letter == "K" and len(frame.body) == _WORD.size:  # the pid; the secret key behind it is not looked at
            (self.pid,) = _WORD.unpack(frame.body)
        return _DOWN_MOMENTS.get(frame.name, ())

    def _ready(self, body: bytes) -> tuple[str, ...]:
        self.tx = body.decode("latin-1") if body in (b"I", b"T", b"E") else ""
        while self._owed and self._owed.popleft() is not None:
            pass  # answers that an error swallowed
        ended, self._ended = self._ended, ""
        return ("ready", f"{ended}-ready") if ended else ("ready",)

    def _settle(self) -> str:
        return self._owed.popleft() or "" if self._owed and self._owed[0] is not None else ""

    def _complete(self, frame: Frame) -> tuple[str, ...]:
        asked = self._settle()
        tag = _cstring(frame.body).decode("latin-1")
        frame.verb = tag if tag in TRANSACTION_CONTROL else tag.split(" ")[0]
        if tag == "COMMIT":
            self._ended = "commit"
        elif tag == "ROLLBACK" and asked != "ROLLBACK TO":
            self._ended = "rollback"
        else:
            return ("command-complete", "begin-acked") if tag == "BEGIN" else ("command-complete",)
        return ("command-complete", f"{self._ended}-acked")

    def _authentication(self, body: bytes) -> tuple[str, ...]:
        first, self._authenticating = not self._authenticating, True
        ok = body == b"\0\0\0\0"
        return (("auth",) if first else ()) + (("auth-ok",) if ok else ())


EXCHANGE_LETTERS: Final = frozenset("QPBEDCF")
"""Message types that can begin an exchange: all that a Sync, or the Query itself, ends."""

NO_STEP: Final = frozenset({"BEGIN", "SAVEPOINT", "RELEASE", "SET", "RESET", "SHOW", "DEALLOCATE", "DISCARD"})
"""Verbs that no other transaction can tell apart from nothing: they take no snapshot and no lock that lasts."""

_UP_MOMENTS: Final = {
    "StartupMessage": ("startup",),
    "SSLRequest": ("encryption-asked",),
    "GSSENCRequest": ("encryption-asked",),
    "CancelRequest": ("cancel",),
    "PasswordMessage": ("password",),
    "Sync": ("sync-sent",),
    "Terminate": ("terminate",),
    "CopyData": ("copy-data",),
    "CopyDone": ("copy-done",),
    "CopyFail": ("copy-fail",),
}
_DOWN_MOMENTS: Final = {
    "EncryptionAnswer": ("encryption-answered",),
    "BackendKeyData": ("key",),
    "RowDescription": ("row-description",),
    "ErrorResponse": ("error",),
    "NoticeResponse": ("notice",),
    "NotificationResponse": ("notification",),
    "ParameterStatus": ("parameter",),
    "CopyInResponse": ("copy-in",),
    "CopyOutResponse": ("copy-out",),
    "CopyBothResponse": ("copy-both",),
    "CopyData": ("copy-data",),
    "CopyDone": ("copy-done",),
}
_STATEMENT_MOMENTS: Final = {
    "BEGIN": "begin-sent",
    "COMMIT": "commit-sent",
    "ROLLBACK": "rollback-sent",
    "SAVEPOINT": "savepoint-sent",
    "RELEASE": "savepoint-sent",
    "ROLLBACK TO": "savepoint-sent",
    "PREPARE TRANSACTION": "prepared-sent",
    "COMMIT PREPARED": "prepared-sent",
    "ROLLBACK PREPARED": "prepared-sent",
}
_REMEMBERED: Final = 4096  # named statements per connection; more than that and the oldest becomes "other"


def _statement(frame: Frame, found: tuple[str, ...]) -> tuple[str, ...]:
    """The moments of a message that makes the server execute these verbs, each once."""
    frame.verb = ";".join(found)
    return tuple(dict.fromkeys(_STATEMENT_MOMENTS.get(one, "query-sent") for one in found)) or ("query-sent",)


def _cstring(data: bytes) -> bytes:
    return data.partition(b"\0")[0]


def _remember(names: dict[bytes, tuple[str, ...]], name: bytes, found: tuple[str, ...]) -> None:
    names.pop(name, None)
    names[name] = found
    if len(names) > _REMEMBERED:
        del names[next(iter(names))]


def _sqlstate(body: bytes) -> str:
    """The five characters of an ErrorResponse's C field, "" when they are not among the first bytes."""
    for field in body.split(b"\0"):
        if field[:1] == b"C" and len(field) == 6:
            return field[1:].decode("latin-1")
    return ""
