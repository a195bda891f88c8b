"""honest-error."""

from __future__ import annotations

from collections.abc import Iterator

from lab.judging import loss
from lab.judging.calls import FOREVER, Call
from lab.judging.plan_parts import FIN, RST, TERMINATE, after_heal, inject, query, request
from lab.judging.reason import Reason, reason
from lab.judging.trace import Trace
from lab.judging.transactions import Unit
from lab.promise import Promise, promise
from lab.records.plan import Autocommit, Begin, Commit, End, Enter, Fail, Heal, Leave, Plan, Read, Write
from lab.records.record import Record
from lab.records.variant import Traits, Variant
from lab.records.verdict import Finding

GONE: frozenset[Reason] = frozenset({"lost", "ended"})
SILENT: frozenset[Reason] = frozenset({"waited", "hung"})
RAISES: dict[str, frozenset[Reason]] = {
    "sever-fin": GONE,
    "sever-rst": GONE,
    "terminate": GONE,
    "cut-fin": GONE,
    "cut-rst": GONE,
    "half-close": GONE,
    "drop-reply": GONE | SILENT,
    "limit-data": GONE,
    "refuse": GONE | {"refused"},
    "lock-out": frozenset({"authentication"}),
    "fill-slots": frozenset({"slots"}),
    "abort": GONE,
    **dict.fromkeys(loss.SILENT, GONE | SILENT),
}
"""What a fault makes the driver say. Of the other faults nothing is judged: what they raise is not one thing."""
COMMITS = ("leave", "commit")
RAISED_BY = (
    "django.db.",
    "psycopg",
    "builtins.OSError",
    "builtins.Connection",
    "builtins.BrokenPipe",
    "builtins.Timeout",
)
"""How the names of the classes begin that a lost session raises, or their bases': Django's, drivers', sockets'."""
CONNECTING = ("connection to server at", "connection timeout expired", "couldn't get a connection")
"""How drivers and pools word that a new connection could not be had, whatever kept it."""


@promise
class HonestError(Promise):
    """At stake when a call raised for a fault, the first one of its actor to do so; and when COMMIT met one."""

    id = "honest-error"
    sentence = (
        "The exception that leaves a call is, or has as its first cause, the one that the fault raised there: at "
        "COMMIT, COMMIT's own; while connecting, the text or chain names the cause. A lost COMMIT is no success."
    )

    def plans(self, variant: Variant, traits: Traits) -> Iterator[Plan]:
        after = after_heal("t0")
        atomic = (Enter("t0"), Write("t0"), Write("t0"))
        manual = (Autocommit("t0"), Write("t0"), Write("t0"))
        moments = {"never sent": "commit-sent+0", "sent": "commit-sent", "answer lost": "commit-acked+0"}
        for moment, at in moments.items():
            for name, kind in (("FIN", "cut-fin"), ("RST", "cut-rst")):
                cut = inject(kind, moment=at)
                steps = request("t0", *atomic, cut, Leave("t0"))
                yield self.plan(variant, f"at COMMIT, {moment}", *steps, Heal(), *after, title=name)
        for name, fault in (("FIN", FIN), ("terminated", TERMINATE)):
            yield self.plan(variant, "at COMMIT", *request("t0", *atomic, fault, Leave("t0")), *after, title=name)
            yield self.plan(variant, "at commit()", *request("t0", *manual, fault, Commit("t0")), *after, title=name)
        ended = request("t0", Read("t0"), Fail("t0", "statement_timeout"), FIN)
        yield self.plan(variant, "at the end, after a statement's error", *ended, *after)
        refused = inject("refuse")
        then = request("t0", *atomic, refused, Leave("t0"), Heal())
        yield self.plan(variant, "at COMMIT, then refused", *then, *after)
        then = request("t0", *manual, refused, Commit("t0"), Heal())
        yield self.plan(variant, "at COMMIT, then refused", *then, *after, title="autocommit off")
        for at in ("query-sent", "command-complete+0"):
            cut = inject("cut-fin", moment=at)
            yield self.plan(variant, "INSERT", *request("t0", Read("t0"), cut, Write("t0")), Heal(), *after, title=at)
        for name, fault in (("FIN", FIN), ("RST", RST), ("terminated", TERMINATE)):
            held = request("t0", Read("t0"), Read("t0", hold=True), fault)
            yield self.plan(variant, "mid-query", *held, *after, title=name)
        meets = (Begin("t0"), Read("t0"), Heal(), End("t0"))
        for name, kind in (("refused", "refuse"), ("authentication", "lock-out"), ("no slot", "fill-slots")):
            yield self.plan(variant, f"connecting, {name}", inject(kind), *meets, *after)
        yield self.plan(variant, "next request, refused", *query("t0"), refused, *meets, *after)
        cut = inject("cut-fin", moment="auth+0")
        yield self.plan(variant, "connecting, cut", cut, *request("t0", Read("t0")), Heal(), *after)
        yield from loss.honest_error(self, variant, traits)

    def judge(self, record: Record) -> Finding:
        trace = Trace(record)
        commits = [unit for unit in trace.units if unit.written and unit.closer and unit.closer.f in COMMITS]
        for unit in commits:
            if _feigned(unit, trace):
                assert unit.closer is not None
                return self.broken("a COMMIT that was lost is reported as success", unit.closer.step)
        meant = [unit for unit in commits if unit.outcome != "aborted" and not unit.swallowed]
        at_commit = [unit.closer for unit in meant if unit.closer and unit.closer.failed]
        seen: list[str] = []
        for call in _first_errors(trace):
            kinds = {landing.kind for landing in trace.landed if landing.at <= call.end}
            said = [reason(cause) for cause in call.chain]
            if not said or not kinds or not kinds <= RAISES.keys():
                continue
            if call.hung:
                continue  # nothing was raised: that is bounded-wait's matter
            if call in at_commit:
                if said[-1] not in GONE | SILENT | {"statement"}:
                    return self.broken(f"COMMIT was lost and its error says {said[-1]}", call.step)
                # Behind a loss a later reconnect waits in vain as well: what it says is not what became of the COMMIT.
                if any(sign in call.chain[-1].text.lower() for sign in CONNECTING):
                    return self.broken("COMMIT was lost and its error is that of a later connect", call.step)
            if fault := _dishonest(call, kinds, said):
                return self.broken(fault, call.step)
            seen.append(call.f + (f" ({call.value['wire']})" if call.value.get("wire") else ""))
        if not seen and trace.landed and not _met(trace):
            return self.none("no call met the fault, and none raised: it was waited out, or the session replaced")
        if not seen:
            return self.unknown("no call raised for a fault whose error is known")
        return self.kept(f"the first error named its cause, at {', '.join(dict.fromkeys(seen))}")


