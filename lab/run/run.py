"""plan -> record: the steps one at a time, the faults between and inside them, then heal, then a liveness phase."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterator
from contextlib import nullcontext

from lab.errors import BadInput, ProxyLost, ServerNotReady
from lab.fault import FAULTS, needs, spares_the_line
from lab.judging import ending
from lab.records.census import Row
from lab.records.history import HUNG, Op
from lab.records.plan import ActorStep, Begin, End, Enter, Inject, Leave, NemesisStep, Plan, Read, Step, Write
from lab.records.record import Fate, Record
from lab.rig.capabilities import remedy
from lab.rig.postgres.server import FULL
from lab.rig.protocol import ProxyProtocol, RigProtocol
from lab.rig.site.site import PlanSite, open_site
from lab.run.actors import Actors
from lab.run.census_taker import CensusTaker
from lab.run.diary import Diary
from lab.run.gates import Gates
from lab.run.nemesis import Nemesis
from lab.run.pulse import PULSE
from lab.run.steps import Steps
from lab.run.waiting import Waiting
from lab.subject.handle import Child, ChildEnded, Zygote

PROBES = 2
"""Requests of each actor in the liveness phase, beyond one for each session that was struck."""
MOST_PROBES = 4
"""No more sessions than these count for that."""
MANY = 20
"""Sessions of one plan: a plan with so many may have taken the server's slots itself."""
TRIES = 3
"""Times at most that a plan is run while the lab is held up each time: that is the machine's doing, and passes."""

AfterStep = Callable[[int, "Run"], None]


def run(
    plan: Plan,
    rig: RigProtocol,
    zygote: Zygote,
    watch: AfterStep | None = None,
    *,
    liveness: bool = True,
    wire: bool = False,
    lean: bool = False,
    proxy: ProxyProtocol | None = None,
    counted: bool = False,
) -> Record:
    """Run `plan` and record what happened; `watch` is called after each step of the safety phase with its index.

    Without `liveness` the phase after the heal is left out: for plans whose point is the safety phase. With `wire` the
    tap is in front of the plan's line and its journal in the record, as it always is where a fault needs it. `lean` is
    for explorers, which run one actor thousands of times: whether a step is blocked is not looked at, unless a fault
    makes clients wait, and of the census only the end of each request and of the whole are taken. `proxy` is one of the
    caller's, which nothing else uses meanwhile and no toxic ever touches, instead of one of the plan's own.

    Where nothing in the plan strikes its line, the subject connects to the server itself, if the rig allows that;
    unless its connections are to be `counted`, which a proxy does.

    Never raises for what the variant does. A server of the rig that is lost makes the record void. A run in which the
    lab was held up counts for nothing and is begun again; the record is void where each of TRIES was so. Raises
    BadInput when the plan asks for a fault that does not exist or that this rig cannot do.
    """
    if missing := needs(plan) - rig.capabilities:
        raise BadInput(f"the {rig.name} rig lacks {', '.join(sorted(missing))}", remedy(needs(plan)))
    alone = any(FAULTS.get(spec.kind).exclusive for spec in plan.faults()) or plan.makes_databases()
    try:
        with rig.exclusive() if alone else rig.shared():
            for _ in range(TRIES):
                a_run = Run(plan, rig, zygote, watch, liveness, wire, lean, proxy, counted)
                record = a_run.record()
                if not a_run.held_up:
                    break
            return record
    except (ProxyLost, ServerNotReady) as lost:
        rig.recover()  # waits until the others are done, which is why this run has left the lock
        return Record(plan=plan, run="", traits=zygote.traits, void=str(lost))


