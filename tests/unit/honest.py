"""An honest backend in memory: from any plan it makes the history of a backend that keeps every promise.

No server, no threads: steps come one at a time. Faults: what ends sessions, `limit-data` (the answer is lost, the
effect is not), and `refuse`. A request whose connection is lost gets errors until it ends; a block that met one is
never left in silence. Idle sessions are replaced without a word.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from lab.records.plan import (
    ActorStep,
    Begin,
    Close,
    End,
    Enter,
    Fail,
    Heal,
    Inject,
    Leave,
    NemesisStep,
    Plan,
    Read,
    Step,
    Write,
)
from lab.records.record import Record
from lab.records.variant import Traits
from unit.histories import KEEPS, Line, census, heal, lost, ok, record, refused, session, skipped, strike

ENDS = ("sever-fin", "sever-rst", "terminate", "restart", "crash")


@dataclass
class Client:
    """One actor's side."""

    session: str = ""
    dead: bool = False
    manual: bool = False
    inside: bool = False
    over: bool = False
    broken: bool = False  # the transaction cannot be committed any more
    blocks: list[tuple[int, bool]] = field(default_factory=list)
    pending: list[int] = field(default_factory=list)
    xid: int = 0


class Honest:
    """Runs one plan."""

    def __init__(self, plan: Plan, seed: int) -> None:
        self._plan = plan
        self._random = random.Random(seed)
        self._clients: dict[str, Client] = {}
        self._idle: list[str] = []
        self._rows: list[int] = []
        self._sessions = 0
        self._xids = 100
        self._refusing = False
        self._lose = False
        self._index = 0

    def record(self) -> Record:
        """The whole history, with the liveness phase that every run has."""
        actors = self._plan.actors()
        close = [End(actor) for actor in actors]
        live = [step for actor in actors for step in _probe(actor)]
        lines: list[Line] = []
        for step in (*self._plan.steps, Heal(), *close, *live):
            for line in self._line(step):
                lines.append(line)
                self._index += line.step is not None
        return record(*lines, rows=self._rows, variant=KEEPS, traits=Traits(pool_max=9))

    # -- faults -----------------------------------------------------------------------------------------------------

    def _line(self, step: Step) -> Iterator[Line]:
        if isinstance(step, Inject):
            yield self._strike(step.fault.kind)
        elif isinstance(step, Heal):
            self._refusing = self._lose = False
            yield heal()
        elif hasattr(step, "actor"):
            assert not isinstance(step, NemesisStep)
            client = self._clients.setdefault(step.actor, Client())
            if isinstance(step, End) and not client.inside:
                return
            yield self._do(step, client)
            if isinstance(step, End):
                busy = [each for each in self._clients.values() if each.session and each.inside]
                held = [session(each.session, xact=bool(each.blocks or each.pending)) for each in busy]
                yield census(*held, *(session(name) for name in self._idle), actor=step.actor)

    def _strike(self, kind: str) -> Line:
        self._refusing |= kind == "refuse"
        self._lose |= kind == "limit-data"
        struck: list[str] = []
        if kind in (*ENDS, "refuse"):
            struck, self._idle = self._idle, []
            for client in self._clients.values():
                if client.session and not client.dead:
                    struck = [*struck, client.session]
                    client.dead = True
                    client.broken = True
        return strike(kind, *struck, landed=bool(struck) or kind in ("refuse", "limit-data"))

    # -- steps ------------------------------------------------------------------------------------------------------

    def _do(self, step: ActorStep, client: Client) -> Line:
        name = type(step).__name__.lower()
        if client.over and name not in ("begin", "end"):
            return skipped(step)
        line: Line = getattr(self, f"_do_{name}")(step, client)
        if line.ending in ("fail", "info") and not getattr(step, "swallow", False) and name != "end":
            self._roll_back_blocks(client)
            client.over = client.inside
        return line

    def _do_begin(self, step: Begin, client: Client) -> Line:
        if client.blocks:  # request_started closes the connection, the block knows nothing of it
            client.pending, client.broken, client.dead = [], True, True
            told = ok(step)
        else:
            told = self._do_close(step, client)
        client.inside, client.over = True, False
        return told

    def _do_end(self, step: End, client: Client) -> Line:
        never_left = len(client.blocks)
        self._roll_back_blocks(client)
        line = self._do_close(step, client)
        client.inside = client.over = client.manual = False
        return Line(line.step, line.ending, {"never_left": never_left}, line.chain)

    def _do_close(self, step: Close | End | Begin, client: Client) -> Line:
        """Outside a block it commits what is pending, or raises."""
        if client.blocks:
            client.pending, client.broken, client.dead = [], True, True
            return ok(step)
        if client.pending and not self._answers(client):
            self._give_back(client)
            return lost(step)
        self._rows += [] if client.broken else client.pending
        told = lost(step) if client.broken and client.pending else ok(step)
        if client.pending and self._lost(client):
            told = lost(step)
        client.pending = []
        self._give_back(client)
        client.manual = False
        return told

    def _do_enter(self, step: ActorStep, client: Client) -> Line:
        if client.broken and (client.blocks or client.pending):
            return lost(step)
        if client.dead and client.inside:
            return lost(step)
        client.blocks.append((len(client.pending), getattr(step, "savepoint", True)))
        return ok(step)

    def _do_leave(self, step: Leave, client: Client) -> Line:
        if not client.blocks:
            return skipped(step)
        since, savepoint = client.blocks.pop()
        outermost = not client.blocks
        if step.outcome == "rollback":
            if savepoint or (outermost and not client.manual):
                client.pending = client.pending[:since]
            else:
                client.pending, client.broken = [], True
            if outermost and not client.manual:
                self._end_transaction(client)
            return ok(step)
        if not outermost or client.manual:
            return lost(step) if client.broken else ok(step)
        if client.broken or (client.pending and not self._answers(client)):
            client.pending = []
            self._end_transaction(client)
            return lost(step)
        self._rows += client.pending
        gone = bool(client.pending) and self._lost(client)
        client.pending = []
        self._end_transaction(client)
        return lost(step) if gone else ok(step)

    def _do_write(self, step: ActorStep, client: Client) -> Line:
        if not self._answers(client):
            return lost(step)
        opened = bool(client.blocks or client.manual)
        if not client.xid or not opened:
            self._xids += 1
            client.xid = self._xids
        (client.pending if opened else self._rows).append(self._index)
        told = lost(step) if self._lost(client) else ok(step, on=client.session, xid=client.xid)
        if told.ending != "ok":
            client.pending = []
        return told

    def _do_read(self, step: ActorStep, client: Client) -> Line:
        if not self._answers(client) or self._lost(client):
            return lost(step)
        return ok(step, on=client.session)

    def _do_fail(self, step: Fail, client: Client) -> Line:
        if not self._answers(client) or self._lost(client):
            return lost(step)
        client.broken = client.broken or bool(client.blocks or client.manual)
        return refused(step)

    def _do_autocommit(self, step: ActorStep, client: Client) -> Line:
        if client.blocks or client.pending:
            return lost(step)
        client.manual = not getattr(step, "on", False)
        return Line(step, "ok", {"on": not client.manual})

    def _do_commit(self, step: ActorStep, client: Client) -> Line:
        if client.blocks or client.broken or (client.pending and not self._answers(client)):
            return lost(step)
        self._rows += client.pending
        gone = bool(client.pending) and self._lost(client)
        client.pending = []
        self._end_transaction(client)
        return lost(step) if gone else ok(step)

    def _do_rollback(self, step: ActorStep, client: Client) -> Line:
        if client.blocks:
            return lost(step)
        client.pending = []
        self._end_transaction(client)
        return ok(step)

    def _do_stop(self, step: ActorStep, client: Client) -> Line:
        return skipped(step)

    # -- connections ------------------------------------------------------------------------------------------------

    def _answers(self, client: Client) -> bool:
        """Whether a statement comes through; connects where nothing is lost by it."""
        if client.broken or client.dead:
            return False
        if not client.session:
            if self._refusing:
                return False
            if self._idle:
                client.session = self._idle.pop(self._random.randrange(len(self._idle)))
            else:
                self._sessions += 1
                client.session = f"{self._sessions}@{self._sessions}"
        return True

    def _lost(self, client: Client) -> bool:
        """Whether the answer to what was just done is swallowed, and the connection with it."""
        if self._lose:
            client.dead = client.broken = True
        return self._lose

    def _end_transaction(self, client: Client) -> None:
        client.xid, client.broken = 0, client.dead

    def _roll_back_blocks(self, client: Client) -> None:
        if client.blocks:
            since, savepoint = client.blocks[0]
            if client.manual and savepoint:
                client.pending = client.pending[:since]
            else:
                client.pending = []
            client.blocks = []
            client.broken = client.broken or client.manual
            if not client.manual:
                self._end_transaction(client)

    def _give_back(self, client: Client) -> None:
        if client.session and not client.dead:
            self._idle.append(client.session)
        client.session, client.dead, client.xid, client.broken = "", False, 0, False
        client.blocks, client.pending = [], []


def _probe(actor: str) -> tuple[Step, ...]:
    query = (Begin(actor), Read(actor), End(actor))
    return (*query, *query, *query, Begin(actor), Enter(actor), Write(actor), Leave(actor), End(actor))