def _dishonest(call: Call, kinds: set[str], said: list[Reason]) -> str:
    """What is wrong with an error that was raised for faults of these kinds, "" when nothing is."""
    expected = frozenset().union(*(RAISES[kind] for kind in kinds))
    if not expected & set(said):
        return f"the fault was {', '.join(sorted(kinds))}, and the error of {call.f} says {said[-1]}"
    if said[-1] in GONE and not any((cause.base or cause.cls).startswith(RAISED_BY) for cause in call.chain):
        return f"the error of {call.f} repeats what another one said, which is not among its causes"
    return ""


def _met(trace: Trace) -> bool:
    """Whether a call raised, or somebody went on with a request in which a fault had taken a session."""
    if any(call.failed and not call.meant for call in trace.calls):
        return True
    return any(
        request.begin < landing.time < call.end
        for landing in trace.landed
        if landing.struck
        for request in trace.requests
        for call in request.calls
        if call.f not in ("begin", "end")
    )


def _feigned(unit: Unit, trace: Trace) -> bool:
    """Whether the application was told that the unit is committed while the wire, or the table, says otherwise."""
    closer = unit.closer
    if closer is None or closer.failed or unit.outcome != "acked" or unit.doomed or unit.swallowed:
        return False
    if "wire" in closer.value:
        return bool(closer.value["wire"] != "acked")
    met = trace.during(unit.begin, closer.end)
    meant = [token for token in unit.written if not token.undone]
    gone = bool(meant) and not any(trace.present.get(token.name) for token in meant)
    return bool(met) and gone and {landing.kind for landing in met} <= RAISES.keys()


def _first_errors(trace: Trace) -> list[Call]:
    """Each actor's first error after a fault had struck: those that follow may be its echoes.

    So is the error of one who had no session that was struck, after another had his: they share one. What comes after
    a block that was never left may be that block's doing: Django closes its connection for good.
    """
    found: dict[str, Call] = {}
    struck = {session for landing in trace.landed for session in landing.struck}
    victims = {call.actor for call in trace.calls if call.session in struck}
    abandoned = min((request.end for request in trace.requests if request.never_left), default=FOREVER)
    for call in trace.calls:
        if call.begin >= abandoned:
            break
        answered = bool(call.chain) and reason(call.chain[-1]) == "statement"  # the server was there to refuse it
        unexpected = call.failed and not call.meant and not answered and not trace.crowded(call)
        echo = bool(found) and call.actor not in victims
        if unexpected and not echo and any(landing.time <= call.end for landing in trace.landed):
            found.setdefault(call.actor, call)
    return list(found.values())
