"""plan -> record: the steps one at a time, the faults between and inside them, then heal, then a liveness phase."""

from __future__ import annotations

import itertools
import math
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from lab.errors import BadInput, LabError, ProxyLost, ServerNotReady
from lab.fault import FAULTS, needs
from lab.judging import ending
from lab.records.census import Census, Row, Session
from lab.records.history import DIED, HUNG, Cause, Ending, Op, Phase
from lab.records.plan import (
    ActorStep,
    Begin,
    End,
    Enter,
    Exit,
    Fork,
    Inject,
    Leave,
    NemesisStep,
    Plan,
    Read,
    Step,
    Stop,
    Write,
)
from lab.records.record import Fate, Record
from lab.rig.capabilities import remedy
from lab.rig.postgres.server import FULL
from lab.rig.protocol import ProxyProtocol, RigProtocol
from lab.rig.site.site import PlanSite, open_site
from lab.run.diary import Diary
from lab.run.gates import Gates
from lab.run.nemesis import Nemesis
from lab.subject.handle import Child, ChildEnded, Zygote

GRACE = 0.15  # seconds after which a step that does not return is taken to wait inside the client: while a fault lasts,
CROWD = 0.6  # … while another request is in flight, whose lock it may want; otherwise there is nothing to wait for
LOOKS = (0.004, 0.008, 0.016, 0.032, 0.064)  # seconds between looks at the server for a step that waits there
SLACK = 0.5  # seconds beyond the bound before a step is given up: the machine's noise is not the variant's
FAREWELL = 0.03  # seconds for what an ending process says to reach the server and have an effect there
CLOSE = 0.2  # seconds that a session has to vanish after its connection was closed
SETTLE = 0.5  # seconds that a session has to become idle or vanish after its request
PROBES = 2  # requests of each actor in the liveness phase, beyond one for each session that was struck
MANY = 20  # sessions of one plan: who has so many may have taken the slots himself


@dataclass
class _Pending:
    """A step that was begun and has not returned."""

    index: int
    step: ActorStep
    since: float
    phase: Phase
    where: str = ""
    session: str = ""
    gate: int | None = None
    extra: dict[str, Any] = field(default_factory=dict)


Watch = Callable[[int, "Run"], None]


def run(
    plan: Plan,
    rig: RigProtocol,
    zygote: Zygote,
    watch: Watch | None = None,
    *,
    liveness: bool = True,
    wire: bool = False,
    lean: bool = False,
    proxy: ProxyProtocol | None = None,
) -> Record:
    """Run `plan` and record what happened; `watch` is called after each step of the safety phase with its index.

    Without `liveness` the phase after the heal is left out: for plans whose point is the safety phase. With `wire` the
    tap is in front of the plan's line and its journal in the record, as it always is where a fault needs it. `lean` is
    for explorers, which run one actor thousands of times: nobody looks whether a step is blocked, unless a fault makes
    clients wait, and of the census only the end of each request and of the whole are taken. `proxy` is one of the
    caller's, which nobody else uses meanwhile and no toxic ever touches, instead of one of the plan's own.

    Never raises for what the variant does. A server of the rig that is lost makes the record void. Raises BadInput
    when the plan asks for a fault that does not exist or that this rig cannot do.
    """
    if missing := needs(plan) - rig.capabilities:
        raise BadInput(f"the {rig.name} rig lacks {', '.join(sorted(missing))}", remedy(needs(plan)))
    alone = any(FAULTS.get(spec.kind).exclusive for spec in plan.faults())
    try:
        with rig.exclusive() if alone else rig.shared():
            return Run(plan, rig, zygote, watch, liveness, wire, lean, proxy).record()
    except (ProxyLost, ServerNotReady) as lost:
        rig.recover()  # waits until the others are done, which is why this run has left the lock
        return Record(plan=plan, run="", traits=zygote.traits, void=str(lost))


