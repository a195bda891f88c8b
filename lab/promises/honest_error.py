"""honest-error: the exception must say what failed, because the application decides by it whether to try again.

After a COMMIT without an answer, Django restores autocommit, which reconnects: the error that leaves atomic() can then
be "connection refused", and the application takes a COMMIT that may have happened for one that was never sent. A
backend that swallows the error reports lost work as stored.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.judging import loss
from lab.judging.calls import FOREVER, Call
from lab.judging.errors import (
    UNUSABLE,
    blames_the_statement,
    hides_an_earlier_one,
    names_attempt,
    nearest,
    of_database,
    of_statement,
    quotes_an_attempt,
    sent_commit,
    stands_for_an_attempt,
)
from lab.judging.plan_parts import (
    FIN,
    RST,
    TERMINATE,
    after_heal,
    commits_at_close,
    inject,
    interrupted_at_checkout,
    interrupted_at_close,
    interrupted_while_connecting,
    keeps,
    query,
    request,
)
from lab.judging.trace import Trace
from lab.judging.transactions import Unit
from lab.promise import Promise, promise
from lab.records.landing import Landing
from lab.records.plan import Autocommit, Begin, Commit, End, Enter, Fail, Fork, Heal, Inject, Leave, Plan, Read, Write
from lab.records.record import Record
from lab.records.variant import Traits, Variant
from lab.records.verdict import Finding

JUDGED = frozenset(
    {
        *("sever-fin", "sever-rst", "terminate", "cut-fin", "cut-rst", "half-close", "drop-reply", "limit-data"),
        *("refuse", "lock-out", "fill-slots", "abort", "interrupt", *loss.SILENT),
    }
)
"""Faults that end a session, keep it from being made, or raise in the application: others raise more than one thing."""
RAISES_NOTHING = frozenset({"delay"})
CONNECTING = frozenset({"refuse", "lock-out", "fill-slots"})
"""Faults that an attempt to connect meets."""
COMMITS = ("leave", "commit")
ANSWER_LOST = "at COMMIT, answer lost, then refused"


@promise
class HonestError(Promise):
    """At stake when a call raised for a fault, the first one of its actor to do so; and when COMMIT met one."""

    id = "honest-error"
    sentence = (
        "The exception that leaves a call is, or has as its first cause, the one that the fault raised there: at "
        "COMMIT, COMMIT's own; while connecting, the text or chain names the cause. A lost COMMIT is no success."
    )
    # Leaving atomic() sets autocommit back, which connects: that is no method of an ENGINE's.
    of_django = (ANSWER_LOST,)

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
        # The server holds the transaction open: whoever asks what became of it is told that it is in progress.
        left = inject("cut-rst", moment="commit-sent+0", sides="client")
        steps = request("t0", *atomic, left, Leave("t0"))
        yield self.plan(variant, "at COMMIT, in progress", *steps, Heal(), *after)
        yield from self._at_commit_then(variant)
        for name, fault in (("FIN", FIN), ("terminated", TERMINATE)):
            yield self.plan(variant, "at COMMIT", *request("t0", *atomic, fault, Leave("t0")), *after, title=name)
            yield self.plan(variant, "at commit()", *request("t0", *manual, fault, Commit("t0")), *after, title=name)
        ended = request("t0", Read("t0"), Fail("t0", "statement_timeout"), FIN)
        yield self.plan(variant, "at the end, after a statement's error", *ended, *after)
        refused = inject("refuse")
        at_work = request("t0", Enter("t0"), Write("t0", hold="commit"), Leave("t0"), inject("interrupt"))
        yield self.plan(variant, "at COMMIT, interrupted", *at_work, *after)
        yield self.plan(variant, "connecting, interrupted", *interrupted_while_connecting("t0"), *after)
        if commits_at_close(variant, traits):
            yield self.plan(variant, "at close, interrupted", *interrupted_at_close("t0"), *after)
        yield from self._told_to_exit(variant, traits)
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

    def _at_commit_then(self, variant: Variant) -> Iterator[Plan]:
        """What COMMIT met, and after it, leaving the block, an attempt to connect that is refused."""
        after = after_heal("t0")
        atomic = (Enter("t0"), Write("t0"), Write("t0"))
        manual = (Autocommit("t0"), Write("t0"), Write("t0"))
        refused = inject("refuse")
        then = request("t0", *atomic, refused, Leave("t0"), Heal())
        yield self.plan(variant, "at COMMIT, then refused", *then, *after)
        then = request("t0", *manual, refused, Commit("t0"), Heal())
        yield self.plan(variant, "at COMMIT, then refused", *then, *after, title="autocommit off")
        lost = (inject("lock-out"), inject("cut-fin", moment="commit-acked+0"))  # sessions that are there stay
        then = request("t0", *atomic, *lost, Leave("t0"), Heal())
        yield self.plan(variant, ANSWER_LOST, *then, *after)

    def _told_to_exit(self, variant: Variant, traits: Traits) -> Iterator[Plan]:
        """SIGTERM with a handler that raises SystemExit, in a worker of a server that goes on, and in the first one."""
        for actor, process in (("c0.t0", "c0"), ("t0", "")):
            leave = inject("interrupt", raises="exit", process=process)
            at_commit = (Enter(actor), Write(actor, hold="commit"), Leave(actor), leave)
            before, after = ((Fork("t0"),), after_heal("t0")) if process else ((), ())
            for name, steps in (("at COMMIT", at_commit), ("mid-query", (Read(actor, hold=True), leave))):
                work = (*before, Begin(actor), *steps, End(actor), *after)
                yield self.plan(variant, f"{name}, told to exit", *work, title="" if process else "the first process")
        connecting = interrupted_while_connecting("t0", raises="exit")
        yield self.plan(variant, "connecting, told to exit", *connecting)
        if keeps(variant, traits):
            yield self.plan(variant, "in a checkout, told to exit", *interrupted_at_checkout("t0", raises="exit"))

    def judge(self, record: Record) -> Finding:
        trace = Trace(record)
        if (call := _told_in_vain(trace)) is not None:
            swallowed = "was swallowed: no error of that call names it"
            return self.broken(f"SystemExit, which a signal's handler raised in {call.f}, {swallowed}", call.step)
        commits = [unit for unit in trace.units if unit.written and unit.closer and unit.closer.f in COMMITS]
        for unit in commits:
            if _feigned(unit, trace):
                assert unit.closer is not None
                return self.broken("a COMMIT that was lost is reported as success", unit.closer.step)
        meant = [unit for unit in commits if unit.outcome != "aborted" and not unit.swallowed]
        at_commit = {unit.closer.step: unit for unit in meant if unit.closer and unit.closer.failed}
        seen: list[str] = []
        for call in _first_errors(trace):
            kinds = {landing.kind for landing in trace.landed if _struck_at(landing) <= call.end} - RAISES_NOTHING
            # A call that hangs has raised nothing, which is bounded-wait's matter; nor has one whose process ended.
            if not call.visible or call.hung or call.died or not kinds or not kinds <= JUDGED:
                continue
            in_doubt = call.step in at_commit and _in_doubt(at_commit[call.step], record)
            fault = _dishonest_commit(call) if in_doubt else ""
            if fault := fault or _dishonest(call, kinds, in_doubt=in_doubt):
                return self.broken(fault, call.step, djangos=_of_leaving(call))
            if not in_doubt and _quotes_the_attempt(call, kinds):
                return self.unknown(f"the error of {call.f} has its cause in its text alone")
            seen.append(call.f + (f" ({call.value['wire']})" if call.value.get("wire") else ""))
        if not seen and any(unit.closer and _looked_up(unit, trace, unit.closer) for unit in commits):
            return self.kept("a COMMIT was lost, the server was asked what became of it, and holds all of it")
        if not seen and trace.landed and not _met(trace):
            return self.none("no call met the fault, and none raised: it was waited out, or the session replaced")
        if not seen:
            return self.unknown("no call raised for a fault whose error is known")
        return self.kept(f"the first error named its cause, at {', '.join(dict.fromkeys(seen))}")


def _told_in_vain(trace: Trace) -> Call | None:
    """The call in which a handler has raised SystemExit, of which nothing is left: the process goes on.

    What is in the chain, be it hidden, was not swallowed; nor is it where a later call of the actor has it, because the
    handler was late.
    """
    for landing in trace.landed:
        step = trace.record.plan.steps[landing.step]
        params = step.fault.params if isinstance(step, Inject) else {}
        if params.get("raises") != "exit":
            continue
        actor = f"{params['process']}.t0" if params.get("process") else "t0"
        later = [call for call in trace.calls if call.actor == actor and call.end > landing.time]
        told = any(cause.origin == "signal" for call in later for cause in call.chain)
        if later and not told and not later[0].hung and not later[0].died and later[0].begin <= landing.time:
            return later[0]
    return None


def _of_leaving(call: Call) -> bool:
    """Whether COMMIT had raised, and Django's atomic() itself, at its end, raised in the place of that.

    Where the ENGINE has tried to connect before that, its own error hides COMMIT's as well.
    """
    raised = any(cause.origin in ("commit", "signal") for cause in call.hidden)
    tried = any(cause.origin == "connect" and not cause.leaving for cause in call.hidden)
    return raised and not tried and call.visible[0].leaving


def _struck_at(landing: Landing) -> int:
    """When it struck. That a signal's handler has run is seen only after the call that it ran in has ended."""
    return landing.time if landing.kind == "interrupt" else landing.at


