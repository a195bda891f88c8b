"""Where one request can be cut: every message of a clean run, or every byte, each with the moment that addresses it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal, TypeVar

from lab.records.history import Op
from lab.records.moment import Moment
from lab.records.record import Record
from lab.records.words import Direction
from lab.wire.naming import best

Window = Literal["request", "connect", "commit", "close"]
Every = Literal["message", "byte"]
Message = dict[str, Any]

WINDOWS: dict[str, str] = {
    "connect": "from the first message of the connection to the first ReadyForQuery",
    "request": "everything after that, until request_finished has been served",
    "commit": "from COMMIT to its ReadyForQuery",
    "close": "what request_finished makes the connection say",
}
Part = TypeVar("Part")
READY = "ReadyForQuery"
GOODBYE = "X"
"""The type letter of Terminate."""
ALIKE = ("DataRow", "CopyData")
"""Messages that differ only in what they carry. Of more than three in a row the ends and the middle are points."""
LONG, EDGE, APART = 256, 64, 127
"""A message of more bytes than the first is cut at every byte of its edges, and at every APART-th between these."""


@dataclass(frozen=True)
class Point:
    """Before byte `byte` of one message; `moment` is its text form, `step` the plan's step that it belongs to.

    `name` is the message without the byte, e.g. `commit-acked` or `down#4`.
    """

    direction: Direction
    name: str
    byte: int
    step: int

    @property
    def moment(self) -> str:
        """As a rule is told it."""
        return str(Moment.parse(self.name).before(self.byte))


def points(record: Record, window: Window, every: Every, last: int) -> tuple[Point, ...]:
    """The points of the window in a clean tapped run, in the order in which they passed.

    The request is the steps up to the index `last`, at which it ends. A request that uses several connections has its
    points addressed by occurrence on any of them.
    """
    request = list(_request(record, last))
    names, steps = _names(request), _steps(request, record.ops, last)
    found: list[Point] = []
    for message in _unlike(_window(request, window, steps, last)):
        step = steps[id(message)]
        places = (0,) if every == "message" else _bytes(_steady_length(message, record, step))
        found += [Point(message["direction"], names[id(message)], byte, step) for byte in places]
    return tuple(found)


def _unlike(messages: Sequence[Message]) -> Iterator[Message]:
    """The messages without most of those that are alike: nothing tells a result's thousandth row from its next one.

    The same holds for exchanges, a question with its whole answer: a server-side cursor asks for one chunk after the
    other.
    """
    exchanges: list[list[Message]] = [[]]
    for message in messages:
        asked_anew = message["direction"] == "upstream" and exchanges[-1] and exchanges[-1][-1]["name"] == READY
        if asked_anew:
            exchanges.append([])
        exchanges[-1].append(message)
    thinned = [list(_ends_and_middle(exchange, _kind, ALIKE)) for exchange in exchanges]
    for exchange in _ends_and_middle(thinned, lambda each: tuple(map(_kind, each))):
        yield from exchange


def _ends_and_middle(
    every: Sequence[Part], kind: Callable[[Part], Hashable], kinds: Container[Hashable] | None = None
) -> Iterator[Part]:
    """Of each run of equal `kind`, where it is one of `kinds`, the first, the middle and the last; else all."""
    for word, group in groupby(every, kind):
        run = list(group)
        if len(run) > 3 and (kinds is None or word in kinds):
            run = [run[0], run[len(run) // 2], run[-1]]
        yield from run


def _kind(message: Message) -> str:
    return str(message["name"])


def _bytes(length: int) -> Sequence[int]:
    """The bytes before which a message of this length is cut."""
    if length <= LONG:
        return range(length)
    return (*range(EDGE), *range(EDGE, length - EDGE, APART), *range(length - EDGE, length))


def _request(record: Record, last: int) -> Iterator[Message]:
    """The messages of the request, those of connections of the lab's own excepted (they only ask for encryption).

    By their order, not by their times: a goodbye may be written down after the next request has begun.
    """
    over = next(op.time for op in record.ops if op.step > last and op.type == "invoke")
    messages = [each for each in record.journal if each["kind"] == "message"]
    ours = {each["connection"] for each in messages if "startup" in each.get("moments", ())}
    for message in messages:
        if message["at_ns"] >= over and message["direction"] == "upstream" and message["type"] != GOODBYE:
            return
        if message["connection"] in ours:
            yield message


def _names(messages: Sequence[Message]) -> dict[int, str]:
    """For each message the text of its moment, by the message's identity: a named one where it has a name."""
    connections = {message["connection"] for message in messages}
    connection = min(connections) if len(connections) == 1 else None
    counts: Counter[str] = Counter()
    names = {}
    for message in messages:
        counts.update(message.get("moments", ()))
        if name := best(message.get("moments", ())):
            moment = Moment(name=name, connection=connection, occurrence=counts[name])
        else:
            moment = Moment(direction=message["direction"], connection=connection, ordinal=message["ordinal"])
        names[id(message)] = str(moment)
    return names


def _window(messages: Sequence[Message], window: Window, steps: dict[int, int], last: int) -> list[Message]:
    connected: set[int] = set()
    found: dict[str, list[Message]] = {name: [] for name in WINDOWS}
    committing = False
    for message in messages:
        moments = message.get("moments", ())
        if message["connection"] not in connected:
            found["connect"].append(message)
            if "ready" in moments:
                connected.add(message["connection"])
            continue
        found["request"].append(message)
        committing = committing or "commit-sent" in moments
        if committing:
            found["commit"].append(message)
        committing = committing and "commit-ready" not in moments
        if steps[id(message)] == last:
            found["close"].append(message)
    return found[window]


def _steps(messages: Sequence[Message], ops: Sequence[Op], last: int) -> dict[int, int]:
    """For each message the step that it belongs to, by the message's identity.

    An answer belongs to the question before it: its own time may be that of a tap which was late to write it down,
    while a question is always written down before its answer passes.
    """
    found = {}
    step = 0
    for message in messages:
        if message["direction"] == "upstream":
            begun = (op.step for op in ops if op.type == "invoke" and op.time <= message["at_ns"])
            step = min(max(begun, default=0), last)
        found[id(message)] = step
    return found


def _steady_length(message: Message, record: Record, step: int) -> int:
    """The message's bytes less the digits of numbers that grow from run to run: equal explorations have equal points.

    Those numbers are the pid and the transaction's number that a row of ours carries.
    """
    length: int = message["length"]
    ours = {op.step: op.value for op in record.ops if "session" in op.value}
    if message["name"] != "DataRow" or step not in ours:
        return length
    pid = max(len(str(value["session"]).partition("@")[0]) for value in ours.values())
    xid = max(len(str(value.get("xid", ""))) for value in ours.values())
    return length - pid - xid
