"""exactly-once: a retry that the application did not ask for must not do its work twice.

When the answer is lost, the statement may have been executed. Sending it again then inserts a second row: golang/go
#11978 and lib/pq #939 are such retries below the application. Only the application can know whether its work may be
repeated.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.judging import lifecycles
from lab.judging.calls import Call
from lab.judging.plan_parts import LOSE_ANSWER, TERMINATE, after_heal, commits_at_close, inject, query, request
from lab.judging.trace import Trace
from lab.judging.transactions import Unit
from lab.promise import Promise, promise
from lab.records.plan import Autocommit, Close, Commit, Enter, Heal, Leave, Plan, Read, Step, Write, WriteWay
from lab.records.record import Record
from lab.records.variant import Traits, Variant
from lab.records.verdict import Finding
from lab.records.words import count

ENDS = ("cut-fin", "cut-rst")
ANSWERED = "command-complete+0"
WAYS: tuple[tuple[str, WriteWay], ...] = (
    *(("a SELECT that writes", "with"), ("a SELECT that writes", "function")),
    *(("UPDATE, answer lost", "update"), ("executemany(), answer lost", "many")),
)
"""The moments of statements that are no plain INSERT. An UPDATE that runs twice may count twice (`n = n + 1`)."""


@promise
class ExactlyOnce(Promise):
    """At stake when a statement or COMMIT was sent and its caller got an error: a hidden retry may do it twice."""

    id = "exactly-once"
    sentence = "No hidden retry, by the backend or anything it installs, writes twice or runs a block twice."

    def plans(self, variant: Variant, traits: Traits) -> Iterator[Plan]:
        atomic = (Enter("t0"), Write("t0"), Write("t0"))
        manual = (Autocommit("t0"), Write("t0"), Write("t0"))
        insert = (Read("t0"),)
        moments: dict[str, tuple[tuple[Step, ...], Step, str, tuple[str, ...]]] = {
            "INSERT, sent": (insert, Write("t0"), "query-sent", ENDS),
            "INSERT, answer lost": (insert, Write("t0"), ANSWERED, (*ENDS, "drop-reply")),
            "COMMIT, sent": (atomic, Leave("t0"), "commit-sent", ENDS),
            "COMMIT, answer lost": (atomic, Leave("t0"), "commit-acked+0", (*ENDS, "drop-reply")),
            "COMMIT, half answered": (atomic, Leave("t0"), "commit-ready+0", ENDS),
            "commit(), answer lost": (manual, Commit("t0"), "commit-acked+0", (*ENDS, "drop-reply")),
        }
        for name, (before, struck, at, kinds) in moments.items():
            for kind in kinds:
                steps = request("t0", *before, inject(kind, moment=at), struck, Heal())
                yield self.plan(variant, name, *steps, *after_heal("t0"), title=kind)
        for kind in ENDS:  # armed while the server holds the INSERT: what was asked to check the session has passed
            lost = (Write("t0", hold="statement"), inject(kind, moment=ANSWERED))
            first = (*query("t0"), *request("t0", *lost), Heal(), *after_heal("t0"))
            yield self.plan(variant, "INSERT, first in its request", *first, title=kind)
        for moment, way in WAYS:
            selected = request("t0", Read("t0"), inject("cut-fin", moment=ANSWERED), Write("t0", by=way), Heal())
            yield self.plan(variant, moment, *selected, *after_heal("t0"), title=way)
        yield from lifecycles.exactly_once(self, variant)
        if commits_at_close(variant, traits):
            closed = request("t0", *manual, LOSE_ANSWER, Close("t0"), Heal())
            yield self.plan(variant, "close(), answer lost", *closed, *after_heal("t0"))
        between = request("t0", Enter("t0"), Write("t0"), TERMINATE, Write("t0"), Leave("t0"))
        yield self.plan(variant, "between statements", *between, *after_heal("t0"))

    def judge(self, record: Record) -> Finding:
        trace = Trace(record)
        doubtful: list[Unit] = []
        for unit in trace.units:
            for token in unit.tokens:
                if (times := trace.present.get(token.name, 0)) > 1:
                    return self.broken(f"a write is there {times} times", token.call.step)
                answer, held = token.call.value, _transaction(record, token.name)
                mine = (
                    answer.get("token", token.name) == token.name
                )  # else the answer is another question's: own-answers judges that
                if mine and held and answer.get("xid", held) != held:
                    return self.broken("a write that was answered is there from another transaction", token.call.step)
            if unit.tokens and any(_in_doubt(trace, call) for call in unit.calls):
                doubtful.append(unit)
        if not doubtful:
            return self.unknown("no fault met a write or a COMMIT")
        return self.kept(f"{count(len(doubtful), 'transaction')} met a fault on the way, nothing was done twice")


TOLD = ("write", "leave", "commit", "close", "end")


def _in_doubt(trace: Trace, call: Call) -> bool:
    """Whether a call that makes work durable met a fault, whatever its caller was told then."""
    return call.f in TOLD and (call.ending == "info" or bool(trace.during(call.begin, call.end)))


def _transaction(record: Record, token: str) -> str:
    """The transaction that had written the token which the server holds at the end; "" when it holds none."""
    return next((row.xid for row in record.rows if row.token == token), "")
