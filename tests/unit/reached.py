"""Which situations a plan's faults meet, read off its steps alone: what the random search reaches is counted by it.

The values are those of lab/judging/situations.py. What a step will do is not known without running it: a statement is
taken to succeed where no fault has struck.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from lab.judging.situations import Situation
from lab.records.plan import (
    ActorStep,
    Autocommit,
    Begin,
    Close,
    Commit,
    End,
    Enter,
    Exit,
    Fail,
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

FAULTS = {"terminate": "terminated", "sever-fin": "FIN", "sever-rst": "RST", "interrupt": "interrupt"}
LIFECYCLES = {"task-before": "task", "task-after": "task", "stream": "request"}
STATEMENTS = (Read, Write, Fail)


@dataclass
class _Actor:
    inside: bool = False
    depth: int = 0
    manual: bool = False
    statements: int = 0  # of this unit
    session: str = "new"  # before this unit
    used: bool = False  # it has had a session
    before: list[str] = field(default_factory=lambda: ["nothing"])
    held: bool = False  # a row of the open transaction holds its COMMIT
    waits: str = ""  # what the server holds: "during" or "COMMIT"

    @property
    def mode(self) -> str:
        """The mode of its next statement."""
        return "nested" if self.depth > 1 else "atomic" if self.depth else "manual" if self.manual else "autocommit"


def situations(plan: Plan) -> Iterator[Situation]:
    """One for each fault of the four kinds and each actor whose unit of work meets it."""
    actors: dict[str, _Actor] = {}
    follow = _Follow(actors)
    for place, step in enumerate(plan.steps):
        if isinstance(step, Inject):
            yield from _met(plan, place, step, actors)
            for each in actors.values():
                each.session = "replaced" if each.used else each.session
        elif not isinstance(step, NemesisStep):
            actor = actors.setdefault(step.actor, _Actor())
            actor.waits = ""  # its next step is due: it waits no more
            follow.step(actor, step)


def _met(plan: Plan, place: int, step: Inject, actors: dict[str, _Actor]) -> Iterator[Situation]:
    fault = FAULTS.get(step.fault.kind)
    busy = [name for name, each in actors.items() if each.inside]
    for name in busy:
        actor = actors[name]
        moment = actor.waits
        if fault is None or (fault == "interrupt" and (name != "t0" or not moment)):
            continue
        first = actor.statements == 0
        if moment:
            first = actor.statements == 1
        elif (moment := _next(plan.steps[place + 1 :], name, actor)) == "":
            continue
        unit = plan.lifecycle(name)
        for before in actor.before:
            yield {
                "mode": actor.mode,
                "position": "first" if first else "later",
                "session": actor.session,
                "before": before,
                "lifecycle": LIFECYCLES.get(unit, unit),
                "fault": fault,
                "moment": moment,
                "actors": "two" if len(busy) > 1 else "one",
            }


def _next(steps: tuple[Step, ...], name: str, actor: _Actor) -> str:
    """What the fault strikes before: a statement, or COMMIT; "" where nothing of the unit comes any more."""
    for step in steps:
        if isinstance(step, NemesisStep) or step.actor != name:
            continue
        if isinstance(step, Commit) or (isinstance(step, Leave) and step.outcome == "commit" and actor.depth):
            return "COMMIT"
        if isinstance(step, STATEMENTS):
            return "before"
        if isinstance(step, End | Stop | Exit):
            return ""
    return ""


class _Follow:
    """What each step makes of its actor."""

    def __init__(self, actors: dict[str, _Actor]) -> None:
        self.actors = actors

    def step(self, actor: _Actor, step: ActorStep) -> None:
        """The actor's next step."""
        getattr(self, f"_on_{step.do}", lambda *_: None)(actor, step)
        if isinstance(step, STATEMENTS):
            _stated(actor, step)

    def _on_begin(self, actor: _Actor, _: Begin) -> None:
        actor.inside, actor.statements = True, 0

    def _on_end(self, actor: _Actor, _: End) -> None:
        actor.inside, actor.depth, actor.manual = False, 0, False
        actor.session = "waited" if actor.used and actor.session == "new" else actor.session

    def _on_enter(self, actor: _Actor, _: Enter) -> None:
        actor.depth, actor.used = actor.depth + 1, True

    def _on_leave(self, actor: _Actor, step: Leave) -> None:
        commits = actor.depth == 1 and step.outcome == "commit"
        actor.waits = "COMMIT" if commits and actor.held else ""
        actor.depth = 1 if actor.waits else max(actor.depth - 1, 0)  # while it waits it is still in there
        if step.outcome == "rollback":
            _came(actor, "rollback")

    def _on_autocommit(self, actor: _Actor, step: Autocommit) -> None:
        actor.manual = not step.on

    def _on_commit(self, actor: _Actor, _: Commit) -> None:
        actor.waits = "COMMIT" if actor.held else ""

    def _on_close(self, actor: _Actor, _: Close) -> None:
        _came(actor, "close")

    def _on_fork(self, actor: _Actor, step: Fork) -> None:
        _came(actor, "fork")
        child = replace(actor, before=[*actor.before], used=False, session="new")
        self.actors[f"{step.child}.t0"] = child

    def _on_stop(self, actor: _Actor, _: Stop) -> None:
        actor.inside = False
        for other in self.actors.values():
            _came(other, "thread's end")

    def _on_exit(self, actor: _Actor, _: Exit) -> None:
        actor.inside = False


def _stated(actor: _Actor, step: Read | Write | Fail) -> None:
    actor.statements += 1
    actor.used = True
    hold = getattr(step, "hold", "")
    open_ = bool(actor.depth or actor.manual)
    actor.held = (hold == "commit" or actor.held) and open_
    actor.waits = "during" if hold in (True, "statement") else "COMMIT" if hold == "commit" and not open_ else ""
    if isinstance(step, Fail):
        _came(actor, "error")


def _came(actor: _Actor, what: str) -> None:
    """What came before: all of it counts, because nothing says which of it matters."""
    if what not in actor.before:
        actor.before = [*(each for each in actor.before if each != "nothing"), what]