class Run:
    """One run in progress: its phases, and how the subject's process ends."""

    def __init__(
        self,
        plan: Plan,
        rig: RigProtocol,
        zygote: Zygote,
        watch: AfterStep | None,
        liveness: bool,
        wire: bool,
        lean: bool,
        proxy: ProxyProtocol | None,
        counted: bool,
    ) -> None:
        self._plan = plan
        self._rig = rig
        self._zygote = zygote
        self._watch = watch
        self._wants_liveness = liveness
        self._wants_wire = wire
        self._lean = lean
        self._proxy = proxy
        self._counted = counted
        self._id = uuid.uuid4().hex[:12]
        self._diary = Diary()
        self._actors = Actors(self._diary)
        self._nemesis = Nemesis(plan, self._diary)
        self._fate: Fate = "ended"
        self._exit = ""
        self._site: PlanSite
        self._steps: Steps
        self.held_up = 0.0
        """The longest time, in seconds, for which the lab was held up in it; 0.0 where it is too short to matter."""

    # -- the whole ------------------------------------------------------------------------------------------------

    def record(self) -> Record:
        """Everything, in order; what was applied is healed on every path."""
        rows: tuple[Row, ...] = ()
        wire = self._wants_wire or any(each.family == "wire" for each in self._nemesis.faults)
        apart = any(isinstance(step, Inject) and step.alias for step in self._plan.steps)
        direct = not wire and not self._counted and spares_the_line(self._plan)
        with (
            PULSE.felt() as longest_gap,
            open_site(
                self._rig, self._id, self._aliases(), wire=wire, proxy=self._proxy, apart=apart, direct=direct
            ) as site,
            site.test_databases() if self._plan.makes_databases() else nullcontext(),
            self._nemesis.healed_on_exit(),
        ):
            census = CensusTaker(site, self._diary, self._actors, lambda: self._nemesis.keeps_sessions)
            self._site = site
            self._nemesis.prepare(site, census.take)
            gates = Gates(self._plan, site, self._id)
            child = self._zygote.fork(site.environ, site.databases, self._plan.init)
            site.adopt(child)
            self._steps = self._stepping(child, gates, census)
            ended = False
            try:
                self._safety()
                self._nemesis.heal()
                if self._wants_liveness:
                    self._liveness()
                census.take("final", settle=True)
                ended = True
            except ChildEnded:
                self._steps.lose_all()
                if self._nemesis.ends_it:  # before what it has forked is ended with it
                    census.outlive()
                status = child.kill()
                self._fate = "struck" if self._nemesis.ends_with(status) else "died"
                self._exit = str(status)
            finally:
                if not ended and self._fate == "ended":
                    child.kill()
            if ended:
                self._end(child)
            self._nemesis.heal()
            gates.open_all()
            census.take("after exit")
            journal = site.wire.journal(self._diary.start_ns)
            site.clear(self._answered())
            rows = site.rows()
            xacts = site.xacts(self._in_doubt())
            self.held_up = longest_gap()
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
            line=site.line,
            fate=self._fate,
            exit=self._exit,
            void=self._why_void(),
            seconds=self._diary.seconds(),
            began=self._diary.began,
        )

    def _stepping(self, child: Child, gates: Gates, census: CensusTaker) -> Steps:
        waiting = Waiting(self._site, self._actors, gates, self._nemesis)
        patient = self._lean and not any(each.waits for each in self._nemesis.faults)
        return Steps(self._plan, self._id, child, self._diary, self._actors, gates, waiting, census, patient)

    def _answered(self) -> set[str]:
        """The aliases whose lines are known to work again: a statement that was sent after the last heal came back."""
        healed = max((landing.healed for landing in self._nemesis.landings), default=-1)
        later = {(op.actor, op.step) for op in self._diary.ops if op.type == "invoke" and op.time > healed}
        came = [op for op in self._diary.ops if op.type == "ok" and op.value.get("session")]
        steps = self._plan.steps
        return {
            getattr(steps[op.step], "alias", "default") if op.step < len(steps) else "default"
            for op in came
            if (op.actor, op.step) in later
        }

    def _in_doubt(self) -> tuple[str, ...]:
        """The transactions of a run in which some call raised: what became of them is worth a question."""
        if not any(op.type in ("fail", "info") for op in self._diary.ops):
            return ()
        return tuple(dict.fromkeys(str(op.value["xid"]) for op in self._diary.ops if op.value.get("xid")))

    def _aliases(self) -> tuple[str, ...]:
        named = {getattr(step, "alias", "default") for step in self._plan.steps}
        return ("default", *sorted(named - {"default", ""}))

    def _why_void(self) -> str:
        if self.held_up:
            return f"the lab itself was held up for {self.held_up:.2f} s, so that its waits say nothing of the variant"
        if unseen := self._nemesis.unseen():
            return f"not seen to land: {', '.join(unseen)}"
        return "the rig had no connection slot left" if self._crowded_out() else ""

    def _crowded_out(self) -> bool:
        """Whether the server refused a connection because of others: other plans, while this one had few sessions."""
        if any(each.kind == "fill-slots" for each in self._nemesis.faults):
            return False
        refused = any(sign in cause.text for op in self._diary.ops for cause in op.chain for sign in FULL)
        return refused and max((len(each.sessions) for each in self._diary.census), default=0) < MANY

    def _end(self, child: Child) -> None:
        """Let the subject's process end by itself, unless one of its threads hangs."""
        if any(actor in self._actors.gone for actor in self._plan.actors()) and self._hung():
            child.kill()
            self._fate = "killed"
            return
        status = child.end()
        if status:
            self._fate, self._exit = ("killed", "it did not end by itself") if status == -9 else ("died", str(status))

    def _hung(self) -> bool:
        return any(op.chain[:1] == (HUNG,) for op in self._diary.ops)

    # -- phases ---------------------------------------------------------------------------------------------------

    def _safety(self) -> None:
        """The plan's steps in order; those of an actor that waits for another one are put off until it returns."""
        todo = list(enumerate(self._plan.steps))
        while todo:
            if not isinstance(first := todo[0][1], NemesisStep):
                self._steps.resume_healed(first.actor)
            index, step = todo.pop(self._next(todo))
            if isinstance(step, NemesisStep):
                self._nemesis.act(index, step, census=not self._lean)
                if self._nemesis.has_killed_it:  # before a gate opens for what it was at
                    raise ChildEnded("a fault has ended it")
            else:
                self._steps.do(index, step, "safety", may_block=bool(todo))
            self._steps.reap_unblocked()
            if self._watch is not None:
                self._watch(index, self)

    def _next(self, todo: list[tuple[int, Step]]) -> int:
        """The first step whose actor is free; the first of all when that would only be a fault or none is free."""
        first, pending = todo[0][1], self._actors.pending
        if isinstance(first, NemesisStep) or first.actor not in pending or pending[first.actor].gate:
            return 0
        for position, (_, step) in enumerate(todo):
            if isinstance(step, NemesisStep):
                break
            if step.actor not in pending and self._steps.can_act(step.actor):
                return position
        return 0

    def _liveness(self) -> None:
        """Every actor ends its unit of work, then must succeed: first with a query, then with an atomic block.

        Each by its own lifecycle: what Django would not be told there heals nothing here.
        """
        steps = itertools.count(len(self._plan.steps))
        actors = self._plan.actors()
        for actor in actors:
            if actor in self._actors.in_request or actor in self._actors.pending:
                self._steps.do(next(steps), End(actor), "liveness")
        for _ in range(min(len(self._nemesis.dead()), MOST_PROBES) + PROBES - 1):
            for actor in actors:
                self._probe(steps, Begin(actor), Read(actor), End(actor))
        for actor in actors:
            last = Read(actor) if self._zygote.traits.read_only else Write(actor)
            self._probe(steps, Begin(actor), Enter(actor), last, Leave(actor), End(actor))

    def _probe(self, steps: Iterator[int], *probe: ActorStep) -> None:
        if self._zygote.traits.atomic_requests:
            begin, *inner, end = probe
            probe = (begin, Enter(begin.actor), *inner, Leave(begin.actor), end)
        for step in probe:
            self._steps.do(next(steps), step, "liveness")

    # -- for those who watch ----------------------------------------------------------------------------------------

    def held(self) -> tuple[int, ...]:
        """The steps whose writes the server holds now, committed, in the order in which they were written."""
        return tuple(int(token.rpartition(":")[2]) for token in self._site.held())

    @property
    def ops(self) -> tuple[Op, ...]:
        """The history so far."""
        return tuple(self._diary.ops)
