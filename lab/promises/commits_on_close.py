"""commits-on-close: a backend that says that close() commits must commit, or raise.

Django documents that pending work is lost when a connection is closed with autocommit off. The published snippet
commits there, and its users rely on it. Where COMMIT cannot be sent, or its answer is lost, a close() that swallows the
error reports lost work as stored.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.judging.plan_parts import (
    FIN,
    LOSE_ANSWER,
    TERMINATE,
    autocommit_off,
    commits_at_close,
    query,
    request,
    several,
)
from lab.judging.trace import Trace
from lab.judging.transactions import Unit
from lab.promise import Promise, promise
from lab.records.plan import Autocommit, Close, Enter, Fail, Heal, Leave, Plan, Step, Write
from lab.records.record import Record
from lab.records.variant import Traits, Variant
from lab.records.verdict import Finding
from lab.records.words import count


@promise
class CommitsOnClose(Promise):
    """At stake when close(), or request_finished, came while work was pending with autocommit off."""

    id = "commits-on-close"
    sentence = (
        "Work pending outside atomic (autocommit off) is committed by close(), exactly once; "
        "if it cannot be, the caller gets an error and the session is discarded."
    )

    def not_applicable(self, variant: Variant, traits: Traits) -> str:
        if commits_at_close(variant, traits):
            return ""
        claimed_otherwise = variant.claims is not None
        why = "it is not claimed" if claimed_otherwise else "without any fault close() commits nothing that is pending"
        return f"{why}: Django documents that it does not"

    def plans(self, variant: Variant, traits: Traits) -> Iterator[Plan]:
        off = autocommit_off(variant)
        forms: dict[str, tuple[Variant, tuple[Step, ...], tuple[Step, ...]]] = {
            "set_autocommit(False)": (variant, (Autocommit("t0"),), ()),
            "AUTOCOMMIT=False": (off, (), ()),
            "close() by hand": (variant, (Autocommit("t0"),), (Close("t0"),)),
            "AUTOCOMMIT=False, close() by hand": (off, (), (Close("t0"),)),
        }
        for form, (which, before, after) in forms.items():
            work = (*before, Write("t0"), Write("t0"))
            yield self.plan(which, form, *request("t0", *work, *after), *query("t0"))
            yield self.plan(which, f"{form}, cut before COMMIT", *request("t0", *work, TERMINATE, *after), *query("t0"))
            held = (*before, Write("t0"), Write("t0", hold="commit"))
            for name, cut in (("terminated", TERMINATE), ("FIN", FIN)):  # FIN: the server goes on and commits
                late = request("t0", *held, *after, cut) if after else (*request("t0", *held), cut)
                yield self.plan(which, f"{form}, cut at COMMIT", *late, *query("t0"), title=name)
            if bool(before) != bool(after):
                undone = (Enter("t0"), Write("t0"), Fail("t0", swallow=True), Leave("t0", "rollback"))
                healed = (*before, Write("t0"), *undone, Write("t0"), *after)
                yield self.plan(which, f"{form}, an error healed before", *request("t0", *healed), *query("t0"))
            lost = (*request("t0", *work, LOSE_ANSWER, *after), Heal(), *query("t0"))
            yield self.plan(which, f"{form}, answer lost", *lost)

        if several(variant):
            begun = (*query("t1"), *query("t0"))  # the main thread is not the one that closes
            lost = request("t1", Autocommit("t1"), Write("t1"), Write("t1"), TERMINATE)
            title = "in another thread"
            yield self.plan(variant, "set_autocommit(False), cut before COMMIT", *begun, *lost, *begun, title=title)

    def judge(self, record: Record) -> Finding:
        trace = Trace(record)
        units = [
            unit
            for unit in trace.units
            if unit.kind == "manual" and unit.closer and unit.closer.f in ("close", "end", "begin")
            if unit.written and not unit.swallowed and not unit.vague
        ]
        if not units:
            return self.unknown("nothing was pending at a close()")
        for unit in units:
            assert unit.closer is not None
            if fault := self._fault(trace, unit):
                return self.broken(fault, unit.closer.step)
        return self.kept(f"work was pending at {count(len(units), 'close()')}, and none of it was lost unsaid")

    @staticmethod
    def _fault(trace: Trace, unit: Unit) -> str:
        closer = unit.closer
        assert closer is not None
        counts = [trace.present.get(token.name, 0) for token in unit.written if not token.undone]
        if any(count > 1 for count in counts):
            return "pending work was committed twice by close()"
        if any(trace.present.get(token.name, 0) for token in unit.written if token.undone):
            return "close() committed what a savepoint had undone"
        if closer.ending == "ok":
            missing = counts.count(0)
            return f"close() returned and {missing} of {len(counts)} pending writes are gone" if missing else ""
        if 0 < sum(counts) < len(counts):
            return "close() raised and half of the pending work is there"
        session = unit.written[-1].call.session
        # Work that is all there was committed: what close() raised then need not be its own, but a signal handler's.
        if not all(counts) and any(call.begin > closer.end and call.session == session for call in trace.calls):
            return "close() raised and its session is used again"
        return ""
