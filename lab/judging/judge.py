"""record -> verdicts: every promise judges every run, whatever it was made for."""

from __future__ import annotations

from lab.judging.trace import Trace
from lab.promise import BLAME, PROMISES, Promise
from lab.records.record import Record
from lab.records.verdict import Finding, Verdict


def judge(record: Record, promises: list[Promise] | None = None) -> tuple[Finding, ...]:
    """One finding for each promise (default: all), in the order of their names; a pure function of the record.

    A void record proves nothing, so everything that applies is unknown; only that the subject's process died counts.
    """
    return tuple(_finding(record, promise) for promise in promises or PROMISES.values())


def _finding(record: Record, promise: Promise) -> Finding:
    if reason := promise.not_applicable(record.plan.variant, record.traits):
        return Finding(promise=promise.id, verdict=Verdict.NA, summary=reason)
    if reason := promise.seen_not_to_apply(record):
        return Finding(promise=promise.id, verdict=Verdict.NA, summary=reason)
    if not record.void:
        return promise.judge(record)
    if record.fate == "died":  # no fault of the rig makes the subject's process end
        finding = promise.judge(record)
        if finding.verdict is Verdict.BROKEN:
            return finding
    if _nothing_there(record):
        return promise.none(next(landing.evidence for landing in record.landings if landing.nothing))
    return promise.unknown(f"void: {record.void}")


def _nothing_there(record: Record) -> bool:
    """Whether a fault found no session, or no call, though all had gone well until then.

    That a request is refused because others have all the sessions is no failure: no call waits for a fault to find.
    """
    trace = Trace(record)
    refused = {each.errors[0].step for each in trace.requests if each.errors and trace.crowded_out(each)}
    missed = [landing.time for landing in record.landings if landing.nothing]
    struck = min((landing.time for landing in record.landed), default=1 << 62)  # what comes after is its doing
    failed = [
        op.time for op in record.ops if op.type in ("fail", "info") and op.time < struck and op.step not in refused
    ]
    return bool(missed) and not any(time < max(missed) for time in failed)


def cause(findings: tuple[Finding, ...]) -> str:
    """Which of one run's broken promises explains the others; "" when none is broken.

    The order is that of docs/promises.md, "Order of blame".
    """
    broken = [finding for finding in findings if finding.verdict is Verdict.BROKEN]
    for promise in BLAME:
        if any(finding.promise == promise for finding in broken):
            return promise
    earliest = min(broken, key=lambda finding: min(finding.steps, default=0), default=None)
    return earliest.promise if earliest else ""
