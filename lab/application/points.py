"""Where a call can be cut: two places in each statement, or every message, each with the moment that addresses it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from lab.application.session import Every
from lab.application.sources import Note, Sources
from lab.wire.journal import Message, Record
from lab.wire.naming import named
from lab.wire.protocol import EXCHANGE_LETTERS

READY = "Z"
TERMINATE = "X"


@dataclass(frozen=True)
class Point:
    """Before the first byte of one message.

    `moment` is its text form; `says` is the place in words, `before INSERT shop_order`; `place` the line of the
    project, or "". `on` is the number of the server, from 0. `answer`: it is an answer's ReadyForQuery.
    """

    moment: str
    says: str
    place: str
    on: int
    answer: bool

    @property
    def address(self) -> str:
        """The moment, with the number of the server where it is not the first."""
        return f"{self.on + 1}/{self.moment}" if self.on else self.moment


@dataclass(frozen=True)
class Exchange:
    """One question and its answer on one connection: a Query, or everything up to a Sync, and what came back.

    `connecting`: it is a part of the connection's beginning, Django's own settings included.
    """

    connection: int
    messages: tuple[Message, ...]
    note: Note | None
    connecting: bool

    @property
    def verb(self) -> str:
        """What it asks for; "" for a connection's start-up."""
        return next((each.verb for each in self.messages if each.verb and each.direction == "upstream"), "")

    @property
    def says(self) -> str:
        """E.g. `INSERT shop_order`, `COMMIT`, or the verb alone where no line of the project is known."""
        if self.verb in ("", "SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "other", "FETCH", "DECLARE", "COPY"):
            return self.note.says if self.note is not None and self.note.what == "execute" else self.verb
        return self.verb

    @property
    def place(self) -> str:
        """The line of the project that it comes from, or ""."""
        return self.note.place if self.note is not None else ""

    @property
    def ready(self) -> Message | None:
        """The ReadyForQuery that ends it."""
        return next((each for each in self.messages if each.type == READY), None)


def commits(message: Message) -> bool:
    """Whether the server may have made something last once it has read this."""
    if message.direction != "upstream" or not message.verb:
        return False
    alone = message.tx == "I" and message.type in ("Q", "E")
    return "COMMIT" in message.verb or (alone and message.verb not in ("BEGIN", "SET", "SHOW", "SELECT", "DECLARE"))


def messages_of(records: Sequence[Record], begun_ns: int = 0) -> list[Message]:
    """The messages that passed after that moment."""
    return [each for each in records if isinstance(each, Message) and each.at_ns >= begun_ns]


def exchanges(records: Sequence[Record], sources: Sources, begun_ns: int = 0) -> list[Exchange]:
    """The exchanges of a clean run in the order in which they began; a connection's start-up is its first one."""
    found: list[tuple[int, Exchange]] = []
    messages = messages_of(records, begun_ns)
    for _, own in groupby(sorted(messages, key=lambda each: each.connection), key=lambda each: each.connection):
        for part in _parts(list(own)):
            if part[0].type == TERMINATE:
                continue
            note = sources.note_at(part[0].at_ns)
            connecting = part[0].type == "" or (note is not None and _in_connect(sources, part[0].at_ns))
            found.append((part[0].at_ns, Exchange(part[0].connection, tuple(part), note, connecting)))
    return [each for _, each in sorted(found, key=lambda pair: pair[0])]


def _in_connect(sources: Sources, at_ns: int) -> bool:
    return any(
        note.what == "connect" and note.begun_ns <= at_ns and (note.ended_ns == 0 or at_ns <= note.ended_ns)
        for note in sources.notes
    )


def _parts(messages: Sequence[Message]) -> Iterator[list[Message]]:
    """Cut one connection's messages after each ReadyForQuery, and before a Terminate."""
    part: list[Message] = []
    for message in messages:
        if message.type == TERMINATE and part:
            yield part
            part = []
        part.append(message)
        if message.type == READY:
            yield part
            part = []
    if part:
        yield part


def points(records: Sequence[Record], sources: Sources, begun_ns: int, every: Every, on: int = 0) -> list[Point]:
    """Every point of a clean run, in the order in which they came.

    By statement: before its first message leaves and before its ReadyForQuery arrives; of a connection's beginning,
    its first message and its first ReadyForQuery. By message: before each one.
    """
    names = named(messages_of(records))
    found: list[Point] = []
    for exchange in exchanges(records, sources, begun_ns):
        first, ready = exchange.messages[0], exchange.ready
        for message in exchange.messages:
            is_ready = message is ready
            if every == "message" or _chosen(exchange, message, is_ready, message is first):
                moment = str(names[message.connection, message.direction, message.ordinal].before(0))
                says = _says(exchange, is_ready, message is first, message)
                found.append(Point(moment, says, exchange.place, on, is_ready))
    return found


def _chosen(exchange: Exchange, message: Message, is_ready: bool, is_first: bool) -> bool:
    if exchange.connecting:
        return message.type == "" or (is_ready and any(each.type == "" for each in exchange.messages))
    return is_ready or (is_first and message.type in EXCHANGE_LETTERS)


def _says(exchange: Exchange, is_ready: bool, is_first: bool, message: Message) -> str:
    if exchange.connecting:
        return "connected, not told so" if is_ready else "while connecting"
    if is_ready:
        return f"answer to {exchange.says} lost"
    return f"before {exchange.says}" if is_first else f"in {exchange.says}, before {message.name}"


def alike(first: Sequence[Record], second: Sequence[Record]) -> str:
    """How two clean runs differ in what they say to the database, "" when they do not."""
    one, other = (_asked(each) for each in (first, second))
    if one == other:
        return ""
    surplus = (other - one) or (one - other)
    verb, count = next(iter(surplus.items()))
    return f"{verb or 'a message'} was sent {count} times more in one of two clean runs"


def _asked(records: Sequence[Record]) -> Counter[str]:
    return Counter(
        each.verb or each.name for each in messages_of(records) if each.direction == "upstream" and each.type != "p"
    )
