"""The demo: one stored plan against two variants, as two lanes that a person can follow, and how surely it replays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files

import msgspec
from rich.console import Console
from rich.table import Table

from lab.check.variants import rows
from lab.judging.judge import judge
from lab.records.codec import decode_plan
from lab.records.history import Op
from lab.records.plan import Plan
from lab.records.record import Record
from lab.records.variant import Variant
from lab.records.verdict import Finding, Verdict
from lab.report.terminal import console
from lab.rig.protocol import RigProtocol
from lab.rig.rigs import open_rig, prepare
from lab.run import Run, run
from lab.subject.handle import Zygote

REPLAYS = 100
WORKERS = 4

TOLD = {
    ("t0", "begin"): "a request arrives",
    ("t0", "enter"): "enters atomic()",
    ("t0", "write"): "writes",
    ("t0", "leave"): "its view raises: the block must be rolled back",
    ("t0", "end"): "the request ends",
    ("t1", "begin"): "another request arrives",
    ("t1", "read"): "selects one value",
    ("t1", "end"): "the request ends: Django closes",
}
"""What the stored plan means to a person."""


@dataclass(frozen=True)
class Line:
    """One step: who did what, how it ended, and the steps whose writes the server holds afterwards."""

    actor: str
    text: str
    held: tuple[int, ...]


@dataclass(frozen=True)
class Story:
    """One variant's telling of the plan."""

    variant: Variant
    lines: tuple[Line, ...]
    broken: tuple[Finding, ...]
    agree: int
    replays: int

    @property
    def unanimous(self) -> bool:
        """Whether every replay broke the same promises."""
        return self.agree == self.replays


def thread_safety(times: int = REPLAYS, rig: str = "") -> int:
    """Tell the stored story on both published backends; 0 when all replays agree, 1 otherwise."""
    plan = stored_plan("thread-safety")
    known = rows()
    with open_rig(prepare(rig)) as running:
        stories = tell(plan, [known["published_global"], known["published_threadlocal"]], running, times)
    show(stories, plan, console())
    return 0 if all(story.unanimous for story in stories) else 1


def stored_plan(name: str) -> Plan:
    """A plan that comes with the lab, by the name of its file in `lab/plans` without `.json`."""
    return decode_plan(files("lab.plans").joinpath(f"{name}.json").read_bytes(), name)


def tell(plan: Plan, variants: Sequence[Variant], rig: RigProtocol, replays: int = REPLAYS) -> list[Story]:
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
    lines: list[Line] = []
    record = run(plan, rig, zygote, _listener(lines), liveness=False)
    broken = _broken(record)
    wanted = {finding.promise for finding in broken}
    with ThreadPoolExecutor(WORKERS) as pool:
        records = pool.map(lambda _: run(plan, rig, zygote, liveness=False), range(replays))
        agree = sum({finding.promise for finding in _broken(each)} == wanted and not each.void for each in records)
    return Story(plan.variant, tuple(lines), broken, agree, replays)


def _listener(lines: list[Line]) -> Callable[[int, Run], None]:
    def listen(index: int, running: Run) -> None:
        last = next((op for op in reversed(running.ops) if op.step == index), None)
        if last is not None:
            lines.append(Line(last.actor, _told(last), running.held()))

    return listen


def _told(op: Op) -> str:
    text = TOLD.get((op.actor, op.f), op.f)
    if op.f == "write":
        text = f"{text} row {op.step}"
    if op.chain:
        text = f"{text}: {op.chain[0].cls.rpartition('.')[2]}"
    session = str(op.value.get("session", "")).partition("@")[0]
    return f"{text} (session {session})" if session else text


def _broken(record: Record) -> tuple[Finding, ...]:
    return tuple(finding for finding in judge(record) if finding.verdict is Verdict.BROKEN)


def show(stories: Sequence[Story], plan: Plan, console: Console) -> None:
    """Print the stories one below the other: the lanes of the two threads, and what the server holds."""
    console.print(f"[bold]{plan.title}[/bold]: thread t0 moves something in two writes, then its view raises.")
    for story in stories:
        table = Table(title=f"\n{story.variant.name}", title_justify="left", title_style="bold")
        table.add_column("#", justify="right")
        table.add_column("thread t0")
        table.add_column("thread t1")
        table.add_column("the server holds")
        before: tuple[int, ...] = ()
        for number, line in enumerate(story.lines, 1):
            lanes = (line.text, "") if line.actor == "t0" else ("", line.text)
            held = ", ".join(f"row {step}" for step in line.held) or "nothing"
            early = line.held != before
            table.add_row(str(number), *lanes, f"[bold red]{held}  <- committed here[/bold red]" if early else held)
            before = line.held
        console.print(table)
        if story.broken:
            for finding in story.broken:
                console.print(f"  [red]broken[/red] {finding.promise}: {finding.summary}")
        else:
            console.print("  [green]no promise is broken[/green]: the rolled-back block left nothing behind")
        console.print(f"  {story.agree} of {story.replays} replays agree")
