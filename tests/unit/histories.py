"""Hand-written histories: small constructors, as Jepsen's tests have them.

A record is told line by line, in the order of its plan: `ok(Write("t0"), on="s1")`, `lost(...)`, `refused(...)`,
`hung(...)`, and between them `strike(...)`, `heal()` and `census(...)`. Each line takes ten nanoseconds. A call that
others overtake is told in two lines, `begins(step)` and later `returns(actor)`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from lab.promise import PROMISES
from lab.records.census import Census, Row, Session
from lab.records.history import HUNG, Cause, Ending, Event, Op
from lab.records.landing import Landing
from lab.records.lifecycle import Lifecycle
from lab.records.plan import ActorStep, Begin, Elapse, End, FaultSpec, Heal, Inject, NemesisStep, Plan, Read, Step
from lab.records.record import Fate, Record
from lab.records.variant import Traits, Variant
from lab.records.verdict import Finding, Verdict

RUN = "run"
LINE = 10  # nanoseconds
KEEPS = Variant(name="keeps", keeps=True, claims=("reuses", "replaces-stale", "commits-on-close"))
"""A variant that keeps sessions and claims to commit what is pending when it closes."""
GONE = Cause(cls="django.db.utils.OperationalError", sqlstate="57P01")


@dataclass(frozen=True)
class Line:
    """One line of a story; `step` is what it adds to the plan."""

    step: Step | None = None
    ending: Ending | None = None
    value: dict[str, Any] = field(default_factory=dict)
    chain: tuple[Cause, ...] = ()
    actor: str = ""
    struck: tuple[str, ...] = ()
    landed: bool = True
    seconds: float = 0.0
    sessions: tuple[Session, ...] | None = None
    at: str = ""
    connects: int = -1
    sockets: dict[str, tuple[int, ...]] = field(default_factory=dict)
    spoken: dict[str, tuple[int, ...]] = field(default_factory=dict)
    waits: bool = False


def ok(step: ActorStep, on: str = "", xid: int = 0, **value: Any) -> Line:
    """It returned; `on` the session `on`, in the transaction `xid`."""
    return Line(step, "ok", _value(on, xid, value))


def lost(step: ActorStep) -> Line:
    """It raised, and whether it took effect is not known."""
    return Line(step, "info", chain=(GONE,))


def refused(step: ActorStep, sqlstate: str = "23505") -> Line:
    """The server refused it; nothing happened."""
    return Line(step, "fail", chain=(Cause(cls="django.db.utils.IntegrityError", sqlstate=sqlstate),))


def skipped(step: ActorStep) -> Line:
    """An error had left the view before it came to this."""
    return Line(step, "skip")


def hung(step: ActorStep) -> Line:
    """It did not return and was given up."""
    return Line(step, "info", chain=(HUNG,))


def slow(line: Line, seconds: float) -> Line:
    """The same, but it took that long."""
    return Line(**{**line.__dict__, "seconds": seconds})


def begins(step: ActorStep, *, waits: bool = False) -> Line:
    """It begins, and others go on before it returns; `waits`: it is seen to wait in the client."""
    return Line(step, "invoke", waits=waits)


def returns(actor: str, on: str = "", xid: int = 0, **value: Any) -> Line:
    """What the actor had begun returns."""
    return Line(None, "ok", _value(on, xid, value), actor=actor)


def raises(actor: str) -> Line:
    """What the actor had begun raises."""
    return Line(None, "info", chain=(GONE,), actor=actor)


def _value(on: str, xid: int, value: dict[str, Any]) -> dict[str, Any]:
    return {**value, **({"session": on} if on else {}), **({"xid": str(xid)} if xid else {})}


def strike(kind: str, *struck: str, landed: bool = True, **params: Any) -> Line:
    """A fault that ends those sessions; it lasts until `heal()` where it is one that lasts."""
    return Line(Inject(FaultSpec(kind, params)), struck=struck, landed=landed)


def elapses(seconds: float = 3600.0) -> Line:
    """So much time passes by the subject's clocks."""
    return Line(Elapse(seconds))


def heal() -> Line:
    """What lasts ends."""
    return Line(Heal())


def census(
    *sessions: Session,
    at: str = "end",
    actor: str = "t0",
    connects: int = -1,
    sockets: dict[str, tuple[int, ...]] | None = None,
    spoken: dict[str, tuple[int, ...]] | None = None,
) -> Line:
    """The server's view; `connects` as the lines have counted them, `sockets` as those that forked still have them."""
    seen = Line(sessions=sessions, at=at, actor=actor, connects=connects)
    return replace(seen, sockets=sockets or {}, spoken=spoken or {})


