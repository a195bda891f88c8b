"""works-unfaulted: what a backend does when nothing is wrong with network or server.

psycopg #1008: COPY by execute() is refused by the driver and leaves the connection in the middle of it, so the next
statement gets an error that is not its own. What asks the server once more after a refused statement gets "current
transaction is aborted" in the place of the refusal (django-debug-toolbar #331). A process that was forked, and whose
inherited descriptor somebody has closed, fails at its first query (celery #5483).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from lab.judging.calls import ORDINARY, REFUSED, Call, Request
from lab.judging.errors import nearest, of_database
from lab.judging.plan_parts import STREAM, at_once, block, on, query, repeating, request, several, test_runs
from lab.judging.trace import Trace
from lab.judging.transactions import STREAM_LEFT
from lab.promise import Promise, promise
from lab.records.history import Cause
from lab.records.lifecycle import Lifecycle
from lab.records.plan import TEST_DATABASE, Enter, Fail, Fork, Leave, Plan, Read, Sql, Use, UseName, Write
from lab.records.record import Record
from lab.records.variant import Traits, Variant
from lab.records.verdict import Finding
from lab.records.words import count

COPY = "COPY (SELECT generate_series(1, 1000)) TO STDOUT"
"""Both drivers refuse it by execute(), after the server has begun."""
SLOW = "DO $$ BEGIN PERFORM pg_catalog.pg_sleep(0.6); END $$"
"""A statement that takes its time, has no result, and cannot be explained."""
WORDS: dict[UseName, str] = {
    "open-cursor": "a cursor left open",
    "early-break": "a loop left early",
    "iterator": "iterator()",
    "iterator-break": "iterator(), left early",
    "iterator-across-commit": "iterator() across a commit",
    "repeat": "a statement often repeated",
    "execute-wrapper": "an execute wrapper",
    "pipeline-left": "a pipeline left early",
    STREAM_LEFT: STREAM,
}
PSYCOPG_ALONE = ("pipeline-left", STREAM_LEFT)
MANY: tuple[UseName, ...] = ("read-many", "stream", "copy-out", "copy-in", "rows", "rest-of-rows")
IN_BLOCK: tuple[UseName, ...] = (
    *("savepoints", "for-update", "durable-inside"),
    *("on-commit", "on-commit-query", "on-commit-block", "on-commit-robust"),
)
OTHERS: tuple[UseName, ...] = ("counted", "rowcounts", "no-transaction", "schema-editor", "schema-editor-refused")
ELSEWHERE = ("listen", "heard", "bulk-load", "slow")
assert {*WORDS, *MANY, *IN_BLOCK, *OTHERS, *TEST_DATABASE, *ELSEWHERE} == set(get_args(UseName))
FORKED = "in a forked process"
PLAIN = (*ORDINARY, "use", "fail", "sql")
INTEGRITY = "django.db.utils.IntegrityError"
ABORTED = "25P02"
"""What the server says to every statement in a block in which it has refused one."""
CHILD = "c0.t0"


@promise
class WorksUnfaulted(Promise):
    """At stake in every request of a run without any fault that does nothing but what a healthy session can serve.

    A refused statement's error is its own where it says by its SQLSTATE or class what the server has said, and so is
    what follows in the block that it has aborted. Requests side by side belong to isolated-threads. Of processes that
    fork, those of a child are judged whose parent rests; what the two do to each other belongs to fork-safe.
    """

    id = "works-unfaulted"
    first = True
    sentence = (
        "A request in which nothing was struck gets no error that is not its own, returns whole results, and leaves "
        "the next request whole."
    )

    def plans(self, variant: Variant, traits: Traits) -> Iterator[Plan]:
        after = (*query("t0"), *block("t0"), *query("t0"))
        yield self.plan(variant, "plain requests", *query("t0"), *after)
        if several(variant):
            yield self.plan(variant, "plain requests", *at_once("t0", "t1"), *after, title="on two threads")
            inside = request("t0", Read("t0"), *block("t1"))
            afterwards = (*block("t0"), *block("t1"))  # by turns: what the overlap has left behind
            yield self.plan(variant, "plain requests", *inside, *afterwards, title="on two threads, then by turns")
        ready = on("same", Read("t0"))  # by another alias, as an app's ready() asks, before the first request
        yield self.plan(variant, "another alias first", *ready, *after)
        copy = Sql("t0", COPY, swallow=True)
        yield self.plan(variant, "COPY by execute()", *request("t0", Read("t0"), copy, Read("t0")), *after)
        yield self.plan(variant, "COPY by execute()", *request("t0", Read("t0"), copy), *after, title="at the end")
        for how, words in WORDS.items():
            if how in PSYCOPG_ALONE and variant.driver != "psycopg":
                continue
            which = repeating(variant) if how == "repeat" else variant
            use = Use("t0", how)
            twice = request("t0", Read("t0"), use, Read("t0")) * 2
            yield self.plan(which, words, *twice, *after)
            rest = () if how == STREAM_LEFT else (Write("t0"),)  # the server has aborted the transaction
            inside = request("t0", Enter("t0"), Write("t0"), use, *rest, Leave("t0"))
            yield self.plan(which, words, *inside, *after, title="in atomic()")
            last = request("t0", use)
            yield self.plan(which, words, *last, *after, title="at the end")
        many = tuple(Use("t0", how) for how in MANY)
        yield self.plan(variant, "many rows", *request("t0", *many), *after)
        inside = (Enter("t0"), Write("t0"), *many, *(Use("t0", how) for how in IN_BLOCK), Write("t0"), Leave("t0"))
        yield self.plan(variant, "many rows", *request("t0", *inside), *after, title="in atomic()")
        others = tuple(Use("t0", how) for how in OTHERS)
        yield self.plan(variant, "other statements", *request("t0", *others), *after)
        inside = (Enter("t0"), Write("t0"), *others[:-1], Write("t0"), Leave("t0"))
        yield self.plan(variant, "other statements", *request("t0", *inside), *after, title="in atomic()")
        refused = (*request("t0", Fail("t0", swallow=True), Read("t0")), *request("t0", Enter("t0"), Fail("t0")))
        yield self.plan(variant, "a statement refused", *refused, *after)
        slow = Use("t0", "slow")
        # A timer of a second that nobody stopped meets the second one, and none of which the backend is in its rights.
        refused = (*request("t0", slow), *request("t0", Fail("t0", swallow=True), slow, slow))
        yield self.plan(variant, "a statement refused", *refused, *after, title="then some that take their time")
        # What times statements may ask the server about a slow one: for the plan of what has none, in the block.
        inside = request("t0", Enter("t0"), Write("t0"), Sql("t0", SLOW), Write("t0"), Leave("t0"))
        yield self.plan(variant, "a slow statement", *inside, *after)
        for why in ("unique", "statement_timeout"):
            twice = request("t0", Enter("t0"), Write("t0"), Fail("t0", why)) * 2
            yield self.plan(variant, "a statement refused", *query("t0"), *twice, *after, title=f"{why}, in a block")
        beside = (Enter("t0"), Write("t0"), Fail("t0", swallow=True), *on("kin", Write("t0"), Read("t0")))
        beside += (Leave("t0", "rollback"), *on("kin", Read("t0")))
        # On the other alias there is no session yet: what is asked of the first one to make it is refused.
        yield self.plan(
            variant, "a statement refused", *request("t0", *beside), *after, title="another alias connects then"
        )
        yield from self._forked(variant)
        yield from test_runs(self, variant, "a test database")

    def _forked(self, variant: Variant) -> Iterator[Plan]:
        """A process is forked from one that rests, as by a server that preloads, or a pool of workers."""
        work = (*query(CHILD), *block(CHILD), *query(CHILD), *block(CHILD))
        for name, before in (("after a query", query("t0")), ("after a block", block("t0")), ("before any", ())):
            yield self.plan(variant, FORKED, *before, Fork("t0"), *work, title=name)
        lifecycles: dict[str, Lifecycle] = {"t0": "command", CHILD: "task"}
        worker = (*query("t0"), Fork("t0"), *work)
        yield self.plan(variant, FORKED, *worker, title="a command that forks workers", lifecycles=lifecycles)

    def judge(self, record: Record) -> Finding:
        if record.plan.faults() or record.plan.init:
            return self.unknown("something was done to the sessions, or the project set them up")
        if record.plan.promise not in ("", self.id):
            return self.unknown("the plan was made for another promise, and may ask for what is refused")
        trace = Trace(record)
        for call in trace.calls:
            if call.failed and getattr(call.plan, "how", "") in TEST_DATABASE:
                return self.broken("a test run could not make, copy or drop its database", call.step)
        judged: list[Request] = []
        of_django: Finding | None = None
        for each in trace.requests:
            if not _ours(trace, each):
                continue
            if (found := _wrong(each, manual=not record.traits.autocommit)) is not None:
                call, why = found
                if _too_slow(trace, call):
                    return self.unknown("a statement that takes its time is cancelled, whatever came before")
                if not _in_refused_copy(record, each, call):
                    return self.broken(f"without any fault {why} at {call.f} of {call.actor}", call.step)
                left = f"{call.f} of {call.actor} met a COPY by execute() that psycopg refuses and leaves under way"
                of_django = of_django or self.broken(left, call.step, djangos=True)
            judged += [each] if each.sessions else []
        if of_django is not None:
            return of_django
        return self._served(record, judged)

    def _served(self, record: Record, judged: list[Request]) -> Finding:
        """No request had an error that was not its own: was one at stake?"""
        if not judged:
            return self.unknown("no request did what a healthy session serves, and nothing else")
        if record.plan.moment == FORKED and not any(each.process for each in judged):
            return self.unknown("no forked process made a request while its parent rested")
        return self.kept(f"{count(len(judged), 'request')} without a fault, none with an error that was not its own")


def _ours(trace: Trace, request: Request) -> bool:
    """Whether its errors can be nothing but the backend's: it is plain and alone, nothing odd came before, and there
    were no more threads than the variant is made for.
    """
    forks = _forks_at_rest(trace, request)
    odd = [call for call in trace.calls if call.begin < request.begin and call.f not in PLAIN and call not in forks]
    before = [other for other in trace.requests if other.begin < request.begin]
    threads = {
        other.actor for other in trace.requests if other.process == request.process and other.begin < request.end
    }
    plain = all(call.f in PLAIN and not _by_hand(call) for call in request.calls) and not request.never_left
    calm = not odd and not any(other.never_left or any(map(_by_hand, other.calls)) for other in before)
    alone = not any(
        other is not request and other.running_between(request.begin, request.end) for other in trace.requests
    )
    served = plain and not request.told_inside
    return served and calm and alone and request.tidy and several(trace.record.plan.variant, len(threads))


def _forks_at_rest(trace: Trace, request: Request) -> list[Call]:
    """The fork by which the process of the request came to be, if its parent made no request from then on."""
    forks = [call for call in trace.calls if call.f == "fork" and call.begin < request.begin]
    if len(forks) != 1 or forks[0].ending != "ok" or forks[0].value.get("child") != request.process:
        return []
    rests = not any(
        other.process == forks[0].process and other.running_between(forks[0].begin, request.end)
        for other in trace.requests
    )
    return forks if rests else []


def _by_hand(call: Call) -> bool:
    """Whether it may have left something on its session that explains what comes later."""
    return isinstance(call.plan, Sql) and not _copies(call) and call.plan.text != SLOW


def _in_refused_copy(record: Record, request: Request, call: Call) -> bool:
    """Whether psycopg 3 had refused a COPY before the call in its request: Django leaves it under way (psycopg #1008).

    A later request that meets it as well has been given the session by the ENGINE.
    """
    refused = [each for each in request.calls if _copies(each) and each.failed and each.end <= call.begin]
    return record.plan.variant.driver == "psycopg" and bool(refused)


def _copies(call: Call) -> bool:
    return isinstance(call.plan, Sql) and call.plan.text.upper().startswith("COPY")


def _too_slow(trace: Trace, call: Call) -> bool:
    """Whether none was ever served that takes as long: a timeout of the backend's own explains the error."""
    slow = [other for other in trace.calls if getattr(other.plan, "how", "") == "slow"]
    return call in slow and not any(other.ending == "ok" for other in slow)


def _wrong(request: Request, *, manual: bool) -> tuple[Call, str] | None:
    """The first call with an error that is not its own, or with a result that is not whole.

    `manual`: autocommit is off in the settings, so that a refused statement aborts what follows to the request's end.
    So does a stream that is left early: psycopg cancels the statement without telling.
    What aborts a block of one alias excuses nothing on another one.
    """
    blocks: list[str] = []  # the aliases of those that were entered
    aborted: set[str] = set()
    for call in request.calls:
        own = call.f in ("sql", "fail")
        alias = blocks[-1] if call.f == "leave" and blocks else call.alias
        if call.failed and not own and (alias not in aborted or call.hung):
            return call, "there was an error"
        if alias not in aborted and (told := _told_by_another(call)):
            return call, f"what the server had refused was told as {told}"
        if call.f == "use" and call.ending == "ok" and not call.value.get("whole"):
            return call, "a result was not whole"
        if call.f == "enter" and not call.failed:
            blocks.append(alias)
        elif call.f == "leave" and blocks:
            blocks.pop()
        if (own and call.failed) or getattr(call.plan, "how", "") == STREAM_LEFT:
            aborted.add(alias)
        aborted = {each for each in aborted if manual or each in blocks}
        if call.ends_blocks:
            blocks, aborted = [], set()
    return None


def _told_by_another(call: Call) -> str:
    """Where what leaves a refused statement, or then leaves all blocks, is not that statement's error: what it is.

    A backend's own class for it is the statement's, and so is an error that says nothing else. An SQLSTATE that the
    server gave to another statement is not, nor is a driver's own error in the place of the refusal. A duplicate
    key, where a class of Django's or the driver's tells of it, must be an IntegrityError of Django's: get_or_create()
    catches nothing else.
    """
    if not isinstance(call.plan, Fail) or not call.failed or call.hung or call.died:
        return ""
    sqlstate = REFUSED[call.plan.cause]
    pep = "IntegrityError" if call.plan.cause == "unique" else "OperationalError"
    left = [Cause(**link) for link in call.value.get("left", ())]
    for chain in (call.chain, *([left] if left else ())):
        visible, hidden = [[each for each in chain if each.hidden is hide] for hide in (False, True)]
        if any(each.sqlstate == sqlstate for each in visible):
            if pep == "IntegrityError" and of_database(visible[0]) and nearest(visible[0]) != INTEGRITY:
                return nearest(visible[0])
            continue
        others = [each.sqlstate for each in visible if each.sqlstate]
        replaced = any(each.sqlstate == sqlstate for each in hidden)
        if ABORTED in others or (others and replaced):  # the server may refuse it for a reason of its own, as a role's
            return f"another error of the server's, {others[0]}"
        told = any(nearest(each).endswith(f".{pep}") for each in visible)
        if replaced and not told and any(map(of_database, visible)):
            return nearest(visible[0])
    return ""
