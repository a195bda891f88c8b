"""A story: one stored plan against some variants, step by step for a person, and how surely it replays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files

import msgspec

from lab.judging.judge import judge
from lab.records.codec import decode_plan
from lab.records.history import Op
from lab.records.plan import Elapse, Inject, Leave, NemesisStep, Plan, Step
from lab.records.record import Record
from lab.records.variant import Variant
from lab.records.verdict import Finding, Verdict
from lab.rig.protocol import RigProtocol
from lab.run import Run, run
from lab.subject.handle import Zygote

WORKERS = 4
NEMESIS = "nemesis"
"""The lane of what befalls the sessions, beside those of the actors."""

WORDS = {
    "begin": "a request arrives",
    "end": "the request ends",
    "enter": "enters atomic()",
    "write": "writes",
    "read": "selects one value",
    "fail": "a statement is refused (unique)",
    "fork": "forks a child",
    "exit": "the child ends",
    "heal": "healed",
}
"""What the steps of stored plans mean to a person; another one is called by its name."""


@dataclass(frozen=True)
class StoryStep:
    """One step: which actor did what (or the nemesis), how it ended, and whose writes the server holds afterwards.

    `held` are the numbers of the steps whose writes those are.
    """

    actor: str
    text: str
    held: tuple[int, ...]


@dataclass(frozen=True)
class Story:
    """What the plan did on one variant: its steps, the promises that it broke, and how many replays agree.

    `record` is the run that is told, behind the wire tap, `findings` what every promise says of it.
    """

    variant: Variant
    steps: tuple[StoryStep, ...]
    broken: tuple[Finding, ...]
    agree: int
    replays: int
    record: Record
    findings: tuple[Finding, ...]

    @property
    def unanimous(self) -> bool:
        """Whether every replay broke the same promises."""
        return self.agree == self.replays


def stored_plan(name: str) -> Plan:
    """A plan that comes with the lab, by the name of its file in `lab/plans` without `.json`."""
    return decode_plan(files("lab.plans").joinpath(f"{name}.json").read_bytes(), name)


def run_story(plan: Plan, variants: Sequence[Variant], rig: RigProtocol, replays: int) -> list[Story]:
    """Run the plan once slowly and `replays` times more against each variant. Call it from the main thread."""
    zygotes = [Zygote(variant, rig.folder, rig.environ()) for variant in variants]
    try:
        return [
            _story(msgspec.structs.replace(plan, variant=zygote.variant), rig, zygote, replays) for zygote in zygotes
        ]
    finally:
        for zygote in zygotes:
            zygote.close()


def _story(plan: Plan, rig: RigProtocol, zygote: Zygote, replays: int) -> Story:
    told: list[StoryStep] = []
    record = run(plan, rig, zygote, _listener(told, plan), liveness=False, wire=True)
    findings = judge(record)
    broken = tuple(finding for finding in findings if finding.verdict is Verdict.BROKEN)
    wanted = {finding.promise for finding in broken}
    with ThreadPoolExecutor(WORKERS) as pool:
        records = pool.map(lambda _: run(plan, rig, zygote, liveness=False), range(replays))
        agree = sum({finding.promise for finding in _broken(each)} == wanted and not each.void for each in records)
    return Story(plan.variant, tuple(told), broken, agree, replays, record, findings)


def _listener(told: list[StoryStep], plan: Plan) -> Callable[[int, Run], None]:
    def listen(index: int, running: Run) -> None:
        step = plan.steps[index]
        if isinstance(step, NemesisStep):
            told.append(StoryStep(NEMESIS, _words(step), running.held()))
            return
        last = next((op for op in reversed(running.ops) if op.step == index), None)
        if last is not None:
            told.append(StoryStep(last.actor, _ended(_words(step), last), running.held()))

    return listen


def _words(step: Step) -> str:
    if isinstance(step, Inject):
        given = ", ".join(f"{name}={value}" for name, value in step.fault.params.items())
        return f"fault {step.fault.kind}" + (f" ({given})" if given else "")
    if isinstance(step, Elapse):
        return f"{step.seconds:g} seconds pass"
    if isinstance(step, Leave):
        return "leaves atomic()" if step.outcome == "commit" else "its view raises: the block must be rolled back"
    return WORDS.get(step.do, step.do)


def _ended(text: str, op: Op) -> str:
    """The words of a step with what came of it."""
    if op.type == "skip":
        return f"({text}: skipped, its view has failed)"
    if op.f == "write":
        text = f"{text} row {op.step}"
    if op.chain:
        text = f"{text}: {op.chain[0].cls.rpartition('.')[2]}"
    session = str(op.value.get("session", "")).partition("@")[0]
    return f"{text} (session {session})" if session else text


def _broken(record: Record) -> tuple[Finding, ...]:
    return tuple(finding for finding in judge(record) if finding.verdict is Verdict.BROKEN)