def session(name: str, state: str = "idle", *, xact: bool = False, locks: int = 0) -> Session:
    """A session as the census shows it."""
    pid, _, start = name.rpartition("@")
    return Session(int(pid or 1), start or name, state=state, xact=xact, locks=locks)


def asks(actor: str, on: str) -> tuple[Line, ...]:
    """A good request of one query."""
    return ok(Begin(actor)), ok(Read(actor), on=on), ok(End(actor))


LASTING = (
    *("refuse", "black-hole", "stall", "freeze", "fill-slots", "limit-data"),
    *("reject", "lock-out", "cut-first-answer", "read-only"),
    *("blackout", "drop-to-server", "drop-to-client", "drop-connection", "link-down"),
)


def record(
    *lines: Line,
    rows: Iterable[int] = (),
    variant: Variant = KEEPS,
    traits: Traits | None = None,
    fate: Fate = "ended",
    void: str = "",
    lifecycles: dict[str, Lifecycle] | None = None,
) -> Record:
    """The record of a story; the server holds the tokens of the steps `rows` at its end, twice what is named twice."""
    steps: list[Step] = []
    ops: list[Op] = []
    events: list[Event] = []
    landings: list[Landing] = []
    seen: list[Census] = []
    requests: dict[str, int] = {}
    inside: set[str] = set()
    pending: dict[str, Op] = {}
    now = 0
    for line in lines:
        now += LINE
        index = len(steps)
        if line.step is not None:
            steps.append(line.step)
        if line.sessions is not None:
            seen.append(
                Census(
                    time=now,
                    at=line.at,
                    step=index - 1,
                    actor=line.actor,
                    sessions=line.sessions,
                    connects=line.connects,
                    sockets=line.sockets,
                    spoken=line.spoken,
                )
            )
        elif isinstance(line.step, Inject):
            kind = line.step.fault.kind
            healed = -1 if kind in LASTING else now + 1
            landings.append(
                Landing(kind=kind, step=index, time=now, landed=line.landed, struck=line.struck, healed=healed)
            )
            events.append(Event(time=now, step=index, f="inject", fault=kind))
        elif isinstance(line.step, Heal):
            landings = [_healed(landing, now) for landing in landings]
        elif isinstance(line.step, Elapse):
            events.append(Event(time=now, step=index, f="elapse"))
        else:
            if line.step is not None:
                assert not isinstance(line.step, NemesisStep)
                actor = line.step.actor
                if isinstance(line.step, Begin):
                    requests[actor] = requests.get(actor, -1) + 1
                    inside.add(actor)
                number = requests.get(actor, -1) if actor in inside else -1
                pending[actor] = Op(time=now, type="invoke", actor=actor, step=index, f=line.step.do, request=number)
                ops.append(pending[actor])
            if line.waits:
                events.append(Event(time=now + 1, step=index, f="blocked", actor=actor, where="client"))
            if line.ending == "invoke":
                continue
            begun = pending.pop(line.actor or getattr(line.step, "actor", ""))
            now += int(line.seconds * 1e9) + LINE // 2
            ops.append(
                Op(
                    time=now,
                    type=line.ending or "ok",
                    actor=begun.actor,
                    step=begun.step,
                    f=begun.f,
                    request=begun.request,
                    value=line.value,
                    chain=line.chain,
                )
            )
            if begun.f == "end":
                inside.discard(begun.actor)
    xids = {op.step: str(op.value["xid"]) for op in ops if "xid" in op.value}
    return Record(
        plan=Plan(variant=variant, steps=tuple(steps), lifecycles=lifecycles or {}),
        run=RUN,
        traits=traits or Traits(),
        ops=tuple(ops),
        events=tuple(events),
        census=tuple(seen),
        landings=tuple(_healed(landing, now + LINE) for landing in landings),
        rows=tuple(Row(f"{RUN}:{step}", xids.get(step, str(number)), "s") for number, step in enumerate(rows)),
        fate=fate,
        void=void,
    )


def _healed(landing: Landing, now: int) -> Landing:
    if landing.healed >= 0:
        return landing
    return Landing(
        kind=landing.kind,
        step=landing.step,
        time=landing.time,
        landed=landing.landed,
        struck=landing.struck,
        healed=now,
    )


def finding(promise: str, told: Record) -> Finding:
    """What the judge of one promise says."""
    from lab.judging.judge import judge  # noqa: PLC0415

    return judge(told, [PROMISES.get(promise)])[0]


def verdict(promise: str, told: Record) -> Verdict:
    """The same, the verdict alone."""
    return finding(promise, told).verdict