def _in_doubt(unit: Unit, record: Record) -> bool:
    """Whether the COMMIT that met a fault was sent, as far as the driver knows: it may then have been executed."""
    assert unit.closer is not None
    # By the rows: a crashed server may give a transaction's number, of which it knew nothing, to another one.
    executed = any(row.token == token.name for row in record.rows for token in unit.written)
    return executed or unit.closer.value.get("wire") in ("sent", "acked") or sent_commit(unit.closer)


def _dishonest_commit(call: Call) -> str:
    """What is wrong with the error of a COMMIT that may have been executed, "" when nothing is: it must be its own.

    Not that of a later attempt to connect, nor that of a rollback or close on what is left. A backend's own words for
    what COMMIT met are COMMIT's own, and of one that was never sent nothing is in doubt.
    """
    if stands_for_an_attempt(call):
        return "COMMIT was lost and its error is that of a later connect"
    if hides_an_earlier_one(call):
        return "COMMIT was lost and its error is that of what was tried after it"
    if nearest(call.visible[-1]) in UNUSABLE:
        return "COMMIT was sent and lost, and its error is the driver's refusal to use what was left"
    return ""


def _dishonest(call: Call, kinds: set[str], *, in_doubt: bool = False) -> str:
    """What is wrong with an error that was raised for faults of these kinds, "" when nothing is.

    That of a COMMIT `in_doubt` is its own, and owes nothing to attempts that were made after it.
    """
    struck = ", ".join(sorted(kinds))
    if "interrupt" in kinds and not any(cause.origin == "signal" for cause in call.visible):
        raised_here = any(cause.origin == "signal" for cause in call.hidden)
        return (
            f"the signal handler's exception is not what leaves {call.f}, nor among its causes" if raised_here else ""
        )
    if not any(of_database(cause) or cause.origin for cause in call.visible):
        return f"the fault was {struck}, and what leaves {call.f} is no database error and has none as its cause"
    if blames_the_statement(call):
        return f"the fault was {struck}, and the error of {call.f} says that the statement is wrong"
    if not in_doubt and _hides_the_attempt(call, kinds) and not quotes_an_attempt(call):
        return f"the fault was {struck}, and the error of {call.f} hides what the attempt to connect had met"
    return ""


