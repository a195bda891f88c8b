"""The lab judged: backends that are broken on purpose must be caught, correct ones must not be accused.

The zoo is in tests/zoo: one package for each, whose docstring says what is wrong with it. Each broken one is caught by
the directed plans of one promise at one moment; the correct ones face all plans of all promises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from lab.fault import build
from lab.judging.judge import judge
from lab.promise import PROMISES
from lab.records.plan import Plan
from lab.records.variant import Driver, Variant
from lab.records.verdict import Finding, Verdict
from lab.rig.embedded.rig import Rig
from lab.run import run
from lab.subject.handle import Zygote

pytestmark = [pytest.mark.chaos]

TESTS = Path(__file__).resolve().parents[1]
BOUND = 3.0  # seconds; B for the zoo, so that what hangs is soon known
WORKERS = 3
CLOSES = ("commits-on-close",)
TEN = (
    "aborts-cleanly",
    "atomic",
    "bounded-wait",
    "commits-on-close",
    "durable",
    "idle-after-close",
    "isolated-threads",
    "recovers",
    "replaces-stale",
    "reuses",
)
"""The promises that the zoo was made for; a later one has its own proof."""


class Broken(NamedTuple):
    """A backend of the zoo, the promise that it breaks, and a moment whose plans must show it, once in `times` runs.

    The plans are those of the promise itself, or of another one: `plans_of`.
    """

    name: str
    promise: str
    moment: str
    keeps: bool | None = None
    times: int = 1
    plans_of: str = ""


BROKEN = (
    Broken("opens_every_time", "reuses", "query first", keeps=True),
    Broken("opens_for_atomic", "reuses", "atomic() first"),
    Broken("leaks_spares", "reuses", "query first"),
    Broken("hands_out_expired", "reuses", "query first", keeps=True),
    Broken("never_checks", "replaces-stale", "FIN, query first"),
    Broken("checks_flag_only", "replaces-stale", "terminated, query first"),
    Broken("checks_every_second", "replaces-stale", "RST, query first"),
    Broken("checks_every_third", "replaces-stale", "RST, query first"),
    Broken("checks_queries_only", "replaces-stale", "FIN, atomic() first"),
    Broken("checks_one_of_many", "replaces-stale", "FIN, three idle, load of one"),
    Broken("checks_in_one_process", "replaces-stale", "in a forked process"),
    Broken("prepared_for_another", "replaces-stale", "terminated, query first"),
    Broken("keeps_dead_one", "replaces-stale", "terminated, atomic() first"),
    Broken("gives_up_checking", "replaces-stale", "FIN, four idle, load of one"),
    Broken("checks_in_autocommit_only", "replaces-stale", "RST, AUTOCOMMIT=False"),
    Broken("stays_dead", "recovers", "in atomic"),
    Broken("needs_two_requests", "recovers", "idle in request"),
    Broken("second_thread_stays_dead", "recovers", "in atomic"),
    Broken("breaker_stays_open", "recovers", "refused for a while"),
    Broken("poisoned_by_refusal", "recovers", "refused for a while"),
    Broken("poisoned_by_signal", "recovers", "signal handler raises"),
    Broken("stays_connecting", "recovers", "signal while connecting"),
    Broken("loses_slots_to_signals", "recovers", "signal handler raises"),
    Broken("poisoned_by_constraint", "recovers", "a statement refused"),
    Broken("hands_to_dead_waiter", "recovers", "exhausted", plans_of="bounded-wait"),
    Broken("loses_slots_to_set_up", "recovers", "set-up fails for a while"),
    Broken("loses_slots", "recovers", "refused for a while"),
    Broken("loses_broken_slots", "recovers", "while connecting"),
    Broken("loses_one_of_twenty", "recovers", "idle in request"),
    Broken("dies_at_disconnect", "recovers", "idle in request"),
    Broken("dies_at_once", "recovers", "idle in request"),
    Broken("segfaults_at_disconnect", "recovers", "mid-query"),
    Broken("reconnects_in_atomic", "atomic", "between statements"),
    Broken("reconnects_after_savepoint", "atomic", "in a savepoint"),
    Broken("reconnects_after_reads", "atomic", "after a read"),
    Broken("replays_statement", "atomic", "between statements"),
    Broken("closes_dead_in_atomic", "atomic", "error swallowed"),
    Broken("commits_before_statements", "atomic", "in a savepoint"),
    Broken("forgets_swallowed_error", "atomic", "error swallowed"),
    Broken("retries_commit", "atomic", "before COMMIT"),
    Broken("swallows_commit_error", "atomic", "autocommit off"),
    Broken("swallows_lost_commit", "atomic", "at COMMIT"),
    Broken("commit_only_in_atomic", "durable", "autocommit off, commit(), then FIN"),
    Broken("autocommit_in_transaction", "durable", "autocommit, then terminated"),
    Broken(
        "no_synchronous_commit", "durable", "autocommit, then crash", times=8
    ),  # the log has a writer of its own, which wakes now and then
    Broken("loads_unsynced", "durable", "atomic, then crash", times=8),
    Broken("forgets_block_when_told", "durable", "close() inside atomic"),
    Broken("retries_serialization", "atomic", "a serialization failure"),
    Broken("retries_serialization", "atomic", "a deadlock"),
    Broken("swallows_refused_commit", "atomic", "COMMIT refused"),
    Broken("savepoint_rollback_lost", "atomic", "in a savepoint"),
    Broken("restarts_transaction", "atomic", "statement error in a savepoint"),
    Broken("ends_block_at_error", "aborts-cleanly", "an error swallowed, then rolled back"),
    Broken("ignores_savepoints", "aborts-cleanly", "a savepoint rolled back"),
    Broken("one_savepoint_deep", "aborts-cleanly", "a savepoint rolled back"),
    Broken("close_commits_in_atomic", "aborts-cleanly", "close() inside, left later"),
    Broken("end_commits_in_atomic", "aborts-cleanly", "never left"),
    Broken("close_swallows", "commits-on-close", "set_autocommit(False), cut before COMMIT"),
    Broken("close_swallows_in_threads", "commits-on-close", "set_autocommit(False), cut before COMMIT"),
    Broken("close_replays", "commits-on-close", "set_autocommit(False), cut at COMMIT"),
    Broken("errors_undo_pending", "commits-on-close", "set_autocommit(False), an error healed before"),
    Broken("close_forgets_setting", "commits-on-close", "AUTOCOMMIT=False"),
    Broken("close_commits_at_end_only", "commits-on-close", "close() by hand"),
    Broken("keeps_open_transaction", "idle-after-close", "BEGIN by hand"),
    Broken("begins_after_close", "idle-after-close", "AUTOCOMMIT=False"),
    Broken("keeps_reads_open", "idle-after-close", "autocommit off"),
    Broken("pings_in_transaction", "idle-after-close", "a while later"),
    Broken("shares_global", "isolated-threads", "query first"),
    Broken("hands_out_while_checking", "isolated-threads", "checked at the same time"),
    Broken("overflow_shares", "isolated-threads", "three at once"),
    Broken("locks_each_statement", "isolated-threads", "a write between two"),
    Broken("locks_each_block", "isolated-threads", "a write between two"),
    Broken("keyed_by_thread_name", "isolated-threads", "query first"),
    Broken("pools_twice_after_error", "isolated-threads", "after an error"),
    Broken("pools_twice_after_close", "isolated-threads", "after an error"),
    Broken("close_ends_others", "isolated-threads", "a close() in one"),
    Broken("ends_what_it_had", "isolated-threads", "a thread's end"),
    Broken("uses_after_return", "isolated-threads", "a close() in one"),
    Broken("hangs_at_close", "bounded-wait", "return"),
    Broken("waits_for_slot", "bounded-wait", "exhausted"),
    Broken("locks_its_children_out", "bounded-wait", "forked during a checkout"),
    Broken("waits_for_dead_holder", "bounded-wait", "a holder that died"),
    Broken("retries_connect_long", "bounded-wait", "refused"),
    Broken("connects_under_a_lock", "bounded-wait", "connect"),
)

ANY = ""
KEPT = {"CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": True}
DJANGO = {
    ("atomic", "close() inside"),
    ("atomic", "statement error swallowed"),
    ("durable", "close() inside atomic"),
    ("recovers", "block never left"),
    ("bounded-wait", "connect"),
    ("bounded-wait", "checkout"),
    ("bounded-wait", "query"),
    ("bounded-wait", "COPY"),
    ("bounded-wait", "COMMIT"),
    ("bounded-wait", "return"),
    ("recovers", "in a command"),
    ("recovers", "in an executor's thread"),
    ("replaces-stale", "in a command"),
    ("replaces-stale", "in an executor's thread"),
}
"""What Django itself does not promise, and all that are built on it inherit: no timeouts, blocks that end badly, and
work that is no request, of which test_zoo_lifecycles.py tells more."""
BY_HAND = (("idle-after-close", "BEGIN by hand"), ("idle-after-close", "AUTOCOMMIT=False"))
"""A kept session keeps what was begun by hand, or by its settings: Django does not look."""


class Correct(NamedTuple):
    """A backend that must not be accused of more than `known`."""

    variant: Variant
    known: frozenset[tuple[str, str]]
    marks: tuple[pytest.MarkDecorator, ...] = ()


def _correct(name: str, *known: tuple[str, str], commits: bool = False, **fields: Any) -> Correct:
    claims = tuple(promise for promise in TEN if commits or promise not in CLOSES)
    fields = {"driver": "psycopg2", "path": (str(TESTS),), "claims": claims, **fields}
    variant = Variant(name=f"{name}, {fields['driver']}", **fields)
    return Correct(variant, frozenset(DJANGO | set(known)), (pytest.mark.slow, pytest.mark.nightly))


def _both(name: str, *known: tuple[str, str], **fields: Any) -> tuple[Correct, Correct]:
    return (
        _correct(name, *known, **fields),
        _correct(name, *known, **fields, driver="psycopg"),
    )


def _pool(name: str, **pool: Any) -> Correct:
    """A pool; it waits 30 seconds for a connection unless told otherwise, and no bound of ours is that long."""
    waits = ("refused", "exhausted", "a holder that died")
    known = [("bounded-wait", moment) for moment in waits if pool.get("timeout", 30) > BOUND]
    known.append(("replaces-stale", ANY))  # with several idle ones dead, the next request waits through a back-off
    settings = {"CONN_HEALTH_CHECKS": True}
    return _correct(name, *BY_HAND, *known, driver="psycopg", options={"pool": pool or True}, settings=settings)


NO_SLOT = (("bounded-wait", "exhausted"), ("bounded-wait", "a holder that died"))
"""Who waits without a timeout for what nobody gives back waits for ever: true, and to be said."""
AGES = ("reuses", ANY)
"""On a busy machine the requests of one plan may take longer than a session lives."""
CORRECT = (
    *_both("a connection for each request"),
    *_both("kept and checked", *BY_HAND, settings=KEPT),
    *_both("kept for a minute", *BY_HAND, settings={**KEPT, "CONN_MAX_AGE": 60}),
    *_both("time zone", *BY_HAND, settings={**KEPT, "TIME_ZONE": "Asia/Tokyo"}),
    *_both("role", *BY_HAND, settings=KEPT, options={"assume_role": "lab_other"}),
    *_both("serializable", *BY_HAND, settings=KEPT, options={"isolation_level": 3}),
    _correct("server-side binding", *BY_HAND, driver="psycopg", settings=KEPT, options={"server_side_binding": True}),
    _pool("pool"),
    _pool("pool of one", min_size=1, max_size=1),
    _pool("pool with a timeout", min_size=1, max_size=2, timeout=1.0),
    *_both("keeper", engine="zoo.correct_keeper"),
    *_both("keeper that commits", engine="zoo.correct_commits", commits=True, keeps=True),
    *_both("reopens", engine="zoo.correct_reopens"),
    *_both("slow checkout", engine="zoo.correct_slow_checkout"),
    *_both("slow connect", engine="zoo.correct_slow_connect"),
    *_both("serialises", *NO_SLOT, engine="zoo.correct_serialises"),
    *_both("refuses", engine="zoo.correct_refuses"),
    *_both("keep-alive", engine="zoo.correct_keep_alive"),
    *_both("reclaims", engine="zoo.correct_reclaims"),
    *_both("own close", engine="zoo.correct_own_close"),
    *_both("polls", engine="zoo.correct_polls"),
    *_both("bounded", engine="zoo.correct_bounded"),
    *_both("own words", engine="zoo.correct_own_words"),
    *_both("checks writability", engine="zoo.correct_checks_writability"),
    *_both("resets lazily", engine="zoo.correct_resets_lazily"),
    *_both("spares per process", engine="zoo.correct_spares_per_process"),
    *_both("queues", engine="zoo.correct_queues"),
    *_both("polled by a daemon", engine="zoo.correct_polled_by_daemon"),
    *_both("closes when idle", AGES, engine="zoo.correct_closes_when_idle"),
    *_both("ages with jitter", AGES, engine="zoo.correct_ages_with_jitter"),
)


class Bench:
    """One variant on a rig, with a zygote for each form of it that a plan asks for."""

    def __init__(self, rig: Rig, variant: Variant) -> None:
        self._rig = rig
        self._variant = variant
        self._zygotes = {_key(variant): self._start(variant)}

    def _start(self, variant: Variant) -> Zygote:
        return Zygote(variant, self._rig.folder, self._rig.environ())

    def close(self) -> None:
        for zygote in self._zygotes.values():
            zygote.close()

    def plans(self, promise: str, moment: str = "") -> list[Plan]:
        """The directed plans of a promise, at one moment or at all; none where it does not apply."""
        asked, traits = PROMISES.get(promise), self._zygotes[_key(self._variant)].traits
        if asked.not_applicable(self._variant, traits):
            return []
        plans = [msgspec.structs.replace(plan, bound=BOUND) for plan in asked.plans(self._variant, traits)]
        plans = [plan for plan in plans if moment in ("", plan.moment) and self._can(plan)]
        for plan in plans:  # here and not in a worker: a subject's life is tied to the thread that starts it
            if _key(plan.variant) not in self._zygotes:
                self._zygotes[_key(plan.variant)] = self._start(plan.variant)
        return plans

    def _can(self, plan: Plan) -> bool:
        return all(build(spec).needs <= self._rig.capabilities for spec in plan.faults())

    @property
    def zygote(self) -> Zygote:
        """That of the variant as it is."""
        return self._zygotes[_key(self._variant)]

    def findings(self, plan: Plan) -> tuple[Finding, ...]:
        """What one run of a plan shows of the ten promises."""
        record = run(plan, self._rig, self._zygotes[_key(plan.variant)])
        return judge(record, [PROMISES.get(promise) for promise in TEN])


def _key(variant: Variant) -> bytes:
    return msgspec.json.encode(variant)


@pytest.fixture
def bench(rig: Rig) -> Iterator[Callable[[Variant], Bench]]:
    """Start a variant; it is ended with the test."""
    started: list[Bench] = []

    def start(variant: Variant) -> Bench:
        started.append(Bench(rig, variant))
        return started[-1]

    yield start
    for each in started:
        each.close()


@pytest.mark.parametrize("driver", ["psycopg2", pytest.param("psycopg", marks=[pytest.mark.slow, pytest.mark.nightly])])
@pytest.mark.parametrize("beast", BROKEN, ids=lambda beast: beast.name)
def test_a_broken_backend_is_caught(beast: Broken, driver: Driver, bench: Callable[[Variant], Bench]) -> None:
    variant = Variant(name=beast.name, engine=f"zoo.{beast.name}", driver=driver, path=(str(TESTS),), keeps=beast.keeps)
    on = bench(variant)
    plans = on.plans(beast.plans_of or beast.promise, beast.moment) * beast.times
    found = [finding for plan in plans for finding in on.findings(plan) if finding.promise == beast.promise]
    assert Verdict.BROKEN in [finding.verdict for finding in found], [finding.summary for finding in found]


@pytest.mark.parametrize("backend", [pytest.param(each, id=each.variant.name, marks=each.marks) for each in CORRECT])
def test_a_correct_backend_is_not_accused(backend: Correct, bench: Callable[[Variant], Bench]) -> None:
    on = bench(backend.variant)
    plans = [(promise, plan) for promise in TEN for plan in on.plans(promise)]
    with ThreadPoolExecutor(WORKERS) as pool:
        shown = list(pool.map(lambda each: on.findings(each[1]), plans))
    accused = {
        (finding.promise, plan.moment): finding.summary
        for (promise, plan), findings in zip(plans, shown, strict=True)
        for finding in findings
        if finding.verdict is Verdict.BROKEN and finding.promise == promise
    }
    places = {(promise, moment) for promise, moment in accused if (promise, ANY) not in backend.known}
    assert not {place: accused[place] for place in places - backend.known}


@pytest.mark.parametrize(
    ("engine", "djangos"), [("django.db.backends.postgresql", True), ("zoo.hides_commit_error", False)]
)
def test_who_has_hidden_the_error_of_commit_is_told_apart(
    engine: str, djangos: bool, rig: Rig, bench: Callable[[Variant], Bench]
) -> None:
    """Django's atomic() connects at its end, to set autocommit back; an ENGINE that connects in COMMIT is to blame."""
    on = bench(Variant(name=engine, engine=engine, path=(str(TESTS),)))
    plan, *_ = on.plans("honest-error", "at COMMIT, then refused")
    record = run(plan, rig, on.zygote)
    (told,) = judge(record, [PROMISES.get("honest-error")])
    assert (told.verdict, told.djangos) == (Verdict.BROKEN, djangos), told.summary


def test_each_promise_has_a_backend_that_breaks_it() -> None:
    assert {beast.promise for beast in BROKEN} == set(TEN)
