"""hooks-once: what an application does once its transaction is committed, such as sending mail, is done then, and once.

A block in which an error was swallowed is rolled back by the server, which answers COMMIT with ROLLBACK and no error:
Django then runs the block's hooks all the same. A backend that sends COMMIT again may run them twice, one that forgets
its wrapper's state with the session loses them. psycopg swallows an error by itself where a stream is left early.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from lab.judging.plan_parts import FIN, STREAM, block, inject, on, query, request
from lab.judging.trace import Trace
from lab.judging.transactions import STREAM_LEFT, Unit
from lab.promise import Promise, promise
from lab.records.plan import Close, Enter, Fail, Heal, Leave, Plan, Set, Step, Use, Write
from lab.records.record import Record
from lab.records.variant import Traits, Variant
from lab.records.verdict import Finding
from lab.records.words import count

HOOK = Use("t0", "on-commit")
ASKS = Use("t0", "on-commit-query")
BLOCK = Use("t0", "on-commit-block")
RAISES = Use("t0", "on-commit-robust")


@promise
class HooksOnce(Promise):
    """At stake when a hook was registered in a transaction that wrote something, and that transaction had an end.

    Whether it is committed the server says. Where COMMIT raised, the caller cannot know: then a hook may stay out.
    """

    id = "hooks-once"
    sentence = (
        "An on_commit hook runs exactly once if and only if its transaction is committed; where COMMIT raised, at most "
        "once, and only if it is."
    )
    of_django = ("statement error swallowed", STREAM)

    def plans(self, variant: Variant, traits: Traits) -> Iterator[Plan]:
        enter, write, leave = Enter("t0"), Write("t0"), Leave("t0")
        undo = Leave("t0", "rollback")
        after = (*block("t0"), *query("t0"))
        inside: dict[str, tuple[Step, ...]] = {
            "committed": (enter, write, HOOK, leave),
            "rolled back": (enter, write, HOOK, undo),
            "a savepoint rolled back": (enter, write, enter, write, HOOK, undo, leave),
            "a savepoint left": (enter, write, enter, write, HOOK, leave, leave),
            "set_rollback": (enter, write, HOOK, Set("t0", "needs_rollback"), leave),
            "close() inside": (enter, write, HOOK, Close("t0"), leave),
            "a block never left": (enter, write, HOOK),
            "COMMIT fails": (enter, write, HOOK, FIN, leave),
        }
        for moment, steps in inside.items():
            yield self.plan(variant, moment, *request("t0", *steps), *after)
        committed: dict[str, tuple[Step, ...]] = {
            "before the block's first statement": (enter, HOOK, write, leave),
            "after a robust one that raises": (enter, write, RAISES, HOOK, leave),
            "by another hook's block": (enter, write, HOOK, BLOCK, HOOK, leave),
            "iterator() left early": (enter, write, HOOK, Use("t0", "iterator-break"), leave),
        }
        for title, steps in committed.items():
            yield self.plan(variant, "committed", *request("t0", *steps), *after, title=title)
        beside = on("twin", enter, write, HOOK, leave)
        yield self.plan(
            variant,
            "rolled back",
            *request("t0", enter, write, HOOK, *beside, undo),
            *after,
            title="beside another alias",
        )
        siblings = (enter, write, HOOK, undo, enter, write, HOOK, leave)
        moment = "a savepoint rolled back"
        yield self.plan(
            variant, moment, *request("t0", enter, write, *siblings, leave), *after, title="before another one"
        )
        for name, at in (("never sent", "commit-sent+0"), ("answer lost", "commit-acked+0")):
            steps = (enter, write, HOOK, inject("cut-fin", moment=at), leave)
            yield self.plan(variant, f"COMMIT, {name}", *request("t0", *steps), Heal(), *after)
        # The connection ends when COMMIT has been answered in full: the second hook's query meets that.
        steps = (enter, write, HOOK, ASKS, HOOK, inject("cut-fin", moment="commit-ready"), leave)
        yield self.plan(variant, "committed", *request("t0", *steps), Heal(), *after, title="a hook's query fails")
        steps = (enter, write, HOOK, Fail("t0", swallow=True), leave)
        # Last: what Django breaks itself must not settle the promise.
        yield self.plan(variant, "statement error swallowed", *request("t0", *steps), *after)
        if variant.driver == "psycopg":
            steps = (enter, write, HOOK, Use("t0", STREAM_LEFT), leave)
            yield self.plan(variant, STREAM, *request("t0", *steps), *after)

    def judge(self, record: Record) -> Finding:
        trace = Trace(record)
        ran = Counter(step for call in trace.calls for step in call.value.get("hooks", ()))
        judged = 0
        for unit in trace.units:
            for hook in unit.hooks if unit.outcome != "open" else ():
                writes = [token for token in unit.written if token.undone == hook.undone]
                if not writes:
                    continue
                judged += 1
                committed = any(trace.present.get(token.name) for token in writes)
                if fault := _fault(ran[hook.call.step], committed, unit, faults=bool(trace.landed)):
                    return self.broken(fault, hook.call.step)
        if not judged:
            return self.unknown("no hook was registered in a transaction that wrote something")
        return self.kept(f"{count(judged, 'hook')}, each run once where its transaction is committed, and else never")


def _fault(times: int, committed: bool, unit: Unit, *, faults: bool) -> str:
    if times > 1:
        return f"a hook ran {times} times"
    if times and not committed:
        return "a hook ran, and its transaction is not committed"
    # Without a fault COMMIT cannot have raised where the rows are there: what did was no part of the transaction.
    told = unit.closer is not None and not (unit.closer.failed and faults) and not unit.vague
    if committed and told and not times:
        return "a transaction is committed, and its hook never ran"
    return ""