def _hides_the_attempt(call: Call, kinds: set[str]) -> bool:
    """Whether the call's own attempts to connect have all met the fault, and what leaves has none of their errors.

    An attempt of another thread, such as a pool's worker, has raised there: its waiting clients have an error of their
    own.
    """
    failed = call.value.get("attempts_failed", 0)
    return bool(kinds & CONNECTING and failed and failed == call.value.get("attempts")) and not names_attempt(
        call.visible
    )


def _quotes_the_attempt(call: Call, kinds: set[str]) -> bool:
    return _hides_the_attempt(call, kinds) and quotes_an_attempt(call)


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
    wire = closer.value.get("wire", "")
    if wire in ("acked", "sent", "refused"):
        return bool(wire != "acked") and not _looked_up(unit, trace, closer)
    # Where no COMMIT was seen: it may be called otherwise, or a close() in the block has ended it and nothing was lost.
    met = trace.during(unit.begin, closer.end)
    meant = [token for token in unit.written if not token.undone]
    gone = bool(meant) and not any(trace.present.get(token.name) for token in meant)
    return bool(met) and gone and (bool(wire) or {landing.kind for landing in met} <= JUDGED)


def _looked_up(unit: Unit, trace: Trace, closer: Call) -> bool:
    """Whether the backend may know from the server what became of its COMMIT, and the server holds all of it."""
    there = all(trace.present.get(token.name) for token in unit.written if not token.undone)
    return there and bool(closer.value.get("asked"))


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
        answered = any(of_statement(cause) for cause in call.visible)
        unexpected = call.failed and not call.meant and not answered and not trace.crowded(call)
        echo = bool(found) and call.actor not in victims
        if unexpected and not echo and any(landing.time <= call.end for landing in trace.landed):
            found.setdefault(call.actor, call)
    return list(found.values())
