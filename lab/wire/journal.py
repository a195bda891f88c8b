"""The journal: what crossed the wire, in the order in which the tap handed it on; JSON lines out and in.

A record never holds a row, a parameter, a password or a statement: of SQL only the verb class is kept (see `verbs`), of
an error only its SQLSTATE. Times are nanoseconds of the monotonic clock of the lab's machine.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import msgspec

from lab.errors import BadInput
from lab.records.words import Direction, Side, Sides, Way

Happening = Literal["accept", "connected", "refused", "fin", "rst", "opaque", "resumed", "closed"]


class Message(msgspec.Struct, frozen=True, omit_defaults=True, gc=False, tag="message", tag_field="kind"):
    """One whole message that the tap handed to the other side (or swallowed: `dropped`).

    `connection` and `ordinal` count from 1, the ordinal within its direction. `type` is the protocol's letter, "" for
    start-up messages. `start` is the offset of its first byte in the direction's stream, `length` all its bytes, header
    included. `tx` is the transaction state of the last ReadyForQuery that came by, this one included ("" before the
    first). `pid` is the server process, in BackendKeyData alone.
    """

    connection: int
    direction: Direction
    ordinal: int
    type: str
    name: str
    start: int
    length: int
    at_ns: int
    tx: str = ""
    moments: tuple[str, ...] = ()
    verb: str = ""
    sqlstate: str = ""
    dropped: bool = False
    pid: int = 0


class Event(msgspec.Struct, frozen=True, omit_defaults=True, gc=False, tag="event", tag_field="kind"):
    """Something that happened to a connection rather than in it.

    `accept` (detail: the client's address), `connected` (the tap's own address towards the server), `refused` (why the
    server could not be reached), `fin` and `rst` (seen from `side`), `opaque` (a direction that cannot be framed any
    more; detail "upstream encrypted"), `resumed`, and `closed` (both sockets are gone). `upstream` and `downstream` are
    the bytes that had passed in each direction.
    """

    connection: int
    event: Happening
    at_ns: int
    side: Side | None = None
    upstream: int = 0
    downstream: int = 0
    detail: str = ""


class Act(msgspec.Struct, frozen=True, omit_defaults=True, gc=False, tag="act", tag_field="kind"):
    """The tap acted: evidence that a fault landed, and where.

    `moment` is the rule's text, "now" for an act by hand. `direction`, `ordinal` and `byte` say which message the act
    found: so many of its bytes had passed (they are absent for an act by hand, and 0 between messages). `upstream` and
    `downstream` are the bytes that had passed in each direction; `message` is its name and `moments` are its moments.
    `pid` is the server process, 0 before it has said so; `verb` is that of the message.
    """

    connection: int
    way: Way
    sides: Sides
    moment: str
    at_ns: int
    upstream: int
    downstream: int
    direction: Direction | None = None
    ordinal: int = 0
    byte: int = 0
    message: str = ""
    moments: tuple[str, ...] = ()
    tx: str = ""
    pid: int = 0
    verb: str = ""


Record = Message | Event | Act

_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)


def to_line(record: Record) -> str:
    """One record as a line of JSON, without its newline."""
    return _ENCODER.encode(record).decode()


def from_lines(lines: Iterable[str | bytes]) -> Iterator[Record]:
    """Read records back. Raise BadInput naming the line (from 1) and the place in it that is no record."""
    for number, line in enumerate(lines, 1):
        try:
            yield _DECODER.decode(line)
        except msgspec.MsgspecError as problem:
            raise BadInput(f"line {number} of the journal: {problem}", "give a journal that the tap wrote") from None


def describe(record: Record) -> str:
    """One record for people, on one line."""
    connection = f"c{record.connection}"
    if isinstance(record, Message):
        return f"{connection} {_describe_message(record)}"
    if isinstance(record, Act):
        where = f" in {record.message}, {record.byte} of its bytes passed," if record.message else ""
        passed = f"{record.upstream} B up, {record.downstream} B down"
        return f"{connection} ** {record.way} {record.sides} at {record.moment}:{where} {passed}"
    return " ".join(
        filter(None, (connection, "--", record.event, record.side and f"from {record.side}", record.detail))
    )


def _describe_message(record: Message) -> str:
    parts = (
        f"{'-> up' if record.direction == 'upstream' else '<- down'}#{record.ordinal}",
        record.name,
        record.verb or record.sqlstate,
        record.tx and f"[{record.tx}]",
        f"{record.length} B",
        " ".join(("", *record.moments)),
        "dropped" if record.dropped else "",
    )
    return " ".join(part for part in parts if part)


class Journal:
    """A growing list of records: one thread appends, any thread reads and waits.

    `sink` is called with each record in the appending thread, before the threads that wait are told.
    """

    def __init__(self, sink: Callable[[Record], None] | None = None) -> None:
        self._records: list[Record] = []
        self._sink = sink
        self._changed = threading.Condition()
        self._waiting = 0

    def append(self, record: Record) -> None:
        """Add a record; for the tap alone."""
        self._records.append(record)
        if self._sink is not None:
            self._sink(record)
        # Without the lock where no thread waits: a waiter counts itself before it looks at the list, so it sees this
        # record or is seen.
        if self._waiting:
            with self._changed:
                self._changed.notify_all()

    def snapshot(self) -> list[Record]:
        """All records so far, oldest first; the list is the caller's own."""
        return self._records.copy()

    def __len__(self) -> int:
        return len(self._records)

    def wait(self, predicate: Callable[[Record], bool], deadline: float, since: int = 0) -> Record:
        """Return the first record that satisfies the predicate, past or to come.

        `deadline` is in seconds from now; `since` leaves out so many of the oldest records. Raises TimeoutError, which
        says what came last. The predicate runs in the caller's thread.
        """
        ends = time.monotonic() + deadline
        with self._changed:
            self._waiting += 1
            try:
                while True:
                    while since < len(self._records):
                        since += 1
                        if predicate(self._records[since - 1]):
                            return self._records[since - 1]
                    left = ends - time.monotonic()
                    if (left <= 0 or not self._changed.wait(left)) and since >= len(self._records):
                        raise TimeoutError(self._in_vain(deadline))
            finally:
                self._waiting -= 1

    def _in_vain(self, deadline: float) -> str:
        last = describe(self._records[-1]) if self._records else "nothing"
        return f"not in the journal within {deadline:g} s; {len(self._records)} records, the last: {last}"
