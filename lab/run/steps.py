"""The steps of actors, one at a time: handed over, waited for, given up."""

from __future__ import annotations

import itertools
import time
from typing import Any

from lab.judging import ending
from lab.records.history import DIED, HUNG, Cause, Ending, Phase
from lab.records.lifecycle import Tells
from lab.records.plan import ActorStep, Begin, End, Exit, Fail, Finish, Fork, Plan, Read, Stop, Use, Write
from lab.run.actors import Actors, Pending
from lab.run.census_taker import CensusTaker
from lab.run.diary import Diary
from lab.run.gates import Gates
from lab.run.waiting import Waiting
from lab.subject.handle import Child
from lab.timing import CROWD, LOOKS, SLACK


class Steps:
    """Drives the subject's process through steps, and takes in what it answers.

    `patient`: a step is waited for until it returns or is given up, even where the plan could go on without it.
    Methods raise ChildEnded when the subject's process ends.
    """

    def __init__(
        self,
        plan: Plan,
        run: str,
        child: Child,
        diary: Diary,
        actors: Actors,
        gates: Gates,
        waiting: Waiting,
        census: CensusTaker,
        patient: bool,
    ) -> None:
        self._plan = plan
        self._run = run
        self._child = child
        self._diary = diary
        self._actors = actors
        self._gates = gates
        self._waiting = waiting
        self._census = census
        self._patient = patient
        self._tells: dict[tuple[str, type[ActorStep]], Tells] = {}  # Plan.tells() looks at every step of the plan

    def do(self, index: int, step: ActorStep, phase: Phase, may_block: bool = False) -> None:
        """Begin a step and wait until it returns, hangs or, where the plan goes on without it, is seen to wait."""
        actor = step.actor
        if actor in self._actors.pending:
            self._await(actor)
        if not self.can_act(actor):
            return
        if isinstance(step, Fork) and self._child.runs(f"{step.child}.t0"):
            return
        if isinstance(step, Begin):
            self._actors.begin_request(actor)
        pending = self._actors.invoke(index, step, phase, self._gates.of(index))
        self._child.send(self._message(pending))
        self._actors.begin(pending)
        self._await(actor, may_block=may_block)

    def can_act(self, actor: str) -> bool:
        """Whether the actor is there, be it in a step or not."""
        return actor not in self._actors.gone and self._child.runs(actor)

    def reap_unblocked(self) -> None:
        """A step that waited for another actor's and no longer does returns before anything else is begun."""
        for actor, pending in list(self._actors.pending.items()):
            if self._waiting.over(pending):
                self._await(actor)

    def resume_healed(self, actor: str) -> None:
        """A step that waited for a fault to be healed returns before its next one is put off, or is seen to wait again.

        Else it is chance whether other actors' requests end before it has even had the session that it waited for.
        """
        pending = self._actors.pending.get(actor)
        if pending is not None and self._waiting.healed(pending):
            self._await(actor, may_block=True)

    def lose_all(self) -> None:
        """The process has ended under its actors: whatever was begun is in doubt."""
        for pending in list(self._actors.pending.values()):
            self._end(pending, "info", chain=(DIED,))

    def _message(self, pending: Pending) -> dict[str, Any]:
        step = pending.step
        message: dict[str, Any] = {name: getattr(step, name) for name in step.__struct_fields__}
        unit = (step.actor, type(step))
        if unit not in self._tells:
            self._tells[unit] = self._plan.tells(step)
        message.update(do=step.do, id=pending.index, tells=self._tells[unit])
        if isinstance(step, Write):
            message.update(plan=self._run, token=f"{self._run}:{pending.index}")
            if step.hold == "commit":
                message["commit_gate"] = pending.gate
                pending.gate = None  # it is not this step that will wait, but the one that commits
        if isinstance(step, Use):
            message.update(plan=self._run, token=f"{self._run}:{pending.index}")
        if isinstance(step, Fail):
            message["key"] = Gates.key(self._run, pending.index)
        if isinstance(step, Read):
            message["nonce"] = f"{self._run}:{pending.index}"
        message["gate"] = pending.gate
        return message

    # -- waiting for one ----------------------------------------------------------------------------------------------

    def _await(self, actor: str, may_block: bool = False) -> None:
        """Wait for the actor's step; its gate opens first when the actor must go on."""
        pending = self._actors.pending[actor]
        may_block = may_block and not self._patient
        if not may_block:
            self._gates.open_for(actor, pending.index)
        begun = time.monotonic() if pending.where == "server" else pending.since
        give_up = begun + self._plan.bound + SLACK.seconds
        looks = itertools.chain(LOOKS if self._waiting.possible(actor) else (), itertools.repeat(LOOKS[-1]))
        while actor in self._actors.pending:
            wait = next(looks) if may_block else give_up - time.monotonic()
            if self._take_in(min(wait, CROWD.seconds) if self._gates else wait) or actor not in self._actors.pending:
                continue
            if not may_block:
                for other, held in self._actors.pending.items():  # it may want what one has whom the lab itself holds
                    self._gates.open_for(other, held.index)
            if may_block and self._waiting.seen(pending):
                self._diary.event("blocked", pending.index, actor=actor, where=pending.where)
                return
            if time.monotonic() >= give_up:
                self._end(pending, "info", chain=(HUNG,))
                self._actors.lose(actor)

    def _take_in(self, timeout: float) -> bool:
        """Take in one answer, if one comes within `timeout` seconds."""
        answer = self._child.receive(timeout)
        if answer is None:
            return False
        if "ended" in answer:
            self._lose_process(answer["ended"])
            return True
        pending = self._actors.pending.get(answer["actor"])
        if pending is None or pending.index != answer["id"]:
            return True  # the late answer of a step that was given up
        if isinstance(pending.step, Exit) and answer["ending"] == "ok":
            return True  # it has ended when its channel is closed
        states = [str(link.get("sqlstate", "")) for link in answer.get("chain", ()) if not link.get("hidden")]
        how = ending.from_answer(pending.step.do, answer["ending"], states)
        value = dict(answer.get("value", {}))
        if "left" in answer:
            value["left"] = answer["left"]
        self._end(pending, how, value, tuple(Cause(**link) for link in answer.get("chain", ())))
        if how == "ok":
            self._follow(pending)
        elif isinstance(pending.step, Fork):
            self._child.forget(pending.step.child)
        return True

    def _follow(self, pending: Pending) -> None:
        """What a thread's end or a fork means for the actors."""
        step = pending.step
        if isinstance(step, Stop):
            self._actors.lose(step.actor)
            self._actors.end_request(step.actor)
            self._census.take("stop", pending.index, step.actor, settle=True)
        if isinstance(step, Fork):
            self._actors.clone(step.actor, f"{step.child}.t0")
            self._census.take("fork", pending.index, step.actor, settle=True)

    def _lose_process(self, process: str) -> None:
        """A forked process has ended, because it was told to or not."""
        for actor in self._actors.of_process(process):
            self._actors.lose(actor)
            self._actors.end_request(actor)
            if (pending := self._actors.pending.get(actor)) is not None:
                told = isinstance(pending.step, Exit)
                self._waiting.leave(pending.session)
                self._end(pending, "ok" if told else "info", chain=() if told else (DIED,))
                self._census.wait_for_farewell()
                self._census.take("exit", pending.index, actor)

    def _end(
        self, pending: Pending, how: Ending, value: dict[str, Any] | None = None, chain: tuple[Cause, ...] = ()
    ) -> None:
        actor = pending.step.actor
        self._actors.end(pending, how, value, chain)
        if chain[:1] != (DIED,):  # what the dead was at goes on in the server
            self._gates.returned(actor, pending.index)
        if isinstance(pending.step, End | Finish) and chain[:1] not in ((HUNG,), (DIED,)):
            if isinstance(pending.step, End):
                self._actors.end_request(actor)
            self._census.take("end", pending.index, actor, settle=True)
