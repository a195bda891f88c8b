"""How a step ended: ok, fail or info. The one place where that is decided.

First from the answer that the subject gave; then, where the wire was tapped, from how far its COMMIT (of an INSERT in
autocommit: the INSERT itself) got. `ok` is what the caller was told. An error tells the caller nothing, so an
error is `fail` where the statement certainly had no effect and `info` where it may have had, even where the wire knows
that it had. What the wire knows is kept in the op's value as `wire`:

    unsent    the whole statement never reached the server's side of the tap
    sent      it did, and no answer to it came back that far
    refused   the server answered with an error, or with ROLLBACK
    acked     the server said that it is done, whether or not the client was let hear it

Where a COMMIT was `sent` and the caller was told that it is done, `asked` says that the backend has asked the server
something on another connection before it said so: it may have looked up what became of the transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from lab.records.history import Ending, Op
from lab.records.plan import Leave, Step

Reached = Literal["unsent", "sent", "refused", "acked"]
Message = Mapping[str, Any]

VERBS = dict.fromkeys(("leave", "commit", "close", "end", "autocommit"), "COMMIT") | {"write": "INSERT"}
"""The statement that decides whether such a step has had an effect."""
CHANGES = (*VERBS, "sql")
LOST = ("08", "57P")
"""Classes of SQLSTATE that come with the end of a session: they say nothing of the statement."""
FOREVER = 1 << 62


def from_answer(do: str, ending: str, states: Iterable[str]) -> Ending:
    """Of a step that answered `ok`, `skip` or with an error whose chain carries these SQLSTATEs.

    An SQLSTATE that the server gives to a statement it refused is a `fail`; any other error of a step that can change
    the server's state may hide an effect, and is `info`.
    """
    if ending in ("ok", "skip"):
        return "ok" if ending == "ok" else "skip"
    known = {state for state in states if state}
    definite = known and not any(state.startswith(LOST) for state in known)
    return "fail" if definite or do not in CHANGES else "info"


def settle(steps: Sequence[Step], ops: Sequence[Op], journal: Sequence[Message]) -> tuple[Op, ...]:
    """The history with the endings of its COMMITs and INSERTs as the journal decides them; without one, as it is."""
    if not journal:
        return tuple(ops)
    wires = _Wires(ops, journal)
    return tuple(_settled(op, steps, wires) for op in ops)


def _settled(op: Op, steps: Sequence[Step], wires: _Wires) -> Op:
    step = steps[op.step] if op.step < len(steps) else None
    if op.type in ("invoke", "skip") or op.f not in VERBS or (isinstance(step, Leave) and step.outcome == "rollback"):
        return op
    wire = wires.of(op)
    if wire is None:
        return op
    ending = op.type
    if op.chain:
        ending = "fail" if wire in ("unsent", "refused") else "info"
    value = {**op.value, "wire": wire}
    if wire == "sent" and op.type == "ok" and wires.asked(op):
        value["asked"] = True
    return msgspec.structs.replace(op, type=ending, value=value)


class _Wires:
    """Which statement of the journal belongs to which op."""

    def __init__(self, ops: Sequence[Op], journal: Sequence[Message]) -> None:
        self._ops = ops
        self._alone = len({op.actor for op in ops}) == 1
        self._messages = [record for record in journal if record.get("kind") == "message"]
        self._connections: dict[str, set[tuple[str, int]]] = {}
        for record in self._messages:
            if record.get("pid"):
                self._connections.setdefault(str(record["pid"]), set()).add(_line(record))
        self._begun = {(op.actor, op.step): op.time for op in ops if op.type == "invoke"}

    def of(self, op: Op) -> Reached | None:
        """How far its statement got; None where it sent none that should be there, or where that cannot be told."""
        begin, verb = self._begun.get((op.actor, op.step), op.time), VERBS[op.f]
        # A statement held on its way may arrive after the call was given up, but not after the next of its kind.
        until = self._next(op, verb) if op.chain else op.time
        ours = self._ours(op, begin)
        if not ours and not self._alone:
            return None
        between = [each for each in self._messages if begin <= each["at_ns"] < until]
        if ours:
            between = [each for each in between if _line(each) in ours]
        sent = next((each for each in between if _sends(each, verb)), None)
        if sent is not None:
            return self._answer(sent, verb)
        nested = any(_sends(each, "RELEASE") for each in between)
        # A close() or the end of a request commits only where something is pending: silence of theirs says nothing.
        certain = op.f in ("leave", "commit", "write") and not nested
        left = op.f == "leave" and op.value.get("depth") == 0 and op.type == "ok"
        return "unsent" if certain and (op.chain or left) else None

    def asked(self, op: Op) -> bool:
        """Whether a SELECT was answered on another connection than the one on which its statement was sent."""
        begin, verb = self._begun.get((op.actor, op.step), op.time), VERBS[op.f]
        between = [each for each in self._messages if begin <= each["at_ns"] < op.time]
        own = {_line(each) for each in between if _sends(each, verb)}
        lines = {_line(each) for each in between if _sends(each, "SELECT")} - own
        done = [each for each in between if _line(each) in lines and "command-complete" in each.get("moments", ())]
        return any(each.get("verb") == "SELECT" for each in done)

    def _next(self, op: Op, verb: str) -> int:
        later = (o for o in self._ops if o.type == "invoke" and o.actor == op.actor and o.step > op.step)
        kind = ("write",) if verb == "INSERT" else ("leave", "commit")
        return min((o.time for o in later if o.f in kind), default=FOREVER)

    def _ours(self, op: Op, begin: int) -> set[tuple[str, int]]:
        """The connections of the sessions that the request is known to have used before the call."""
        mine = [o for o in self._ops if (o.actor, o.request) == (op.actor, op.request) and o.time <= begin]
        pids = {str(o.value["session"]).partition("@")[0] for o in mine if o.value.get("session")}
        return {line for pid in pids for line in self._connections.get(pid, ())}

    def _answer(self, sent: Message, verb: str) -> Reached:
        if sent.get("dropped"):
            return "unsent"
        for each in self._messages:
            if _line(each) != _line(sent) or each["at_ns"] < sent["at_ns"] or each["direction"] != "downstream":
                continue
            moments = each.get("moments", ())
            if "command-complete" in moments:
                return "acked" if each.get("verb") == verb else "refused"
            if "error" in moments:
                return "sent" if str(each.get("sqlstate", "")).startswith(LOST) else "refused"
        return "sent"


def _line(record: Message) -> tuple[str, int]:
    return record.get("alias", ""), record["connection"]


def _sends(record: Message, verb: str) -> bool:
    """Whether that message makes the server execute such a statement."""
    executes = record["direction"] == "upstream" and record.get("type") in ("Q", "E")
    return executes and verb in str(record.get("verb", "")).split(";")