class Run:
    """One run in progress."""

    def __init__(
        self,
        plan: Plan,
        rig: RigProtocol,
        zygote: Zygote,
        watch: Watch | None,
        liveness: bool,
        wire: bool,
        lean: bool,
        proxy: ProxyProtocol | None,
    ) -> None:
        self._plan = plan
        self._rig = rig
        self._zygote = zygote
        self._watch = watch
        self._wants_liveness = liveness
        self._wants_wire = wire
        self._lean = lean
        self._proxy = proxy
        self._diary = Diary()
        self._nemesis = Nemesis(plan, self._diary, self._take_census)
        self._patient = lean and not any(each.waits for each in self._nemesis.faults)
        self._id = uuid.uuid4().hex[:12]
        self._pending: dict[str, _Pending] = {}
        self._gone: set[str] = set()  # actors that hang, were stopped, or lost their process
        self._requests: dict[str, int] = {}
        self._open: set[str] = set()  # actors inside a request
        self._fate: Fate = "ended"
        self._exit = ""
        self._child: Child
        self._site: PlanSite
        self._gates: Gates

    # -- the whole ------------------------------------------------------------------------------------------------

    def record(self) -> Record:
        """Everything, in order; what was applied is healed on every path."""
        rows: tuple[Row, ...] = ()
        wire = self._wants_wire or any(each.family == "wire" for each in self._nemesis.faults)
        apart = any(isinstance(step, Inject) and step.alias for step in self._plan.steps)
        with (
            open_site(self._rig, self._id, self._aliases(), wire=wire, proxy=self._proxy, apart=apart) as site,
            self._nemesis.healed_on_exit(),
        ):
            self._site = site
            self._nemesis.prepare(site)
            self._gates = Gates(self._plan, site, self._id)
            self._child = self._zygote.fork(site.environ, site.databases, self._plan.init)
            site.adopt(self._child)
            ended = False
            try:
                self._safety()
                self._nemesis.heal()
                if self._wants_liveness:
                    self._liveness()
                self._take_census("final", settle=True)
                ended = True
            except ChildEnded:
                self._lose_child()
            finally:
                if not ended and self._fate == "ended":
                    self._child.kill()
            if ended:
                self._end_child()
            self._nemesis.heal()
            self._gates.open_all()
            self._take_census("after exit")
            journal = site.wire.journal(self._diary.start_ns)
            site.clear()
            rows = site.rows()
            xacts = site.xacts(self._in_doubt())
        return Record(
            plan=self._plan,
            run=self._id,
            traits=self._zygote.traits,
            ops=ending.settle(self._plan.steps, self._diary.ops, journal),
            events=tuple(self._diary.events),
            census=tuple(self._diary.census),
            landings=tuple(self._nemesis.landings),
            journal=journal,
            rows=rows,
            xacts=xacts,
            fate=self._fate,
            exit=self._exit,
            void=self._why_void(),
            seconds=self._diary.seconds(),
        )

    def _in_doubt(self) -> tuple[str, ...]:
        """The transactions of a run in which some call raised: what became of them is worth a question."""
        if not any(op.type in ("fail", "info") for op in self._diary.ops):
            return ()
        return tuple(dict.fromkeys(str(op.value["xid"]) for op in self._diary.ops if op.value.get("xid")))

    def _aliases(self) -> tuple[str, ...]:
        named = {getattr(step, "alias", "default") for step in self._plan.steps}
        return ("default", *sorted(named - {"default", ""}))

    def _why_void(self) -> str:
        if unseen := self._nemesis.unseen():
            return f"not seen to land: {', '.join(unseen)}"
        return "the rig had no connection slot left" if self._crowded_out() else ""

    def _crowded_out(self) -> bool:
        """Whether the server refused a connection because of others: other plans, while this one had few sessions."""
        if any(each.kind == "fill-slots" for each in self._nemesis.faults):
            return False
        refused = any(sign in cause.text for op in self._diary.ops for cause in op.chain for sign in FULL)
        return refused and max((len(each.sessions) for each in self._diary.census), default=0) < MANY

    def _end_child(self) -> None:
        if any(actor in self._gone for actor in self._plan.actors()) and self._hung():
            self._child.kill()
            self._fate = "killed"
            return
        status = self._child.end()
        if status:
            self._fate, self._exit = ("killed", "it did not end by itself") if status == -9 else ("died", str(status))

    def _lose_child(self) -> None:
        """The process ended under its actors: whatever was begun is in doubt."""
        for actor, pending in list(self._pending.items()):
            self._finish(actor, pending, "info", chain=(DIED,))
        self._fate, self._exit = "died", str(self._child.kill())

    def _hung(self) -> bool:
        return any(op.chain[:1] == (HUNG,) for op in self._diary.ops)

    # -- phases ---------------------------------------------------------------------------------------------------

    def _safety(self) -> None:
        """The plan's steps in order; those of an actor that waits for another one are put off until it returns."""
        todo = list(enumerate(self._plan.steps))
        while todo:
            position = self._next(todo)
            index, step = todo.pop(position)
            if isinstance(step, NemesisStep):
                self._nemesis.act(index, step, census=not self._lean)
            else:
                self._act(index, step, "safety", may_block=bool(todo))
            self._reap_unblocked()
            if self._watch is not None:
                self._watch(index, self)

    def held(self) -> tuple[int, ...]:
        """The steps whose writes the server holds now, committed, in the order in which they were written."""
        return tuple(int(token.rpartition(":")[2]) for token in self._site.held())

    @property
    def ops(self) -> tuple[Op, ...]:
        """The history so far."""
        return tuple(self._diary.ops)

    def _next(self, todo: list[tuple[int, Step]]) -> int:
        """The first step whose actor is free; the first of all when that would only be a fault or nobody."""
        first = todo[0][1]
        if isinstance(first, NemesisStep) or first.actor not in self._pending or self._pending[first.actor].gate:
            return 0
        for position, (_, step) in enumerate(todo):
            if isinstance(step, NemesisStep):
                break
            if step.actor not in self._pending and step.actor not in self._gone and self._child.runs(step.actor):
                return position
        return 0

    def _liveness(self) -> None:
        """Every actor ends its request, then must succeed: first with a query, then with an atomic block."""
        steps = itertools.count(len(self._plan.steps))
        actors = self._plan.actors()
        for actor in actors:
            if actor in self._open or actor in self._pending:
                self._act(next(steps), End(actor), "liveness")
        for _ in range(min(len(self._nemesis.dead()), 4) + PROBES - 1):
            for actor in actors:
                self._probe(steps, Begin(actor), Read(actor), End(actor))
        for actor in actors:
            self._probe(steps, Begin(actor), Enter(actor), Write(actor), Leave(actor), End(actor))

    def _probe(self, steps: Iterator[int], *probe: ActorStep) -> None:
        for step in probe:
            self._act(next(steps), step, "liveness")

    # -- actors ---------------------------------------------------------------------------------------------------

    def _act(self, index: int, step: ActorStep, phase: Phase, may_block: bool = False) -> None:
        """Begin a step and wait until it returns, hangs or, where the plan goes on without it, is seen to wait."""
        actor = step.actor
        if actor in self._pending:
            self._await_actor(actor)
        if actor in self._gone or not self._child.runs(actor):
            return
        if isinstance(step, Fork) and self._child.runs(f"{step.child}.t0"):
            return
        if isinstance(step, Begin):
            self._requests[actor] = self._requests.get(actor, -1) + 1
            self._open.add(actor)
        pending = _Pending(index, step, time.monotonic(), phase, gate=self._gates.of(index))
        self._note(pending, "invoke")
        self._child.send(self._message(pending))
        self._pending[actor] = pending
        self._await_actor(actor, may_block=may_block)

    def _message(self, pending: _Pending) -> dict[str, Any]:
        step = pending.step
        message: dict[str, Any] = {name: getattr(step, name) for name in step.__struct_fields__}
        message.update(do=step.do, id=pending.index)
        if isinstance(step, Write):
            message.update(plan=self._id, token=f"{self._id}:{pending.index}")
            if step.hold == "commit":
                message["commit_gate"] = pending.gate
                pending.gate = None  # it is not this step that will wait, but the one that commits
        if isinstance(step, Read):
            message["nonce"] = f"{self._id}:{pending.index}"
        message["gate"] = pending.gate
        return message

    def _await_actor(self, actor: str, may_block: bool = False) -> None:
        """Wait for the actor's step; its gate opens first when the actor must go on."""
        pending = self._pending[actor]
        may_block = may_block and not self._patient
        if not may_block:
            self._gates.open_for(actor, pending.index)
        begun = time.monotonic() if pending.where == "server" else pending.since
        give_up = begun + self._plan.bound + SLACK
        looks = itertools.chain(LOOKS if self._contended(actor) else (), itertools.repeat(LOOKS[-1]))
        while actor in self._pending:
            wait = next(looks) if may_block else give_up - time.monotonic()
            if self._pump(min(wait, CROWD) if self._gates else wait) or actor not in self._pending:
                continue
            if not may_block:
                for other, held in self._pending.items():  # it may want what one has whom the lab itself holds
                    self._gates.open_for(other, held.index)
            if may_block and (where := self._site.waits(self._pending, pending, self._grace(actor))):
                pending.where = where
                self._diary.event("blocked", pending.index, actor=actor, where=where)
                return
            if time.monotonic() >= give_up:
                self._finish(actor, pending, "info", chain=(HUNG,))
                self._gone.add(actor)

    def _contended(self, actor: str) -> bool:
        """Whether there is anything that the actor's step could wait for: a gate, a fault that lasts, others."""
        return bool(self._gates) or self._nemesis.lasting or self._beside(actor)

    def _beside(self, actor: str) -> bool:
        return bool((self._open | self._pending.keys()) - {actor})

    def _grace(self, actor: str) -> float:
        """How long a step may do nothing before it counts as waiting in the client: a busy machine is no reason."""
        if self._nemesis.lasting:
            return GRACE
        return CROWD if self._beside(actor) else math.inf

    def _pump(self, timeout: float) -> bool:
        """Take in one answer, if one comes within `timeout` seconds."""
        answer = self._child.receive(timeout)
        if answer is None:
            return False
        if "ended" in answer:
            self._lose_process(answer["ended"])
            return True
        pending = self._pending.get(answer["actor"])
        if pending is None or pending.index != answer["id"]:
            return True  # the late answer of a step that was given up
        if isinstance(pending.step, Exit) and answer["ending"] == "ok":
            return True  # it has ended when its channel is closed
        states = [str(link.get("sqlstate", "")) for link in answer.get("chain", ())]
        how = ending.from_answer(pending.step.do, answer["ending"], states)
        value = dict(answer.get("value", {}))
        if "left" in answer:
            value["left"] = answer["left"]
        self._finish(answer["actor"], pending, how, value, tuple(Cause(**link) for link in answer.get("chain", ())))
        if isinstance(pending.step, Stop) and how == "ok":
            self._gone.add(answer["actor"])
            self._open.discard(answer["actor"])
            self._take_census("stop", pending.index, answer["actor"], settle=True)
        if isinstance(pending.step, Fork) and how == "ok":
            self._add_clone(answer["actor"], f"{pending.step.child}.t0")
            self._take_census("fork", pending.index, answer["actor"], settle=True)
        return True

    def _add_clone(self, actor: str, clone: str) -> None:
        """The actor of a forked child: inside a request when the one that forked was."""
        self._requests[clone] = -1
        if actor in self._open:
            self._requests[clone] = 0
            self._open.add(clone)

    def _lose_process(self, process: str) -> None:
        """A forked process has ended, because it was told to or not."""
        for actor in {*self._requests, *self._pending}:
            if actor.rpartition(".")[0] != process:
                continue
            self._gone.add(actor)
            self._open.discard(actor)
            if (pending := self._pending.get(actor)) is not None:
                told = isinstance(pending.step, Exit)
                self._finish(actor, pending, "ok" if told else "info", chain=() if told else (DIED,))
                self._wait_for_farewell()
                self._take_census("exit", pending.index, actor)

    def _wait_for_farewell(self) -> None:
        """What a process said to the server when it ended takes a moment to have an effect."""
        before = {session.id for session in self._site.sessions()}
        until = time.monotonic() + FAREWELL
        while before == {session.id for session in self._site.sessions()} and time.monotonic() < until:
            time.sleep(0.002)

    def _reap_unblocked(self) -> None:
        """A step that waited for another actor's and no longer does returns before anything else is begun."""
        for actor, pending in list(self._pending.items()):
            if pending.where == "server" and not self._site.still_waits(pending.session):
                self._await_actor(actor)

    def _finish(
        self,
        actor: str,
        pending: _Pending,
        ending: Ending,
        value: dict[str, Any] | None = None,
        chain: tuple[Cause, ...] = (),
    ) -> None:
        del self._pending[actor]
        self._note(pending, ending, value or {}, chain)
        self._gates.returned(actor, pending.index)
        if isinstance(pending.step, End) and chain[:1] not in ((HUNG,), (DIED,)):
            self._open.discard(actor)
            self._take_census("end", pending.index, actor, settle=True)

    def _note(
        self, pending: _Pending, ending: Ending, value: dict[str, Any] | None = None, chain: tuple[Cause, ...] = ()
    ) -> None:
        actor = pending.step.actor
        inside = actor in self._open
        self._diary.ops.append(
            Op(
                time=self._diary.now(),
                type=ending,
                actor=actor,
                step=pending.index,
                f=pending.step.do,
                request=self._requests.get(actor, -1) if inside else -1,
                phase=pending.phase,
                value=value or {},
                chain=chain,
            )
        )

    # -- what is written down ---------------------------------------------------------------------------------------

    def _take_census(self, at: str, step: int = -1, actor: str = "", settle: bool = False) -> None:
        """The server's view; with `settle` it is given time to take in what the client sent last."""
        begun = time.monotonic()
        while True:
            try:
                sessions = self._site.sessions()
            except LabError:
                if at == "after exit":
                    raise
                return  # the server is down, which is what a fault may do
            waited = time.monotonic() - begun
            if not settle or waited >= SETTLE:
                break
            closing = not self._nemesis.at_work and waited < CLOSE and self._closing(sessions)
            if not closing and not self._unsettled(sessions):
                break
            time.sleep(0.002)
        connects = self._site.connects()
        self._diary.census.append(
            Census(time=self._diary.now(), at=at, step=step, actor=actor, sessions=sessions, connects=connects)
        )

    def _unsettled(self, sessions: tuple[Session, ...]) -> bool:
        """Whether more sessions are at work than steps, or more hold a transaction than there are requests in flight.

        What a backend sends at the end of a request need not have been answered when the request has ended.
        """
        if any(session.locks and not session.xact for session in sessions):
            return True  # states and locks are read one after the other, and a transaction has just begun or ended
        active = sum(session.state == "active" for session in sessions)
        return active > len(self._pending) or sum(session.xact for session in sessions) > len(self._open)

    def _closing(self, sessions: tuple[Session, ...]) -> bool:
        """Whether there are more than the subject has connections: it has closed some, and they are about to end."""
        return len(sessions) > self._site.open_files()
